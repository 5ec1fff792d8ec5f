//! Issues that are no pull requests: as strict as the rest.

use serde_json::{Value, json};

use crate::support::{Bench, REQUEST_FILE};

const ISSUES: &str = "/repos/octo/layers/issues";

#[tokio::test]
async fn an_issue_is_written_listed_changed_and_closed() {
    let bench = Bench::start().await;
    let double = &bench.double;
    let pull = double
        .open_pull_request(
            "requests",
            "Add",
            [(REQUEST_FILE, "packages: [a]\n")],
            "mona",
        )
        .await;
    let body = json!({ "title": "It does not build", "body": "Look @mona" });
    let (status, made) = bench.post(ISSUES, body).await;
    assert_eq!((status, &made["number"]), (201, &json!(pull + 1)));

    let numbers = |list: &Value| -> Vec<u64> {
        let issues = list.as_array().unwrap().iter();
        issues
            .map(|issue| issue["number"].as_u64().unwrap())
            .collect()
    };
    let (_, all) = bench.get(&format!("{ISSUES}?state=all")).await;
    assert_eq!(numbers(&all), [pull + 1, pull]);
    assert!(all[1]["pull_request"].is_object() && all[0].get("pull_request").is_none());
    let author = made["user"]["login"].as_str().unwrap();
    let creator = author.replace('[', "%5B").replace(']', "%5D");
    let (_, own) = bench.get(&format!("{ISSUES}?creator={creator}")).await;
    assert_eq!(numbers(&own), [pull + 1]);

    let path = format!("{ISSUES}/{}", pull + 1);
    let change = json!({ "state": "closed", "state_reason": "completed", "body": "It builds." });
    let (status, closed) = bench.patch(&path, change).await;
    assert_eq!((status, &closed["state"]), (200, &json!("closed")));
    let (_, open) = bench.get(&format!("{ISSUES}?creator={creator}")).await;
    assert_eq!(numbers(&open), [0_u64; 0]);
    let (_, again) = bench.patch(&path, json!({ "state": "open" })).await;
    assert_eq!(again["state_reason"], "reopened");
    assert_eq!(double.issues()[0].body.as_deref(), Some("It builds."));
    bench.assert_clean();
}

#[tokio::test]
async fn what_github_would_not_take_is_refused() {
    let bench = Bench::start().await;
    for body in [
        json!({ "title": " " }),
        json!({ "title": "é".repeat(257) }),
        json!({ "title": "Long", "body": "é".repeat(65_537) }),
    ] {
        let (status, answer) = bench.post(ISSUES, body).await;
        assert_eq!(status, 422, "{answer}");
    }
    assert_eq!(bench.get(&format!("{ISSUES}/77")).await.0, 404);
    bench.assert_clean();
    bench.double.set_app_permission("issues", Some("read"));
    let (_, answer) = bench.create_token(json!({})).await;
    let token = answer["token"].as_str().unwrap();
    let body = json!({ "title": "No" });
    let (status, _) = bench.send_as(token, "POST", ISSUES, Some(body)).await;
    assert_eq!(status, 403);
}

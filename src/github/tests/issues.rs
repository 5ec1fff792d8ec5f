//! Issues: one for each marker, written once, edited in place, closed when it is over.

use super::server::{Reply, Server, app_routes, ok, status};
use serde_json::{Value, json};

const MARKER: &str = "<!-- layersmith:rebuild:demo -->";

fn issue(number: u64, login: &str, state: &str, reason: Option<&str>, body: &str) -> Value {
    json!({
        "number": number, "title": "Broken", "body": body, "state": state, "state_reason": reason,
        "user": { "id": 9, "login": login, "type": "Bot" },
    })
}

fn own(state: &str, reason: Option<&str>) -> Value {
    issue(
        4,
        "layersmith[bot]",
        state,
        reason,
        &format!("{MARKER}\nOld"),
    )
}

/// A GitHub with these issues that answers 200 to every change.
async fn with(issues: Vec<Value>) -> Server {
    Server::start(move |asked| {
        app_routes(asked).unwrap_or_else(|| match asked.method.as_str() {
            "GET" => ok(json!(issues)),
            "POST" => Reply(201, Vec::new(), json!({ "number": 8 })),
            _ => ok(json!({ "number": 4 })),
        })
    })
    .await
}

/// The changes that were asked for, without what an App asks before anything else.
fn changes(server: &Server) -> Vec<(String, Value)> {
    server
        .asked()
        .into_iter()
        .filter(|asked| asked.method != "GET" && !asked.path.starts_with("/app/"))
        .map(|asked| (format!("{} {}", asked.method, asked.path), asked.body))
        .collect()
}

#[tokio::test]
async fn an_issue_is_found_by_marker_and_author_and_edited_in_place() {
    let mut pull_request = own("open", None);
    pull_request["pull_request"] = json!({ "url": "https://example.com" });
    let server = with(vec![
        issue(6, "mona", "open", None, MARKER),
        pull_request,
        issue(
            5,
            "layersmith[bot]",
            "open",
            None,
            "<!-- layersmith:other -->",
        ),
        own("open", None),
    ])
    .await;
    let client = server.app_client();
    assert_eq!(client.put_issue(MARKER, "Broken", "New").await.unwrap(), 4);
    assert_eq!(
        changes(&server),
        [(
            "PATCH /repos/octocat/catalog/issues/4".to_owned(),
            json!({ "title": "Broken", "body": format!("{MARKER}\nNew") })
        )]
    );
    assert!(server.lines().contains(
        &"GET /repos/octocat/catalog/issues?state=all&creator=layersmith%5Bbot%5D&per_page=100&page=1"
            .to_owned()
    ));
    // It says that already.
    assert_eq!(client.put_issue(MARKER, "Broken", "Old").await.unwrap(), 4);
    assert_eq!(changes(&server).len(), 1);
}

#[tokio::test]
async fn an_issue_is_opened_again_unless_a_person_said_that_it_is_not_planned() {
    let server = with(vec![own("closed", Some("completed"))]).await;
    let client = server.app_client();
    assert_eq!(client.put_issue(MARKER, "Broken", "Old").await.unwrap(), 4);
    assert_eq!(changes(&server)[0].1["state"], "open");
    assert_eq!(client.close_issue(MARKER, None).await.unwrap(), None);

    let server = with(vec![own("closed", Some("not_planned"))]).await;
    let client = server.app_client();
    assert_eq!(client.put_issue(MARKER, "Broken", "New").await.unwrap(), 4);
    assert_eq!(changes(&server)[0].1.get("state"), None);
}

#[tokio::test]
async fn what_is_over_is_closed_once() {
    let server = with(vec![own("open", None)]).await;
    let client = server.app_client();
    let closed = client.close_issue(MARKER, Some("It works again.")).await;
    assert_eq!(closed.unwrap(), Some(4));
    assert_eq!(
        changes(&server)[0].1,
        json!({ "state": "closed", "state_reason": "completed", "body": format!("{MARKER}\nIt works again.") })
    );
    let server = with(Vec::new()).await;
    let closed = server.app_client().close_issue(MARKER, None).await;
    assert_eq!(closed.unwrap(), None);
    assert_eq!(changes(&server), []);
}

#[tokio::test]
async fn an_issue_is_not_written_twice_when_the_answer_was_lost() {
    let mut written: Vec<Value> = Vec::new();
    let server = Server::start(move |asked| {
        if let Some(reply) = app_routes(asked) {
            return reply;
        }
        if asked.method == "POST" {
            let body = asked.body["body"].as_str().unwrap();
            written.push(issue(4, "layersmith[bot]", "open", None, body));
            return status(502);
        }
        ok(json!(written))
    })
    .await;
    let client = server.app_client();
    assert_eq!(client.put_issue(MARKER, "Broken", "New").await.unwrap(), 4);
    assert_eq!(changes(&server).len(), 1);
    let long = client
        .put_issue(MARKER, "Broken", &"é".repeat(65_536))
        .await;
    assert!(long.is_err());
}

//! Trouble on demand.

use std::time::Duration;

use layersmith_testbed::github::{Fault, Matcher};
use serde_json::json;

use crate::support::{Bench, REQUEST_FILE};

#[tokio::test]
async fn faults_happen_as_often_as_asked_and_where_asked() {
    let bench = Bench::start().await;
    let double = &bench.double;
    let number = double
        .open_pull_request(
            "requests",
            "Add requests",
            [(REQUEST_FILE, "packages: [requests]\n")],
            "mona",
        )
        .await;
    let comments = format!("/repos/octo/layers/issues/{number}/comments");

    double.fail_next(
        Matcher::new("POST", "/comments"),
        Fault::Status(502, vec![("x-note".into(), "y".into())], "<html>".into()),
        2,
    );
    assert_eq!(bench.get(&comments).await.0, 200);
    assert_eq!(bench.post(&comments, json!({"body": "a"})).await.0, 502);
    assert_eq!(bench.post(&comments, json!({"body": "a"})).await.0, 502);
    assert_eq!(bench.post(&comments, json!({"body": "a"})).await.0, 201);

    double.fail_next(Matcher::new("", ""), Fault::RetryAfter(7), 1);
    let response = bench
        .try_send(&bench.token, "GET", &comments, None)
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["retry-after"].to_str().unwrap()
        ),
        (403, "7")
    );

    double.fail_next(Matcher::new("POST", "/comments"), Fault::Reset, 1);
    bench
        .try_send(
            &bench.token,
            "POST",
            &comments,
            Some(json!({"body": "lost"})),
        )
        .await
        .unwrap_err();
    assert_eq!(double.comments(number).len(), 1);

    double.fail_next(Matcher::new("POST", "/comments"), Fault::LostAnswer, 1);
    bench
        .try_send(
            &bench.token,
            "POST",
            &comments,
            Some(json!({"body": "kept"})),
        )
        .await
        .unwrap_err();
    assert_eq!(double.comments(number).len(), 2);

    double.fail_next(Matcher::new("GET", "/comments"), Fault::Hang, 1);
    tokio::time::timeout(Duration::from_millis(300), bench.get(&comments))
        .await
        .unwrap_err();
    assert_eq!(double.faults_left(), 0);
    bench.assert_clean();
}

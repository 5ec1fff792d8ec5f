//! The check run, its annotations in batches, and the commit status in its place.

use super::server::{APP_ID, Reply, Server, app_routes, ok, status};
use crate::github::{Annotation, AnnotationLevel, CheckReport, CheckState, Conclusion};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const DONE: CheckState = CheckState::Completed(Conclusion::Failure);

fn report(state: CheckState, notes: u32) -> CheckReport {
    CheckReport {
        head_sha: "abc".to_owned(),
        external_id: "plan-7-1".to_owned(),
        state,
        title: "2 problems".to_owned(),
        summary: "Summary".to_owned(),
        text: None,
        annotations: (1..=notes)
            .map(|line| Annotation {
                path: "layers/a.yaml".to_owned(),
                start_line: line,
                end_line: line,
                start_column: Some(1),
                end_column: Some(2),
                level: AnnotationLevel::Failure,
                message: "wrong".to_owned(),
            })
            .collect(),
        details_url: Some("https://example.com/runs/1".to_owned()),
    }
}

/// GitHub's check runs: kept as it keeps them, annotations added up.
#[derive(Default)]
struct Runs {
    runs: Vec<Value>,
    /// How many of the next writes are done but answered with 502.
    lose: usize,
}

impl Runs {
    fn answer(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        if method == "GET" {
            return ok(json!({ "total_count": self.runs.len(), "check_runs": self.runs }));
        }
        let given = body["output"]["annotations"].as_array().unwrap().len();
        assert!(given <= 50, "{given} annotations in one request");
        let id = if method == "POST" {
            let id = self.runs.len() + 1;
            self.runs.push(json!({
                "id": id, "app": { "id": APP_ID }, "output": { "annotations_count": 0 },
            }));
            id
        } else {
            path.rsplit('/').next().unwrap().parse().unwrap()
        };
        let run = &mut self.runs[id - 1];
        let shown = run["output"]["annotations_count"].as_u64().unwrap() as usize;
        run["output"]["annotations_count"] = json!(shown + given);
        for key in ["status", "external_id", "conclusion"] {
            run[key] = body[key].clone();
        }
        if self.lose > 0 {
            self.lose -= 1;
            return status(502);
        }
        ok(json!({ "id": id }))
    }

    /// External id, status and annotations of each run.
    fn seen(&self) -> Vec<String> {
        let line = |run: &Value| {
            format!(
                "{} {} {}",
                run["external_id"], run["status"], run["output"]["annotations_count"]
            )
        };
        self.runs.iter().map(line).collect()
    }
}

async fn start(lose: usize) -> (Server, Arc<Mutex<Runs>>) {
    let runs = Arc::new(Mutex::new(Runs {
        lose,
        ..Runs::default()
    }));
    let kept = Arc::clone(&runs);
    let server = Server::start(move |asked| {
        app_routes(asked).unwrap_or_else(|| {
            let mut runs = kept.lock().unwrap();
            runs.answer(&asked.method, &asked.path, &asked.body)
        })
    })
    .await;
    (server, runs)
}

#[tokio::test]
async fn a_check_run_is_made_once_and_then_edited() {
    let (server, runs) = start(0).await;
    let client = server.app_client();
    client
        .put_check(&report(CheckState::InProgress, 0))
        .await
        .unwrap();
    client.put_check(&report(DONE, 2)).await.unwrap();
    client.put_check(&report(DONE, 2)).await.unwrap();
    assert_eq!(runs.lock().unwrap().seen(), [r#""plan-7-1" "completed" 2"#]);
    let asked = server.asked();
    let path = &asked[1].path;
    assert_eq!(path, "/app/installations/5/access_tokens");
    assert_eq!(asked[1].body, json!({ "repositories": ["catalog"] }));
    insta::assert_snapshot!(server.lines()[2..].join("\n"), @r"
    GET /repos/octocat/catalog/commits/abc/check-runs?check_name=layersmith&filter=all&per_page=100
    POST /repos/octocat/catalog/check-runs
    GET /repos/octocat/catalog/commits/abc/check-runs?check_name=layersmith&filter=all&per_page=100
    PATCH /repos/octocat/catalog/check-runs/1
    GET /repos/octocat/catalog/commits/abc/check-runs?check_name=layersmith&filter=all&per_page=100
    PATCH /repos/octocat/catalog/check-runs/1
    ");
    let completed = &asked[5].body;
    assert_eq!(completed["conclusion"], "failure");
    assert_eq!(completed["details_url"], "https://example.com/runs/1");
    assert_eq!(
        completed["output"]["annotations"][1]["annotation_level"],
        "failure"
    );
}

#[tokio::test]
async fn many_annotations_come_in_batches_and_complete_with_the_last() {
    let (server, runs) = start(0).await;
    server
        .app_client()
        .put_check(&report(DONE, 120))
        .await
        .unwrap();
    assert_eq!(
        runs.lock().unwrap().seen(),
        [r#""plan-7-1" "completed" 120"#]
    );
    let states: Vec<Value> = server
        .asked()
        .iter()
        .filter(|asked| asked.path.contains("/check-runs") && asked.method != "GET")
        .map(|asked| asked.body["status"].clone())
        .collect();
    assert_eq!(states, ["in_progress", "in_progress", "completed"]);
}

#[tokio::test]
async fn lost_answers_double_neither_runs_nor_annotations() {
    let (server, runs) = start(2).await;
    server
        .app_client()
        .put_check(&report(DONE, 120))
        .await
        .unwrap();
    assert_eq!(
        runs.lock().unwrap().seen(),
        [r#""plan-7-1" "completed" 120"#]
    );
    let (server, runs) = start(9).await;
    let error = server
        .app_client()
        .put_check(&report(DONE, 120))
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(runs.lock().unwrap().runs.len(), 1);
}

#[tokio::test]
async fn something_new_does_not_write_over_what_is_complete() {
    let (server, runs) = start(0).await;
    let client = server.app_client();
    client.put_check(&report(DONE, 1)).await.unwrap();
    let mut next = report(CheckState::InProgress, 0);
    next.external_id = "plan-7-2".to_owned();
    client.put_check(&next).await.unwrap();
    next.external_id = "plan-7-3".to_owned();
    client.put_check(&next).await.unwrap();
    assert_eq!(
        runs.lock().unwrap().seen(),
        [
            r#""plan-7-1" "completed" 1"#,
            r#""plan-7-3" "in_progress" 0"#
        ]
    );
}

#[tokio::test]
async fn another_apps_check_run_of_that_name_is_left_alone() {
    let (server, runs) = start(0).await;
    let other = json!({
        "id": 1, "status": "in_progress", "external_id": "plan-7-1", "app": { "id": 1 },
        "output": { "annotations_count": 0 },
    });
    runs.lock().unwrap().runs.push(other.clone());
    server
        .app_client()
        .put_check(&report(DONE, 0))
        .await
        .unwrap();
    assert_eq!(runs.lock().unwrap().runs[0], other);
    assert_eq!(runs.lock().unwrap().runs.len(), 2);
}

#[tokio::test]
async fn what_is_left_out_is_said() {
    let (server, _runs) = start(0).await;
    let mut long = report(DONE, 1_001);
    long.text = Some("x".repeat(70_000));
    server.app_client().put_check(&long).await.unwrap();
    let output = server.asked().last().unwrap().body["output"].clone();
    assert_eq!(
        output["summary"],
        "*1 more notes are not shown on their lines.*\n\nSummary"
    );
    let text = output["text"].as_str().unwrap();
    assert_eq!(text.len(), 65_535);
    assert!(text.contains("The rest is left out"));
}

#[tokio::test]
async fn with_a_token_a_commit_status_takes_its_place() {
    let server = Server::start(|_| Reply(201, Vec::new(), json!({ "id": 1 }))).await;
    let client = server.client();
    client
        .put_check(&report(CheckState::InProgress, 0))
        .await
        .unwrap();
    let mut long = report(DONE, 2);
    long.title = "é".repeat(200);
    client.put_check(&long).await.unwrap();
    let asked = server.asked();
    assert_eq!(
        server.lines(),
        ["POST /repos/octocat/catalog/statuses/abc"; 2]
    );
    assert_eq!(asked[0].authorization, "Bearer a-token");
    assert_eq!(
        asked[0].body,
        json!({
            "state": "pending", "context": "layersmith", "description": "2 problems",
            "target_url": "https://example.com/runs/1",
        })
    );
    assert_eq!(asked[1].body["state"], "failure");
    assert_eq!(
        asked[1].body["description"]
            .as_str()
            .unwrap()
            .chars()
            .count(),
        140
    );
}

//! The living comment, replies and reactions.

use super::server::{Reply, Server, app_routes, ok, status};
use crate::github::{GithubError, Reaction};
use serde_json::{Value, json};

const MARKER: &str = "<!-- layersmith:plan -->";

fn comment(id: u64, login: &str, user: u64, body: &str) -> Value {
    json!({ "id": id, "body": body, "user": { "id": user, "login": login, "type": "User" } })
}

fn me(path: &str) -> Option<Reply> {
    (path == "/user").then(|| ok(json!({ "id": 9, "login": "smith" })))
}

#[tokio::test]
async fn a_known_comment_is_edited_by_patch() {
    let server = Server::start(|_| ok(json!({ "id": 5 }))).await;
    let id = server
        .client()
        .put_comment(7, MARKER, "Plan", Some(5))
        .await
        .unwrap();
    assert_eq!(id, 5);
    assert_eq!(
        server.lines(),
        ["PATCH /repos/octocat/catalog/issues/comments/5"]
    );
    assert_eq!(
        server.asked()[0].body,
        json!({ "body": format!("{MARKER}\nPlan") })
    );
}

#[tokio::test]
async fn a_lost_comment_is_found_over_pages_by_marker_and_author() {
    let server = Server::start(|asked| {
        if let Some(reply) = me(&asked.path) {
            return reply;
        }
        match asked.path.rsplit_once("page=") {
            // Somebody copied the marker; and GitHub may end a page early while there are more.
            Some((_, "1")) => {
                let mut page: Vec<Value> = (100..199)
                    .map(|id| comment(id, "octocat", 1, "Hm"))
                    .collect();
                page.push(comment(199, "octocat", 1, &format!("{MARKER}\nmine!")));
                ok(json!(page))
            }
            Some((_, "2")) => Reply(
                200,
                vec![("link", "<https://x/?page=3>; rel=\"next\"".to_owned())],
                json!([comment(201, "octocat", 1, "Hm")]),
            ),
            Some((_, "3")) => ok(json!([comment(
                301,
                "renamed",
                9,
                &format!("{MARKER}\nOld")
            )])),
            _ if asked.path.ends_with("/5") => status(404),
            _ => ok(json!({ "id": 301 })),
        }
    })
    .await;
    let id = server
        .client()
        .put_comment(7, MARKER, "Plan", Some(5))
        .await
        .unwrap();
    assert_eq!(id, 301);
    insta::assert_snapshot!(server.lines().join("\n"), @r"
    PATCH /repos/octocat/catalog/issues/comments/5
    GET /user
    GET /repos/octocat/catalog/issues/7/comments?per_page=100&page=1
    GET /repos/octocat/catalog/issues/7/comments?per_page=100&page=2
    GET /repos/octocat/catalog/issues/7/comments?per_page=100&page=3
    PATCH /repos/octocat/catalog/issues/comments/301
    ");
}

#[tokio::test]
async fn an_app_knows_its_own_comments_by_its_slug() {
    let server = Server::start(|asked| {
        app_routes(asked).unwrap_or_else(|| {
            ok(json!([
                comment(1, "layersmith", 1, MARKER),
                comment(2, "Layersmith[bot]", 2, &format!("{MARKER}\nPlan")),
            ]))
        })
    })
    .await;
    let client = server.app_client();
    assert_eq!(
        client.put_comment(7, MARKER, "Plan", None).await.unwrap(),
        2
    );
    assert_eq!(client.identity().await.unwrap().login, "layersmith[bot]");
    // It says that already, so nothing was written but the request for a token.
    assert_eq!(server.count("PATCH"), 0);
    assert_eq!(server.count("POST"), 1);
    let asked = server.asked();
    assert!(asked[0].authorization.starts_with("Bearer eyJ"));
    assert_eq!(
        asked.last().unwrap().authorization,
        "Bearer ghs_installation"
    );
}

#[tokio::test]
async fn a_comment_is_not_written_twice_when_the_answer_was_lost() {
    let mut written: Vec<Value> = Vec::new();
    let server = Server::start(move |asked| match asked.method.as_str() {
        "POST" => {
            let body = asked.body["body"].as_str().unwrap();
            written.push(comment(1, "smith", 9, body));
            status(502)
        }
        _ => me(&asked.path).unwrap_or_else(|| ok(json!(written))),
    })
    .await;
    assert_eq!(server.client().reply(7, MARKER, "Done").await.unwrap(), 1);
    assert_eq!(server.count("POST"), 1);
}

#[tokio::test]
async fn a_comment_that_was_really_lost_is_written_again() {
    let mut written: Vec<Value> = Vec::new();
    let mut posts = 0;
    let server = Server::start(move |asked| match asked.method.as_str() {
        "POST" => {
            posts += 1;
            if posts == 1 {
                return status(502);
            }
            written.push(comment(1, "smith", 9, MARKER));
            Reply(201, Vec::new(), json!({ "id": 1 }))
        }
        _ => me(&asked.path).unwrap_or_else(|| ok(json!(written))),
    })
    .await;
    let client = server.client();
    assert_eq!(client.reply(7, MARKER, "Done").await.unwrap(), 1);
    assert_eq!(server.count("POST"), 2);
    assert_eq!(client.reply(7, MARKER, "Done").await.unwrap(), 1);
    assert_eq!(server.count("POST"), 2, "the answer was given already");
}

#[tokio::test]
async fn a_comment_that_is_too_long_is_refused_before_it_is_sent() {
    let server = Server::start(|_| status(500)).await;
    let error = server
        .client()
        .put_comment(7, MARKER, &"é".repeat(65_536), None)
        .await
        .unwrap_err();
    assert!(matches!(error, GithubError::Validation { .. }), "{error}");
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn reactions_may_be_repeated() {
    let mut answers = vec![ok(json!({})), status(503)];
    let server = Server::start(move |_| answers.pop().unwrap()).await;
    server.client().react(5, Reaction::PlusOne).await.unwrap();
    let asked = server.asked();
    assert_eq!(
        asked[0].path,
        "/repos/octocat/catalog/issues/comments/5/reactions"
    );
    assert_eq!(asked[1].body, json!({ "content": "+1" }));
}

//! GitHub that does not answer, limits the rate, or refuses; and settings that cannot work.

use super::server::{Reply, Server, app_routes, ok, status};
use crate::github::{GithubAuth, GithubClient, GithubError, GithubSettings, Reaction};
use serde_json::json;
use std::time::{Duration, Instant};

const MARKER: &str = "<!-- layersmith:x -->";

fn limited(seconds: &str) -> Reply {
    let headers = vec![("retry-after", seconds.to_owned())];
    Reply(403, headers, json!({ "message": "secondary rate limit" }))
}

#[tokio::test]
async fn reads_are_tried_again_and_then_given_up() {
    let mut answers = vec![
        ok(json!({ "default_branch": "main", "private": true })),
        status(502),
    ];
    let server = Server::start(move |_| answers.pop().unwrap()).await;
    assert!(server.client().repository().await.unwrap().private);
    let server = Server::start(|_| status(502)).await;
    let error = server.client().repository().await.unwrap_err();
    assert!(error.is_transient());
    insta::assert_snapshot!(
        error,
        @"GET /repos/octocat/catalog: no answer from GitHub: 502 Bad Gateway: No"
    );
    assert_eq!(server.count("GET"), 5);
}

#[tokio::test]
async fn a_post_that_may_have_been_done_is_not_repeated_blindly() {
    let server = Server::start(|asked| match asked.method.as_str() {
        "POST" => status(502),
        _ if asked.path == "/user" => ok(json!({ "id": 9, "login": "smith" })),
        _ => ok(json!([])),
    })
    .await;
    let error = server.client().reply(7, MARKER, "Hi").await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let lines = server.lines();
    let calls: Vec<&str> = lines.iter().map(|line| &line[..4]).collect();
    assert_eq!(
        calls,
        ["GET ", "GET ", "POST", "GET ", "POST", "GET ", "POST"]
    );
}

#[tokio::test]
async fn a_hanging_answer_ends_with_the_timeout() {
    let server = Server::start(|_| status(0)).await;
    let client = GithubClient::new(GithubSettings {
        request_timeout: Duration::from_millis(50),
        ..server.settings(GithubAuth::Token("a-token".into()))
    })
    .unwrap();
    let started = Instant::now();
    let error = client.branch_head("main").await.unwrap_err();
    assert!(error.is_transient());
    insta::assert_snapshot!(
        error,
        @"GET /repos/octocat/catalog/branches/main: no answer from GitHub: nothing within 0.05 s"
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_short_rate_limit_is_waited_for_and_a_long_one_reported() {
    let mut answers = vec![ok(json!({})), limited("1")];
    let server = Server::start(move |_| answers.pop().unwrap()).await;
    let started = Instant::now();
    server.client().react(5, Reaction::Eyes).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.count("POST"), 2);

    let server = Server::start(|_| limited("600")).await;
    let client = server.client();
    let error = client.react(5, Reaction::Eyes).await.unwrap_err();
    assert!(
        matches!(error, GithubError::RateLimited { wait, .. } if wait == Duration::from_secs(600))
    );
    let error = client.repository().await.unwrap_err();
    assert!(matches!(error, GithubError::RateLimited { .. }), "{error}");
    assert_eq!(server.asked().len(), 2, "neither was tried again");
}

#[tokio::test]
async fn writes_keep_their_distance() {
    let server = Server::start(|_| ok(json!({}))).await;
    let client = GithubClient::new(GithubSettings {
        write_interval: Duration::from_millis(200),
        ..server.settings(GithubAuth::Token("a-token".into()))
    })
    .unwrap();
    let started = Instant::now();
    let (one, two, three) = tokio::join!(
        client.react(1, Reaction::Eyes),
        client.react(2, Reaction::Eyes),
        client.react(3, Reaction::Eyes),
    );
    one.and(two).and(three).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn a_write_is_repeated_when_nobody_was_there_to_hear_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings = GithubSettings {
        api_url: url,
        write_interval: Duration::from_millis(10),
        retry_delay: Duration::from_millis(1),
        ..GithubSettings::new(
            "octocat/catalog".parse().unwrap(),
            GithubAuth::Token("a".into()),
        )
    };
    let started = Instant::now();
    let error = GithubClient::new(settings)
        .unwrap()
        .react(1, Reaction::Eyes)
        .await
        .unwrap_err();
    assert!(
        matches!(error, GithubError::Unreachable { sent: false, .. }),
        "{error}"
    );
    // Four more tries, each at least a write interval after the last.
    assert!(started.elapsed() >= Duration::from_millis(40));
}

#[tokio::test]
async fn an_app_that_is_not_installed_is_told_so() {
    let server = Server::start(|_| status(404)).await;
    let error = server.app_client().repository().await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"GET /repos/octocat/catalog/installation: GitHub does not accept the bot's credentials: the App is not installed on octocat/catalog"
    );
}

#[tokio::test]
async fn an_app_that_was_installed_anew_finds_its_new_installation() {
    let mut refused = false;
    let mut looked_up = 0;
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/repos/octocat/catalog/installation" => {
            looked_up += 1;
            ok(json!({ "id": 4 + looked_up }))
        }
        // The first token is out of date at once, and by then the installation is gone.
        "/app/installations/5/access_tokens" if refused => status(404),
        "/app/installations/5/access_tokens" => {
            refused = true;
            let token = json!({ "token": "ghs_old", "expires_at": "2016-01-01T00:00:00Z", "permissions": {} });
            Reply(201, Vec::new(), token)
        }
        "/app/installations/6/access_tokens" => {
            let token = json!({ "token": "ghs_new", "expires_at": "2099-01-01T00:00:00Z", "permissions": {} });
            Reply(201, Vec::new(), token)
        }
        _ => ok(json!({ "default_branch": "main", "private": false })),
    })
    .await;
    let client = server.app_client();
    client.repository().await.unwrap();
    client.repository().await.unwrap();
    assert_eq!(
        server.asked().last().unwrap().authorization,
        "Bearer ghs_new"
    );
}

#[tokio::test]
async fn a_refusal_says_why_and_hides_tokens() {
    let server = Server::start(|asked| {
        app_routes(asked).unwrap_or_else(|| {
            let body = json!({ "message": "Bad ghs_installation", "errors": [{ "field": "sha" }] });
            Reply(422, Vec::new(), body)
        })
    })
    .await;
    let error = server
        .app_client()
        .react(5, Reaction::Eyes)
        .await
        .unwrap_err();
    insta::assert_snapshot!(
        error,
        @r#"POST /repos/octocat/catalog/issues/comments/5/reactions: GitHub refuses the request: Bad *** [{"field":"sha"}]"#
    );
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_without_their_secrets() {
    let new = |api_url: &str, auth: GithubAuth| {
        let settings = GithubSettings {
            api_url: api_url.to_owned(),
            ..GithubSettings::new("octocat/catalog".parse().unwrap(), auth)
        };
        assert!(!format!("{settings:?}").contains("hunter2"));
        GithubClient::new(settings).map(|client| format!("{client:?}"))
    };
    let token = |text: &str| GithubAuth::Token(text.to_owned().into());
    let key = |text: &str| GithubAuth::App {
        app_id: 1,
        private_key: text.to_owned().into(),
    };
    let github = "https://api.github.com";
    let errors = [
        new("api.github.com", token("a")),
        new("ftp://x", token("a")),
        new(github, token(" \n")),
        new(github, token("hunter2\nhunter2")),
        new(github, key("hunter2")),
    ]
    .map(|result| result.unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n"), @r"
    `api.github.com` is not the address of GitHub's API: write it as https://api.github.com
    `ftp://x` is not the address of GitHub's API: write it as https://api.github.com
    the GitHub token is empty or has characters that no token has
    the GitHub token is empty or has characters that no token has
    the GitHub App's private key is not an RSA key in PEM (`-----BEGIN RSA PRIVATE KEY-----`)
    ");
    insta::assert_snapshot!(
        new("https://ghe.example.com/api/v3/", token("hunter2\n")).unwrap(),
        @r#"GithubClient { repository: "octocat/catalog", api_url: "https://ghe.example.com/api/v3/", .. }"#
    );
}

#[tokio::test]
async fn calls_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let server = Server::start(|_| ok(json!({}))).await;
    let client = server.client();
    is_send(&client.files_at("c", |_| true));
    is_send(&client.put_comment(7, MARKER, "Hi", None));
    is_send(&client.reply(7, MARKER, "Hi"));
    is_send(&client.permission_of("octocat", 1));
    is_send(&client.open_pull_requests());
    assert!(
        server.asked().is_empty(),
        "nothing was asked before it was awaited"
    );
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let auth = GithubAuth::Token("a".into());
    let settings = GithubSettings::new("octocat/catalog".parse().unwrap(), auth);
    assert!(matches!(
        GithubClient::new(settings),
        Err(GithubError::Settings(_))
    ));
}

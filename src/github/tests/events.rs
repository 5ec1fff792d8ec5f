//! What deliveries come to, on payloads cut down to what is read.

use crate::github::{EventError, Happening, Received, What, read_event};
use serde_json::{Value, json};

fn received(name: &str, payload: &Value) -> Received {
    let body = serde_json::to_vec(payload).unwrap();
    read_event(name, &body, &"octocat/catalog".parse().unwrap()).unwrap()
}

fn happened(name: &str, payload: &Value) -> Happening {
    match received(name, payload) {
        Received::Act(happening) => happening,
        Received::Ignore { reason } => panic!("ignored: {reason}"),
    }
}

fn ignored(name: &str, payload: &Value) -> String {
    match received(name, payload) {
        Received::Act(happening) => panic!("acted on: {happening:?}"),
        Received::Ignore { reason } => reason,
    }
}

/// `payload` with another value at a JSON pointer.
fn with(payload: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = payload.clone();
    *changed.pointer_mut(pointer).unwrap() = value;
    changed
}

fn repository() -> Value {
    json!({ "full_name": "Octocat/Catalog", "default_branch": "main" })
}

fn pull_request() -> Value {
    json!({
        "action": "opened",
        "repository": repository(),
        "sender": { "id": 1, "login": "octocat", "type": "User" },
        "changes": {},
        "pull_request": {
            "number": 7, "draft": false, "merged": false, "merge_commit_sha": "tried", "updated_at": "T",
            "user": { "id": 1, "login": "octocat", "type": "User" },
            "head": { "ref": "topic", "sha": "aaa" },
            "base": { "ref": "main", "sha": "bbb" },
        },
    })
}

#[test]
fn a_pull_request_that_changes_is_planned() {
    let opened = happened("pull_request", &pull_request());
    assert_eq!(opened.key, "pull_request/7/opened/aaa/bbb");
    insta::assert_snapshot!(
        serde_json::to_string(&opened.what).unwrap(),
        @r#"{"kind":"pull_request_changed","number":7,"head_sha":"aaa","base_sha":"bbb","author":{"id":1,"login":"octocat","is_bot":false},"draft":false}"#
    );
    let mut pushed = with(&pull_request(), "/action", json!("synchronize"));
    pushed["before"] = json!("zzz");
    assert_eq!(
        happened("pull_request", &pushed).key,
        "pull_request/7/synchronize/aaa/bbb/zzz/T"
    );
    for action in ["reopened", "ready_for_review"] {
        let changed = with(&pull_request(), "/action", json!(action));
        assert!(matches!(
            happened("pull_request", &changed).what,
            What::PullRequestChanged { .. }
        ));
    }
    let edited = with(&pull_request(), "/action", json!("edited"));
    let moved = with(
        &edited,
        "/changes",
        json!({ "base": { "ref": { "from": "old" } } }),
    );
    assert!(matches!(
        happened("pull_request", &moved).what,
        What::PullRequestChanged { .. }
    ));
    assert_eq!(
        ignored("pull_request", &edited),
        "a pull request was edited"
    );
}

#[test]
fn a_deleted_account_is_the_ghost() {
    let what = happened(
        "pull_request",
        &with(&pull_request(), "/pull_request/user", Value::Null),
    )
    .what;
    assert!(matches!(what, What::PullRequestChanged { author, .. } if author.login == "ghost"));
}

#[test]
fn only_a_merged_pull_request_has_a_merge_commit() {
    let closed = with(&pull_request(), "/action", json!("closed"));
    assert_eq!(
        happened("pull_request", &closed).what,
        What::PullRequestClosed {
            number: 7,
            merged: false,
            merge_commit_sha: None,
            base_ref: "main".to_owned()
        }
    );
    let merged = with(&closed, "/pull_request/merged", json!(true));
    let what = happened("pull_request", &merged).what;
    assert!(
        matches!(what, What::PullRequestClosed { merged: true, merge_commit_sha: Some(sha), .. } if sha == "tried")
    );
}

#[test]
fn what_does_not_matter_is_set_aside_with_a_reason() {
    let pull_request = pull_request();
    let other_base = with(&pull_request, "/pull_request/base/ref", json!("next"));
    let labeled = with(&pull_request, "/action", json!("labeled"));
    let other = with(
        &pull_request,
        "/repository/full_name",
        json!("octocat/other"),
    );
    let reasons = [
        ignored("pull_request", &other_base),
        ignored("pull_request", &labeled),
        ignored("pull_request", &other),
        ignored("pull_request", &json!({ "action": "opened" })),
        ignored("star", &json!({ "repository": repository() })),
        ignored(
            "installation",
            &json!({ "action": "created", "installation": { "id": 1 } }),
        ),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @r"
    the base next is not the default branch
    a pull request was labeled
    octocat/other is not served here
    pull_request is not about a repository
    star is not an event the bot acts on
    installation is not about a repository
    ");
}

#[test]
fn a_push_to_the_default_branch_counts() {
    let push = json!({
        "ref": "refs/heads/main", "before": "aaa", "after": "bbb", "deleted": false, "repository": repository(),
        "sender": { "id": 2, "login": "layersmith[bot]", "type": "Bot" },
        "head_commit": { "message": "Publish pandas" },
    });
    let pushed = happened("push", &push);
    assert_eq!(pushed.key, "push/refs/heads/main/aaa/bbb");
    assert_eq!(
        pushed.what,
        What::DefaultBranchPushed {
            after: "bbb".to_owned(),
            before: "aaa".to_owned(),
            pusher_is_bot: true,
            head_commit_message: Some("Publish pandas".to_owned()),
        }
    );
    let deleted = with(&push, "/deleted", json!(true));
    let gone = with(&push, "/after", json!("0".repeat(40)));
    let reasons = [
        ignored("push", &with(&push, "/ref", json!("refs/heads/topic"))),
        ignored("push", &with(&push, "/ref", json!("refs/tags/main"))),
        ignored("push", &deleted),
        ignored("push", &gone),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @r"
    topic is not the default branch
    refs/tags/main is not a branch
    main was deleted
    main was deleted
    ");
}

#[test]
fn only_a_persons_new_comment_on_a_pull_request_counts() {
    let comment = json!({
        "action": "created", "repository": repository(),
        "issue": { "number": 7, "pull_request": { "url": "…" } },
        "comment": {
            "id": 5, "updated_at": "2026-11-22T10:00:00Z", "body": "/layersmith plan",
            "user": { "id": 1, "login": "octocat", "type": "User" },
        },
    });
    let commented = happened("issue_comment", &comment);
    assert_eq!(commented.key, "comment/5/2026-11-22T10:00:00Z");
    assert!(matches!(
        commented.what,
        What::Commented {
            number: 7,
            comment_id: 5,
            ..
        }
    ));
    let bot = json!({ "id": 2, "login": "dependabot[bot]", "type": "Bot" });
    let reasons = [
        ignored("issue_comment", &with(&comment, "/action", json!("edited"))),
        ignored(
            "issue_comment",
            &with(&comment, "/issue", json!({ "number": 8 })),
        ),
        ignored("issue_comment", &with(&comment, "/comment/user", bot)),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @r"
    a comment was edited
    #8 is not a pull request
    dependabot[bot] is a bot
    ");
}

#[test]
fn a_check_may_be_asked_for_again() {
    let run = json!({
        "action": "rerequested", "repository": repository(),
        "check_run": { "id": 9, "name": "layersmith", "head_sha": "aaa" },
    });
    let requested = What::CheckRequested {
        head_sha: "aaa".to_owned(),
    };
    assert_eq!(happened("check_run", &run).what, requested);
    ignored("check_run", &with(&run, "/action", json!("completed")));
    ignored("check_run", &with(&run, "/check_run/name", json!("lint")));
    let suite = json!({
        "action": "rerequested", "repository": repository(),
        "check_suite": { "id": 9, "head_sha": "aaa", "updated_at": "T" },
    });
    assert_eq!(happened("check_suite", &suite).what, requested);
    ignored("check_suite", &with(&suite, "/action", json!("requested")));
}

#[test]
fn what_is_no_payload_is_an_error() {
    let error = |name: &str, body: &[u8]| {
        read_event(name, body, &"octocat/catalog".parse().unwrap()).unwrap_err()
    };
    assert!(matches!(error("push", b""), EventError::NotJson(_)));
    assert!(matches!(
        error("push", b"payload=%7B%7D"),
        EventError::NotJson(_)
    ));
    assert!(matches!(error("push", b"{\"a\":"), EventError::NotJson(_)));
    assert!(matches!(
        error("push", &[b'{'; 10_000]),
        EventError::NotJson(_)
    ));
    let deep = format!("{{\"a\":{}", "[".repeat(10_000));
    assert!(matches!(
        error("push", deep.as_bytes()),
        EventError::NotJson(_)
    ));
    assert!(matches!(error("push", b"[1]"), EventError::NotAnObject));
    assert!(matches!(error("push", b" null"), EventError::NotAnObject));
    let body = br#"{"repository":{"full_name":"octocat/catalog"}}"#;
    insta::assert_snapshot!(
        error("push", body),
        @"this is no push payload of GitHub: missing field `ref` at line 1 column 46"
    );
}

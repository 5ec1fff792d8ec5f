//! Permissions by user id, identities, host keys.

use super::server::{Server, ok, status};
use crate::github::Permission;
use serde_json::{Value, json};

fn allowed(permission: &str, id: u64, login: &str) -> Value {
    json!({ "permission": permission, "role_name": permission, "user": { "id": id, "login": login } })
}

#[tokio::test]
async fn permissions_are_read_and_ordered() {
    for (said, expected) in [
        ("admin", Permission::Admin),
        ("write", Permission::Write),
        ("read", Permission::Read),
        ("none", Permission::None),
    ] {
        let server = Server::start(move |_| ok(allowed(said, 1, "octocat"))).await;
        let permission = server.client().permission_of("octocat", 1).await.unwrap();
        assert_eq!(permission, expected);
    }
    assert!(Permission::Admin > Permission::Write && Permission::Read > Permission::None);
}

#[tokio::test]
async fn a_login_that_changed_hands_gives_nobody_its_rights() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/repos/octocat/catalog/collaborators/mona/permission" => ok(allowed("admin", 2, "mona")),
        "/user/1" => ok(json!({ "id": 1, "login": "mona-lisa" })),
        "/repos/octocat/catalog/collaborators/mona-lisa/permission" => {
            ok(allowed("read", 1, "mona-lisa"))
        }
        other => panic!("{other}"),
    })
    .await;
    let client = server.client();
    assert_eq!(
        client.permission_of("mona", 1).await.unwrap(),
        Permission::Read
    );
}

#[tokio::test]
async fn an_account_that_is_gone_may_do_nothing() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/repos/octocat/catalog/collaborators/odd%2Fname/permission" => {
            ok(json!({ "permission": "admin", "user": null }))
        }
        "/user/1" => status(404),
        other => panic!("{other}"),
    })
    .await;
    let client = server.client();
    assert_eq!(
        client.permission_of("odd/name", 1).await.unwrap(),
        Permission::None
    );
}

#[tokio::test]
async fn the_token_of_an_actions_job_belongs_to_the_actions_bot() {
    let server = Server::start(|_| status(403)).await;
    let client = server.client();
    assert_eq!(
        client.identity().await.unwrap().login,
        "github-actions[bot]"
    );
}

#[tokio::test]
async fn host_keys_are_lines_for_known_hosts_and_nothing_else() {
    let keys = json!({ "ssh_keys": ["ssh-ed25519 AAAA+/=", "ssh-rsa AAAA\nevil.example ssh-rsa BBBB", "odd"] });
    let server = Server::start(move |_| ok(keys.clone())).await;
    let lines = server.client().host_keys().await.unwrap();
    assert_eq!(lines, ["github.com ssh-ed25519 AAAA+/="]);
}

//! `layersmith redeliver`: webhooks that the bot never got.

use super::said;
use crate::world::{AUTHOR, World};
use layersmith_testbed::github::{DeliveryMode, Permission};

const REQUEST: (&str, &str) = ("layers/demo.yaml", "packages: [demo-app]\n");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_that_was_lost_is_asked_for_once_more_and_answered_once() {
    let world = World::start().await;
    let number = world.pull_request(&[REQUEST]).await;
    world.settled().await;
    world.conversation(number);
    let (code, text, _) = said(&world, &["redeliver", "--since", "2h"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("Every delivery since "), "{text}");

    world.github.set_delivery_mode(DeliveryMode::Lost);
    world
        .github
        .comment(number, AUTHOR, "/layersmith help")
        .await;
    world.github.set_delivery_mode(DeliveryMode::Automatic);
    world.settled().await;
    let before = world.conversation(number);
    let deliveries = world.github.deliveries().len();

    let dry = ["redeliver", "--since", "30m", "--dry-run"];
    let (code, text, _) = said(&world, &dry);
    assert_eq!(code, 0, "{text}");
    let line = text.lines().next().unwrap();
    assert!(
        line.ends_with(
            "issue_comment.created (502, failed to connect to host): would be sent again"
        ),
        "{text}"
    );
    assert_eq!(world.github.deliveries().len(), deliveries);

    let output = world.command(&["--json", "redeliver", "--since", "30m"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{value}");
    assert_eq!(value["failed"].as_array().unwrap().len(), 1, "{value}");
    assert_eq!(value["failed"][0]["answer"]["result"], "asked");
    world.github.deliver_pending().await;
    world.settled().await;
    let after = world.conversation(number);
    assert!(after.len() > before.len(), "{after}");

    // What arrived is not asked for again.
    let (code, text, _) = said(&world, &["redeliver", "--since", "3d"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("Every delivery since "), "{text}");
    world.settled().await;
    assert_eq!(world.conversation(number), after);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_token_the_repositorys_own_webhook_is_asked() {
    let mut world = World::start().await;
    let number = world.pull_request(&[REQUEST]).await;
    world.settled().await;
    world.conversation(number);
    world
        .github
        .set_permission("layersmith-bot", Permission::Admin);
    world.options.unset("LAYERSMITH_GITHUB_APP_ID");
    world.options.unset("LAYERSMITH_GITHUB_PRIVATE_KEY");
    let token = world.github.token();
    world.options.set("LAYERSMITH_GITHUB_TOKEN", token);
    world.github.set_delivery_mode(DeliveryMode::Lost);
    world
        .github
        .comment(number, AUTHOR, "/layersmith help")
        .await;
    world.github.set_delivery_mode(DeliveryMode::Automatic);
    let (code, text, _) = said(&world, &["redeliver", "--since", "1d"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("1 webhook since ") && text.contains("is sent again"),
        "{text}"
    );
    world.github.deliver_pending().await;
    world.settled().await;
    world.conversation(number);

    world.github.set_hook_url("http://127.0.0.1:1/elsewhere");
    let (code, _, error) = said(&world, &["redeliver", "--since", "1d"]);
    assert_eq!(code, 1);
    assert!(
        error.contains(
            "octo/catalog has 0 active webhooks to …/webhooks/github, and one is expected"
        ),
        "{error}"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_three_days_and_what_is_no_time_are_said() {
    let world = World::prepare("[eu-west-1]", "").await;
    for (since, words) in [
        ("4d", "GitHub keeps deliveries for three days"),
        ("yesterday", "write a length of time as 30m, 2h or 3d"),
    ] {
        let (code, _, error) = said(&world, &["redeliver", "--since", since]);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(world.github.requests().len(), 0);
}

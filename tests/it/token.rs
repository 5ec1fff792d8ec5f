//! A personal token instead of an App.

use crate::commands::answers;
use crate::world::World;

const NATIVE: &str = "packages:\n  - demo-native\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_token_a_commit_status_takes_the_place_of_the_check() {
    let world = World::start_with("", |options, world| {
        options.variables.retain(|(name, _)| {
            name != "LAYERSMITH_GITHUB_APP_ID" && name != "LAYERSMITH_GITHUB_PRIVATE_KEY"
        });
        options.set("LAYERSMITH_GITHUB_TOKEN", world.github.token());
    })
    .await;
    let number = world
        .pull_request(&[("layers/native.yaml", "packages: [demo-native\n")])
        .await;
    world.settled().await;
    let head = world.github.pull_request_head(number);
    let states = |sha: &str| -> Vec<String> {
        world
            .github
            .statuses(sha)
            .into_iter()
            .map(|status| status.state)
            .collect()
    };
    assert_eq!(states(&head), ["pending", "failure"]);
    assert_eq!(world.github.check_runs(&head).len(), 0);
    let head = world
        .github
        .push_to_pull_request(number, [("layers/native.yaml", NATIVE)])
        .await;
    world.settled().await;
    assert_eq!(states(&head), ["pending", "success"]);
    let conversation = world.conversation(number);
    let (comment, checks) = conversation.split_once("── checks ──\n").unwrap();
    assert!(
        comment.contains("── layersmith-bot · edited ──"),
        "{comment}"
    );
    insta::assert_snapshot!(checks, @"
    • layersmith: Working on it
    ✓ layersmith: 1 layer × 1 target would be published to 2 regions after the merge
    ");

    // Its account may be a person's: what that person writes is obeyed, what the bot writes is not.
    for (body, answered) in [
        ("/layersmith help", 1),
        ("<!-- layersmith:reply:7 -->\n/layersmith help", 2),
    ] {
        world.github.comment(number, "layersmith-bot", body).await;
        world.settled().await;
        assert_eq!(answers(&world, number).len(), answered);
    }
    let merge = world.github.merge_pull_request(number).await;
    world.settled().await;
    assert!(world.comment(number).contains("live in 2 regions"));
    assert_eq!(states(&merge).last().unwrap(), "success");
    world.finish().await;
}

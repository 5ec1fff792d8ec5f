//! How pull requests and commits come and go: forks, closed and opened again, behind their base, none at all.

use crate::world::{AUTHOR, World};
use layersmith_testbed::index::Sabotage;

const GOOD: &str = "packages:\n  - demo-app\npython: [\"3.13\"]\n";
/// A request that needs none of the packages of [`GOOD`].
const NATIVE: &str = "packages:\n  - demo-native\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_is_planned_and_published_like_a_branch() {
    let world = World::start().await;
    let number = world
        .github
        .open_pull_request_from_fork("native", "Native", [("layers/native.yaml", NATIVE)], AUTHOR)
        .await;
    world.settled().await;
    let head = world.github.pull_request_head(number);
    assert_eq!(world.conclusions(&head), ["success"]);
    assert!(
        world
            .comment(number)
            .contains("would be published to 2 regions")
    );

    let head = world
        .github
        .push_to_pull_request(number, [("layers/native.yaml", "packages: [demo-native\n")])
        .await;
    world.settled().await;
    assert_eq!(world.conclusions(&head), ["failure"]);
    world
        .github
        .push_to_pull_request(number, [("layers/native.yaml", NATIVE)])
        .await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    assert!(world.comment(number).contains("live in 2 regions"));
    assert_eq!(world.comment_ids(number).len(), 1);
    assert_eq!(world.published_once().len(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_that_moved_on_is_not_taken_for_a_change_of_the_pull_request() {
    let world = World::start().await;
    let number = world
        .branch("native", &[("layers/native.yaml", NATIVE)])
        .await;
    world.settled().await;
    // Somebody else's layers come and change on main while the pull request is open.
    world
        .github
        .push("main", [("layers/good.yaml", GOOD)], "platform")
        .await;
    world.settled().await;
    let head = world
        .github
        .push_to_pull_request(
            number,
            [("layers/native.yaml", format!("{NATIVE}description: Mine\n"))],
        )
        .await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(comment.contains("`native`"), "{comment}");
    assert!(
        !comment.contains("good") && !comment.contains("deprecated"),
        "{comment}"
    );
    assert_eq!(world.conclusions(&head), ["success"]);

    world.github.merge_pull_request(number).await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(
        comment.contains("`native`") && !comment.contains("`good`"),
        "{comment}"
    );
    assert_eq!(world.published_once().len(), 2 + 4);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_last_apply_left_undone_is_told_while_it_is_so() {
    let world = World::start().await;
    // One layer cannot be had, and another one not in a region that does not answer.
    let registry = world.folder.path().join("data/registry");
    let dead = registry.join("us-east-1");
    std::fs::create_dir_all(&registry).unwrap();
    std::fs::write(&dead, "").unwrap();
    let broken = NATIVE.replace("demo-native", "demo-nothing");
    let core = NATIVE.replace("demo-native", "demo-core");
    let files = [("layers/broken.yaml", broken), ("layers/core.yaml", core)];
    world.github.push("main", files, "platform").await;
    world.settled().await;
    std::fs::remove_file(&dead).unwrap();
    let number = world
        .branch("native", &[("layers/native.yaml", NATIVE)])
        .await;
    world.settled().await;
    let told = |differences: &str| {
        format!(
            "- The default branch has {differences} that this pull request does not touch; the next merge takes care of "
        )
    };
    let comment = world.comment(number);
    assert!(comment.contains(&told("2 more differences")), "{comment}");

    // A pull request that touches it shows it instead.
    let other = world
        .branch("mend", &[("layers/broken.yaml", NATIVE)])
        .await;
    world.settled().await;
    let comment = world.comment(other);
    assert!(comment.contains(&told("1 more difference")), "{comment}");
    assert!(comment.contains("`broken`"), "{comment}");
    world.github.merge_pull_request(other).await;
    world.settled().await;
    let mended = world.comment(other);
    assert!(mended.contains("`broken`"), "{mended}");
    world
        .github
        .push_to_pull_request(
            number,
            [("layers/native.yaml", format!("{NATIVE}description: Mine\n"))],
        )
        .await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(!comment.contains("more difference"), "{comment}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_that_was_closed_and_opened_again_keeps_its_comment() {
    let world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    let before = world.comment(number);
    world.github.close(number).await;
    world.settled().await;
    assert_eq!(world.comment(number), before);
    world.github.reopen(number).await;
    world.settled().await;
    assert_eq!(world.comment(number), before);

    // Closed while it is being planned: the check does not stay open, and opened again it is planned to its end.
    world
        .index
        .sabotage("demo_core-1.0.0-py3-none-any.whl", Sabotage::Hang);
    let downloads = world.index.downloads();
    let head = world
        .github
        .push_to_pull_request(number, [("layers/native.yaml", GOOD)])
        .await;
    world
        .until("the hanging wheel is asked for", |world| {
            world.index.downloads() > downloads
        })
        .await;
    world.github.close(number).await;
    world.settled().await;
    assert_eq!(world.conclusions(&head), ["cancelled"]);
    for wheel in crate::world::usual_wheels() {
        world.index.publish(wheel);
    }
    world.github.reopen(number).await;
    world.settled().await;
    assert_eq!(world.conclusions(&head).last().unwrap(), "success");
    assert_ne!(world.comment(number), before);
    assert_eq!(world.comment_ids(number).len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_a_pull_request_is_published_and_answered_by_its_check() {
    let world = World::start().await;
    let commit = world
        .github
        .push("main", [("layers/native.yaml", NATIVE)], "platform")
        .await;
    world.settled().await;
    let check = world.check(&commit);
    assert_eq!(check.conclusion.as_deref(), Some("success"));
    insta::assert_snapshot!(check.title.unwrap(), @"Published: 1 layer × 1 target, live in 2 regions");
    assert_eq!(
        world.published_once().into_keys().collect::<Vec<_>>(),
        [
            "eu-west-1/Layersmith-p313-native/1",
            "us-east-1/Layersmith-p313-native/1"
        ]
    );
    insta::assert_snapshot!(world.table("p3.13/us-east-1.md"), @"
    # Python 3.13 on x86_64, us-east-1

    [All targets and regions](../README.md) · `deprecated` versions work until they expire.

    | Package | Package Version | Status | Expiry Date | Arn |
    | --- | --- | --- | --- | --- |
    | [native](../layers/native.md) | 2.0.0 | latest |  | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-native:1` |
    ");
    assert_eq!(world.own_commits(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_that_somebody_deleted_is_written_again() {
    let world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    world.github.delete_comment(world.comment_ids(number)[0]);
    world.github.merge_pull_request(number).await;
    world.settled().await;
    assert!(world.comment(number).contains("live in 2 regions"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_planned_like_any_other_and_not_again_when_it_is_ready() {
    let world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    let planned = world.comment(number);
    world.github.set_draft(number, true).await;
    world.settled().await;
    let head = world
        .github
        .push_to_pull_request(number, [("layers/native.yaml", "packages: [demo-nativ\n")])
        .await;
    world.settled().await;
    assert_eq!(world.conclusions(&head), ["failure"]);
    assert_ne!(world.comment(number), planned);
    let head = world
        .github
        .push_to_pull_request(number, [("layers/native.yaml", NATIVE)])
        .await;
    world.settled().await;
    let writes = |world: &World| {
        let requests = world.github.requests();
        requests
            .iter()
            .filter(|request| request.method != "GET")
            .count()
    };
    let before = writes(&world);
    world.github.set_draft(number, false).await;
    world.settled().await;
    assert_eq!(writes(&world), before, "what is planned is not said again");
    assert_eq!(world.conclusions(&head), ["success"]);
    world.finish().await;
}

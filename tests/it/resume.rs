//! A bot that is killed at the worst moment ends, after its restart, where it would have ended.

use crate::look::CORE_WHEEL;
use crate::world::{AUTHOR, REPOSITORY, World, usual_wheels};
use layersmith_testbed::github::{Fault, Matcher};
use layersmith_testbed::index::Sabotage;
use std::path::PathBuf;

const NATIVE: &str = "packages:\n  - demo-native\npython: [\"3.13\"]\narchitectures: [x86_64]\n";
const APP: &str = "packages:\n  - demo-app\n";

/// A hook of the repository that decides about pushes.
pub(crate) fn hook(world: &World, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let repository = world
        .github
        .repositories_root()
        .join(format!("{REPOSITORY}.git"));
    let path = repository.join("hooks/pre-receive");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    repository
}

/// Kills the bot and starts it again.
async fn power_cut(world: &mut World) {
    world.kill_bot();
    world.start_bot().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planning_goes_on_after_a_power_cut() {
    let mut world = World::start().await;
    world.index.sabotage(CORE_WHEEL, Sabotage::Hang);
    let number = world
        .pull_request(&[("layers/app.yaml", APP), ("layers/native.yaml", NATIVE)])
        .await;
    world
        .until("the hanging wheel is asked for", |world| {
            world
                .index
                .requests()
                .iter()
                .any(|path| path.ends_with(CORE_WHEEL))
        })
        .await;
    world.kill_bot();
    for wheel in usual_wheels() {
        world.index.publish(wheel);
    }
    world.start_bot().await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(
        comment.contains("5 builds of 2 layers would be published"),
        "{comment}"
    );
    assert_eq!(world.comment_ids(number).len(), 1);
    let head = world.github.pull_request_head(number);
    assert_eq!(world.conclusions(&head), ["success"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_a_pull_request_that_was_being_written_is_written_once() {
    for (method, path, fault) in [
        ("POST", "/check-runs", Fault::Hang),
        ("PATCH", "/check-runs", Fault::Hang),
        ("POST", "/comments", Fault::Hang),
        ("POST", "/check-runs", Fault::LostAnswer),
        ("POST", "/comments", Fault::LostAnswer),
    ] {
        let case = format!("{method} {path} {fault:?}");
        let mut world = World::start().await;
        world.github.fail_next(Matcher::new(method, path), fault, 1);
        let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
        world
            .until("the fault is met", |world| world.github.faults_left() == 0)
            .await;
        power_cut(&mut world).await;
        world.settled().await;
        assert!(
            world.comment(number).contains("would be published"),
            "{case}"
        );
        assert_eq!(world.comment_ids(number).len(), 1, "{case}");
        let head = world.github.pull_request_head(number);
        assert_eq!(world.conclusions(&head), ["success"], "{case}");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_a_merge_that_was_being_written_is_written_once() {
    for (method, path, fault) in [
        ("GET", "/git/trees", Fault::Hang),
        ("POST", "/check-runs", Fault::Hang),
        ("PATCH", "/comments", Fault::Hang),
        ("POST", "/check-runs", Fault::LostAnswer),
        ("PATCH", "/comments", Fault::LostAnswer),
    ] {
        let case = format!("{method} {path} {fault:?}");
        let mut world = World::start().await;
        let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
        world.settled().await;
        world.github.fail_next(Matcher::new(method, path), fault, 1);
        let merge = world.github.merge_pull_request(number).await;
        world
            .until("the fault is met", |world| world.github.faults_left() == 0)
            .await;
        power_cut(&mut world).await;
        world.settled().await;
        let comment = world.comment(number);
        assert!(comment.contains("live in 2 regions"), "{case}: {comment}");
        assert!(
            comment.contains("The tables are committed"),
            "{case}: {comment}"
        );
        assert_eq!(world.comment_ids(number).len(), 1, "{case}");
        assert_eq!(world.conclusions(&merge), ["success"], "{case}");
        assert_eq!(world.published_once().len(), 2, "{case}");
        assert_eq!(world.own_commits(), 1, "{case}");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_between_publishing_and_the_commit_resumes_at_the_commit() {
    let mut world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    let repository = hook(
        &world,
        "touch waiting\nwhile [ ! -e open ]; do sleep 0.02; done\nexit 1",
    );
    world.github.merge_pull_request(number).await;
    world
        .until("the push waits", |_| repository.join("waiting").exists())
        .await;
    world.kill_bot();
    let published = world.published_once();
    assert_eq!(published.len(), 2);
    assert_eq!(world.own_commits(), 0);
    std::fs::write(repository.join("open"), "").unwrap();
    std::fs::remove_file(repository.join("hooks/pre-receive")).unwrap();
    world.start_bot().await;
    world.settled().await;
    assert_eq!(world.published_once(), published);
    assert_eq!(world.own_commits(), 1);
    let comment = world.comment(number);
    assert!(
        comment.contains("Published: 1 layer × 1 target, live in 2 regions"),
        "{comment}"
    );
    assert!(comment.contains("The tables are committed"), "{comment}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_landed_although_the_bot_died_is_not_repeated() {
    let mut world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    // The server has the whole push when the bot dies, and takes it afterwards.
    let repository = hook(
        &world,
        "touch waiting\nwhile [ ! -e open ]; do sleep 0.02; done",
    );
    world.github.merge_pull_request(number).await;
    world
        .until("the push waits", |_| repository.join("waiting").exists())
        .await;
    world.kill_bot();
    std::fs::write(repository.join("open"), "").unwrap();
    world
        .until("the push lands", |world| world.own_commits() == 1)
        .await;
    world.start_bot().await;
    world.settled().await;
    assert_eq!(world.own_commits(), 1);
    let own = world.github.branch_head("main").unwrap();
    assert_eq!(
        world.github.check_runs(&own).len(),
        0,
        "it is known as the bot's own"
    );
    assert_eq!(world.published_once().len(), 2);
    let comment = world.comment(number);
    assert!(comment.contains("live in 2 regions"), "{comment}");
    assert!(comment.contains("The tables are committed"), "{comment}");
    assert_eq!(world.comment_ids(number).len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_refused_is_told_and_a_retry_commits_the_tables() {
    let world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    let repository = hook(&world, "echo 'main is closed for the holidays' >&2; exit 1");
    let merge = world.github.merge_pull_request(number).await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    Change layers #1
    Merged · mona · main ← change

    ── layersmith[bot] · edited ──
    ### ⚠️ Published: 1 layer × 1 target, live in 2 regions; the tables could not be committed

    ⚠️ **The tables could not be committed.** What was published is live all the same, and its ARNs are below. It takes somebody to mend that, then `/layersmith retry`. What was said: the push was rejected: main is closed for the holidays (pre-receive hook declined)

    #### `native` · live in 2 regions

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | `2.0.0` | 2 regions |  |

    To copy, for Python 3.13 on x86_64 in `us-east-1`:

    ```text
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-native:1
    ```

    | Target | Region | ARN |
    |---|---|---|
    | `p3.13` | `eu-west-1` | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-native:1` |
    | `p3.13` | `us-east-1` | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-native:1` |

    ---
    <sub>Carried out: [`SHA`](https://github.com/octo/catalog/commit/SHA), run `apply-SHA-1`.</sub>

    ── checks ──
    ✓ layersmith: success · 1 layer × 1 target would be published to 2 regions after the merge
    ");
    assert_eq!(world.conclusions(&merge), ["failure"]);
    assert_eq!(world.published_once().len(), 2);
    std::fs::remove_file(repository.join("hooks/pre-receive")).unwrap();
    world.retry(number).await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(
        comment.contains("The tables are committed") && comment.contains("live in 2 regions"),
        "{comment}"
    );
    assert_eq!(world.conclusions(&merge).last().unwrap(), "success");
    assert_eq!(world.published_once().len(), 2);
    assert_eq!(world.own_commits(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_git_server_that_is_away_for_a_while_is_waited_for_also_across_a_power_cut() {
    let mut world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    let other = world
        .branch("other", &[("layers/other.yaml", NATIVE)])
        .await;
    world.settled().await;
    world.git.stop();
    world.github.merge_pull_request(number).await;
    world
        .until("it is published", |world| world.published().len() == 2)
        .await;
    world
        .until("the commit is tried again", |world| {
            world.log().contains("goes on in")
        })
        .await;
    // A second merge does not overtake the first one.
    world.github.merge_pull_request(other).await;
    power_cut(&mut world).await;
    assert_eq!(world.own_commits(), 0);
    world.git.start_again();
    world.settled().await;
    assert_eq!(world.published_once().len(), 4);
    for number in [number, other] {
        let comment = world.comment(number);
        assert!(comment.contains("live in 2 regions"), "{comment}");
        assert_eq!(world.comment_ids(number).len(), 1);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_in_the_middle_of_publishing_publishes_nothing_twice() {
    let mut world = World::start().await;
    let policy = world
        .github
        .file_at("main", ".github/layersmith.yaml")
        .unwrap()
        .replace("[eu-west-1, us-east-1]", "all");
    world
        .github
        .push("main", [(".github/layersmith.yaml", policy)], "platform")
        .await;
    let number = world
        .pull_request(&[
            ("layers/app.yaml", APP),
            ("layers/core.yaml", "packages: [demo-core]\n"),
        ])
        .await;
    world.settled().await;
    let commits = world.own_commits();
    world.github.merge_pull_request(number).await;
    for reached in [1, 60, 150] {
        world
            .until("some are published", |world| {
                world.published().len() >= reached
            })
            .await;
        power_cut(&mut world).await;
    }
    world.settled().await;
    assert_eq!(world.published_once().len(), 2 * 4 * 34);
    assert_eq!(world.own_commits(), commits + 1);
    let comment = world.comment(number);
    assert!(
        comment.contains("Published: 2 layers × 4 targets, live in 34 regions"),
        "{comment}"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_taken_in_is_handled_after_a_power_cut() {
    let mut world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    power_cut(&mut world).await;
    world.settled().await;
    assert!(world.comment(number).contains("would be published"));
    world.github.merge_pull_request(number).await;
    power_cut(&mut world).await;
    world
        .github
        .comment(number, AUTHOR, "/layersmith help")
        .await;
    power_cut(&mut world).await;
    world.settled().await;
    assert!(world.comment(number).contains("live in 2 regions"));
    assert_eq!(world.comment_ids(number).len(), 2);
    assert_eq!(world.published_once().len(), 2);
    assert_eq!(world.own_commits(), 1);
    world.finish().await;
}

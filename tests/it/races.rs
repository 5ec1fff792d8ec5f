//! Deliveries that come twice, late, in another order or never; people who push while the bot does.

use crate::world::{AUTHOR, REPOSITORY, World};
use layersmith_testbed::github::DeliveryMode;
use std::process::Command;

const NATIVE: &str = "packages:\n  - demo-native\npython: [\"3.13\"]\narchitectures: [x86_64]\n";
const CORE: &str = "packages:\n  - demo-core\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_delivered_twice_is_done_once() {
    let world = World::start().await;
    world.github.set_delivery_mode(DeliveryMode::Twice);
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    world
        .github
        .comment(number, AUTHOR, "/layersmith help")
        .await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let said = world.conversation(number);
    assert_eq!(world.comment_ids(number).len(), 2, "{said}");

    // Days later somebody presses "redeliver" on each of them.
    world.github.set_delivery_mode(DeliveryMode::Automatic);
    let mut guids: Vec<String> = world
        .github
        .deliveries()
        .into_iter()
        .map(|delivery| delivery.guid)
        .collect();
    guids.dedup();
    for guid in guids {
        let delivery = world.github.redeliver(&guid).await;
        assert_eq!(delivery.status, 202);
        assert!(
            delivery.answer.contains("known already") || delivery.answer.contains("ignored"),
            "{}",
            delivery.answer
        );
    }
    world.settled().await;
    assert_eq!(world.conversation(number), said);
    assert_eq!(world.published_once().len(), 2);
    assert_eq!(world.own_commits(), 1);
    world.finish().await;
}

/// Merges, with the deliveries of the merge in the order that `order` gives them.
async fn merged_in_order(world: &World, number: u64, first: &str, settle_between: bool) {
    world.github.set_delivery_mode(DeliveryMode::Manual);
    world.github.merge_pull_request(number).await;
    world
        .github
        .deliver_first(|delivery| delivery.event == first)
        .await;
    if settle_between {
        world.settled().await;
    }
    world.github.deliver_pending().await;
    world.github.set_delivery_mode(DeliveryMode::Automatic);
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_is_told_of_twice_in_any_order_and_answered_once() {
    let world = World::start().await;
    let mut published = 0;
    for (first, settle_between) in [
        ("push", false),
        ("push", true),
        ("pull_request", false),
        ("pull_request", true),
    ] {
        let name = format!("layer-{first}-{settle_between}").replace('_', "-");
        let number = world
            .branch(&name, &[(&format!("layers/{name}.yaml"), NATIVE)])
            .await;
        world.settled().await;
        let commits = world.own_commits();
        merged_in_order(&world, number, first, settle_between).await;
        let comment = world.comment(number);
        assert!(comment.contains("live in 2 regions"), "{name}: {comment}");
        assert_eq!(world.comment_ids(number).len(), 1);
        published += 2;
        assert_eq!(world.published_once().len(), published);
        assert_eq!(world.own_commits(), commits + 1);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_delivery_of_an_older_head_brings_nothing_back() {
    let world = World::start().await;
    world.github.set_delivery_mode(DeliveryMode::Manual);
    let number = world
        .pull_request(&[("layers/native.yaml", "packages: [demo-native\n")])
        .await;
    let new = world
        .github
        .push_to_pull_request(number, [("layers/native.yaml", NATIVE)])
        .await;
    world
        .github
        .deliver_first(|delivery| delivery.action.as_deref() == Some("synchronize"))
        .await;
    world.settled().await;
    let said = world.comment(number);
    assert!(said.contains(&new[..7]), "{said}");
    world.github.deliver_pending().await;
    world.settled().await;
    assert_eq!(world.comment(number), said, "the newest head's plan stands");
    world.github.set_delivery_mode(DeliveryMode::Automatic);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_delivered_is_found_after_a_restart() {
    let mut world = World::start().await;
    let merged = world
        .branch("merged", &[("layers/native.yaml", NATIVE)])
        .await;
    let closed = world
        .branch("closed", &[("layers/other.yaml", NATIVE)])
        .await;
    world.settled().await;
    assert!(world.comment(closed).contains("would be published"));
    world.kill_bot();
    world.github.set_delivery_mode(DeliveryMode::Lost);
    let opened = world.branch("opened", &[("layers/core.yaml", CORE)]).await;
    world.github.close(closed).await;
    world.github.merge_pull_request(merged).await;
    world.github.set_delivery_mode(DeliveryMode::Automatic);

    world.options.set("LAYERSMITH_SWEEP_INTERVAL", "1");
    world.start_bot().await;
    world
        .until("the sweep finds what was merged", |world| {
            world.own_commits() == 1
        })
        .await;
    world
        .until("the merged pull request is answered", |world| {
            world.conversation(merged).contains("live in 2 regions")
        })
        .await;
    world
        .until("the sweep finds the new pull request", |world| {
            world.conversation(opened).contains("would be published")
        })
        .await;
    world.settled().await;
    // Further looks find nothing more.
    let reads = |world: &World| {
        world
            .github
            .requests()
            .iter()
            .filter(|request| request.path.ends_with("/pulls"))
            .count()
    };
    let now = reads(&world);
    world
        .until("two more sweeps", |world| reads(world) >= now + 2)
        .await;
    world.settled().await;
    assert_eq!(world.own_commits(), 1);
    assert_eq!(world.published_once().len(), 2);
    assert_eq!(world.comment_ids(merged).len(), 1);
    assert_eq!(world.comment_ids(opened).len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bots_own_push_starts_nothing() {
    let world = World::start().await;
    let commit = world
        .github
        .push("main", [("layers/native.yaml", NATIVE)], "platform")
        .await;
    world.settled().await;
    let own = world.github.branch_head("main").unwrap();
    assert_ne!(own, commit);
    let told = world
        .github
        .deliveries()
        .iter()
        .any(|delivery| delivery.event == "push" && delivery.payload["after"] == *own);
    assert!(told, "the bot hears of its own push");
    assert_eq!(world.github.check_runs(&own).len(), 0);
    // A message that says so is no proof: somebody else's commit is applied.
    let message = world.github.log("main")[0].message.clone();
    let copied = push_by_hand(&world, "layers/core.yaml", CORE, &message);
    world.settled().await;
    assert_eq!(world.conclusions(&copied), ["success"]);
    assert_eq!(world.published_once().len(), 4);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_merges_one_right_after_the_other_are_both_published_and_answered() {
    let world = World::start().await;
    let native = world
        .branch("native", &[("layers/native.yaml", NATIVE)])
        .await;
    let core = world.branch("core", &[("layers/core.yaml", CORE)]).await;
    world.settled().await;
    let merges = [
        world.github.merge_pull_request(native).await,
        world.github.merge_pull_request(core).await,
    ];
    world.settled().await;
    for merge in merges {
        assert_eq!(world.conclusions(&merge), ["success"]);
    }
    let own = world.github.branch_head("main").unwrap();
    assert_eq!(world.conclusions(&own), Vec::<String>::new());
    for (number, layer) in [(native, "`native`"), (core, "`core`")] {
        let comment = world.comment(number);
        assert!(
            comment.contains(layer) && comment.contains("live in 2 regions"),
            "{comment}"
        );
        assert_eq!(world.comment_ids(number).len(), 1);
    }
    assert_eq!(world.published_once().len(), 4);
    let table = world.table("p3.13/us-east-1.csv");
    assert_eq!(table.matches("latest").count(), 2, "{table}");
    world.finish().await;
}

/// Commits a file to main through git itself, as a person with a clone does; answers the commit.
fn push_by_hand(world: &World, path: &str, text: &str, message: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let repository = world
        .github
        .repositories_root()
        .join(format!("{REPOSITORY}.git"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=Mona", "-c", "user.email=mona@example.com"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["clone", "-q", repository.to_str().unwrap(), "."]);
    std::fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
    std::fs::write(folder.path().join(path), text).unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", message]);
    git(&["push", "-q", "origin", "HEAD:main"]);
    git(&["rev-parse", "HEAD"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_pushes_while_the_tables_are_pushed_loses_nothing() {
    let world = World::start().await;
    // The first push of the bot meets a main that moved a moment ago.
    let repository = world
        .github
        .repositories_root()
        .join(format!("{REPOSITORY}.git"));
    let hook = repository.join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = "#!/bin/sh\n\
        # Moves main under the first push, as somebody who was a little faster.\n\
        [ -e moved ] && exit 0\n\
        touch moved\n\
        unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
        export GIT_AUTHOR_NAME=Mona GIT_AUTHOR_EMAIL=m@example.com GIT_COMMITTER_NAME=Mona GIT_COMMITTER_EMAIL=m@example.com\n\
        commit=$(git commit-tree -p main -m 'Words of mine' main^{tree})\n\
        git update-ref refs/heads/main $commit\n";
    std::fs::write(&hook, script).unwrap();
    make_executable(&hook);
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    assert!(repository.join("moved").exists());
    let log = world.github.log("main");
    let subjects: Vec<&str> = log
        .iter()
        .filter_map(|commit| commit.message.lines().next())
        .take(3)
        .collect();
    assert_eq!(
        subjects,
        [
            "Layers: native 2.0.0",
            "Words of mine",
            "Merge pull request #1 from octo/change"
        ]
    );
    assert!(world.comment(number).contains("The tables are committed"));
    assert_eq!(world.published_once().len(), 2);
    world.finish().await;
}

fn make_executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

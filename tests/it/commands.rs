//! What people ask for in comments, who may, and what is no command.

use crate::world::{AUTHOR, World};
use layersmith_testbed::github::Permission;
use layersmith_testbed::index::Wheel;

const NATIVE: &str = "packages:\n  - demo-native\npython: [\"3.13\"]\narchitectures: [x86_64]\n";
/// Needs a wheel that the tests below make hang or fail.
const CORE: &str = "packages:\n  - demo-core\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

fn mended_core() -> Wheel {
    Wheel::new("demo-core", "1.0.0")
        .module("demo_core", "VALUE = 1\n")
        .license("MIT")
}

/// The bodies of the answers to commands, oldest first.
pub(crate) fn answers(world: &World, number: u64) -> Vec<String> {
    world.conversation(number);
    world
        .github
        .comments(number)
        .into_iter()
        .filter(|comment| comment.body.contains("<!-- layersmith:reply:"))
        .map(|comment| {
            let (_, text) = comment.body.split_once('\n').unwrap();
            world.normalized(number, text)
        })
        .collect()
}

/// The reactions to a comment.
fn reactions(world: &World, number: u64, id: u64) -> Vec<String> {
    let comments = world.github.comments(number);
    let comment = comments.iter().find(|comment| comment.id == id).unwrap();
    comment
        .reactions
        .iter()
        .map(|(_, content)| content.clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_are_answered_in_comments_of_their_own() {
    let world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    for body in [
        "/layersmith help",
        "/layersmith status",
        "/layersmith stauts",
        "/layersmith make me a sandwich",
        "/layersmith cancel",
    ] {
        let id = world.github.comment(number, AUTHOR, body).await;
        world.settled().await;
        assert_eq!(reactions(&world, number, id), ["eyes"], "{body}");
    }
    let answers = answers(&world, number);
    assert_eq!(answers.len(), 5);
    insta::assert_snapshot!(answers[0], @"
    Write one of these as the first words of a line in a new comment; quotes, code and edited comments are not read.

    | Command | What it does | Who |
    |---|---|---|
    | `/layersmith plan` | Plan this pull request anew | everybody |
    | `/layersmith ok` | Plan the current commit of somebody whose pull requests wait for a look | write permission |
    | `/layersmith retry` | Carry on with what is missing after a merge | write permission |
    | `/layersmith cancel` | Stop what is being done for this pull request | everybody |
    | `/layersmith status` | Say what was and is being done for this pull request | everybody |
    | `/layersmith help` | Say this | everybody |
    ");
    let status = answers[1].lines().last().unwrap();
    assert!(
        status.ends_with("| plan | `SHA` | done | `plan-1-SHA-SHA-1` |"),
        "{status}"
    );
    insta::assert_snapshot!(answers[2], @"`/layersmith stauts` is not something that can be asked for. Did you mean `/layersmith status`? `/layersmith help` lists what is.");
    insta::assert_snapshot!(answers[3], @"`/layersmith make me a sandwich` is not something that can be asked for. `/layersmith help` lists what is.");
    insta::assert_snapshot!(answers[4], @"Nothing is being planned here. What is being published after a merge cannot be cancelled.");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_commands_of_one_comment_are_answered_together() {
    let world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    world
        .github
        .comment(
            number,
            AUTHOR,
            "Hello!\n\n/layersmith hepl\n/layersmith cancel\n\nThanks",
        )
        .await;
    world.settled().await;
    let answers = answers(&world, number);
    assert_eq!(answers.len(), 1);
    insta::assert_snapshot!(answers[0], @"
    `/layersmith hepl` is not something that can be asked for. Did you mean `/layersmith help`? `/layersmith help` lists what is.

    ---

    Nothing is being planned here. What is being published after a merge cannot be cancelled.
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn talk_about_commands_is_no_command() {
    let world = World::start().await;
    let number = world.pull_request(&[("layers/native.yaml", NATIVE)]).await;
    world.settled().await;
    let requests = world.github.requests().len();
    let mut last = 0;
    for body in [
        "> /layersmith help",
        "```\n/layersmith help\n```",
        "    /layersmith help",
        "`/layersmith help`",
        "Please write /layersmith help",
        "<!-- /layersmith help -->",
        "/layersmithhelp",
        "Nice.",
    ] {
        last = world.github.comment(number, AUTHOR, body).await;
        world.settled().await;
    }
    // An edited comment is none that anybody reads as a command.
    world.github.edit_comment(last, "/layersmith help").await;
    // Nor is what another bot writes.
    world
        .github
        .comment(number, "renovate[bot]", "/layersmith help")
        .await;
    world.settled().await;
    assert_eq!(answers(&world, number), Vec::<String>::new());
    assert_eq!(
        world.comment_ids(number).len(),
        2,
        "the plan, and the other bot's"
    );
    let writes: Vec<_> = world.github.requests()[requests..]
        .iter()
        .filter(|request| request.method != "GET")
        .cloned()
        .collect();
    assert!(writes.is_empty(), "{writes:#?}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_and_cancel_work_on_what_is_under_way() {
    let world = World::start().await;
    let number = world
        .pull_request_that_hangs(("layers/core.yaml", CORE))
        .await;
    let head = world.github.pull_request_head(number);
    let id = world
        .github
        .comment(number, AUTHOR, "/layersmith cancel")
        .await;
    world.settled().await;
    assert_eq!(reactions(&world, number, id), ["eyes"]);
    assert_eq!(world.conclusions(&head), ["cancelled"]);
    insta::assert_snapshot!(answers(&world, number)[0], @"Cancelled. `/layersmith plan` starts again.");

    world.index.publish(mended_core());
    world
        .github
        .comment(number, AUTHOR, "/layersmith plan")
        .await;
    world.settled().await;
    assert_eq!(world.conclusions(&head).last().unwrap(), "success");
    assert!(world.comment(number).contains("would be published"));
    let status = world
        .github
        .comment(number, AUTHOR, "/layersmith status")
        .await;
    world.settled().await;
    assert!(status > id);
    insta::assert_snapshot!(answers(&world, number)[1].replace(|c: char| c.is_ascii_digit(), "0"), @"
    | Started | What | Commit | State | Run |
    |---|---|---|---|---|
    | 0000-00-00T00:00:00Z | plan | `SHA` | done | `plan-0-SHA-SHA-0` |
    | 0000-00-00T00:00:00Z | plan | `SHA` | cancelled: cancelled by a comment | `plan-0-SHA-SHA-0` |
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_asked_for_while_the_same_head_is_planned_takes_over() {
    let world = World::start().await;
    let number = world
        .pull_request_that_hangs(("layers/core.yaml", CORE))
        .await;
    world.index.publish(mended_core());
    world
        .github
        .comment(number, AUTHOR, "/layersmith plan")
        .await;
    world.settled().await;
    let head = world.github.pull_request_head(number);
    assert_eq!(world.conclusions(&head).last().unwrap(), "success");
    assert!(world.comment(number).contains("would be published"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_after_the_merge_carries_on_for_people_who_may_write() {
    let world = World::start().await;
    let number = world.pull_request(&[("layers/core.yaml", CORE)]).await;
    world.settled().await;
    // What was planned is there no more when it is to be published, because the plan's build is forgotten.
    world
        .github
        .push_to_pull_request(
            number,
            [(
                "layers/core.yaml",
                format!("{CORE}exclude: [\"**/nothing\"]\n"),
            )],
        )
        .await;
    world.settled().await;
    let registry = world.folder.path().join("data/registry");
    std::fs::create_dir_all(&registry).unwrap();
    std::fs::write(registry.join("us-east-1"), "in the way").unwrap();
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(
        comment.contains("⚠️") && comment.contains("us-east-1"),
        "{comment}"
    );
    assert_eq!(world.published_once().len(), 1);

    world
        .github
        .comment(number, AUTHOR, "/layersmith retry")
        .await;
    world.settled().await;
    insta::assert_snapshot!(answers(&world, number)[0], @"`mona` may not ask for this: it takes `write` permission on this repository.");
    assert_eq!(world.published_once().len(), 1);

    std::fs::remove_file(registry.join("us-east-1")).unwrap();
    let id = world.retry(number).await;
    world.settled().await;
    assert_eq!(reactions(&world, number, id), ["eyes"]);
    assert_eq!(world.published_once().len(), 2);
    let comment = world.comment(number);
    assert!(comment.contains("live in 2 regions"), "{comment}");
    assert!(
        world
            .table("p3.13/us-east-1.csv")
            .contains("core,1.0.0,latest")
    );
    assert_eq!(answers(&world, number).len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_waits_for_somebody_who_may_write() {
    let world = World::start_with("plan_pull_requests_from: collaborators\n", |_, _| {}).await;
    let number = world
        .github
        .open_pull_request_from_fork(
            "native",
            "Native",
            [("layers/native.yaml", NATIVE)],
            "stranger",
        )
        .await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    Native #1
    Open · stranger · main ← stranger:native

    ── layersmith[bot] ──
    ### Waiting for approval

    `stranger` has no write permission here, and the policy asks for a look first (`plan_pull_requests_from: collaborators`).

    Somebody with write permission starts the plan of `SHA` by commenting `/layersmith ok`. A push asks again.

    ── checks ──
    ✗ layersmith: action_required · Waiting for approval
    ");
    assert_eq!(world.index.requests(), Vec::<String>::new());

    world
        .github
        .comment(number, "stranger", "/layersmith ok")
        .await;
    world.settled().await;
    insta::assert_snapshot!(answers(&world, number)[0], @"`stranger` may not ask for this: it takes `write` permission on this repository.");
    // `plan` is for everybody, but it does not get around the approval.
    world
        .github
        .comment(number, "stranger", "/layersmith plan")
        .await;
    world.settled().await;
    assert!(world.comment(number).contains("Waiting for approval"));
    assert_eq!(world.index.requests(), Vec::<String>::new());

    world
        .github
        .comment(number, "platform", "/layersmith ok")
        .await;
    world.settled().await;
    let head = world.github.pull_request_head(number);
    assert!(world.comment(number).contains("would be published"));
    assert_eq!(world.conclusions(&head).last().unwrap(), "success");

    let head = world
        .github
        .push_to_pull_request(
            number,
            [("layers/native.yaml", format!("{NATIVE}description: More\n"))],
        )
        .await;
    world.settled().await;
    assert!(world.comment(number).contains("Waiting for approval"));
    assert_eq!(world.conclusions(&head), ["action_required"]);

    // Somebody who may write needs nobody.
    world.github.set_permission("stranger", Permission::Write);
    world
        .github
        .push_to_pull_request(number, [("layers/native.yaml", NATIVE)])
        .await;
    world.settled().await;
    assert!(world.comment(number).contains("would be published"));
    assert_eq!(world.comment_ids(number).len(), 2);
    world.finish().await;
}

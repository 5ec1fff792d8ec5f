//! GitHub in trouble: what passes is waited for, what stays is told, and nothing is lost or done twice.

use crate::world::{AUTHOR, World};
use layersmith_testbed::github::{Fault, Matcher};
use rusqlite::Connection;

const CORE: &str = "packages:\n  - demo-core\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

/// A world whose bot does not wait long.
async fn impatient() -> World {
    World::start_with("", |options, _| {
        options.set("LAYERSMITH_PATIENCE", "1");
        options.set("LAYERSMITH_GITHUB_TIMEOUT", "2");
    })
    .await
}

fn status(code: u16) -> Fault {
    let body = "{\"message\": \"Server Error\"}".to_owned();
    Fault::Status(code, Vec::new(), body)
}

async fn planned(world: &World) -> u64 {
    let number = world.pull_request(&[("layers/core.yaml", CORE)]).await;
    world.settled().await;
    number
}

fn assert_planned(world: &World, number: u64) {
    let comment = world.comment(number);
    assert!(comment.contains("would be published"), "{comment}");
    let check = world.check(&world.github.pull_request_head(number));
    assert_eq!(check.conclusion.as_deref(), Some("success"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_by_itself_is_waited_for() {
    for (method, path, fault) in [
        // GitHub's interface lags behind its own web hooks.
        ("GET", "/pulls/1", status(404)),
        ("GET", "/git/trees/", status(404)),
        ("GET", "/git/blobs/", Fault::RetryAfter(1)),
        ("POST", "/check-runs", Fault::RetryAfter(1)),
        ("GET", "/git/commits/", status(502)),
        ("POST", "/access_tokens", status(500)),
        ("GET", "/compare/", Fault::Reset),
        ("POST", "/comments", status(503)),
        ("GET", "/installation", Fault::Hang),
    ] {
        let world = impatient().await;
        world
            .github
            .fail_next(Matcher::new(method, path), fault.clone(), 1);
        let number = planned(&world).await;
        assert_planned(&world, number);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_makes_no_second_comment_and_no_second_check() {
    for (method, path) in [
        ("POST", "/comments"),
        ("POST", "/check-runs"),
        ("PATCH", "/check-runs"),
    ] {
        let world = impatient().await;
        world
            .github
            .fail_next(Matcher::new(method, path), Fault::LostAnswer, 1);
        let number = planned(&world).await;
        assert_planned(&world, number);
        assert_eq!(world.github.comments(number).len(), 1, "{method} {path}");

        world
            .github
            .fail_next(Matcher::new("PATCH", "/comments"), Fault::LostAnswer, 1);
        world.github.merge_pull_request(number).await;
        world.settled().await;
        assert_eq!(world.github.comments(number).len(), 1, "{method} {path}");
        assert!(world.comment(number).contains("live in 2 regions"));
        world.published_once();
        assert_eq!(world.own_commits(), 1);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_broken_is_told_and_asking_again_helps() {
    let world = impatient().await;
    world
        .github
        .fail_next(Matcher::new("GET", "/git/trees/"), status(500), 1_000);
    let number = planned(&world).await;
    insta::assert_snapshot!(world.conversation(number), @"
        Change layers #1
        Open · mona · main ← change

        ── layersmith[bot] ──
        ### Something went wrong on the bot's side

        While run plan-1-SHA-SHA-1 was under way for `SHA`: GET /repos/octo/catalog/git/trees/SHA?recursive=1: no answer from GitHub: 500 Internal Server Error: Server Error

        Nothing about the request files has to be wrong. `/layersmith plan` or, after a merge, `/layersmith retry` tries again; should it stay, whoever runs the bot finds more in its log.

        ── checks ──
        ✗ layersmith: failure · Something went wrong on the bot's side
        ");
    world.github.end_faults();
    world
        .github
        .comment(number, AUTHOR, "/layersmith plan")
        .await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(comment.contains("would be published"), "{comment}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_github_is_away_nothing_is_forgotten() {
    let world = impatient().await;
    let answered = |world: &World, number: u64| {
        !world.github.comments(number).is_empty()
            && world.conversation(number).contains("would be published")
    };
    // Nothing at all is answered: the event waits.
    let everything = Matcher::default();
    world.github.fail_next(everything, status(503), 10_000);
    let number = world.branch("away", &[("layers/core.yaml", CORE)]).await;
    world
        .until("the event waits", |world| {
            world.log().contains("waits: GET /repos/octo/catalog/")
        })
        .await;
    world.github.end_faults();
    world
        .until("the pull request is answered", |world| {
            answered(world, number)
        })
        .await;
    world.settled().await;
    assert_planned(&world, number);

    // Neither the work can be done nor can anybody be told: the log is what there is, and the run has failed.
    for path in ["/compare/", "/check-runs", "/comments"] {
        let part = Matcher::new("", path);
        world.github.fail_next(part, status(503), 10_000);
    }
    let number = world.branch("partly", &[("layers/app.yaml", CORE)]).await;
    world
        .until("the run ends without anybody being told", |world| {
            world.log().contains("could not be said")
        })
        .await;
    world.settled().await;
    assert!(world.github.comments(number).is_empty());
    let (_, metrics) = world.get("/metrics").await;
    assert!(
        metrics.contains("layersmith_runs{state=\"failed\"} 1"),
        "{metrics}"
    );
    world.github.end_faults();
    world
        .github
        .comment(number, AUTHOR, "/layersmith plan")
        .await;
    world.settled().await;
    assert_planned(&world, number);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_is_replaced() {
    let world = impatient().await;
    let number = planned(&world).await;
    assert_planned(&world, number);
    world.github.expire_tokens();
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(comment.contains("live in 2 regions"), "{comment}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_without_the_right_to_write_checks_says_so_in_a_comment() {
    let world = World::start_with("", |options, world| {
        world.github.set_app_permission("checks", None);
        options.set("LAYERSMITH_PATIENCE", "1");
    })
    .await;
    let number = planned(&world).await;
    insta::assert_snapshot!(world.conversation(number), @"
        Change layers #1
        Open · mona · main ← change

        ── layersmith[bot] ──
        ### Something went wrong on the bot's side

        While run plan-1-SHA-SHA-1 was under way for `SHA`: GET `/repos/octo/catalog/commits/SHA/check-runs?check_name=layersmith&filter=all&per_page=100:` the bot is not allowed to do this: Resource not accessible by integration

        Nothing about the request files has to be wrong. `/layersmith plan` or, after a merge, `/layersmith retry` tries again; should it stay, whoever runs the bot finds more in its log.
        ");
    // Granted, and asked for again.
    world.github.set_app_permission("checks", Some("write"));
    world.github.expire_tokens();
    world
        .github
        .comment(number, AUTHOR, "/layersmith plan")
        .await;
    world.settled().await;
    assert_planned(&world, number);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_without_the_right_to_comment_says_so_in_the_check() {
    let world = World::start_with("", |options, world| {
        world.github.set_app_permission("issues", None);
        world
            .github
            .set_app_permission("pull_requests", Some("read"));
        options.set("LAYERSMITH_PATIENCE", "1");
    })
    .await;
    let number = planned(&world).await;
    insta::assert_snapshot!(world.conversation(number), @"
        Change layers #1
        Open · mona · main ← change

        ── checks ──
        ✗ layersmith: failure · Something went wrong on the bot's side
        ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_not_installed_yet_answers_once_it_is() {
    let world = World::start_with("", |options, world| {
        // The web hook is one of the repository's own, so it comes all the same.
        let nothing = Matcher::new("GET", "/octo/catalog/installation");
        world.github.fail_next(nothing, status(404), 1_000);
        options.set("LAYERSMITH_PATIENCE", "1");
        options.set("LAYERSMITH_SWEEP_INTERVAL", "1");
    })
    .await;
    let number = world.pull_request(&[("layers/core.yaml", CORE)]).await;
    world
        .until("the log says what is missing", |world| {
            world
                .log()
                .contains("the App is not installed on octo/catalog")
                && world.log().contains("given up")
        })
        .await;
    let doctor = world.command(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        said.contains("the App is not installed on octo/catalog"),
        "{said}"
    );

    world.github.end_faults();
    world
        .until("the pull request is answered", |world| {
            !world.github.comments(number).is_empty()
                && world.conversation(number).contains("would be published")
        })
        .await;
    world.settled().await;
    assert_planned(&world, number);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_cannot_be_published_at_all_keeps_no_other_out_of_the_tables() {
    let world = impatient().await;
    let text = |package: &str| {
        format!("packages: [{package}]\npython: [\"3.13\"]\narchitectures: [x86_64]\n")
    };
    let (app, core) = (text("demo-app"), text("demo-core"));
    let files = [("layers/app.yaml", &*app), ("layers/core.yaml", &*core)];
    let number = world.pull_request(&files).await;
    world.settled().await;
    let store = Connection::open(world.store()).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON builds WHEN NEW.layer = 'core'
                BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    store.execute_batch(full).unwrap();
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let comment = world.comment(number);
    for told in [
        "### ⚠️ Published in part: 2 of 4 versions are live, 2 failed",
        "The tables are committed",
        "the disk is full",
        "`/layersmith retry`",
    ] {
        assert!(comment.contains(told), "{told}: {comment}");
    }
    let table = world.table("p3.13/us-east-1.csv");
    assert!(table.contains("Layersmith-p313-app:1"), "{table}");
    assert!(!table.contains("core"), "{table}");

    store.execute_batch("DROP TRIGGER full").unwrap();
    world.retry(number).await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(
        comment.contains("### ✅ Published: 2 layers × 1 target, live in 2 regions"),
        "{comment}"
    );
    let table = world.table("p3.13/us-east-1.csv");
    assert!(table.contains("Layersmith-p313-core:1"), "{table}");
    world.finish().await;
}

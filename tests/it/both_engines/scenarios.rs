//! What a person sees and what is published: the same, whatever carries it out.

use super::{Engine, on_both_engines, world_on};
use crate::world::{AUTHOR, World, normalize};
use layersmith_testbed::aws_proxy::AwsFault;
use layersmith_testbed::github::Files;
use std::time::Duration;

const GOOD: &str = "packages:\n  - demo-app\npython: [\"3.13\"]\n";
const WRONG: &str = "packages:\n  - demo-native\nregions: [us-esat-1]\n";
const NATIVE: &str = "packages:\n  - demo-native\npython: [\"3.13\"]\n";
const CORE: &str = "packages:\n  - demo-core\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

on_both_engines![
    a_mistake_is_mended_and_what_is_merged_is_published_and_told,
    a_layer_that_is_removed_is_retired,
    a_region_that_fails_is_told_and_retried,
    a_plan_is_cancelled,
    a_newer_head_takes_the_place_of_the_older,
];

/// Two layers, two targets each, two regions.
async fn a_mistake_is_mended_and_what_is_merged_is_published_and_told(engine: Engine) {
    let world = world_on(engine, "").await;
    let files = [("layers/good.yaml", GOOD), ("layers/native.yaml", WRONG)];
    let number = world.pull_request(&files).await;
    world.settled().await;
    let first_head = world.github.pull_request_head(number);
    assert_eq!(world.conclusions(&first_head), ["failure"]);
    let said = world.conversation(number);
    assert!(said.contains("### 1 mistake to mend first"), "{said}");
    assert!(said.contains("`layers/native.yaml:3:11`"), "{said}");
    let before = world.comment_ids(number);
    assert_eq!(before.len(), 1, "{said}");

    world
        .github
        .push_to_pull_request(number, [("layers/native.yaml", NATIVE)])
        .await;
    world.settled().await;
    let head = world.github.pull_request_head(number);
    assert_eq!(world.conclusions(&head), ["success"]);
    assert_eq!(
        world.comment_ids(number),
        before,
        "the comment is edited in place"
    );
    insta::assert_snapshot!("planned", world.conversation(number));
    assert_eq!(
        world.published().len(),
        0,
        "nothing is published before the merge"
    );

    let merge = world.github.merge_pull_request(number).await;
    world.settled().await;
    assert_eq!(world.comment_ids(number), before);
    assert_eq!(world.conclusions(&merge), ["success"]);
    insta::assert_snapshot!("published", world.conversation(number));
    let table = world.table("p3.13-arm64/us-east-1.md");
    insta::assert_snapshot!("table", table);
    let log = world.github.log("main");
    insta::assert_snapshot!("commit", normalize(&log[0].message));
    let (_, latest) = world.get("/api/v2/p3.13/layers/latest/us-east-1").await;
    assert_eq!(
        latest.matches("arn:aws:lambda:us-east-1").count(),
        2,
        "{latest}"
    );
    world.finish_published(8).await;
}

/// Publishes one layer; the pull request's number.
async fn published(world: &World, path: &str, text: &str) -> u64 {
    let number = world.branch("first", &[(path, text)]).await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(said.contains("live in 2 regions"), "{said}");
    number
}

async fn a_layer_that_is_removed_is_retired(engine: Engine) {
    let world = world_on(engine, "").await;
    published(&world, "layers/core.yaml", CORE).await;
    assert!(world.table("p3.13/us-east-1.csv").contains("latest"));

    let files = Files::new().delete("layers/core.yaml");
    let number = world
        .github
        .open_pull_request("second", "Remove a layer", files, AUTHOR)
        .await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(said.contains("`core`"), "{said}");
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let said = world.conversation(number);
    insta::assert_snapshot!("retired", said);
    let table = world.table("p3.13/us-east-1.csv");
    assert!(
        table.contains("deprecated") && !table.contains("latest"),
        "{table}"
    );
    let (_, latest) = world.get("/api/v2/p3.13/layers/latest/us-east-1").await;
    assert_eq!(latest, "[]");
    world.finish_published(2).await;
}

async fn a_region_that_fails_is_told_and_retried(engine: Engine) {
    let world = world_on(engine, "").await;
    let number = world.pull_request(&[("layers/core.yaml", CORE)]).await;
    world.settled().await;
    world
        .way()
        .fail_region("us-east-1", AwsFault::Refuse(500, "ServiceException"));
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(
        said.contains("Published in part: 1 of 2 versions are live, 1 failed"),
        "{said}"
    );
    assert!(
        world
            .table("p3.13/eu-west-1.md")
            .contains("Layersmith-p313-core")
    );
    assert_eq!(world.published().len(), 1);

    world.way().repair();
    world.retry(number).await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(
        said.contains("Published: 1 layer × 1 target, live in 2 regions"),
        "{said}"
    );
    assert!(
        world
            .table("p3.13/us-east-1.md")
            .contains("Layersmith-p313-core")
    );
    world.finish_published(2).await;
}

/// A build that hangs is ended by the time limit of its function; here nobody waits for that long.
async fn let_builds_end(world: &World) {
    if let Some(stack) = &world.stack {
        stack.cloud.limit("build-p313", Duration::from_secs(40));
    }
}

async fn a_plan_is_cancelled(engine: Engine) {
    let world = world_on(engine, "").await;
    let_builds_end(&world).await;
    let number = world
        .pull_request_that_hangs(("layers/core.yaml", CORE))
        .await;
    let head = world.github.pull_request_head(number);
    assert_eq!(world.conclusions(&head), ["in_progress"]);
    world
        .github
        .comment(number, AUTHOR, "/layersmith cancel")
        .await;
    world.settled().await;
    assert_eq!(world.conclusions(&head), ["cancelled"]);
    let said = world.conversation(number);
    assert!(
        said.contains("Cancelled. `/layersmith plan` starts again."),
        "{said}"
    );
    if let Some(stack) = &world.stack {
        let executions = stack.cloud.executions().await;
        let arns: Vec<String> = executions.into_iter().map(|it| it.arn).collect();
        assert_eq!(arns.len(), 1, "{arns:#?}");
        assert!(stack.cloud.stopped().contains(&arns[0]), "{arns:#?}");
    }
    world.finish_published(0).await;
}

async fn a_newer_head_takes_the_place_of_the_older(engine: Engine) {
    let world = world_on(engine, "").await;
    let_builds_end(&world).await;
    let number = world
        .pull_request_that_hangs(("layers/core.yaml", CORE))
        .await;
    let old = world.github.pull_request_head(number);
    let files = Files::new()
        .delete("layers/core.yaml")
        .write("layers/native.yaml", NATIVE);
    let new = world.github.push_to_pull_request(number, files).await;
    world.settled().await;
    assert_eq!(world.conclusions(&old), ["cancelled"]);
    assert_eq!(world.conclusions(&new), ["success"]);
    let comment = world.comment(number);
    assert!(
        comment.contains(&new[..7]) && !comment.contains(&old[..7]),
        "{comment}"
    );
    world.github.merge_pull_request(number).await;
    world.settled().await;
    assert!(world.comment(number).contains("live in 2 regions"));
    world.finish_published(4).await;
}

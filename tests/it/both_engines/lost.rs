//! Zips that are gone when they are to be published.

use super::{Engine, on_both_engines, world_on};
use crate::world::usual_wheels;
use layersmith_testbed::index::Sabotage;
use std::collections::BTreeSet;

const ONE_REGION: &str =
    "packages:\n  - demo-core\npython: [\"3.13\"]\narchitectures: [x86_64]\nregions: [eu-west-1]\n";
const BOTH_REGIONS: &str =
    "packages:\n  - demo-core\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

on_both_engines![a_zip_that_is_lost_is_built_again_before_it_is_published];

/// A region is added, and what was built for the first is gone: it is built again by whoever builds, byte for byte. While
/// that cannot be done, it is told, and tried again when somebody asks.
async fn a_zip_that_is_lost_is_built_again_before_it_is_published(engine: Engine) {
    let world = world_on(engine, "").await;
    let number = world
        .branch("first", &[("layers/core.yaml", ONE_REGION)])
        .await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(said.contains("live in 1 region"), "{said}");

    world.lose_zips().await;
    let wheel = "demo_core-1.0.0-py3-none-any.whl";
    world.index.sabotage(wheel, Sabotage::NotFound);
    let number = world
        .branch("second", &[("layers/core.yaml", BOTH_REGIONS)])
        .await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let said = world.conversation(number);
    insta::assert_snapshot!("not_built_again", said);
    assert_eq!(world.published().len(), 1);

    world.index.publish(usual_wheels().swap_remove(0));
    world.retry(number).await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(
        said.contains("Published: 1 layer × 1 target, live in 2 regions"),
        "{said}"
    );
    // The description has the digest of the zip.
    let descriptions: BTreeSet<String> = world.published().into_values().collect();
    assert_eq!(descriptions.len(), 1, "{descriptions:#?}");
    if let Some(stack) = &world.stack {
        let steps = stack.cloud.invokes().into_iter();
        let steps: Vec<(String, String)> = steps
            .filter(|it| it.is_step)
            .filter_map(|it| Some((it.function, it.payload["stage"].as_str()?.to_owned())))
            .filter(|(_, stage)| stage.contains("rebuil"))
            .collect();
        let one = [("build-p313", "rebuild"), ("publish", "publish_rebuilt")]
            .map(|(function, stage)| (function.to_owned(), stage.to_owned()));
        assert!(
            steps.len() >= 4 && steps.chunks(2).all(|some| some == one),
            "{steps:#?}"
        );
    }
    world.finish_published(2).await;
}

//! Public names of layers, until nothing is left of what they named.

use super::world::World;
use crate::model::{ParameterPath, Policy, Region};
use crate::pipeline::put_parameters;
use std::collections::BTreeMap;

async fn in_region(world: &World, region: &Region) -> BTreeMap<String, String> {
    let registry = &world.workshop.registry;
    registry.parameters(region, "/layersmith").await.unwrap()
}

#[tokio::test]
async fn the_last_name_of_a_region_goes_with_the_last_version_also_where_no_region_is_named() {
    let regions: Vec<Region> = ["eu-west-1", "us-east-1"]
        .map(|name| name.parse().unwrap())
        .to_vec();
    let policy = Policy {
        python: vec!["3.13".parse().unwrap()],
        architectures: vec!["x86_64".parse().unwrap()],
        parameters: Some(ParameterPath::default()),
        ..Policy::default()
    };
    assert_eq!(policy.regions, None);
    let expiry = i64::from(policy.expire_after_days);
    let mut world = World::new(policy, regions.clone());
    world.request("demo", "packages: [demo]\n");
    world.apply().await;
    let put = |world: &World| {
        let (workshop, policy) = (world.workshop.clone(), world.desired.policy.clone());
        async move { put_parameters(&workshop, &policy).await.unwrap() }
    };
    assert_eq!(put(&world).await.written, 2);

    world.desired.layers.clear();
    world.apply().await;
    assert_eq!(put(&world).await.removed, 0, "it can be used yet");
    world.set_day(expiry + 1);
    world.expire().await;
    assert_eq!(put(&world).await.removed, 2);
    for region in &regions {
        assert_eq!(in_region(&world, region).await, BTreeMap::new());
    }
}

/// One layer for one target, with its name in Parameter Store.
async fn world(regions: &[&str]) -> World {
    let policy = Policy {
        python: vec!["3.13".parse().unwrap()],
        architectures: vec!["x86_64".parse().unwrap()],
        parameters: Some(ParameterPath::default()),
        ..Policy::default()
    };
    let regions = regions.iter().map(|name| name.parse().unwrap());
    let mut world = World::new(policy, regions.collect());
    world.request("demo", "packages: [demo]\n");
    world.apply().await;
    put_parameters(&world.workshop, &world.desired.policy)
        .await
        .unwrap();
    world
}

/// Deletes what has expired, and brings the names up to date; the names in a region, with their values.
async fn after(world: &mut World, day: i64, region: &str) -> Vec<String> {
    world.set_day(day);
    world.expire().await;
    let put = put_parameters(&world.workshop, &world.desired.policy);
    assert_eq!(put.await.unwrap().failed, []);
    let names = in_region(world, &region.parse().unwrap()).await;
    let shown = names.iter().map(|(name, value)| {
        let (_, layer) = value.split_once(":layer:").unwrap();
        format!("{name} = {layer}")
    });
    shown.collect()
}

#[tokio::test]
async fn a_name_stays_under_the_prefix_of_its_version_and_goes_with_it() {
    let mut world = world(&["eu-west-1"]).await;
    world.desired.policy.prefix = "acme".parse().unwrap();
    world.request("demo", "packages: [demo]\n");
    world.apply().await;
    let old = "/layersmith/Layersmith/p3.13/demo = Layersmith-p313-demo:1";
    let new = "/layersmith/acme/p3.13/demo = acme-p313-demo:1";
    assert_eq!(after(&mut world, 1, "eu-west-1").await, [old, new]);
    let expiry = i64::from(world.desired.policy.expire_after_days);
    assert_eq!(after(&mut world, expiry + 1, "eu-west-1").await, [new]);
}

#[tokio::test]
async fn a_layer_that_is_gone_before_the_prefix_changes_has_no_name_under_the_new_one() {
    let mut world = world(&["eu-west-1"]).await;
    world.desired.layers.clear();
    world.apply().await;
    world.desired.policy.prefix = "acme".parse().unwrap();
    let old = "/layersmith/Layersmith/p3.13/demo = Layersmith-p313-demo:1";
    assert_eq!(after(&mut world, 1, "eu-west-1").await, [old]);
    let expiry = i64::from(world.desired.policy.expire_after_days);
    assert_eq!(after(&mut world, expiry + 1, "eu-west-1").await, [""; 0]);
}

#[tokio::test]
async fn names_go_from_a_region_that_the_policy_does_not_name_any_more() {
    let mut world = world(&["eu-west-1", "us-east-1"]).await;
    world.desired.policy.regions = Some(vec!["eu-west-1".parse().unwrap()]);
    world.apply().await;
    let left = "/layersmith/Layersmith/p3.13/demo = Layersmith-p313-demo:1";
    assert_eq!(after(&mut world, 1, "us-east-1").await, [left]);
    let expiry = i64::from(world.desired.policy.expire_after_days);
    assert_eq!(after(&mut world, expiry + 1, "us-east-1").await, [""; 0]);
    assert_eq!(after(&mut world, expiry + 1, "eu-west-1").await, [left]);
}

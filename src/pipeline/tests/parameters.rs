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

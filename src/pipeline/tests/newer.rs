//! A plan that was made before others published.

use super::world::{World, one_target};
use crate::model::{LayerState, Region};
use crate::pipeline::Carried;
use crate::pipeline::flow::Current;
use crate::pipeline::publishing::carry_out_kept;
use crate::plan::{Action, SkipReason};

#[tokio::test]
async fn an_older_version_takes_the_place_of_none_that_went_live_after_it_was_planned() {
    let regions: Vec<Region> = ["eu-west-1", "us-east-1"]
        .map(|it| it.parse().unwrap())
        .into();
    let mut world = World::new(one_target(), regions.clone());
    world.request("demo", "packages: [demo]\n");
    let planned_at = Some(world.workshop.now());
    // Of the two regions, one is away when the first version is published, and somebody publishes another one everywhere.
    world.registry.silence(&regions[1..]);
    let plan = world.apply().await;
    world.set_day(1);
    world.registry.silence(&[]);
    world.release("demo");
    world.upgrade().await;

    let entry = &plan.entries[0];
    let store = world.workshop.store.as_ref();
    let current = Current::of(store, entry, planned_at).await.unwrap();
    let carried = carry_out_kept(&world.workshop, &current.entry, &world.desired);
    let Carried::Published(outcome) = current.told(carried.await.unwrap()) else {
        panic!("it is a publication");
    };
    let skipped = outcome.skipped.iter();
    let skipped: Vec<(&Region, SkipReason)> = skipped.map(|it| (&it.region, it.reason)).collect();
    let expected = regions.iter().map(|it| (it, SkipReason::Superseded));
    assert_eq!(skipped, expected.collect::<Vec<_>>());
    assert!(outcome.failed.is_empty());
    assert!(outcome.published.is_empty());
    let rows = store.layer_versions().await.unwrap();
    let live = rows.iter().filter(|row| row.state == LayerState::Live);
    let live: Vec<&str> = live.map(|row| row.version.as_str()).collect();
    assert_eq!(live, ["2.0", "2.0"]);

    // A plan that knew of it goes on, and so does one of which nobody knows when it was made.
    for planned_at in [Some(world.workshop.now()), None] {
        let current = Current::of(store, entry, planned_at).await.unwrap();
        let Action::Publish(publication) = &current.entry.action else {
            panic!("it is a publication");
        };
        assert_eq!(publication.regions, regions);
    }
}

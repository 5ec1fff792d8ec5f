//! What nobody recorded, where a region does not say which names it has.

use super::world::{World, one_target};
use crate::model::{LayerArn, Region};
use crate::pipeline::verify::{Listing, Look, NamesRead, Verified, Wrong, observe};
use crate::store::SqliteStore;
use std::sync::Arc;

#[tokio::test]
async fn a_region_that_does_not_say_its_names_is_told_of_and_the_others_are_read() {
    let regions: Vec<Region> = ["eu-west-1", "us-east-1"]
        .map(|it| it.parse().unwrap())
        .into();
    let mut world = World::new(one_target(), regions.clone());
    for name in ["alpha", "beta"] {
        world.request(name, &format!("packages: [{name}]\n"));
    }
    world.apply().await;
    world.workshop.store = Arc::new(SqliteStore::open_in_memory().unwrap());
    let look = Look::begin(&world.workshop).await.unwrap();
    world.registry.silence(&regions[1..]);
    let nothing = Verified::default();
    let (workshop, desired) = (&world.workshop, &world.desired);
    let listing = Listing::begin(workshop, desired, &look, &nothing);
    let listing = listing.await.unwrap();
    // It answers again: its names are not known all the same, and it is not read as if it had none.
    world.registry.silence(&[]);
    let (mut verified, mut after) = (Verified::default(), None::<String>);
    loop {
        let read = listing.read(workshop, desired, after.as_deref(), 1, &nothing);
        let NamesRead {
            until,
            verified: of_part,
        } = read.await;
        verified.add(of_part);
        after = until;
        if after.is_none() {
            break;
        }
    }
    verified.sort();
    let unread = verified.unverified.iter().map(|it| &it.region);
    assert_eq!(unread.collect::<Vec<_>>(), [&regions[1]]);
    let found = verified.findings.iter();
    let found: Vec<&LayerArn> = found
        .filter(|it| matches!(it.wrong, Wrong::Unknown { .. }))
        .map(|it| &it.arn)
        .collect();
    let found = found.iter().map(|it| (it.layer.as_str(), &it.region));
    let expected = ["Layersmith-p313-alpha", "Layersmith-p313-beta"];
    let expected = expected.map(|name| (name, &regions[0]));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    // The next look finds all.
    let whole = observe(workshop, desired).await.unwrap();
    assert_eq!((whole.findings.len(), whole.unverified.len()), (4, 0));
}

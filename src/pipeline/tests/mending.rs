//! Losses, permissions that changed meanwhile, and regions that the account has not enabled.

use super::world::{World, one_target};
use crate::model::{LayerArn, LayerState, LayerVersion, Policy, Region, Visibility};
use crate::pipeline::report::outcome_of_failed;
use crate::pipeline::verify::{
    Finding, Listing, Look, Mended, NamesRead, Verified, Wrong, observe, read_part, repair,
    still_wrong,
};
use crate::pipeline::{StepFailure, expire, settle_visibility};
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

fn regions(names: &[&str]) -> Vec<Region> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// One layer for one target, live in two regions.
async fn two_regions() -> World {
    let mut world = World::new(one_target(), regions(&["eu-west-1", "us-east-1"]));
    world.request("demo", "packages: [demo]\n");
    world.apply().await;
    world
}

async fn live(world: &World) -> Vec<LayerVersion> {
    let mut rows = world.workshop.store.layer_versions().await.unwrap();
    rows.retain(|row| row.state == LayerState::Live);
    rows
}

async fn live_regions(world: &World) -> Vec<String> {
    let live = live(world).await;
    live.iter().map(|row| row.key.region.to_string()).collect()
}

async fn look_and_repair(world: &World) -> Verified {
    let mut verified = observe(&world.workshop, &world.desired).await.unwrap();
    mend(world, &mut verified).await;
    verified
}

async fn mend(world: &World, verified: &mut Verified) {
    let (workshop, policy) = (&world.workshop, &world.desired.policy);
    still_wrong(workshop, verified, policy, policy)
        .await
        .unwrap();
    repair(workshop, &world.desired, verified).await.unwrap();
}

/// Somebody takes the first region's version from everybody, and that is seen.
async fn unshared(world: &World) -> (LayerArn, Verified) {
    let arn = live(world).await[0].arn.clone().unwrap();
    let registry = &world.workshop.registry;
    registry
        .set_visibility(&arn, &Visibility::Private)
        .await
        .unwrap();
    let verified = observe(&world.workshop, &world.desired).await.unwrap();
    assert_eq!(verified.findings[0].wrong, Wrong::NotShared);
    (arn, verified)
}

fn backfilled(verified: &Verified) -> Vec<String> {
    let published = verified.backfilled.iter().flat_map(|it| &it.published);
    published.map(|arn| arn.region.to_string()).collect()
}

#[tokio::test]
async fn a_repair_that_was_cut_short_is_made_good_by_the_next() {
    let world = two_regions().await;
    let lost = live(&world).await[0].arn.clone().unwrap();
    world.workshop.registry.delete(&lost).await.unwrap();
    let mut verified = observe(&world.workshop, &world.desired).await.unwrap();
    assert_eq!(verified.findings[0].wrong, Wrong::Missing);
    assert!(verified.findings[0].is_live);
    // It was killed after it forgot what was lost, and is taken up again with what it saw.
    let store = &world.workshop.store;
    store
        .mark_deleted(std::slice::from_ref(&lost))
        .await
        .unwrap();
    mend(&world, &mut verified).await;
    assert_eq!(verified.findings, []);
    assert_eq!(backfilled(&verified), ["eu-west-1"]);
    assert_eq!(live_regions(&world).await, ["eu-west-1", "us-east-1"]);
    assert_eq!(look_and_repair(&world).await.backfilled, []);
}

#[tokio::test]
async fn a_loss_in_a_region_that_did_not_take_it_is_made_good_by_the_next_repair() {
    let world = two_regions().await;
    let lost = live(&world).await[0].arn.clone().unwrap();
    world.workshop.registry.delete(&lost).await.unwrap();
    let mut verified = observe(&world.workshop, &world.desired).await.unwrap();
    world.registry.silence(&regions(&["eu-west-1"]));
    mend(&world, &mut verified).await;
    assert!(matches!(verified.findings[0].mended, Mended::Failed(_)));
    assert_eq!(verified.backfilled, [], "it was tried once");
    let verified = look_and_repair(&world).await;
    assert_eq!(
        verified.backfilled,
        [],
        "a region that is not read is left alone"
    );
    world.registry.silence(&[]);
    let verified = look_and_repair(&world).await;
    assert_eq!(backfilled(&verified), ["eu-west-1"]);
    assert_eq!(live_regions(&world).await, ["eu-west-1", "us-east-1"]);
}

#[tokio::test]
async fn what_is_lost_everywhere_and_was_taken_nowhere_is_made_good_by_the_next_repair() {
    let world = two_regions().await;
    for row in live(&world).await {
        let arn = row.arn.unwrap();
        world.workshop.registry.delete(&arn).await.unwrap();
    }
    let mut verified = observe(&world.workshop, &world.desired).await.unwrap();
    let everywhere = ["eu-west-1", "us-east-1"];
    world.registry.silence(&regions(&everywhere));
    mend(&world, &mut verified).await;
    let is_failed = |finding: &Finding| matches!(finding.mended, Mended::Failed(_));
    assert!(verified.findings.iter().all(is_failed), "{verified:?}");
    assert_eq!(live_regions(&world).await, [""; 0]);
    world.registry.silence(&[]);
    assert_eq!(backfilled(&look_and_repair(&world).await), everywhere);
    assert_eq!(live_regions(&world).await, everywhere);
}

#[tokio::test]
async fn what_cannot_be_shared_again_is_not_listed_until_it_is() {
    let world = two_regions().await;
    let (store, policy) = (&world.workshop.store, &world.desired.policy);
    let (arn, mut verified) = unshared(&world).await;
    world.registry.silence(&regions(&["eu-west-1"]));
    mend(&world, &mut verified).await;
    assert!(matches!(verified.findings[0].mended, Mended::Failed(_)));
    let unlisted = store.shared_otherwise(&policy.visibility, None).await;
    let unlisted: Vec<_> = unlisted.unwrap().into_iter().collect();
    assert_eq!(unlisted.len(), 1);
    let (row, known) = &unlisted[0];
    let expected = (&Some(arn.clone()), &Some(Visibility::Private));
    assert_eq!((&row.arn, known), expected);
    // Somebody mends it by hand.
    world.registry.silence(&[]);
    let registry = &world.workshop.registry;
    registry
        .set_visibility(&arn, &policy.visibility)
        .await
        .unwrap();
    assert_eq!(look_and_repair(&world).await.findings, []);
    let unlisted = store.shared_otherwise(&policy.visibility, None).await;
    assert_eq!(unlisted.unwrap(), []);
}

#[tokio::test]
async fn what_is_for_others_than_it_should_be_is_not_listed_until_it_is_mended() {
    let world = two_regions().await;
    let arn = live(&world).await[0].arn.clone().unwrap();
    let registry = &world.workshop.registry;
    let account = |digits: &str| Visibility::Accounts(vec![digits.to_owned()]);
    let only_one = account("111111111111");
    registry.set_visibility(&arn, &only_one).await.unwrap();
    let mut verified = observe(&world.workshop, &world.desired).await.unwrap();
    assert_eq!(verified.findings[0].wrong, Wrong::NotShared);
    world.registry.silence(&regions(&["eu-west-1"]));
    mend(&world, &mut verified).await;
    assert!(matches!(verified.findings[0].mended, Mended::Failed(_)));
    let (store, policy) = (&world.workshop.store, &world.desired.policy);
    let otherwise = store.shared_otherwise(&policy.visibility, None).await;
    assert_eq!(otherwise.unwrap().len(), 1, "the tables leave it out");

    // Somebody else besides takes it from nobody.
    world.registry.silence(&[]);
    mend(&world, &mut verified).await;
    let registry = &world.workshop.registry;
    registry
        .share(&arn, &account("222222222222"))
        .await
        .unwrap();
    let mut verified = observe(&world.workshop, &world.desired).await.unwrap();
    assert_eq!(verified.findings[0].wrong, Wrong::SharedOtherwise);
    world.registry.silence(&regions(&["eu-west-1"]));
    mend(&world, &mut verified).await;
    let otherwise = store.shared_otherwise(&policy.visibility, None).await;
    assert_eq!(otherwise.unwrap(), [], "it is what the tables say");
}

#[tokio::test]
async fn who_may_use_a_version_is_not_mended_by_a_policy_of_before() {
    let mut world = two_regions().await;
    let (_, mut verified) = unshared(&world).await;
    let then = world.desired.policy.clone();
    world.desired.policy.visibility = Visibility::Private;
    world.apply().await;
    let now = &world.desired.policy;
    still_wrong(&world.workshop, &mut verified, &then, now)
        .await
        .unwrap();
    assert_eq!(verified.findings, []);
}

#[tokio::test]
async fn a_version_that_comes_back_is_for_those_whom_the_policy_names_now() {
    let mut world = two_regions().await;
    world.release("demo");
    world.upgrade().await;
    world.take_back("demo");
    world.desired.policy.visibility = Visibility::Private;
    // Fails on any region that refuses.
    world.upgrade().await;
    let live = live(&world).await;
    assert_eq!(live.len(), 2);
    let there = world.registry.all(&Visibility::Private);
    for row in live {
        assert_eq!(row.version, "1.0");
        assert!(there[&row.arn.unwrap()].1);
    }
}

#[tokio::test]
async fn a_region_that_is_not_enabled_any_more_is_no_failure() {
    let mut world = two_regions().await;
    let store = Arc::clone(&world.workshop.store);
    world.release("demo");
    world.upgrade().await;
    let disabled = regions(&["eu-west-1"]);
    world.registry.disable(&disabled);
    let disabled = disabled.into_iter().collect();

    world.desired.policy.visibility = Visibility::Private;
    let policy = &world.desired.policy;
    let shared = settle_visibility(&world.workshop, policy).await.unwrap();
    assert_eq!((shared.changed, shared.failed), (2, vec![]));
    assert_eq!(shared.not_enabled, disabled);

    world.set_day(400);
    let expired = expire(&world.workshop, &world.desired).await.unwrap();
    assert_eq!((expired.deleted.len(), expired.failed), (1, vec![]));
    assert_eq!(expired.not_enabled, disabled);

    let verified = look_and_repair(&world).await;
    assert_eq!((verified.findings, verified.unverified), (vec![], vec![]));
    assert_eq!(verified.not_enabled, disabled);

    // What is published next leaves no intent behind there, and an intent from before stays.
    world.release("demo");
    world.upgrade().await;
    assert_eq!(store.intents().await.unwrap(), []);
    let elsewhere = live(&world).await;
    let newest = elsewhere.iter().find(|row| row.version == "3.0");
    let mut earlier = newest.unwrap().key.clone();
    earlier.region = "eu-west-1".parse().unwrap();
    store
        .begin_publish(&earlier, "3.0", world.workshop.now())
        .await
        .unwrap();
    world.set_day(401);
    world.upgrade().await;
    assert_eq!(store.intents().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_change_of_permissions_goes_on_where_it_was_cut_short() {
    let mut world = World::new(Policy::default(), Region::commercial());
    for name in ["one", "two", "three"] {
        world.request(name, &format!("packages: [{name}]\n"));
    }
    world.apply().await;
    world.desired.policy.visibility = Visibility::Private;
    let (workshop, policy) = (&world.workshop, &world.desired.policy);
    let otherwise = async || {
        let store = &workshop.store;
        store
            .shared_otherwise(&policy.visibility, None)
            .await
            .unwrap()
            .len()
    };
    let listed = async || {
        let layers = world.desired.layers.keys().cloned().collect();
        let listed = workshop.store.listed_versions_of(&layers).await;
        listed.unwrap().len()
    };
    let public = [Visibility::Public];
    workshop.store.list_for(&public).await.unwrap();
    let all = otherwise().await;
    assert!(all > 600, "{all}");
    let before = world.registry.changes();
    {
        let mut settling = pin!(settle_visibility(workshop, policy));
        poll_fn(|context| {
            let polled = settling.as_mut().poll(context);
            assert!(polled.is_pending(), "it was to be cut short");
            match world.registry.changes() - before {
                changed if changed > 500 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }
    let left = otherwise().await;
    assert!(left <= all - 500, "{left} of {all} are asked again");
    assert_eq!(listed().await, all, "until the tables are told");
    let shared = settle_visibility(workshop, policy).await.unwrap();
    assert_eq!((shared.changed, shared.failed), (left, vec![]));
    let there = world.registry.all(&policy.visibility);
    assert!(there.values().all(|(_, exactly)| *exactly));
}

/// The parts of a look are whole layers; a region that one part could not read is not asked by the next, and what the parts
/// come to is what one look comes to.
#[tokio::test]
async fn a_look_in_parts_is_a_look() {
    let mut world = two_regions().await;
    for name in ["alpha", "beta", "gamma"] {
        world.request(name, &format!("packages: [{name}]\n"));
    }
    world.apply().await;
    let lost = live(&world).await;
    let lost = lost.iter().find(|row| row.key.layer.as_str() == "gamma");
    let lost = lost.unwrap().arn.clone().unwrap();
    world.workshop.registry.delete(&lost).await.unwrap();
    let whole = observe(&world.workshop, &world.desired).await.unwrap();
    assert_eq!((whole.checked, whole.findings.len()), (8, 1));
    let look = Look::begin(&world.workshop).await.unwrap();
    for (versions, expected) in [
        (1, vec!["alpha", "beta", "demo", "gamma"]),
        (2, vec!["beta", "gamma"]),
        (3, vec!["demo", "gamma"]),
        (100, vec!["gamma"]),
    ] {
        let (mut verified, mut ends) = (Verified::default(), Vec::new());
        while let Some(part) = look.part(ends.last(), versions) {
            let read = read_part(&world.workshop, &world.desired, part, &verified).await;
            verified.add(read.verified);
            ends.push(read.until);
        }
        let told: Vec<&str> = ends.iter().map(|layer| layer.as_str()).collect();
        assert_eq!(told, expected);
        let mut lists = 0;
        let listing = Listing::begin(&world.workshop, &world.desired, &look, &verified);
        let (listing, mut after) = (listing.await.unwrap(), None::<String>);
        loop {
            let (workshop, desired) = (&world.workshop, &world.desired);
            let read = listing.read(workshop, desired, after.as_deref(), versions, &verified);
            let NamesRead {
                until,
                verified: of_part,
            } = read.await;
            verified.add(of_part);
            lists += 1;
            after = until;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(
            lists,
            4_usize.div_ceil(versions),
            "parts of {versions} names"
        );
        verified.sort();
        assert_eq!(verified, whole, "{versions}");
    }
    let dead = regions(&["us-east-1"]);
    world.registry.silence(&dead);
    let first = look.part(None, 1).unwrap();
    let first = read_part(&world.workshop, &world.desired, first, &Verified::default()).await;
    assert_eq!(first.verified.checked, 1);
    assert_eq!(first.verified.unverified[0].region, dead[0]);
    world.registry.silence(&[]);
    let next = look.part(Some(&first.until), 1).unwrap();
    let next = read_part(&world.workshop, &world.desired, next, &first.verified).await;
    assert_eq!(next.verified.checked, 1);
}

#[tokio::test]
async fn of_a_publication_that_failed_as_a_whole_what_is_live_is_told_as_live() {
    let mut world = World::new(one_target(), regions(&["eu-west-1", "us-east-1"]));
    world.request("demo", "packages: [demo]\n");
    world.registry.silence(&regions(&["us-east-1"]));
    let plan = world.apply().await;
    let mut publication = plan.publications().next().unwrap().1.clone();
    publication.leaves = regions(&["ap-south-1"]);
    let recorded = world.workshop.store.layer_versions().await.unwrap();
    let failure = StepFailure::transient("it was cut off");
    let outcome = outcome_of_failed(&publication, &failure, &recorded);
    let published = outcome.published.iter().map(|arn| arn.region.as_str());
    assert_eq!(published.collect::<Vec<_>>(), ["eu-west-1"]);
    let failed = outcome
        .failed
        .iter()
        .map(|it| (it.region.as_str(), it.transient));
    let expected = [("ap-south-1", true), ("us-east-1", true)];
    assert_eq!(failed.collect::<Vec<_>>(), expected);
}

//! What every store does with layer versions.

use super::{arn, at, key, run};
use crate::model::{Digest, LayerArn, LayerState, Region, RunState, SlotKey, Visibility};
use crate::store::{Begun, Earlier, Store};
use std::time::Duration;

/// Publishes at `at(seconds)`; what it supersedes expires at `at(seconds + 1000)`.
pub(super) async fn publish(store: &dyn Store, key: &SlotKey, version: u64, seconds: i64) {
    store.begin_publish(key, "1.0", at(seconds)).await.unwrap();
    go_live(store, key, version, seconds).await;
}

async fn go_live(store: &dyn Store, key: &SlotKey, version: u64, seconds: i64) {
    store
        .mark_live(
            key,
            &arn(key, version),
            &Visibility::Public,
            at(seconds),
            at(seconds + 1000),
        )
        .await
        .unwrap();
}

/// Each version as `state number expiry`, the number being the ARN's.
pub(super) async fn shown(store: &dyn Store) -> Vec<String> {
    let versions = store.layer_versions().await.unwrap();
    let mut lines: Vec<String> = versions
        .iter()
        .map(|version| {
            let number = version.arn.as_ref().map_or(0, |arn| arn.version);
            let expiry = version
                .expires_at
                .map(|time| time.unix() - at(0).unix())
                .map_or(String::new(), |seconds| format!(" until {seconds}"));
            format!("{:?} {number}{expiry}", version.state)
        })
        .collect();
    lines.sort();
    lines
}

pub(crate) async fn a_publication(store: &dyn Store) {
    let (first, second) = (key("zip 1", "us-east-1"), key("zip 2", "us-east-1"));
    let begun = store.begin_publish(&first, "1.0", at(1)).await.unwrap();
    assert_eq!(begun.earlier, Earlier::Never);
    let intent = begun.version;
    assert_eq!((intent.state, intent.arn), (LayerState::Intent, None));
    assert_eq!((&intent.key, intent.created_at), (&first, at(1)));
    let again = store.begin_publish(&first, "1.0", at(2)).await.unwrap();
    assert_eq!(
        again.version.created_at,
        at(1),
        "the intent that stands is returned"
    );

    go_live(store, &first, 1, 3).await;
    let live = store.begin_publish(&first, "1.0", at(4)).await.unwrap();
    assert_eq!(live.earlier, Earlier::Over);
    let live = live.version;
    assert_eq!((live.state, live.live_at), (LayerState::Live, Some(at(3))));
    assert_eq!(live.arn, Some(arn(&first, 1)));

    publish(store, &second, 2, 5).await;
    assert_eq!(shown(store).await, ["Deprecated 1 until 1005", "Live 2"]);
    // Again, late or not, changes nothing.
    go_live(store, &second, 2, 6).await;
    go_live(store, &first, 1, 7).await;
    assert_eq!(shown(store).await, ["Deprecated 1 until 1005", "Live 2"]);
    publish(store, &key("zip 2", "eu-west-1"), 1, 8).await;
    assert_eq!(shown(store).await.len(), 3, "regions are apart");
}

pub(crate) async fn rolling_back(store: &dyn Store) {
    let (first, second) = (key("zip 1", "us-east-1"), key("zip 2", "us-east-1"));
    publish(store, &first, 1, 1).await;
    publish(store, &second, 2, 2).await;
    let begun = store.begin_publish(&first, "1.0", at(3)).await.unwrap();
    let intent = begun.version;
    assert_eq!(
        (intent.state, intent.created_at),
        (LayerState::Intent, at(3))
    );
    go_live(store, &first, 3, 4).await;
    assert_eq!(
        shown(store).await,
        [
            "Deprecated 1 until 1002",
            "Deprecated 2 until 1004",
            "Live 3"
        ]
    );
}

pub(crate) async fn adopting_a_deprecated_version(store: &dyn Store) {
    let (first, second) = (key("zip 1", "us-east-1"), key("zip 2", "us-east-1"));
    publish(store, &first, 1, 1).await;
    publish(store, &second, 2, 2).await;
    publish(store, &first, 1, 3).await;
    assert_eq!(
        shown(store).await,
        ["Deprecated 2 until 1003", "Live 1"],
        "what is live again must not expire"
    );
}

pub(crate) async fn retiring(store: &dyn Store) {
    let regions = ["us-east-1", "eu-west-1", "sa-east-1"];
    for region in regions {
        publish(store, &key("zip", region), 1, 1).await;
    }
    let key = key("zip", "us-east-1");
    let retire = async |regions: Option<&[Region]>, until| {
        let retired = store
            .retire(&key.layer, key.target, regions, at(until))
            .await;
        retired.unwrap()
    };
    assert_eq!(retire(Some(&[]), 1).await, 0);
    assert_eq!(retire(Some(std::slice::from_ref(&key.region)), 2).await, 1);
    assert_eq!(retire(None, 3).await, 2);
    assert_eq!(retire(None, 4).await, 0);
    assert_eq!(
        shown(store).await,
        [
            "Deprecated 1 until 2",
            "Deprecated 1 until 3",
            "Deprecated 1 until 3"
        ]
    );
    publish(store, &key, 2, 5).await;
    assert_eq!(shown(store).await.len(), 4);
}

pub(crate) async fn order_of_layer_versions(store: &dyn Store) {
    let mut keys = Vec::new();
    for (number, (layer, target)) in [
        ("b", "p3.13"),
        ("a", "p3.14"),
        ("a", "p3.13-arm64"),
        ("a", "p3.13"),
    ]
    .into_iter()
    .enumerate()
    {
        let key = SlotKey {
            layer: layer.parse().unwrap(),
            target: target.parse().unwrap(),
            ..key("zip", "us-east-1")
        };
        let number = u64::try_from(number).unwrap();
        publish(store, &key, 10 * number + 1, 10).await;
        keys.push(key);
    }
    let one = SlotKey {
        layer: "a".parse().unwrap(),
        ..keys[3].clone()
    };
    let other = SlotKey {
        digest: Digest::of(b"other zip"),
        ..one.clone()
    };
    publish(store, &other, 90, 20).await;
    publish(store, &one, 91, 30).await;
    keys.extend([one.clone(), other]);
    keys.sort();
    let versions = store.layer_versions().await.unwrap();
    let found: Vec<SlotKey> = versions.iter().map(|version| version.key.clone()).collect();
    assert_eq!(found, keys);
    let ages: Vec<_> = versions
        .iter()
        .filter(|v| v.key == one)
        .map(|v| v.created_at)
        .collect();
    assert_eq!(ages, [at(10), at(30)], "the older one first");
    let of = async |layers: &[&str]| {
        let layers = layers.iter().map(|layer| layer.parse().unwrap()).collect();
        store.layer_versions_of(&layers).await.unwrap()
    };
    assert_eq!(of(&["b"]).await.len(), 1);
    assert_eq!(of(&["a"]).await.len(), 5);
    assert_eq!(of(&["a", "b", "c"]).await, versions);
    assert_eq!(of(&[]).await, []);
}

pub(crate) async fn wrong_calls_change_nothing(store: &dyn Store) {
    let (key, elsewhere) = (key("zip", "us-east-1"), key("zip", "eu-west-1"));
    let live = async |arn: &LayerArn| {
        store
            .mark_live(&key, arn, &Visibility::Public, at(2), at(3))
            .await
    };
    assert!(live(&arn(&key, 1)).await.is_err(), "without an intent");
    store.begin_publish(&key, "1.0", at(1)).await.unwrap();
    assert!(
        live(&arn(&elsewhere, 1)).await.is_err(),
        "another region's ARN"
    );
    assert_eq!(shown(store).await, ["Intent 0"]);
    live(&arn(&key, 1)).await.unwrap();
    assert!(
        live(&arn(&key, 2)).await.is_err(),
        "a second version of one zip"
    );
    assert_eq!(shown(store).await, ["Live 1"]);

    assert!(store.finish_event("nothing", "done").await.is_err());
    store.create_run(&run("plan-7", None, 0)).await.unwrap();
    assert!(store.end_run("plan-7", RunState::Open, None).await.is_err());
    assert_eq!(store.runs_in(RunState::Open).await.unwrap().len(), 1);
}

pub(crate) async fn racing_intents(store: &dyn Store) {
    let key = key("zip", "us-east-1");
    let calls = (0..16).map(|n| store.begin_publish(&key, "1.0", at(n)));
    let intents = futures::future::try_join_all(calls).await.unwrap();
    assert!(
        intents
            .iter()
            .all(|intent| intent.version == intents[0].version)
    );
    let new = |begun: &&Begun| begun.earlier == Earlier::Never;
    assert_eq!(intents.iter().filter(new).count(), 1);
    assert_eq!(shown(store).await, ["Intent 0"]);
}

pub(crate) async fn turns_are_taken_one_after_the_other(store: &dyn Store) {
    let first = store.turn_to_publish().await.unwrap();
    let waiting = store.turn_to_publish();
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(150), &mut waiting).await;
    assert!(early.is_err(), "two had the turn at once");
    drop(first);
    drop(waiting.await.unwrap());
}

pub(crate) async fn live_versions_by_place(store: &dyn Store) {
    let named = |layer: &str, target: &str, region: &str| SlotKey {
        layer: layer.parse().unwrap(),
        target: target.parse().unwrap(),
        published_name: format!("Layersmith-{layer}"),
        ..key("zip", region)
    };
    let places = [
        ("b", "p3.13", "us-east-1"),
        ("a", "p3.13", "us-east-1"),
        ("a", "p3.13-arm64", "us-east-1"),
        ("a", "p3.13", "eu-west-1"),
    ];
    for (number, (layer, target, region)) in (1..).zip(places) {
        publish(store, &named(layer, target, region), number, 1).await;
    }
    let newer = SlotKey {
        digest: Digest::of(b"newer"),
        ..named("a", "p3.13", "us-east-1")
    };
    publish(store, &newer, 9, 2).await;
    store
        .begin_publish(&named("c", "p3.13", "us-east-1"), "1.0", at(3))
        .await
        .unwrap();
    let live = async |target: &str, region: &str| {
        let (target, region) = (target.parse().unwrap(), region.parse().unwrap());
        let live = store.live_in(target, &region).await.unwrap();
        let all = store.layer_versions().await.unwrap();
        assert!(
            live.iter().all(|version| all.contains(version)),
            "{live:#?}"
        );
        live.into_iter()
            .map(|version| format!("{} {}", version.key.layer, version.arn.unwrap().version))
            .collect::<Vec<_>>()
    };
    assert_eq!(live("p3.13", "us-east-1").await, ["a 9", "b 1"]);
    assert_eq!(live("p3.13-arm64", "us-east-1").await, ["a 3"]);
    assert_eq!(live("p3.13", "eu-west-1").await, ["a 4"]);
    assert_eq!(live("p3.12", "eu-west-1").await, [""; 0]);

    let shown = async || -> Vec<String> {
        let places = store.places().await.unwrap();
        let places = places.iter();
        places
            .map(|(target, region)| format!("{target} {region}"))
            .collect()
    };
    let all = [
        "p3.13 eu-west-1",
        "p3.13 us-east-1",
        "p3.13-arm64 us-east-1",
    ];
    assert_eq!(shown().await, all);
    let gone = named("a", "p3.13", "eu-west-1");
    let regions = [gone.region.clone()];
    let retired = store.retire(&gone.layer, gone.target, Some(&regions), at(9));
    assert_eq!(retired.await.unwrap(), 1);
    assert_eq!(shown().await, all[1..]);
    store.mark_deleted(&[arn(&newer, 9)]).await.unwrap();
    assert_eq!(live("p3.13", "us-east-1").await, ["b 1"]);
}

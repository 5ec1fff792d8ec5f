//! SQLite's store: what every store does, and what comes of being a file that processes share.

use super::{SqliteStore, builds, deliveries, layer_versions, lifetimes, listing, runs};
use crate::model::{LayerState, Region, Timestamp};
use crate::store::conformance::{self, arn, at, conformance_tests, delivery, event, key, run};
use crate::store::{Recorded, Store as _};
use std::path::Path;
use std::sync::Barrier;

conformance_tests!(SqliteStore::open_in_memory().unwrap());

#[tokio::test]
async fn everything_moves_into_another_store() {
    let memory = || SqliteStore::open_in_memory().unwrap();
    conformance::everything_moves(&memory(), &memory()).await;
}

/// Runs the work on two threads, each with a store of its own on one file, as two processes would.
fn race<T: Send>(path: &Path, work: impl Fn(&SqliteStore, usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        let racers: Vec<_> = (0..2)
            .map(|racer| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    let store = SqliteStore::open(path).unwrap();
                    work(&store, racer)
                })
            })
            .collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap())
            .collect()
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn two_processes_make_one_file_one_intent_and_one_event() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/store.db");
        let regions = Region::commercial();
        let answers = race(&path, |store, racer| {
            block_on(async {
                let mut recorded = Vec::new();
                let mut intents = Vec::new();
                for (number, region) in regions.iter().enumerate() {
                    let id = format!("{number}-{racer}");
                    let event = event(&format!("event {number}"), &id, 0);
                    let delivery = delivery(&id);
                    recorded.push(
                        store
                            .record_delivery(&delivery, Some(&event))
                            .await
                            .unwrap(),
                    );
                    let key = key("zip", region.as_str());
                    let now = Timestamp::from_unix(racer.try_into().unwrap());
                    let begun = store.begin_publish(&key, "1.0", now).await.unwrap();
                    intents.push(begun.version);
                }
                (recorded, intents)
            })
        });
        let [(recorded_a, intents_a), (recorded_b, intents_b)] = &answers[..] else {
            panic!("two racers give two answers");
        };
        assert_eq!(intents_a, intents_b);
        for pair in recorded_a.iter().zip(recorded_b) {
            assert!(
                matches!(
                    pair,
                    (Recorded::New, Recorded::SeenEvent) | (Recorded::SeenEvent, Recorded::New)
                ),
                "{pair:?}"
            );
        }
    }
}

#[test]
fn two_processes_leave_one_version_live() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    race(&path, |store, racer| {
        block_on(async {
            for number in 0..20 {
                let key = key(&format!("zip {racer} {number}"), "us-east-1");
                let version = 100 * racer as u64 + number + 1;
                store.begin_publish(&key, "1.0", at(1)).await.unwrap();
                let arn = arn(&key, version);
                store
                    .mark_live(&key, &arn, &crate::model::Visibility::Public, at(2), at(3))
                    .await
                    .unwrap();
            }
        });
    });
    let versions = block_on(SqliteStore::open(&path).unwrap().layer_versions()).unwrap();
    let live = versions
        .iter()
        .filter(|version| version.state == LayerState::Live)
        .count();
    assert_eq!((versions.len(), live), (40, 1));
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    conformance::conversations(&store).await;
    conformance::journals_keep_the_first_order(&store).await;
    conformance::deliveries_and_events(&store).await;
    conformance::builds_by_fingerprint(&store).await;
    conformance::a_publication(&store).await;
    let versions = store.layer_versions().await.unwrap();
    let builds = store.builds().await.unwrap();
    let steps = store.steps("plan-7").await.unwrap();
    let conversation = store.conversation(7).await.unwrap();
    drop(store);

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.layer_versions().await.unwrap(), versions);
    assert_eq!(store.builds().await.unwrap(), builds);
    assert_eq!(store.steps("plan-7").await.unwrap(), steps);
    assert_eq!(store.conversation(7).await.unwrap(), conversation);
    assert!(conversation.is_some() && !steps.is_empty() && !builds.is_empty());
    let seen = store.record_delivery(&delivery("d1"), None).await.unwrap();
    assert_eq!(seen, Recorded::SeenDelivery);
    assert!(!store.create_run(&run("plan-7", None, 0)).await.unwrap());
}

#[tokio::test]
async fn deliveries_go_after_a_while_unless_something_waits() {
    let store = SqliteStore::open_in_memory().unwrap();
    let record = async |id: &str, days: u32| {
        let (mut delivery, mut event) = (delivery(id), event(id, id, 0));
        delivery.received_at = at(0).plus_days(days);
        event.received_at = delivery.received_at;
        let recorded = store.record_delivery(&delivery, Some(&event)).await;
        assert_eq!(recorded.unwrap(), Recorded::New);
    };
    record("finished", 0).await;
    record("waiting", 0).await;
    store.finish_event("finished", "run plan-7").await.unwrap();
    record("younger", 90).await;
    for id in ["finished", "waiting", "younger"] {
        assert!(store.has_delivery(id).await.unwrap(), "{id}");
    }
    record("youngest", 91).await;
    assert!(!store.has_delivery("finished").await.unwrap());
    let waiting = store.waiting_events(9).await.unwrap();
    let waiting: Vec<&str> = waiting.iter().map(|event| event.key.as_str()).collect();
    assert_eq!(waiting, ["waiting", "younger", "youngest"]);
    // Told of once more, it is news once more.
    record("finished", 91).await;
}

/// With two million versions, reading every row takes seconds.
#[tokio::test]
async fn what_is_asked_for_is_found_by_an_index() {
    let store = SqliteStore::open_in_memory().unwrap();
    let version = |tail: &str| {
        let version = layer_versions::VERSION;
        format!("SELECT * FROM layer_versions WHERE {version}{tail}")
    };
    for sql in [
        layer_versions::OF_LAYER.to_owned(),
        listing::LIVE_IN.replace("?2", "'us-east-1'"),
        layer_versions::PLACE_AFTER.replace("?2", "'us-east-1'"),
        builds::of_layer(),
        lifetimes::SHARED_OTHERWISE.to_owned(),
        lifetimes::SHARED_OTHERWISE_OF.replace("?2", "'pandas'"),
        deliveries::OLD.replace("?2", "10"),
        runs::old().replace("?2", "10").replace("?3", "'apply'"),
        version(""),
        version(" AND state IN ('live', 'deprecated')"),
        version(" AND state = 'deprecated'"),
    ] {
        let asked = sql.clone();
        let steps = store.read(move |tx| {
            let mut explain = tx.prepare(&format!("EXPLAIN QUERY PLAN {asked}"))?;
            let steps = explain.query_map(["x"], |row| row.get::<_, String>("detail"))?;
            Ok(steps.collect::<Result<Vec<_>, _>>()?)
        });
        let steps = steps.await.unwrap();
        assert!(
            steps.iter().any(|step| step.starts_with("SEARCH")),
            "{sql}: {steps:#?}"
        );
        assert!(
            !steps.iter().any(|step| step.starts_with("SCAN")),
            "{sql}: {steps:#?}"
        );
    }
}

#[test]
fn a_file_that_is_no_store_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(
        &path,
        "not a database, but long enough to look at: ".repeat(50),
    )
    .unwrap();
    let error = format!("{:#}", SqliteStore::open(&path).unwrap_err());
    assert!(
        error.contains("store.db") && error.contains("not a database"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn others_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/store.db");
    let store = SqliteStore::open(&path).unwrap();
    block_on(store.create_run(&run("plan-7", None, 0))).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
    }
}

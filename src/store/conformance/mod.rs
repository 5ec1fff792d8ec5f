//! What every store does, as tests over `&dyn Store`; each one wants a store with nothing in it.

mod counts;
mod lifetimes;
mod many;
mod moving;
mod notifications;
mod pruning;
mod publications;
mod races;
mod tables;

pub(crate) use counts::what_there_is_is_counted;
pub(crate) use lifetimes::{
    adopting_what_nobody_recorded, intents_are_given_up, intents_are_open_until_it_is_noted,
    runs_by_kind, what_expires_and_what_is_deleted, what_is_for_others_is_not_listed,
    who_may_use_what,
};
pub(crate) use many::{
    large_values, many_messages_at_once, many_pages, many_versions_at_once, order_within_a_second,
};
pub(crate) use moving::everything_moves;
pub(crate) use notifications::{messages_wait_for_their_time, news_are_written_with_the_change};
pub(crate) use pruning::runs_that_ended_long_ago_are_removed;
pub(crate) use publications::{
    a_publication, adopting_a_deprecated_version, live_versions_by_place, order_of_layer_versions,
    racing_intents, retiring, rolling_back, turns_are_taken_one_after_the_other,
    wrong_calls_change_nothing,
};
pub(crate) use races::{one_of_many_versions_is_live, one_of_many_wins};
pub(crate) use tables::tables_are_behind;

use super::{Recorded, Store};
use crate::model::{
    Artifact, BuildRecord, BuildReport, Conversation, Delivery, Digest, Event, LayerArn, LayerName,
    Lock, Run, RunKind, RunState, SlotKey, StepRecord, StepState, Timestamp,
};
use publications::publish;
use serde_json::json;

/// Makes a test of every function here for a store that an expression makes, or, `within` a test, calls one after the
/// other.
macro_rules! conformance_tests {
    (within $fresh:expr) => { $crate::store::conformance::conformance_tests!(list within $fresh) };
    (list $how:ident $fresh:expr) => {
        $crate::store::conformance::conformance_tests!($how $fresh;
            deliveries_and_events, events_wait_oldest_first, runs_end_once, journals_keep_the_first_order,
            conversations, builds_by_fingerprint, builds_that_count, a_publication, rolling_back,
            adopting_a_deprecated_version, retiring, order_of_layer_versions, wrong_calls_change_nothing,
            racing_intents, turns_are_taken_one_after_the_other, what_expires_and_what_is_deleted,
            who_may_use_what, what_is_for_others_is_not_listed, adopting_what_nobody_recorded, intents_are_given_up,
            intents_are_open_until_it_is_noted, runs_by_kind,
            news_are_written_with_the_change, messages_wait_for_their_time, zips_that_were_deleted,
            live_versions_by_place, order_within_a_second, a_step_of_no_run,
            large_values, many_pages, many_versions_at_once, many_messages_at_once,
            one_of_many_wins, one_of_many_versions_is_live, what_there_is_is_counted,
            tables_are_behind, runs_that_ended_long_ago_are_removed);
    };
    (each $fresh:expr; $($name:ident),*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            let store = $fresh;
            $crate::store::conformance::$name(&store).await;
        }
    )* };
    (within $fresh:expr; $($name:ident),*) => { $(
        let store = $fresh;
        $crate::store::conformance::$name(&store).await;
    )* };
    ($fresh:expr) => { $crate::store::conformance::conformance_tests!(list each $fresh); };
}
pub(crate) use conformance_tests;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + seconds)
}

pub(crate) fn delivery(id: &str) -> Delivery {
    Delivery {
        id: id.to_owned(),
        event: "pull_request".to_owned(),
        body: r#"{"number":7}"#.to_owned(),
        received_at: at(0),
    }
}

pub(crate) fn event(key: &str, delivery: &str, seconds: i64) -> Event {
    Event {
        key: key.to_owned(),
        delivery: delivery.to_owned(),
        payload: json!({"number": 7, "text": "ümläut \u{0}"}),
        received_at: at(seconds),
    }
}

pub(crate) fn run(id: &str, pull_request: Option<u64>, seconds: i64) -> Run {
    Run {
        id: id.to_owned(),
        kind: RunKind::Plan,
        pull_request,
        head_sha: "a".repeat(40),
        base_sha: None,
        state: RunState::Open,
        detail: None,
        created_at: at(seconds),
    }
}

fn step(name: &str, state: StepState, output: u64) -> StepRecord {
    StepRecord {
        run: "plan-7".to_owned(),
        name: name.to_owned(),
        state,
        output: json!({"number": output}),
        started_at: Some(at(-7)),
        finished_at: at(0),
    }
}

pub(crate) fn key(zip: &str, region: &str) -> SlotKey {
    SlotKey {
        layer: "pandas".parse().unwrap(),
        target: "p3.13".parse().unwrap(),
        region: region.parse().unwrap(),
        digest: Digest::of(zip.as_bytes()),
        published_name: "Layersmith-p313-pandas".to_owned(),
    }
}

pub(crate) fn arn(key: &SlotKey, version: u64) -> LayerArn {
    LayerArn {
        region: key.region.clone(),
        account: "123456789012".to_owned(),
        layer: key.published_name.clone(),
        version,
    }
}

pub(crate) fn build(fingerprint: &str, zip: &str, seconds: i64) -> BuildRecord {
    BuildRecord {
        layer: "pandas".parse().unwrap(),
        target: "p3.13".parse().unwrap(),
        fingerprint: Digest::of(fingerprint.as_bytes()),
        version: "2.3.2".to_owned(),
        lock: Lock {
            packages: Vec::new(),
        },
        artifact: Artifact {
            digest: Digest::of(zip.as_bytes()),
            size: 10,
            unzipped_size: 20,
            files: 1,
            pins: Vec::new(),
            report: BuildReport::default(),
        },
        built_at: at(seconds),
    }
}

pub(crate) async fn deliveries_and_events(store: &dyn Store) {
    let first = event("pull_request/7/opened", "d1", 0);
    let record = async |id: &str, event: Option<&Event>| {
        store.record_delivery(&delivery(id), event).await.unwrap()
    };
    assert_eq!(record("d1", Some(&first)).await, Recorded::New);
    assert_eq!(record("d1", Some(&first)).await, Recorded::SeenDelivery);
    let again = Event {
        delivery: "d2".to_owned(),
        ..first.clone()
    };
    assert_eq!(record("d2", Some(&again)).await, Recorded::SeenEvent);
    assert_eq!(record("d3", None).await, Recorded::New);
    for (id, known) in [("d1", true), ("d2", true), ("d3", true), ("d9", false)] {
        assert_eq!(store.has_delivery(id).await.unwrap(), known, "{id}");
    }
    assert_eq!(
        store.waiting_events(10).await.unwrap(),
        std::slice::from_ref(&first)
    );

    store.finish_event(&first.key, "run plan-7").await.unwrap();
    store.finish_event(&first.key, "again").await.unwrap();
    assert_eq!(store.waiting_events(10).await.unwrap(), []);
    assert_eq!(
        record("d4", Some(&event(&first.key, "d4", 9))).await,
        Recorded::SeenEvent
    );
    assert_eq!(store.waiting_events(10).await.unwrap(), []);
}

pub(crate) async fn events_wait_oldest_first(store: &dyn Store) {
    for (key, seconds) in [("b", 2), ("c", 3), ("a", 1), ("same", 3)] {
        let recorded = store
            .record_delivery(&delivery(key), Some(&event(key, key, seconds)))
            .await;
        assert_eq!(recorded.unwrap(), Recorded::New);
    }
    let keys = async |limit| -> Vec<String> {
        let events = store.waiting_events(limit).await.unwrap();
        events.into_iter().map(|event| event.key).collect()
    };
    assert_eq!(keys(10).await, ["a", "b", "c", "same"]);
    assert_eq!(keys(2).await, ["a", "b"]);
    assert_eq!(keys(usize::MAX).await.len(), 4);
}

pub(crate) async fn runs_end_once(store: &dyn Store) {
    let (first, second) = (run("plan-7", Some(7), 1), run("plan-8", Some(7), 2));
    let apply = Run {
        kind: RunKind::Apply,
        base_sha: Some("b".repeat(40)),
        ..run("apply-1", None, 0)
    };
    for run in [&second, &first, &apply] {
        assert!(store.create_run(run).await.unwrap());
    }
    let changed = Run {
        head_sha: "c".repeat(40),
        ..first.clone()
    };
    assert!(!store.create_run(&changed).await.unwrap());
    assert_eq!(store.run("plan-7").await.unwrap(), Some(first.clone()));
    assert_eq!(store.run("plan-9").await.unwrap(), None);
    assert_eq!(
        store.runs_of(7).await.unwrap(),
        [first.clone(), second.clone()]
    );
    assert_eq!(
        store.runs_in(RunState::Open).await.unwrap(),
        [apply.clone(), first.clone(), second]
    );

    let end = async |state, detail| store.end_run("plan-7", state, detail).await.unwrap();
    assert!(end(RunState::Superseded, Some("by plan-8")).await);
    assert!(!end(RunState::Done, None).await);
    assert!(!store.end_run("plan-9", RunState::Done, None).await.unwrap());
    let ended = Run {
        state: RunState::Superseded,
        detail: Some("by plan-8".to_owned()),
        ..first
    };
    assert_eq!(store.runs_in(RunState::Superseded).await.unwrap(), [ended]);
    assert_eq!(store.runs_in(RunState::Open).await.unwrap().len(), 2);
}

pub(crate) async fn journals_keep_the_first_order(store: &dyn Store) {
    store.create_run(&run("plan-7", None, 0)).await.unwrap();
    for step in [
        step("read", StepState::Failed, 1),
        step("build/pandas/p3.13", StepState::Done, 2),
        step("read", StepState::Done, 3),
    ] {
        store.put_step(&step).await.unwrap();
    }
    assert_eq!(
        store.steps("plan-7").await.unwrap(),
        [
            step("read", StepState::Done, 3),
            step("build/pandas/p3.13", StepState::Done, 2)
        ]
    );
    assert_eq!(store.steps("plan-8").await.unwrap(), []);
    let one = async |run, name| store.step(run, name).await.unwrap();
    let read = step("read", StepState::Done, 3);
    assert_eq!(one("plan-7", "read").await, Some(read));
    assert_eq!(one("plan-7", "check").await, None);
    assert_eq!(one("plan-8", "read").await, None);
}

pub(crate) async fn conversations(store: &dyn Store) {
    assert_eq!(store.conversation(7).await.unwrap(), None);
    for comment_id in [None, Some(u64::from(u32::MAX) * 1000)] {
        let conversation = Conversation {
            pull_request: 7,
            comment_id,
            approved_sha: Some("abc".to_owned()),
        };
        store.put_conversation(&conversation).await.unwrap();
        assert_eq!(store.conversation(7).await.unwrap(), Some(conversation));
    }
    assert_eq!(store.conversation(8).await.unwrap(), None);
}

pub(crate) async fn builds_by_fingerprint(store: &dyn Store) {
    let (first, better) = (build("f", "zip 1", 1), build("f", "zip 2", 2));
    let find = async || {
        let fingerprint = Digest::of(b"f");
        let found = store.build(&first.layer, first.target, &fingerprint).await;
        found.unwrap()
    };
    assert_eq!(find().await, None);
    store.put_build(&first).await.unwrap();
    assert_eq!(find().await.as_ref(), Some(&first));
    store.put_build(&better).await.unwrap();
    assert_eq!(find().await.as_ref(), Some(&better));
    assert_eq!(
        store.builds().await.unwrap(),
        [first.clone(), better.clone()],
        "what was superseded is published still"
    );

    // Publishing an older zip once more, or the same one, does not make it the newest.
    store.put_build(&first).await.unwrap();
    assert_eq!(find().await.as_ref(), Some(&better));
    // Building it anew does, and of two that were built in the same second it is the one put last.
    let again = build("f", "zip 1", 2);
    store.put_build(&again).await.unwrap();
    store.put_build(&first).await.unwrap();
    assert_eq!(find().await.as_ref(), Some(&again));
    assert_eq!(
        store.builds().await.unwrap(),
        [better.clone(), again.clone()]
    );

    let mut elsewhere = build("f", "zip 3", 0);
    elsewhere.layer = "numpy".parse().unwrap();
    store.put_build(&elsewhere).await.unwrap();
    let of = async |layers: &[&LayerName]| {
        let layers = layers.iter().map(|layer| (*layer).clone()).collect();
        store.builds_of(&layers).await.unwrap()
    };
    assert_eq!(of(&[&first.layer]).await, [better.clone(), again.clone()]);
    assert_eq!(
        of(&[&first.layer, &elsewhere.layer]).await,
        [elsewhere, better, again]
    );
    assert_eq!(of(&[]).await, []);
}

pub(crate) async fn builds_that_count(store: &dyn Store) {
    let older = build("f1", "zip", 1);
    let newer = build("f2", "zip", 2);
    let other = build("f3", "other zip", 0);
    for build in [&newer, &older, &other] {
        store.put_build(build).await.unwrap();
    }
    let expected = [other, older, newer];
    assert_eq!(store.builds().await.unwrap(), expected);
    publish(store, &key("zip", "us-east-1"), 1, 5).await;
    publish(store, &key("third zip", "us-east-1"), 2, 6).await;
    assert_eq!(store.builds().await.unwrap(), expected);
}

/// A build of a zip that was deleted everywhere is left out, until it is to be published once more.
pub(crate) async fn zips_that_were_deleted(store: &dyn Store) {
    for build in [
        build("f1", "zip", 1),
        build("f2", "zip", 2),
        build("f3", "other zip", 3),
    ] {
        store.put_build(&build).await.unwrap();
    }
    let count = async || store.builds().await.unwrap().len();
    let (here, there) = (key("zip", "us-east-1"), key("zip", "eu-west-1"));
    publish(store, &here, 1, 5).await;
    publish(store, &there, 1, 5).await;
    store.mark_deleted(&[arn(&here, 1)]).await.unwrap();
    assert_eq!(count().await, 3, "it is somewhere still");
    store.mark_deleted(&[arn(&there, 1)]).await.unwrap();
    let left = store.builds().await.unwrap();
    assert_eq!(left, [build("f3", "other zip", 3)]);
    let layers = std::iter::once(left[0].layer.clone()).collect();
    assert_eq!(store.builds_of(&layers).await.unwrap(), left);
    store.begin_publish(&here, "1.0", at(9)).await.unwrap();
    assert_eq!(count().await, 3, "it may be published again");
    store.drop_intent(&here).await.unwrap();
    assert_eq!(count().await, 1);
}

pub(crate) async fn a_step_of_no_run(store: &dyn Store) {
    let error = store.put_step(&step("read", StepState::Done, 1)).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "cannot write step `read` of run `plan-7`"
    );
    assert_eq!(store.steps("plan-7").await.unwrap(), []);
}

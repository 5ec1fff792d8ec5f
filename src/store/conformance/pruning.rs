//! What goes when nobody asks for it any more.

use super::{at, run, step};
use crate::model::{Run, RunKind, RunState, StepRecord, StepState};
use crate::store::{RUNS_KEPT, Store};

/// When the oldest runs were written down, in seconds from the beginning of the others.
const LONG_AGO: i64 = -1_000_000;

async fn write(store: &dyn Store, run: &Run, state: RunState) {
    assert!(store.create_run(run).await.unwrap());
    for name in ["read", "build/pandas/p3.13"] {
        let step = StepRecord {
            run: run.id.clone(),
            ..step(name, StepState::Done, 1)
        };
        store.put_step(&step).await.unwrap();
    }
    if state != RunState::Open {
        assert!(store.end_run(&run.id, state, None).await.unwrap());
    }
}

pub(crate) async fn runs_that_ended_long_ago_are_removed(store: &dyn Store) {
    let ended = [RunState::Done, RunState::Failed, RunState::Superseded];
    let old = |id: &str, pull_request, seconds| run(id, pull_request, LONG_AGO + seconds);
    for (number, state) in (0..).zip(ended) {
        let old = old(&format!("plan-1-{number}"), Some(1), number);
        write(store, &old, state).await;
    }
    let open = old("open", None, 10);
    let answered = old("answered", Some(2), 11);
    let last = Run {
        kind: RunKind::Apply,
        ..old("the only apply", None, 12)
    };
    write(store, &open, RunState::Open).await;
    for kept in [&answered, &last] {
        write(store, kept, RunState::Done).await;
    }
    let prune = async |limit| store.prune_runs(at(0), limit).await.unwrap();
    assert_eq!(prune(10).await, 0, "they are the last ones");

    // By now there are younger ones, of which one is of the second pull request.
    for number in 0..RUNS_KEPT {
        let young = run(&format!("young-{number}"), None, number as i64);
        store.create_run(&young).await.unwrap();
        let done = store.end_run(&young.id, RunState::Done, None);
        assert!(done.await.unwrap());
    }
    store.attach_pull_request("young-0", 2).await.unwrap();
    assert_eq!(prune(2).await, 2, "the oldest first");
    let left: Vec<String> = store
        .runs_of(1)
        .await
        .unwrap()
        .into_iter()
        .map(|run| run.id)
        .collect();
    assert_eq!(left, ["plan-1-2"]);
    assert_eq!(prune(10).await, 1);
    assert_eq!(prune(10).await, 0);
    assert_eq!(store.runs_of(1).await.unwrap(), []);
    assert_eq!(store.steps("plan-1-0").await.unwrap(), []);
    for kept in [&open, &answered, &last] {
        assert_eq!(store.steps(&kept.id).await.unwrap().len(), 2, "{}", kept.id);
        assert!(store.run(&kept.id).await.unwrap().is_some(), "{}", kept.id);
    }
    assert_eq!(store.runs_of(2).await.unwrap().len(), 2);
    let counted: u64 = store.run_counts().await.unwrap().values().sum();
    assert_eq!(counted, RUNS_KEPT as u64 + 3);
    // What went may be written down anew.
    write(store, &old("plan-1-0", Some(1), 20), RunState::Done).await;
    assert_eq!(store.runs_of(1).await.unwrap().len(), 1);
}

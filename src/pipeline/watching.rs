//! How things are, in numbers that somebody may want to be woken by.

use crate::model::{LayerState, Region, RunKind, RunState, Timestamp};
use crate::store::Store;
use crate::telemetry::{Measured, metric};
use std::collections::BTreeSet;

/// Seconds after which an intent should have become a version or been given up: a publish takes minutes, and what a crash
/// left open is taken up when the process starts again.
const IN_DOUBT_AFTER: i64 = 3_600;
/// Applies looked through for one that reached its end.
const RECENT: usize = 50;
/// Events that are counted; more are as bad.
const COUNTED_EVENTS: usize = 10_000;

/// What the store says now. It counts, and reads no row of a layer version but the open intents.
///
/// # Errors
/// When the store cannot be read.
pub async fn gauges(store: &dyn Store, now: Timestamp) -> anyhow::Result<Vec<Measured>> {
    let mut gauges = Vec::new();
    let mut put = |metric, labels: &[&str], value: f64| {
        gauges.push(Measured::new(metric, labels, value));
    };
    let runs = store.run_counts().await?;
    for (word, state) in [
        ("open", RunState::Open),
        ("done", RunState::Done),
        ("failed", RunState::Failed),
        ("superseded", RunState::Superseded),
        ("cancelled", RunState::Cancelled),
    ] {
        let count = runs.get(&state).copied().unwrap_or_default();
        put(&metric::RUNS, &[word], number(count));
    }
    let versions = store.version_counts().await?;
    for (word, state) in [
        ("intent", LayerState::Intent),
        ("live", LayerState::Live),
        ("deprecated", LayerState::Deprecated),
    ] {
        let count = versions.get(&state).copied().unwrap_or_default();
        put(&metric::LAYER_VERSIONS, &[word], number(count));
    }
    let waiting = store.waiting_events(COUNTED_EVENTS).await?.len() as u64;
    put(&metric::EVENTS_WAITING, &[], number(waiting));
    let intents = store.intents().await?;
    let regions: BTreeSet<&Region> = intents.iter().map(|intent| &intent.key.region).collect();
    put(&metric::REGIONS_FAILED, &[], number(regions.len() as u64));
    let is_old = |at: Timestamp| now.unix() - at.unix() > IN_DOUBT_AFTER;
    let in_doubt = intents.iter().filter(|intent| is_old(intent.created_at));
    put(
        &metric::INTENTS_IN_DOUBT,
        &[],
        number(in_doubt.count() as u64),
    );
    let applies = store.runs_of_kind(RunKind::Apply, RECENT).await?;
    let last = applies.iter().find(|run| run.state == RunState::Done);
    if let Some(last) = last {
        let at = u64::try_from(last.created_at.unix()).unwrap_or_default();
        put(&metric::LAST_APPLY, &[], number(at));
    }
    Ok(gauges)
}

/// Exact up to 2^53, which no store holds.
fn number(count: u64) -> f64 {
    count as f64
}

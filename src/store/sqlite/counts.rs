//! How many there are of what, by indexes alone.

use super::columns::from_word;
use crate::model::{LayerState, RunState};
use crate::store::Result;
use rusqlite::Transaction;
use std::collections::BTreeMap;

/// `runs_by_state` has all that it asks for.
pub(super) const RUNS: &str = "SELECT state, count(*) AS count FROM runs GROUP BY state";

/// Each with an index that has rows of that state only. A state of one's own choice, `?1`, would read every row.
pub(super) const VERSIONS: [(LayerState, &str); 3] = [
    (
        LayerState::Intent,
        "SELECT count(*) FROM layer_versions WHERE state = 'intent'",
    ),
    (
        LayerState::Live,
        "SELECT count(*) FROM layer_versions WHERE state = 'live'",
    ),
    (
        LayerState::Deprecated,
        "SELECT count(*) FROM layer_versions WHERE state = 'deprecated'",
    ),
];

pub(super) fn of_runs(tx: &Transaction<'_>) -> Result<BTreeMap<RunState, u64>> {
    tx.prepare_cached(RUNS)?
        .query_and_then([], |row| {
            let count: i64 = row.get("count")?;
            Ok((from_word(row, "state")?, u64::try_from(count)?))
        })?
        .collect()
}

pub(super) fn of_versions(tx: &Transaction<'_>) -> Result<BTreeMap<LayerState, u64>> {
    let mut counts = BTreeMap::new();
    for (state, sql) in VERSIONS {
        let count: i64 = tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        if count > 0 {
            counts.insert(state, u64::try_from(count)?);
        }
    }
    Ok(counts)
}

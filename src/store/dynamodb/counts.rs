//! Counting what lies together in an index, without taking any of it out. Indexes may be a moment behind.

use super::DynamoDbStore;
use super::row::{DEPRECATED, INTENTS, KEPT, SHARED};
use super::runs::in_state;
use super::schema::Index;
use crate::model::{LayerState, RunState};
use crate::store::Result;
use std::collections::BTreeMap;

const RUN_STATES: [RunState; 5] = [
    RunState::Open,
    RunState::Done,
    RunState::Failed,
    RunState::Superseded,
    RunState::Cancelled,
];

pub(super) async fn of_versions(store: &DynamoDbStore) -> Result<BTreeMap<LayerState, u64>> {
    let table = &store.table;
    let intents = table.count(Index::Work, INTENTS).await?;
    let expiring = table.count(Index::Work, DEPRECATED).await?;
    let kept = table.count(Index::Work, KEPT).await?;
    let deprecated = expiring + kept;
    // Whatever others may use is live, or was.
    let usable = table.count(Index::List, SHARED).await?;
    let counts = [
        (LayerState::Intent, intents),
        (LayerState::Live, usable.saturating_sub(deprecated)),
        (LayerState::Deprecated, deprecated),
    ];
    Ok(counts.into_iter().filter(|(_, count)| *count > 0).collect())
}

pub(super) async fn of_runs(store: &DynamoDbStore) -> Result<BTreeMap<RunState, u64>> {
    let mut counts = BTreeMap::new();
    for state in RUN_STATES {
        let count = store.table.count(Index::Work, &in_state(state)?).await?;
        if count > 0 {
            counts.insert(state, count);
        }
    }
    Ok(counts)
}

//! Removing what is no longer asked for: runs that ended long ago, with their journals.
//!
//! The steps go first, so that what breaks off is found again by its run. What their outputs left in the bucket stays there:
//! it is kept by its digest, and something else may have the same.

use super::DynamoDbStore;
use super::changes::Outcome;
use super::item::{Item, Key, text_value, word};
use super::runs::{Placed, listed, of_kind, record};
use super::schema::{self, Index};
use super::table::Range;
use super::write::Write;
use crate::model::{RunKind, RunState, Timestamp};
use crate::store::{RUNS_KEPT, Result};

pub(super) async fn prune(store: &DynamoDbStore, before: Timestamp, limit: usize) -> Result<usize> {
    let mut pruned = 0;
    for kind in RunKind::ALL {
        for key in old(store, kind, before).await? {
            if pruned == limit {
                return Ok(pruned);
            }
            let Some(item) = store.table.get(&key).await? else {
                continue;
            };
            let run = record(&item)?;
            if run.0.state != RunState::Open && !has_younger(store, &run, before).await? {
                pruned += usize::from(remove(store, &run).await?);
            }
        }
    }
    Ok(pruned)
}

/// Where the runs of a kind are that were written down before a time, oldest first, less the last ones of that kind.
async fn old(store: &DynamoDbStore, kind: RunKind, before: Timestamp) -> Result<Vec<Key>> {
    let partition = of_kind(kind)?;
    let look = async |range, limit, forward| {
        let table = &store.table;
        table
            .index(Index::List, &partition, range, limit, forward)
            .await
    };
    let kept = look(Range::All, RUNS_KEPT, false).await?;
    let Some(first_kept) = kept.get(RUNS_KEPT - 1) else {
        return Ok(Vec::new());
    };
    let end = first_kept
        .get("list_at")?
        .min(&before.to_string())
        .to_owned();
    let old = look(Range::Below(end), usize::MAX, true).await?;
    old.iter().map(Item::key).collect()
}

/// Whether the pull request of a run has one that was written down later than `before`: it may be asked for still.
async fn has_younger(store: &DynamoDbStore, run: &Placed, before: Timestamp) -> Result<bool> {
    let Some(number) = run.0.pull_request else {
        return Ok(false);
    };
    let partition = schema::pull_request(number);
    let runs = store.table.query(&partition, "RUN#").await?;
    let last = runs.last().map(Item::key).transpose()?;
    let from = format!("RUN#{before}");
    Ok(last.is_some_and(|last| last.sort >= from))
}

/// Whether it was there, and as it was read.
async fn remove(store: &DynamoDbStore, run: &Placed) -> Result<bool> {
    let (run, sequence) = run;
    let key = schema::run(&run.id);
    let steps = store.table.query(&key.partition, "STEP#").await?;
    let steps = steps.iter().map(Item::key).collect::<Result<Vec<_>>>()?;
    store.table.delete_all(&steps).await?;
    let mut writes = vec![
        Write::delete(key)
            .when("#state = :state")
            .value(":state", text_value(word(run.state)?)),
    ];
    if let Some(listed) = listed(run, *sequence) {
        writes.push(Write::delete(listed.key()?));
    }
    Ok(store.table.transact(writes).await? == Outcome::Done)
}

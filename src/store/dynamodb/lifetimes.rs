//! Layer versions as time passes: who may use them, when they expire, and that they are gone.
//!
//! The indexes say where to look, and may be a moment behind; what is answered is read from the table.

use super::DynamoDbStore;
use super::changes::{Outcome, until_settled};
use super::item::Item;
use super::row::{DEPRECATED, INTENTS, KEPT, Row, SHARED, visibility_word};
use super::schema::{self, Index};
use super::table::Range;
use super::versions::{AT_ONCE, list_layer, row_at, rows_named, rows_of, rows_of_all};
use super::write::Write;
use crate::model::{LayerArn, LayerName, LayerState, LayerVersion, SlotKey, Timestamp, Visibility};
use crate::store::Result;
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::BTreeSet;

/// Comes after every sequence number in a sort key.
const AFTER: &str = "$";

async fn work(store: &DynamoDbStore, partition: &str, range: Range) -> Result<Vec<Row>> {
    let table = &store.table;
    let items = table
        .index(Index::Work, partition, range, usize::MAX, true)
        .await?;
    rows_named(store, &items).await
}

fn versions(rows: Vec<Row>) -> Vec<LayerVersion> {
    rows.into_iter().map(|row| row.version).collect()
}

pub(super) async fn intents(store: &DynamoDbStore) -> Result<Vec<LayerVersion>> {
    let mut rows = work(store, INTENTS, Range::All).await?;
    rows.retain(|row| row.version.state == LayerState::Intent);
    rows.sort_by_key(|row| (row.version.created_at, row.sequence));
    Ok(versions(rows))
}

pub(super) async fn drop_intent(store: &DynamoDbStore, key: &SlotKey) -> Result<bool> {
    let slot = schema::slot(key);
    until_settled("giving an intent up", || async {
        let intent = row_at(store, &slot).await?;
        let Some(intent) = intent.filter(|row| row.version.state == LayerState::Intent) else {
            return Ok(Some(false));
        };
        let writes = vec![intent.unname(slot.clone()), intent.remove()];
        let written = store.table.transact(writes).await?;
        Ok((written == Outcome::Done).then_some(true))
    })
    .await
}

pub(super) async fn note_idle(store: &DynamoDbStore, key: &SlotKey) -> Result<()> {
    let slot = schema::slot(key);
    until_settled("noting that an intent is idle", || async {
        let intent = row_at(store, &slot).await?;
        let is_busy = |row: &Row| row.version.state == LayerState::Intent && !row.is_idle;
        let Some(intent) = intent.filter(is_busy) else {
            return Ok(Some(()));
        };
        let idle = intent.change(|row| row.is_idle = true)?;
        let written = store.table.transact(vec![idle]).await?;
        Ok((written == Outcome::Done).then_some(()))
    })
    .await
}

pub(super) async fn expired(store: &DynamoDbStore, now: Timestamp) -> Result<Vec<LayerVersion>> {
    let until = Range::Below(format!("{now}{AFTER}"));
    let mut rows = work(store, DEPRECATED, until).await?;
    rows.retain(|row| row.is_expired(now));
    rows.sort_by_key(|row| (row.version.expires_at, row.sequence));
    Ok(versions(rows))
}

pub(super) async fn mark_deleted(store: &DynamoDbStore, arns: &[LayerArn]) -> Result<usize> {
    let mut deletions = Vec::new();
    for arn in arns {
        deletions.push(delete(store, arn));
    }
    let deleted: Vec<bool> = futures::stream::iter(deletions)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(deleted.into_iter().filter(|deleted| *deleted).count())
}

async fn delete(store: &DynamoDbStore, arn: &LayerArn) -> Result<bool> {
    let named = schema::arn(arn);
    until_settled("marking a version as deleted", || async {
        let Some(row) = row_at(store, &named).await? else {
            return Ok(Some(false));
        };
        let mut gone = row.clone();
        gone.version.state = LayerState::Deleted;
        let mut writes = vec![
            row.remove(),
            Write::put(gone.item()?),
            Write::put(row.deleted_zip()),
            row.unname(named.clone()),
            row.table_change(),
        ];
        if row.version.state == LayerState::Live {
            writes.push(row.unname(row.slot()));
            writes.push(row.unname(row.live()));
        }
        let written = store.table.transact(writes).await?;
        Ok((written == Outcome::Done).then_some(true))
    })
    .await
}

pub(super) async fn that_may_be_kept(
    store: &DynamoDbStore,
    layers: &[LayerName],
) -> Result<Vec<LayerVersion>> {
    let deprecated = |row: &Row| row.version.state == LayerState::Deprecated;
    let mut kept = work(store, KEPT, Range::All).await?;
    kept.retain(|row| deprecated(row) && row.version.expires_at.is_none());
    kept.sort_by_key(|row| row.sequence);
    for layer in layers {
        let mut rows = rows_of(store, layer).await?;
        rows.retain(|row| deprecated(row) && row.version.expires_at.is_some());
        rows.sort_by_key(|row| row.sequence);
        kept.extend(rows);
    }
    Ok(versions(kept))
}

pub(super) async fn set_expiries(
    store: &DynamoDbStore,
    expiries: &[(LayerArn, Option<Timestamp>)],
) -> Result<()> {
    let mut changes = Vec::new();
    for (arn, expires_at) in expiries {
        changes.push(change(store, arn, |row| {
            if row.version.state == LayerState::Deprecated {
                row.version.expires_at = *expires_at;
            }
        }));
    }
    futures::stream::iter(changes)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

pub(super) async fn record_visibility(
    store: &DynamoDbStore,
    arn: &LayerArn,
    visibility: &Visibility,
) -> Result<()> {
    change(store, arn, |row| row.visibility = Some(visibility.clone())).await
}

/// Changes the version, not deleted, that has an ARN, if there is one.
async fn change(store: &DynamoDbStore, arn: &LayerArn, change: impl Fn(&mut Row)) -> Result<()> {
    let named = schema::arn(arn);
    until_settled("changing a version", || async {
        let Some(row) = row_at(store, &named).await? else {
            return Ok(Some(()));
        };
        let mut changed = row.clone();
        change(&mut changed);
        if changed == row {
            return Ok(Some(()));
        }
        let writes = vec![row.change(&change)?, row.table_change()];
        let written = store.table.transact(writes).await?;
        Ok((written == Outcome::Done).then_some(()))
    })
    .await
}

pub(super) async fn shared_otherwise(
    store: &DynamoDbStore,
    visibility: &Visibility,
    layers: Option<&BTreeSet<LayerName>>,
) -> Result<Vec<(LayerVersion, Option<Visibility>)>> {
    let mut rows = match layers {
        Some(layers) => rows_of_all(store, layers).await?,
        None => listed_otherwise(store, visibility).await?,
    };
    rows.retain(|row| {
        matches!(row.version.state, LayerState::Live | LayerState::Deprecated)
            && row.visibility.as_ref() != Some(visibility)
    });
    rows.sort_by_key(|row| row.sequence);
    // Between the two questions, one may have moved.
    rows.dedup_by_key(|row| row.sequence);
    let answer = rows.into_iter().map(|row| (row.version, row.visibility));
    Ok(answer.collect())
}

/// The versions that the index does not have under a visibility, as they are now.
async fn listed_otherwise(store: &DynamoDbStore, visibility: &Visibility) -> Result<Vec<Row>> {
    let words = BTreeSet::from([visibility_word(Some(visibility))?]);
    let mut rows = Vec::new();
    for items in items_beside(store, &words).await? {
        rows.extend(rows_named(store, &items).await?);
    }
    Ok(rows)
}

/// What the index has of versions beside those under some [words](visibility_word): the items of each range, with nothing but
/// keys.
pub(super) async fn items_beside(
    store: &DynamoDbStore,
    words: &BTreeSet<String>,
) -> Result<Vec<Vec<Item>>> {
    let mut after: Option<String> = None;
    let mut ranges = Vec::new();
    for word in words {
        let until = format!("{word}#");
        ranges.push(match after {
            Some(after) => Range::Between(after, until),
            None => Range::Below(until),
        });
        after = Some(format!("{word}{AFTER}"));
    }
    ranges.push(after.map_or(Range::All, Range::Above));
    let mut found = Vec::new();
    for range in ranges {
        let items = store
            .table
            .index(Index::List, SHARED, range, usize::MAX, true);
        found.push(items.await?);
    }
    Ok(found)
}

pub(super) async fn adopt(
    store: &DynamoDbStore,
    key: &SlotKey,
    version: &str,
    arn: &LayerArn,
    visibility: &Visibility,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool> {
    list_layer(store, &key.layer).await?;
    let row = Row {
        sequence: store.table.next_sequence(1).await?,
        revision: 0,
        version: LayerVersion {
            key: key.clone(),
            state: LayerState::Deprecated,
            arn: Some(arn.clone()),
            version: version.to_owned(),
            created_at: now,
            live_at: Some(now),
            expires_at: Some(expires_at),
        },
        visibility: Some(visibility.clone()),
        is_idle: false,
    };
    let named = Write::put(row.pointer(&schema::arn(arn))).when_absent();
    let writes = vec![named, row.create()?, row.table_change_of_new()];
    let written = store.table.transact(writes).await?;
    Ok(written == Outcome::Done)
}

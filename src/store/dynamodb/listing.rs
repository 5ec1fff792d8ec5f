//! What pages and the read API list.

use super::DynamoDbStore;
use super::item::{Item, Key};
use super::lifetimes::items_beside;
use super::row::{Row, live_in, visibility_word};
use super::schema::{self, Index};
use super::table::Range;
use super::versions::rows_of_all;
use crate::model::{LayerName, LayerVersion, Region, Target, Visibility};
use crate::store::{Result, may_be_listed};
use std::collections::BTreeSet;

pub(super) async fn listed_for(store: &DynamoDbStore) -> Result<Vec<Visibility>> {
    match store.table.get(&schema::listed_for()).await? {
        Some(item) => Ok(serde_json::from_str(item.get("visibilities")?)?),
        None => Ok(Vec::new()),
    }
}

pub(super) async fn list_for(store: &DynamoDbStore, for_whom: &[Visibility]) -> Result<()> {
    let item = Item::new(&schema::listed_for());
    let item = item.text("visibilities", serde_json::to_string(for_whom)?);
    store.table.put_all(vec![item]).await
}

/// The versions that may not be listed, by the keys of their items. They are few: of whose permissions could not be changed.
async fn hidden(store: &DynamoDbStore) -> Result<BTreeSet<Key>> {
    let for_whom = listed_for(store).await?;
    if for_whom.is_empty() {
        return Ok(BTreeSet::new());
    }
    let known = for_whom.iter().map(Some);
    let words = known.chain([None]).map(visibility_word);
    let words = words.collect::<Result<BTreeSet<String>>>()?;
    let items = items_beside(store, &words).await?;
    items.iter().flatten().map(Item::key).collect()
}

pub(super) async fn live_versions_in(
    store: &DynamoDbStore,
    target: Target,
    region: &Region,
) -> Result<Vec<LayerVersion>> {
    let partition = live_in(target, region);
    let live = store
        .table
        .index(Index::Live, &partition, Range::All, usize::MAX, true);
    let (items, hidden) = futures::try_join!(live, hidden(store))?;
    let mut versions = Vec::new();
    for item in &items {
        if !hidden.contains(&item.key()?) {
            versions.push(Row::of(item)?.version);
        }
    }
    versions.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(versions)
}

pub(super) async fn versions_of(
    store: &DynamoDbStore,
    layers: &BTreeSet<LayerName>,
) -> Result<Vec<LayerVersion>> {
    let (mut rows, for_whom) = futures::try_join!(rows_of_all(store, layers), listed_for(store))?;
    rows.retain(|row| may_be_listed(row.visibility.as_ref(), &for_whom));
    Row::sort_by_key(&mut rows);
    Ok(rows.into_iter().map(|row| row.version).collect())
}

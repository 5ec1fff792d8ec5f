//! Layer versions: finding them, and from the intent to publish one until it is retired.

use super::DynamoDbStore;
use super::changes::{Outcome, TRANSACTION_LIMIT, until_settled};
use super::item::{Item, Key};
use super::row::{Row, live_in, target_of};
use super::schema::{self, Index};
use super::table::Range;
use super::write::Write;
use crate::model::{
    LayerArn, LayerName, LayerState, LayerVersion, NewsKind, Region, SlotKey, Target, Timestamp,
    Visibility,
};
use crate::store::{Begun, Earlier, Result};
use anyhow::{bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Queries at once, of one layer each.
pub(super) const AT_ONCE: usize = 8;

/// Every layer that anything was ever written for.
pub(super) async fn layers(store: &DynamoDbStore) -> Result<BTreeSet<LayerName>> {
    let items = store.table.query(schema::LAYERS, "").await?;
    items.iter().map(|item| item.parse("sk")).collect()
}

/// Sees to it that a layer is listed, before the first thing is written for it.
pub(super) async fn list_layer(store: &DynamoDbStore, layer: &LayerName) -> Result<()> {
    let listed = || store.listed.lock().unwrap_or_else(PoisonError::into_inner);
    if listed().contains(layer) {
        return Ok(());
    }
    let item = Item::new(&schema::listed(layer));
    store.table.put_all(vec![item]).await?;
    listed().insert(layer.clone());
    Ok(())
}

/// Sees to it that a place is listed, before something goes live there.
async fn list_place(store: &DynamoDbStore, target: Target, region: &Region) -> Result<()> {
    let place = (target, region.clone());
    let places = || store.places.lock().unwrap_or_else(PoisonError::into_inner);
    if places().contains(&place) {
        return Ok(());
    }
    let item = place_item(target, region);
    store.table.put_all(vec![item]).await?;
    places().insert(place);
    Ok(())
}

/// The item that lists a place.
pub(super) fn place_item(target: Target, region: &Region) -> Item {
    Item::new(&schema::place(target, region))
        .text("target", target)
        .text("region", region)
}

/// The listed places where something is live still.
pub(super) async fn places(store: &DynamoDbStore) -> Result<BTreeSet<(Target, Region)>> {
    let mut looks = Vec::new();
    for item in store.table.query(schema::PLACES, "").await? {
        let (target, region) = (item.parse("target")?, item.parse::<Region>("region")?);
        looks.push(async move {
            let (partition, table) = (live_in(target, &region), &store.table);
            let found = table.index(Index::Live, &partition, Range::All, 1, true);
            let is_empty = found.await?.is_empty();
            Ok::<_, anyhow::Error>((!is_empty).then_some((target, region)))
        });
    }
    let places = futures::stream::iter(looks).buffer_unordered(AT_ONCE);
    let places: Vec<Option<_>> = places.try_collect().await?;
    Ok(places.into_iter().flatten().collect())
}

pub(super) async fn rows_of(store: &DynamoDbStore, layer: &LayerName) -> Result<Vec<Row>> {
    let items = store.table.query(&schema::layer(layer), "V#").await?;
    items.iter().map(Row::of).collect()
}

/// The rows of some layers, in any order.
pub(super) async fn rows_of_all(
    store: &DynamoDbStore,
    layers: &BTreeSet<LayerName>,
) -> Result<Vec<Row>> {
    let mut queries = Vec::new();
    for layer in layers {
        queries.push(rows_of(store, layer));
    }
    let rows: Vec<Vec<Row>> = futures::stream::iter(queries)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(rows.into_iter().flatten().collect())
}

pub(super) async fn list_of(
    store: &DynamoDbStore,
    layers: &BTreeSet<LayerName>,
) -> Result<Vec<LayerVersion>> {
    let mut rows = rows_of_all(store, layers).await?;
    Row::sort_by_key(&mut rows);
    Ok(rows.into_iter().map(|row| row.version).collect())
}

/// Those that were deleted, of some layers or of all.
pub(super) async fn deleted(
    store: &DynamoDbStore,
    of: Option<&BTreeSet<LayerName>>,
) -> Result<Vec<LayerVersion>> {
    let all = match of {
        Some(_) => BTreeSet::new(),
        None => layers(store).await?,
    };
    let queries = of.unwrap_or(&all).iter().map(|layer| async move {
        let items = store.table.query(&schema::gone(layer), "V#").await?;
        let rows = items.iter().map(|item| Ok(Row::of(item)?.version));
        rows.collect::<Result<Vec<_>>>()
    });
    let versions: Vec<Vec<LayerVersion>> = futures::stream::iter(queries.collect::<Vec<_>>())
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(versions.into_iter().flatten().collect())
}

/// The versions that an index names, as they are now.
pub(super) async fn rows_named(store: &DynamoDbStore, items: &[Item]) -> Result<Vec<Row>> {
    let keys = items.iter().map(Item::key).collect::<Result<Vec<_>>>()?;
    let items = store.table.get_all(&keys).await?;
    items.iter().map(Row::of).collect()
}

/// The version that a pointer leads to.
pub(super) async fn row_at(store: &DynamoDbStore, pointer: &Key) -> Result<Option<Row>> {
    until_settled("following a reference", || async {
        let Some(found) = store.table.get(pointer).await? else {
            return Ok(Some(None));
        };
        // Without its row the pointer is gone as well by now.
        let row = store.table.get(&target_of(&found)?).await?;
        Ok(row.as_ref().map(Row::of).transpose()?.map(Some))
    })
    .await
}

pub(super) async fn begin_publish(
    store: &DynamoDbStore,
    key: &SlotKey,
    version: &str,
    now: Timestamp,
) -> Result<Begun> {
    list_layer(store, &key.layer).await?;
    let slot = schema::slot(key);
    until_settled("writing an intent down", || async {
        if let Some(standing) = row_at(store, &slot).await? {
            let earlier = match standing.version.state {
                LayerState::Intent if !standing.is_idle => Earlier::Open,
                LayerState::Intent => {
                    let busy = standing.change(|row| row.is_idle = false)?;
                    if store.table.transact(vec![busy]).await? != Outcome::Done {
                        return Ok(None);
                    }
                    Earlier::Over
                }
                LayerState::Live => Earlier::Over,
                LayerState::Deprecated | LayerState::Deleted => return Ok(None),
            };
            let version = standing.version;
            return Ok(Some(Begun { version, earlier }));
        }
        let intent = Row {
            sequence: store.table.next_sequence(1).await?,
            revision: 0,
            version: LayerVersion {
                key: key.clone(),
                state: LayerState::Intent,
                arn: None,
                version: version.to_owned(),
                created_at: now,
                live_at: None,
                expires_at: None,
            },
            visibility: None,
            is_idle: false,
        };
        let named = Write::put(intent.pointer(&slot)).when_absent();
        let written = store.table.transact(vec![named, intent.create()?]).await?;
        Ok((written == Outcome::Done).then_some(Begun {
            version: intent.version,
            earlier: Earlier::Never,
        }))
    })
    .await
}

pub(super) async fn mark_live(
    store: &DynamoDbStore,
    key: &SlotKey,
    arn: &LayerArn,
    visibility: &Visibility,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    ensure!(
        arn.region == key.region && arn.layer == key.published_name,
        "{arn} is not a version of {} in {}",
        key.published_name,
        key.region
    );
    list_place(store, key.target, &key.region).await?;
    let (slot, named) = (schema::slot(key), schema::arn(arn));
    let live = schema::live(&key.layer, key.target, &key.region);
    until_settled("marking a version as live", || async {
        let intent = row_at(store, &slot).await?;
        let Some(intent) = intent.filter(|row| row.version.state == LayerState::Intent) else {
            return already_live(store, key, arn).await.map(Some);
        };
        let (superseded, earlier) = tokio::try_join!(row_at(store, &live), row_at(store, &named))?;
        let published = intent.change(|row| {
            row.version.state = LayerState::Live;
            row.version.arn = Some(arn.clone());
            row.version.live_at = Some(now);
            row.visibility = Some(visibility.clone());
        })?;
        let mut writes = vec![published];
        let sequence = store.table.next_sequence(2).await?;
        let put_live = Write::put(intent.pointer(&live));
        writes.push(match &superseded {
            Some(superseded) => superseded.named(put_live),
            None => put_live.when_absent(),
        });
        if let Some(superseded) = &superseded {
            let deprecated = superseded.change(|row| {
                row.version.state = LayerState::Deprecated;
                row.version.expires_at = Some(expires_at);
            })?;
            writes.push(deprecated);
            writes.push(superseded.unname(superseded.slot()));
            let news = superseded.news(NewsKind::Deprecated, sequence)?;
            writes.push(Write::put(news));
        }
        // An intent may have adopted a version that was deprecated before. One row speaks for a version: were the
        // deprecated one kept, its expiry would delete what is live now.
        let put_named = Write::put(intent.pointer(&named));
        match &earlier {
            Some(earlier) if earlier.version.state == LayerState::Deprecated => {
                writes.push(earlier.remove());
                // Two layers may have the same name in AWS, by turns.
                if !earlier.is_beside(&intent) {
                    writes.push(earlier.table_change());
                }
                writes.push(earlier.named(put_named));
            }
            Some(_) => bail!("{arn} cannot go live: it is live already, with another zip"),
            None => writes.push(put_named.when_absent()),
        }
        let news = intent.news(NewsKind::Published, sequence + 1)?;
        writes.push(Write::put(news));
        writes.push(intent.table_change());
        let written = store.table.transact(writes).await?;
        Ok((written == Outcome::Done).then_some(()))
    })
    .await
}

/// Without an intent there is nothing to do if that version went live before, and something is wrong if not.
async fn already_live(store: &DynamoDbStore, key: &SlotKey, arn: &LayerArn) -> Result<()> {
    let prefix = format!("V#{}#{}#", key.target, key.region);
    let mut known: Option<LayerArn> = None;
    for partition in [schema::gone(&key.layer), schema::layer(&key.layer)] {
        for item in store.table.query(&partition, &prefix).await? {
            let row = Row::of(&item)?;
            if row.version.key != *key {
                continue;
            }
            if row.version.arn.as_ref() == Some(arn) {
                return Ok(());
            }
            known = row.version.arn.or(known);
        }
    }
    match known {
        Some(other) => bail!("{arn} cannot go live: its zip already did as {other}"),
        None => bail!("{arn} cannot go live: nobody wrote down the intent to publish it"),
    }
}

pub(super) async fn retire(
    store: &DynamoDbStore,
    layer: &LayerName,
    target: Target,
    regions: Option<&[Region]>,
    expires_at: Timestamp,
) -> Result<usize> {
    /// What one version takes part in a transaction with.
    const EACH: usize = 5;
    let retired = AtomicUsize::new(0);
    until_settled("retiring a layer", || async {
        let (partition, prefix) = (schema::layer(layer), schema::live_of(target));
        let mut pointers = Vec::new();
        for pointer in store.table.query(&partition, &prefix).await? {
            let region: Region = pointer.key()?.sort[prefix.len()..].parse()?;
            if regions.is_none_or(|regions| regions.contains(&region)) {
                pointers.push(target_of(&pointer)?);
            }
        }
        let mut rows = Vec::new();
        for item in store.table.get_all(&pointers).await? {
            rows.push(Row::of(&item)?);
        }
        rows.retain(|row| row.version.state == LayerState::Live);
        rows.sort_by_key(|row| row.sequence);
        for rows in rows.chunks(TRANSACTION_LIMIT / EACH) {
            let count = u64::try_from(rows.len())?;
            let first = store.table.next_sequence(count).await?;
            let mut writes = Vec::new();
            for (row, sequence) in rows.iter().zip(first..) {
                writes.push(row.change(|row| {
                    row.version.state = LayerState::Deprecated;
                    row.version.expires_at = Some(expires_at);
                })?);
                writes.push(row.unname(row.slot()));
                writes.push(row.unname(row.live()));
                let news = row.news(NewsKind::Deprecated, sequence)?;
                writes.push(Write::put(news));
                writes.push(row.table_change());
            }
            if store.table.transact(writes).await? != Outcome::Done {
                return Ok(None);
            }
            retired.fetch_add(rows.len(), Ordering::Relaxed);
        }
        Ok(Some(()))
    })
    .await?;
    Ok(retired.into_inner())
}

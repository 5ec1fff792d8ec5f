//! What was built from what.

use super::DynamoDbStore;
use super::changes::{Outcome, until_settled};
use super::item::{Item, number_value};
use super::schema;
use super::tables::change_of_build;
use super::versions::{AT_ONCE, list_layer, rows_of};
use super::write::Write;
use crate::model::{BuildRecord, Digest, LayerName, Target, Timestamp};
use crate::store::Result;
use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::BTreeSet;

/// A build, with its place among those of the same second.
type Placed = ((Timestamp, u64), BuildRecord);

pub(super) async fn item(
    store: &DynamoDbStore,
    build: &BuildRecord,
    sequence: u64,
) -> Result<Item> {
    let key = schema::build(
        &build.layer,
        build.target,
        &build.fingerprint,
        &build.artifact.digest,
    );
    let item = Item::new(&key)
        .number("sequence", sequence)
        .text("built_at", build.built_at);
    let body = serde_json::to_string(build)?;
    store.bodies.pack(item, &body).await
}

pub(super) async fn record(store: &DynamoDbStore, item: &Item) -> Result<BuildRecord> {
    let body = store.bodies.unpack(item).await?;
    serde_json::from_str(&body).context("a build in the store")
}

pub(super) async fn put(store: &DynamoDbStore, build: &BuildRecord) -> Result<()> {
    list_layer(store, &build.layer).await?;
    let new = item(store, build, 0).await?;
    let key = new.key()?;
    until_settled("writing a build down", || async {
        let known = store.table.get(&key).await?;
        if let Some(known) = &known {
            // A record that is there already is not put anew: publishing an older zip once more does not make it the
            // newest.
            let built_at: Timestamp = known.parse("built_at")?;
            if built_at > build.built_at || record(store, known).await? == *build {
                return Ok(Some(()));
            }
        }
        let sequence = store.table.next_sequence(1).await?;
        let put = Write::put(new.clone().number("sequence", sequence));
        let put = match &known {
            Some(known) => put
                .when("#sequence = :known")
                .value(":known", number_value(known.count::<u64>("sequence")?)),
            None => put.when_absent(),
        };
        let change = change_of_build(&build.layer, build.target, &sequence.to_string());
        let written = store.table.transact(vec![put, Write::put(change)]).await?;
        Ok((written == Outcome::Done).then_some(()))
    })
    .await
}

pub(super) async fn get(
    store: &DynamoDbStore,
    layer: &LayerName,
    target: Target,
    fingerprint: &Digest,
) -> Result<Option<BuildRecord>> {
    let prefix = schema::builds_with(target, fingerprint);
    let items = store.table.query(&schema::layer(layer), &prefix).await?;
    let mut newest: Option<(Timestamp, u64, &Item)> = None;
    for item in &items {
        let place = (item.parse("built_at")?, item.count("sequence")?);
        if newest.is_none_or(|(at, sequence, _)| place > (at, sequence)) {
            newest = Some((place.0, place.1, item));
        }
    }
    match newest {
        Some((_, _, item)) => Ok(Some(record(store, item).await?)),
        None => Ok(None),
    }
}

/// The builds of a layer of which something remains, oldest first: their zip was never published, or is somewhere still.
async fn publishable(store: &DynamoDbStore, layer: &LayerName) -> Result<Vec<Placed>> {
    let partition = schema::layer(layer);
    let (items, gone) = tokio::try_join!(
        store.table.query(&partition, "B#"),
        store.table.query(&partition, "G#")
    )?;
    let gone: BTreeSet<String> = gone
        .iter()
        .map(|item| Ok(item.key()?.sort))
        .collect::<Result<_>>()?;
    let remaining: BTreeSet<String> = if gone.is_empty() {
        BTreeSet::new()
    } else {
        let rows = rows_of(store, layer).await?;
        let zips = rows.iter().map(|row| row.deleted_zip().key());
        zips.map(|key| Ok(key?.sort)).collect::<Result<_>>()?
    };
    let mut builds = Vec::new();
    for item in &items {
        let build = record(store, item).await?;
        let zip = schema::deleted_zip(layer, build.target, &build.artifact.digest).sort;
        if !gone.contains(&zip) || remaining.contains(&zip) {
            builds.push(((build.built_at, item.count("sequence")?), build));
        }
    }
    builds.sort_by_key(|(place, _)| *place);
    Ok(builds)
}

/// Those of some layers; the layers one after the other.
pub(super) async fn publishable_of(
    store: &DynamoDbStore,
    layers: &BTreeSet<LayerName>,
) -> Result<Vec<BuildRecord>> {
    let builds = of_layers(store, layers).await?;
    Ok(builds.into_iter().map(|(_, build)| build).collect())
}

/// Every build of which something remains, oldest first.
pub(super) async fn all_publishable(store: &DynamoDbStore) -> Result<Vec<BuildRecord>> {
    let layers = super::versions::layers(store).await?;
    let mut builds = of_layers(store, &layers).await?;
    builds.sort_by_key(|(place, _)| *place);
    Ok(builds.into_iter().map(|(_, build)| build).collect())
}

async fn of_layers(store: &DynamoDbStore, layers: &BTreeSet<LayerName>) -> Result<Vec<Placed>> {
    let mut queries = Vec::new();
    for layer in layers {
        queries.push(publishable(store, layer));
    }
    let builds: Vec<Vec<Placed>> = futures::stream::iter(queries)
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(builds.into_iter().flatten().collect())
}

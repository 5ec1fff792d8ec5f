//! Layer versions, from the intent to publish one until it is retired.

use super::columns::{from_word, get, optional_text, optional_time, text, time};
use crate::model::{
    LayerArn, LayerName, LayerState, LayerVersion, Region, SlotKey, Target, Timestamp, Visibility,
};
use crate::store::{Begun, Earlier, Result};
use anyhow::{Context as _, bail, ensure};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use std::collections::BTreeSet;

/// Picks a key's rows; goes with [`parameters`].
pub(super) const KEY: &str =
    "layer = ?1 AND target = ?2 AND region = ?3 AND digest = ?4 AND published_name = ?5";

/// Picks the row that speaks for an ARN, `?1`. The condition on the state is the index' own: without it, SQLite reads
/// every row.
pub(super) const VERSION: &str = "arn = ?1 AND state <> 'deleted'";

/// Every row, in the order it was written.
const ALL: &str = "SELECT * FROM layer_versions WHERE state <> 'deleted' ORDER BY sequence";

/// Those of the layer `?1`. One statement for both, `?1 IS NULL OR layer = ?1`, would read every row.
pub(super) const OF_LAYER: &str =
    "SELECT * FROM layer_versions WHERE layer = ?1 AND state <> 'deleted' ORDER BY sequence";

pub(super) fn list(tx: &Transaction<'_>) -> Result<Vec<LayerVersion>> {
    let versions = tx
        .prepare_cached(ALL)?
        .query_and_then([], version)?
        .collect::<Result<Vec<_>>>()?;
    Ok(sorted(versions))
}

pub(super) fn list_of(
    tx: &Transaction<'_>,
    layers: &BTreeSet<LayerName>,
) -> Result<Vec<LayerVersion>> {
    let mut of_layer = tx.prepare_cached(OF_LAYER)?;
    let mut versions = Vec::new();
    for layer in layers {
        for row in of_layer.query_and_then([layer.as_str()], version)? {
            versions.push(row?);
        }
    }
    Ok(sorted(versions))
}

/// Those of some layers, where they are given.
pub(super) fn deleted(
    tx: &Transaction<'_>,
    layers: Option<&BTreeSet<LayerName>>,
) -> Result<Vec<LayerVersion>> {
    let Some(layers) = layers else {
        return tx
            .prepare_cached("SELECT * FROM layer_versions WHERE state = 'deleted'")?
            .query_and_then([], version)?
            .collect();
    };
    let mut of_layer =
        tx.prepare_cached("SELECT * FROM layer_versions WHERE layer = ?1 AND state = 'deleted'")?;
    let mut versions = Vec::new();
    for layer in layers {
        for row in of_layer.query_and_then([layer.as_str()], version)? {
            versions.push(row?);
        }
    }
    Ok(versions)
}

/// The first place after a target `?1` and a region `?2`, in the order of the index.
pub(super) const PLACE_AFTER: &str = "
    SELECT target, region FROM layer_versions
    WHERE state = 'live' AND (target, region) > (?1, ?2) ORDER BY target, region LIMIT 1";

fn place(row: &Row<'_>) -> Result<(Target, Region)> {
    Ok((text(row, "target")?, text(row, "region")?))
}

/// From place to place, past all of each.
pub(super) fn places(tx: &Transaction<'_>) -> Result<BTreeSet<(Target, Region)>> {
    let mut next = tx.prepare_cached(PLACE_AFTER)?;
    let mut places = BTreeSet::new();
    let mut last = (String::new(), String::new());
    while let Some(place) = next
        .query_and_then([&last.0, &last.1], place)?
        .next()
        .transpose()?
    {
        last = (place.0.to_string(), place.1.to_string());
        places.insert(place);
    }
    Ok(places)
}

/// The order is that of the type, not of its text, then by age; a stable sort keeps the order of writing among equals.
pub(super) fn sorted(mut versions: Vec<LayerVersion>) -> Vec<LayerVersion> {
    versions.sort_by(|a, b| (&a.key, a.created_at).cmp(&(&b.key, b.created_at)));
    versions
}

pub(super) fn begin_publish(
    tx: &Transaction<'_>,
    key: &SlotKey,
    version_text: &str,
    now: Timestamp,
) -> Result<Begun> {
    let standing = tx
        .prepare_cached(&format!(
            "SELECT * FROM layer_versions WHERE {KEY} AND state IN ('intent', 'live')"
        ))?
        .query_and_then(parameters(key), |row| {
            Ok::<_, anyhow::Error>((version(row)?, get::<bool>(row, "is_idle")?))
        })?
        .next()
        .transpose()?;
    if let Some((version, is_idle)) = standing {
        let is_open = version.state == LayerState::Intent && !is_idle;
        set_idle(tx, key, false)?;
        let earlier = if is_open {
            Earlier::Open
        } else {
            Earlier::Over
        };
        return Ok(Begun { version, earlier });
    }
    let [layer, target, region, digest, published_name] = parameters(key);
    let intent = tx
        .prepare_cached(
            "INSERT INTO layer_versions (layer, target, region, digest, published_name, state, version, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 'intent', ?6, ?7) RETURNING *",
        )?
        .query_and_then(
            params![layer, target, region, digest, published_name, version_text, now.unix()],
            version,
        )?
        .next()
        .context("the store did not say what it wrote")?;
    Ok(Begun {
        version: intent?,
        earlier: Earlier::Never,
    })
}

/// Says of an intent whether nothing can be at work for it.
pub(super) fn set_idle(tx: &Transaction<'_>, key: &SlotKey, is_idle: bool) -> Result<()> {
    let [layer, target, region, digest, published_name] = parameters(key);
    tx.prepare_cached(&format!(
        "UPDATE layer_versions SET is_idle = ?6 WHERE {KEY} AND state = 'intent' AND is_idle <> ?6"
    ))?
    .execute(params![
        layer,
        target,
        region,
        digest,
        published_name,
        is_idle
    ])?;
    Ok(())
}

pub(super) fn mark_live(
    tx: &Transaction<'_>,
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
    let intent: Option<i64> = tx
        .query_row(
            &format!("SELECT sequence FROM layer_versions WHERE {KEY} AND state = 'intent'"),
            parameters(key),
            |row| row.get(0),
        )
        .optional()?;
    let Some(intent) = intent else {
        return already_live(tx, key, arn);
    };
    // An intent may have adopted a version that was deprecated before. One row speaks for a version: were the
    // deprecated one kept, its expiry would delete what is live now.
    tx.execute(
        &format!("DELETE FROM layer_versions WHERE {VERSION} AND state = 'deprecated'"),
        [arn.to_string()],
    )?;
    let [layer, target, region, ..] = parameters(key);
    tx.execute(
        "UPDATE layer_versions SET state = 'deprecated', expires_at = ?4
         WHERE layer = ?1 AND target = ?2 AND region = ?3 AND state = 'live'",
        params![layer, target, region, expires_at.unix()],
    )?;
    tx.execute(
        "UPDATE layer_versions SET state = 'live', arn = ?2, live_at = ?3, visibility = ?4 WHERE sequence = ?1",
        params![
            intent,
            arn.to_string(),
            now.unix(),
            serde_json::to_string(visibility)?
        ],
    )?;
    Ok(())
}

/// Without an intent there is nothing to do if that version went live before, and something is wrong if not.
fn already_live(tx: &Transaction<'_>, key: &SlotKey, arn: &LayerArn) -> Result<()> {
    let arns: Vec<LayerArn> = tx
        .prepare_cached(&format!(
            "SELECT arn FROM layer_versions WHERE {KEY} AND arn IS NOT NULL"
        ))?
        .query_and_then(parameters(key), |row| text(row, "arn"))?
        .collect::<Result<_>>()?;
    if arns.contains(arn) {
        return Ok(());
    }
    match arns.last() {
        Some(other) => bail!("{arn} cannot go live: its zip already did as {other}"),
        None => bail!("{arn} cannot go live: nobody wrote down the intent to publish it"),
    }
}

pub(super) fn retire(
    tx: &Transaction<'_>,
    layer: &LayerName,
    target: Target,
    regions: Option<&[Region]>,
    expires_at: Timestamp,
) -> Result<usize> {
    let mut retire = tx.prepare_cached(
        "UPDATE layer_versions SET state = 'deprecated', expires_at = ?4
         WHERE layer = ?1 AND target = ?2 AND (?3 IS NULL OR region = ?3) AND state = 'live'",
    )?;
    let (layer, target) = (layer.as_str(), target.to_string());
    let mut retire_in =
        |region: Option<&str>| retire.execute(params![layer, target, region, expires_at.unix()]);
    let Some(regions) = regions else {
        return Ok(retire_in(None)?);
    };
    let mut retired = 0;
    for region in regions {
        retired += retire_in(Some(region.as_str()))?;
    }
    Ok(retired)
}

pub(super) fn parameters(key: &SlotKey) -> [String; 5] {
    [
        key.layer.to_string(),
        key.target.to_string(),
        key.region.to_string(),
        key.digest.to_string(),
        key.published_name.clone(),
    ]
}

/// A row of the table as the value it stands for.
pub(super) fn version(row: &Row<'_>) -> Result<LayerVersion> {
    Ok(LayerVersion {
        key: SlotKey {
            layer: text(row, "layer")?,
            target: text(row, "target")?,
            region: text(row, "region")?,
            digest: text(row, "digest")?,
            published_name: get(row, "published_name")?,
        },
        state: from_word(row, "state")?,
        arn: optional_text(row, "arn")?,
        version: get(row, "version")?,
        created_at: time(row, "created_at")?,
        live_at: optional_time(row, "live_at")?,
        expires_at: optional_time(row, "expires_at")?,
    })
}

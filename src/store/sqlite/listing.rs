//! What pages and the read API list.

use super::columns::get;
use super::layer_versions::{sorted, version};
use crate::model::{LayerName, LayerVersion, Region, Target, Visibility};
use crate::store::{Result, may_be_listed};
use rusqlite::{OptionalExtension as _, Row, Transaction};
use std::collections::BTreeSet;

pub(super) fn listed_for(tx: &Transaction<'_>) -> Result<Vec<Visibility>> {
    let noted: Option<String> = tx
        .query_row("SELECT visibilities FROM listed_for", [], |row| row.get(0))
        .optional()?;
    Ok(match noted {
        Some(text) => serde_json::from_str(&text)?,
        None => Vec::new(),
    })
}

pub(super) fn list_for(tx: &Transaction<'_>, for_whom: &[Visibility]) -> Result<()> {
    tx.execute(
        "INSERT OR REPLACE INTO listed_for (only, visibilities) VALUES (1, ?1)",
        [serde_json::to_string(for_whom)?],
    )?;
    Ok(())
}

/// The live ones of a target `?1` in a region `?2`.
pub(super) const LIVE_IN: &str =
    "SELECT * FROM layer_versions WHERE target = ?1 AND region = ?2 AND state = 'live'";

pub(super) fn live_in(
    tx: &Transaction<'_>,
    target: Target,
    region: &Region,
) -> Result<Vec<LayerVersion>> {
    let for_whom = listed_for(tx)?;
    let mut versions = Vec::new();
    let mut live = tx.prepare_cached(LIVE_IN)?;
    for row in live.query_and_then([target.to_string().as_str(), region.as_str()], |row| {
        listed(row, &for_whom)
    })? {
        versions.extend(row?);
    }
    Ok(sorted(versions))
}

pub(super) fn versions_of(
    tx: &Transaction<'_>,
    layers: &BTreeSet<LayerName>,
) -> Result<Vec<LayerVersion>> {
    let for_whom = listed_for(tx)?;
    let mut versions = Vec::new();
    let mut of_layer =
        tx.prepare_cached("SELECT * FROM layer_versions WHERE layer = ?1 AND state <> 'deleted'")?;
    for layer in layers {
        for row in of_layer.query_and_then([layer.as_str()], |row| listed(row, &for_whom))? {
            versions.extend(row?);
        }
    }
    Ok(sorted(versions))
}

/// The version in a row, if it may be listed.
fn listed(row: &Row<'_>, for_whom: &[Visibility]) -> Result<Option<LayerVersion>> {
    let known = get::<Option<String>>(row, "visibility")?;
    let known = known.map(|text| serde_json::from_str(&text)).transpose()?;
    let version = may_be_listed(known.as_ref(), for_whom).then(|| version(row));
    version.transpose()
}

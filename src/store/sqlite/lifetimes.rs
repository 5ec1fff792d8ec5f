//! Layer versions as time passes: who may use them, when they expire, and that they are gone.

use super::columns::{get, time};
use super::layer_versions::{KEY, VERSION, parameters, version};
use crate::model::{LayerArn, LayerName, LayerVersion, SlotKey, Timestamp, Visibility};
use crate::store::Result;
use rusqlite::{Row, Transaction, params};
use std::collections::BTreeSet;

pub(super) fn intents(tx: &Transaction<'_>) -> Result<Vec<LayerVersion>> {
    tx.prepare_cached(
        "SELECT * FROM layer_versions WHERE state = 'intent' ORDER BY created_at, sequence",
    )?
    .query_and_then([], version)?
    .collect()
}

pub(super) fn drop_intent(tx: &Transaction<'_>, key: &SlotKey) -> Result<bool> {
    let dropped = tx.execute(
        &format!("DELETE FROM layer_versions WHERE {KEY} AND state = 'intent'"),
        parameters(key),
    )?;
    Ok(dropped == 1)
}

pub(super) fn expired(tx: &Transaction<'_>, now: Timestamp) -> Result<Vec<LayerVersion>> {
    tx.prepare_cached(
        "SELECT * FROM layer_versions WHERE state = 'deprecated' AND expires_at <= ?1
         ORDER BY expires_at, sequence",
    )?
    .query_and_then([now.unix()], version)?
    .collect()
}

pub(super) fn mark_deleted(tx: &Transaction<'_>, arns: &[LayerArn]) -> Result<usize> {
    let mut delete = tx.prepare_cached(&format!(
        "UPDATE layer_versions SET state = 'deleted' WHERE {VERSION} AND state IN ('live', 'deprecated')",
    ))?;
    let mut deleted = 0;
    for arn in arns {
        deleted += delete.execute([arn.to_string()])?;
    }
    Ok(deleted)
}

pub(super) fn that_may_be_kept(
    tx: &Transaction<'_>,
    layers: &[LayerName],
) -> Result<Vec<LayerVersion>> {
    let mut found = tx
        .prepare_cached(
            "SELECT * FROM layer_versions WHERE state = 'deprecated' AND expires_at IS NULL ORDER BY sequence",
        )?
        .query_and_then([], version)?
        .collect::<Result<Vec<_>>>()?;
    let mut of_layer = tx.prepare_cached(
        "SELECT * FROM layer_versions
         WHERE layer = ?1 AND state = 'deprecated' AND expires_at IS NOT NULL ORDER BY sequence",
    )?;
    for layer in layers {
        for row in of_layer.query_and_then([layer.as_str()], version)? {
            found.push(row?);
        }
    }
    Ok(found)
}

pub(super) fn set_expiries(
    tx: &Transaction<'_>,
    expiries: &[(LayerArn, Option<Timestamp>)],
) -> Result<()> {
    let mut set = tx.prepare_cached(&format!(
        "UPDATE layer_versions SET expires_at = ?2 WHERE {VERSION} AND state = 'deprecated'"
    ))?;
    for (arn, expires_at) in expiries {
        set.execute(params![arn.to_string(), expires_at.map(Timestamp::unix)])?;
    }
    Ok(())
}

/// Three ranges of one index, each a statement of its own: a plain `IS NOT`, or one condition with `OR`, would read every
/// row. The condition on the state is the index' own.
pub(super) const SHARED_OTHERWISE: &str = "
    SELECT * FROM layer_versions WHERE state IN ('live', 'deprecated') AND visibility < ?1
    UNION ALL
    SELECT * FROM layer_versions WHERE state IN ('live', 'deprecated') AND visibility > ?1
    UNION ALL
    SELECT * FROM layer_versions WHERE state IN ('live', 'deprecated') AND visibility IS NULL";

/// Those of the layer `?2`.
pub(super) const SHARED_OTHERWISE_OF: &str = "
    SELECT * FROM layer_versions
    WHERE layer = ?2 AND state IN ('live', 'deprecated') AND visibility IS NOT ?1";

pub(super) fn shared_otherwise(
    tx: &Transaction<'_>,
    visibility: &Visibility,
    layers: Option<&BTreeSet<LayerName>>,
) -> Result<Vec<(LayerVersion, Option<Visibility>)>> {
    let visibility = serde_json::to_string(visibility)?;
    let mut rows = Vec::new();
    match layers {
        None => {
            let mut all = tx.prepare_cached(SHARED_OTHERWISE)?;
            for row in all.query_and_then([&visibility], with_visibility)? {
                rows.push(row?);
            }
        }
        Some(layers) => {
            let mut of_layer = tx.prepare_cached(SHARED_OTHERWISE_OF)?;
            for layer in layers {
                let asked = [visibility.as_str(), layer.as_str()];
                for row in of_layer.query_and_then(asked, with_visibility)? {
                    rows.push(row?);
                }
            }
        }
    }
    rows.sort_by_key(|(sequence, _)| *sequence);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// A version by its place, and who may use it.
fn with_visibility(row: &Row<'_>) -> Result<(i64, (LayerVersion, Option<Visibility>))> {
    let known = get::<Option<String>>(row, "visibility")?;
    let known = known.map(|text| serde_json::from_str(&text)).transpose()?;
    Ok((get(row, "sequence")?, (version(row)?, known)))
}

pub(super) fn record_visibility(
    tx: &Transaction<'_>,
    arn: &LayerArn,
    visibility: &Visibility,
) -> Result<()> {
    tx.execute(
        &format!("UPDATE layer_versions SET visibility = ?2 WHERE {VERSION} AND state IN ('live', 'deprecated')"),
        params![arn.to_string(), serde_json::to_string(visibility)?],
    )?;
    Ok(())
}

pub(super) fn adopt(
    tx: &Transaction<'_>,
    key: &SlotKey,
    version_text: &str,
    arn: &LayerArn,
    visibility: &Visibility,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool> {
    let [layer, target, region, digest, published_name] = parameters(key);
    let adopted = tx.execute(
        "INSERT INTO layer_versions
         (layer, target, region, digest, published_name, state, arn, version, created_at, live_at, expires_at, visibility)
         SELECT ?1, ?2, ?3, ?4, ?5, 'deprecated', ?6, ?7, ?8, ?8, ?9, ?10
         WHERE NOT EXISTS (SELECT 1 FROM layer_versions WHERE arn = ?6 AND state <> 'deleted')",
        params![
            layer,
            target,
            region,
            digest,
            published_name,
            arn.to_string(),
            version_text,
            now.unix(),
            expires_at.unix(),
            serde_json::to_string(visibility)?
        ],
    )?;
    Ok(adopted == 1)
}

pub(super) fn first_run_at(tx: &Transaction<'_>) -> Result<Option<Timestamp>> {
    tx.prepare_cached("SELECT created_at FROM runs ORDER BY sequence LIMIT 1")?
        .query_and_then([], |row| time(row, "created_at"))?
        .next()
        .transpose()
}

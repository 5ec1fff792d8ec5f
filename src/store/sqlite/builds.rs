//! What was built from what.

use super::columns::json;
use crate::model::{BuildRecord, Digest, LayerName, Target};
use crate::store::Result;
use rusqlite::{Transaction, params};

pub(super) fn put(tx: &Transaction<'_>, build: &BuildRecord) -> Result<()> {
    // REPLACE gives the record a new sequence: of two that were built in the same second, the one put last is later.
    tx.execute(
        "INSERT OR REPLACE INTO builds (layer, target, fingerprint, digest, built_at, record)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            build.layer.as_str(),
            build.target.to_string(),
            build.fingerprint.to_string(),
            build.artifact.digest.to_string(),
            build.built_at.unix(),
            serde_json::to_string(build)?
        ],
    )?;
    Ok(())
}

pub(super) fn get(
    tx: &Transaction<'_>,
    layer: &LayerName,
    target: Target,
    fingerprint: &Digest,
) -> Result<Option<BuildRecord>> {
    tx.prepare_cached(
        "SELECT record FROM builds WHERE layer = ?1 AND target = ?2 AND fingerprint = ?3",
    )?
    .query_and_then(
        [
            layer.as_str(),
            &target.to_string(),
            &fingerprint.to_string(),
        ],
        |row| json(row, "record"),
    )?
    .next()
    .transpose()
}

/// The latest build for each layer, target and digest, sorted by these, less those whose zip was published and has
/// been deleted everywhere since.
pub(super) fn publishable(tx: &Transaction<'_>) -> Result<Vec<BuildRecord>> {
    tx.prepare_cached(
        "WITH ranked AS (
             SELECT *, row_number() OVER (
                 PARTITION BY layer, target, digest ORDER BY built_at DESC, sequence DESC
             ) AS place
             FROM builds
         ), published AS (
             SELECT layer, target, digest, max(state <> 'deleted') AS remains
             FROM layer_versions GROUP BY layer, target, digest
         )
         SELECT record FROM ranked LEFT JOIN published USING (layer, target, digest)
         WHERE place = 1 AND coalesce(remains, 1)
         ORDER BY layer, target, digest",
    )?
    .query_and_then([], |row| json(row, "record"))?
    .collect()
}

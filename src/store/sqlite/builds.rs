//! What was built from what.

use super::columns::json;
use crate::model::{BuildRecord, Digest, LayerName, Target};
use crate::store::Result;
use rusqlite::{Transaction, params};
use std::collections::BTreeSet;

/// Picks the builds whose zip was never published, or is somewhere still. Each state is looked up on its own, so that
/// versions that were deleted are not read.
const REMAINS: &str = "
    (NOT EXISTS (SELECT 1 FROM layer_versions AS v
                 WHERE v.layer = b.layer AND v.target = b.target AND v.digest = b.digest)
     OR EXISTS (SELECT 1 FROM layer_versions AS v
                WHERE v.layer = b.layer AND v.target = b.target AND v.digest = b.digest
                AND v.state IN ('live', 'deprecated', 'intent')))";

pub(super) fn put(tx: &Transaction<'_>, build: &BuildRecord) -> Result<()> {
    // REPLACE gives the record a new sequence: of two that were built in the same second, the one put last is later. A
    // record that is there already is not put anew: publishing an older zip once more does not make it the newest.
    tx.execute(
        "INSERT OR REPLACE INTO builds (layer, target, fingerprint, digest, built_at, record)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (
             SELECT 1 FROM builds
             WHERE layer = ?1 AND target = ?2 AND fingerprint = ?3 AND digest = ?4
             AND (built_at > ?5 OR record = ?6)
         )",
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
        "SELECT record FROM builds WHERE layer = ?1 AND target = ?2 AND fingerprint = ?3
         ORDER BY built_at DESC, sequence DESC LIMIT 1",
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

/// Every build of which something remains, oldest first.
pub(super) fn publishable(tx: &Transaction<'_>) -> Result<Vec<BuildRecord>> {
    tx.prepare_cached(&all())?
        .query_and_then([], |row| json(row, "record"))?
        .collect()
}

/// Those of some layers; the layers one after the other.
pub(super) fn publishable_of(
    tx: &Transaction<'_>,
    layers: &BTreeSet<LayerName>,
) -> Result<Vec<BuildRecord>> {
    let mut of_layer = tx.prepare_cached(&of_layer())?;
    let mut builds = Vec::new();
    for layer in layers {
        for build in of_layer.query_and_then([layer.as_str()], |row| json(row, "record"))? {
            builds.push(build?);
        }
    }
    Ok(builds)
}

fn all() -> String {
    format!("SELECT record FROM builds AS b WHERE {REMAINS} ORDER BY built_at, sequence")
}

pub(super) fn of_layer() -> String {
    format!(
        "SELECT record FROM builds AS b WHERE layer = ?1 AND {REMAINS} ORDER BY built_at, sequence"
    )
}

//! What the committed tables do not show yet.

use super::columns::{get, text};
use crate::store::{Result, SeenChanges, TableChanges};
use anyhow::Context as _;
use rusqlite::{OptionalExtension as _, Transaction, params};
use std::collections::BTreeSet;

pub(super) fn changes(tx: &Transaction<'_>) -> Result<TableChanges> {
    // From now on, changes are written down.
    tx.execute(
        "INSERT OR IGNORE INTO tables_note (only, sequence) VALUES (1, 0)",
        [],
    )?;
    let mut changes = TableChanges {
        slots: BTreeSet::new(),
        layers: BTreeSet::new(),
        seen: SeenChanges {
            sequence: 0,
            marks: Vec::new(),
        },
        note: tx.query_row("SELECT note FROM tables_note", [], |row| row.get(0))?,
    };
    // It does not fall when changes are removed.
    let sequence: Option<i64> = tx
        .query_row(
            "SELECT seq FROM sqlite_sequence WHERE name = 'table_changes'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    changes.seen.sequence = u64::try_from(sequence.unwrap_or_default())?;
    let mut read = tx.prepare_cached("SELECT layer, target, region FROM table_changes")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let layer = text(row, "layer")?;
        if get::<String>(row, "region")?.is_empty() {
            changes.layers.insert(layer);
        } else {
            let slot = (layer, text(row, "target")?, text(row, "region")?);
            changes.slots.insert(slot);
        }
    }
    Ok(changes)
}

pub(super) fn note(tx: &Transaction<'_>, sequence: u64, note: &str) -> Result<()> {
    let sequence = i64::try_from(sequence).context("more changes than the store can count")?;
    let noted = tx.execute(
        "UPDATE tables_note SET sequence = ?1, note = ?2 WHERE sequence <= ?1",
        params![sequence, note],
    )?;
    if noted == 1 {
        tx.execute("DELETE FROM table_changes WHERE sequence <= ?1", [sequence])?;
    }
    Ok(())
}

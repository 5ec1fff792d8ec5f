//! What the committed tables do not show yet.
//!
//! Each change of what they show puts an item, in the transaction of the change itself, under the name of its place and with
//! a mark that nothing else has. Numbers would not do: two changes may come about in another order than they were given
//! theirs. What a look saw is removed while it has the mark that was seen.

use super::DynamoDbStore;
use super::changes::{Outcome, TRANSACTION_LIMIT};
use super::item::{Item, Key, number_value, text_value};
use super::row::Row;
use super::schema;
use super::write::Write;
use crate::model::{LayerName, Target};
use crate::store::{Result, SeenChanges, TableChanges};
use std::collections::BTreeSet;

impl Row {
    /// Says that what is published at its place changes, with the change that this row is read for: its next one, or its
    /// removal.
    pub(super) fn table_change(&self) -> Write {
        Write::put(self.change_with(&format!("{}.{}", self.sequence, self.revision + 1)))
    }

    /// The same where it is written as a new one.
    pub(super) fn table_change_of_new(&self) -> Write {
        Write::put(self.change_with(&format!("{}.new", self.sequence)))
    }

    /// The item that says so, with a mark of its own.
    pub(super) fn change_with(&self, mark: &str) -> Item {
        let key = &self.version.key;
        Item::new(&self.place())
            .text("layer", &key.layer)
            .text("target", key.target)
            .text("region", &key.region)
            .text("mark", mark)
    }

    fn place(&self) -> Key {
        let key = &self.version.key;
        schema::changed_slot(&key.layer, key.target, &key.region)
    }

    /// Whether tables show it where they show another one.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

/// The item that says that a build is put, with a mark of its own.
pub(super) fn change_of_build(layer: &LayerName, target: Target, mark: &str) -> Item {
    Item::new(&schema::changed_builds(layer, target))
        .text("layer", layer)
        .text("mark", mark)
}

pub(super) async fn changes(store: &DynamoDbStore) -> Result<TableChanges> {
    let mut changes = TableChanges {
        slots: BTreeSet::new(),
        layers: BTreeSet::new(),
        note: None,
        seen: SeenChanges {
            sequence: store.table.next_sequence(1).await?,
            marks: Vec::new(),
        },
    };
    for item in store.table.query(schema::TABLES, "").await? {
        let key = item.key()?;
        if key == schema::tables_note() {
            changes.note = Some(store.bodies.unpack(&item).await?);
            continue;
        }
        let layer = item.parse("layer")?;
        match item.parse_optional("region")? {
            Some(region) => {
                let slot = (layer, item.parse("target")?, region);
                changes.slots.insert(slot);
            }
            None => {
                changes.layers.insert(layer);
            }
        }
        let mark = item.get("mark")?.to_owned();
        changes.seen.marks.push((key.sort, mark));
    }
    Ok(changes)
}

pub(super) async fn note(store: &DynamoDbStore, seen: &SeenChanges, note: &str) -> Result<()> {
    let item = Item::new(&schema::tables_note()).number("sequence", seen.sequence);
    let item = store.bodies.pack(item, note).await?;
    // The note first: what is left when it breaks off after that is rendered once more, which changes nothing.
    let put = Write::put(item)
        .when("attribute_not_exists(#sequence) OR #sequence < :sequence")
        .value(":sequence", number_value(seen.sequence));
    if store.table.transact(vec![put]).await? != Outcome::Done {
        return Ok(());
    }
    for marks in seen.marks.chunks(TRANSACTION_LIMIT) {
        let mut left: Vec<&(String, String)> = marks.iter().collect();
        while !left.is_empty() {
            let deletes = left.iter().map(|(place, mark)| {
                Write::delete(Key::new(schema::TABLES, place.as_str()))
                    .when("#mark = :mark")
                    .value(":mark", text_value(mark))
            });
            let Outcome::Refused(changed) = store.table.transact(deletes.collect()).await? else {
                break;
            };
            // It changed once more since it was seen, or somebody else removed it.
            let places = left.into_iter().enumerate();
            let unchanged = places.filter(|(place, _)| !changed.contains(place));
            left = unchanged.map(|(_, mark)| mark).collect();
        }
    }
    Ok(())
}

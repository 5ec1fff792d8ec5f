//! Everything out of the table, and back into one.

use super::item::{Item, Key, number_value};
use super::row::{Row, target_of};
use super::{DynamoDbStore, builds, deliveries, notifications, runs, schema, tables, versions};
use crate::model::LayerState;
use crate::store::{Page, Record, Result};
use anyhow::Context as _;
use std::collections::BTreeMap;

/// A page of the table that has what a page of everything has.
pub(super) async fn export(store: &DynamoDbStore, after: Option<&str>) -> Result<Page> {
    let after = match after {
        Some(text) => {
            let place: (String, String) =
                serde_json::from_str(text).context("this is no place in the store")?;
            Some(Key::new(place.0, place.1))
        }
        None => {
            notifications::remove_told(store).await?;
            None
        }
    };
    let (items, next) = store.table.scan(after.as_ref()).await?;
    let news: Vec<Item> = items
        .iter()
        .filter(|item| item.find("pk") == Some(schema::NEWS))
        .cloned()
        .collect();
    let told_of = notifications::rows_told_of(store, &news).await?;
    let mut records = Vec::new();
    for item in &items {
        records.extend(record(store, item, &told_of).await?);
    }
    let next = next.map(|key| serde_json::to_string(&(key.partition, key.sort)));
    Ok(Page {
        records,
        next: next.transpose()?,
    })
}

/// What an item records; nothing where it only leads to another one.
async fn record(
    store: &DynamoDbStore,
    item: &Item,
    told_of: &BTreeMap<Key, Row>,
) -> Result<Option<Record>> {
    let key = item.key()?;
    let in_partition = key.partition.split('#').next().unwrap_or_default();
    let sorted = key.sort.split('#').next().unwrap_or_default();
    let sequence = || item.count("sequence");
    Ok(Some(match (in_partition, sorted) {
        ("DELIVERY", _) => Record::Delivery {
            delivery: deliveries::delivery_record(store, item).await?,
        },
        ("EVENT", _) => Record::Event {
            sequence: sequence()?,
            event: deliveries::event_record(store, item).await?,
            outcome: item.find("outcome").map(str::to_owned),
        },
        ("RUN", "RUN") => Record::Run {
            sequence: sequence()?,
            run: runs::record(item)?.0,
        },
        ("RUN", "STEP") => Record::Step {
            sequence: sequence()?,
            step: runs::step_record(store, item).await?,
        },
        ("PULL", "CONVERSATION") => Record::Conversation {
            conversation: deliveries::conversation_record(item)?,
        },
        ("LAYER", "B") => Record::Build {
            sequence: sequence()?,
            build: Box::new(builds::record(store, item).await?),
        },
        ("LAYER" | "GONE", "V") => {
            let row = Row::of(item)?;
            Record::LayerVersion {
                sequence: row.sequence,
                version: row.version,
                visibility: row.visibility,
                is_idle: row.is_idle,
            }
        }
        ("NEWS", _) => match told_of.get(&target_of(item)?) {
            Some(row) => Record::News {
                sequence: sequence()?,
                kind: item.word("kind")?,
                version: row.sequence,
                key: row.version.key.clone(),
            },
            None => return Ok(None),
        },
        ("MESSAGE", _) => Record::Notification {
            sequence: sequence()?,
            notification: notifications::record(store, item).await?,
        },
        _ => return Ok(None),
    }))
}

pub(super) async fn import(store: &DynamoDbStore, records: &[Record]) -> Result<()> {
    let mut items = BTreeMap::new();
    // What leads to a record is written before it: a record that is there is there with all that belongs to it.
    let mut leading = BTreeMap::new();
    let mut last = 0;
    let mark = format!("import.{}", store.table.next_sequence(1).await?);
    for record in records {
        let item = match record {
            Record::Delivery { delivery } => deliveries::delivery_item(store, delivery).await?,
            Record::Event {
                sequence,
                event,
                outcome,
            } => {
                last = last.max(*sequence);
                deliveries::event_item(store, event, outcome.as_deref(), *sequence).await?
            }
            Record::Run { sequence, run } => {
                last = last.max(*sequence);
                if let Some(listed) = runs::listed(run, *sequence) {
                    leading.insert(listed.key()?, listed);
                }
                runs::item(run, *sequence)?
            }
            Record::Step { sequence, step } => {
                last = last.max(*sequence);
                runs::step_item(store, step, *sequence).await?
            }
            Record::Conversation { conversation } => deliveries::conversation_item(conversation),
            Record::Build { sequence, build } => {
                last = last.max(*sequence);
                let listed = schema::listed(&build.layer);
                leading.insert(listed.clone(), Item::new(&listed));
                let change = tables::change_of_build(&build.layer, build.target, &mark);
                leading.insert(change.key()?, change);
                builds::item(store, build, *sequence).await?
            }
            Record::LayerVersion {
                sequence,
                version,
                visibility,
                is_idle,
            } => {
                last = last.max(*sequence);
                let row = Row {
                    sequence: *sequence,
                    revision: 0,
                    version: version.clone(),
                    visibility: visibility.clone(),
                    is_idle: *is_idle,
                };
                for item in leading_to(&row)? {
                    leading.insert(item.key()?, item);
                }
                let change = row.change_with(&mark);
                leading.insert(change.key()?, change);
                row.item()?
            }
            Record::News {
                sequence,
                kind,
                version,
                key,
            } => {
                last = last.max(*sequence);
                Row::news_of(key, *version, *kind, *sequence)?
            }
            Record::Notification {
                sequence,
                notification,
            } => {
                last = last.max(*sequence);
                notifications::item(store, notification, *sequence).await?
            }
        };
        items.insert(item.key()?, item);
    }
    count_from(store, last).await?;
    store.table.put_all(leading.into_values().collect()).await?;
    store.table.put_all(items.into_values().collect()).await
}

/// The items that lead to a version, or are kept for its sake.
fn leading_to(row: &Row) -> Result<Vec<Item>> {
    let mut items = vec![Item::new(&schema::listed(&row.version.key.layer))];
    let state = row.version.state;
    if matches!(state, LayerState::Intent | LayerState::Live) {
        items.push(row.pointer(&row.slot()));
    }
    if state == LayerState::Live {
        let key = &row.version.key;
        items.push(versions::place_item(key.target, &key.region));
        items.push(row.pointer(&row.live()));
    }
    match (&row.version.arn, state) {
        (_, LayerState::Deleted) => items.push(row.deleted_zip()),
        (Some(arn), _) => items.push(row.pointer(&schema::arn(arn))),
        (None, _) => (),
    }
    Ok(items)
}

/// Sees to it that no number up to this one is given out again.
async fn count_from(store: &DynamoDbStore, last: u64) -> Result<()> {
    let last = number_value(last);
    store
        .table
        .update(
            &schema::counter(),
            "SET #sequence = :last",
            Some("attribute_not_exists(#sequence) OR #sequence < :last"),
            &[(":last", last)],
        )
        .await?;
    Ok(())
}

//! What nobody was told of yet, and the messages on their way.
//!
//! Messages and what they tell are written in one transaction, however many news that are: it writes down which are told,
//! and those are removed afterwards, by whoever comes first.

use super::DynamoDbStore;
use super::changes::{Outcome, TRANSACTION_LIMIT, until_settled};
use super::item::{Item, Key, moment, number_value};
use super::row::{Row, target_of};
use super::schema::{self, Index};
use super::table::Range;
use super::write::Write;
use crate::model::{Digest, News, Notification, Timestamp};
use crate::store::Result;
use anyhow::Context as _;
use std::collections::BTreeMap;

/// What the bodies in a transaction may come to: DynamoDB takes 4 MB, names, other values and one more item included.
const TRANSACTION_BYTES: usize = 3 * 1024 * 1024;
/// Partition key, in the index `work`, of messages on their way.
const MESSAGES: &str = "MESSAGE";

pub(super) async fn news(store: &DynamoDbStore) -> Result<Vec<News>> {
    remove_told(store).await?;
    let items = store.table.query(schema::NEWS, "").await?;
    let mut news = Vec::new();
    let mut of_nothing = Vec::new();
    let rows = rows_told_of(store, &items).await?;
    for item in &items {
        match rows.get(&target_of(item)?) {
            Some(row) => news.push(row.as_news(item)?),
            None => of_nothing.push(item.key()?),
        }
    }
    // A version that another row speaks for by now: what was said of its own row went with it.
    store.table.delete_all(&of_nothing).await?;
    Ok(news)
}

/// The versions that news are about, deleted ones included.
pub(super) async fn rows_told_of(
    store: &DynamoDbStore,
    news: &[Item],
) -> Result<BTreeMap<Key, Row>> {
    let mut rows = BTreeMap::new();
    let mut keys = news.iter().map(target_of).collect::<Result<Vec<_>>>()?;
    keys.sort();
    keys.dedup();
    for item in store.table.get_all(&keys).await? {
        let row = Row::of(&item)?;
        rows.insert(row.key(), row);
    }
    // Those that are not there were deleted, which moves them.
    keys.retain(|key| !rows.contains_key(key));
    let gone: Vec<Key> = keys
        .iter()
        .map(|key| {
            let partition = key.partition.replacen("LAYER#", "GONE#", 1);
            Key::new(partition, key.sort.clone())
        })
        .collect();
    for item in store.table.get_all(&gone).await? {
        let row = Row::of(&item)?;
        rows.insert(row.key(), row);
    }
    Ok(rows)
}

/// Removes news that count as told.
pub(super) async fn remove_told(store: &DynamoDbStore) -> Result<()> {
    for told in store.table.query(schema::TOLD, "").await? {
        let sequences = store.bodies.unpack(&told).await?;
        let sequences: Vec<u64> = serde_json::from_str(&sequences).context("what was told")?;
        let keys: Vec<Key> = sequences.into_iter().map(schema::news).collect();
        store.table.delete_all(&keys).await?;
        store.table.delete_all(&[told.key()?]).await?;
    }
    Ok(())
}

pub(super) async fn put(
    store: &DynamoDbStore,
    notifications: &[Notification],
    told: &[u64],
) -> Result<()> {
    let mut items = BTreeMap::new();
    let mut sequence = match notifications.len() {
        0 => 0,
        count => store.table.next_sequence(u64::try_from(count)?).await?,
    };
    for notification in notifications {
        let item = item(store, notification, sequence).await?;
        items.entry(item.key()?).or_insert(item);
        sequence += 1;
    }
    let mut left: Vec<Item> = items.into_values().collect();
    left.sort_by_key(|item| item.count::<u64>("sequence").unwrap_or_default());
    // What does not fit into the last transaction goes before it: written again, it is the same message.
    while fitting(&left) < left.len() {
        let rest = left.split_off(fitting(&left));
        put_absent(store, left, None).await?;
        left = rest;
    }
    let told = match told {
        [] => None,
        told => {
            let body = serde_json::to_string(told)?;
            let key = Key::new(schema::TOLD, Digest::of(body.as_bytes()).to_string());
            Some(store.bodies.pack(Item::new(&key), &body).await?)
        }
    };
    put_absent(store, left, told).await?;
    remove_told(store).await
}

/// How many of these go into one transaction, with one more item: at least one.
fn fitting(items: &[Item]) -> usize {
    let mut bytes = 0;
    let fit = items.iter().take_while(|item| {
        bytes += item.blob("body").map_or(0, <[u8]>::len);
        bytes <= TRANSACTION_BYTES
    });
    fit.take(TRANSACTION_LIMIT - 1).count().max(1)
}

/// Writes those items that are not there, and another one, in one transaction.
async fn put_absent(store: &DynamoDbStore, items: Vec<Item>, also: Option<Item>) -> Result<()> {
    let left = std::sync::Mutex::new(items);
    until_settled("writing messages down", || async {
        let items = left
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        let absent = items.iter().cloned();
        let mut writes: Vec<Write> = absent.map(|item| Write::put(item).when_absent()).collect();
        writes.extend(also.clone().map(Write::put));
        if writes.is_empty() {
            return Ok(Some(()));
        }
        match store.table.transact(writes).await? {
            Outcome::Done => Ok(Some(())),
            Outcome::Refused(known) => {
                let unknown = items.into_iter().enumerate();
                let unknown = unknown.filter(|(place, _)| !known.contains(place));
                *left
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) =
                    unknown.map(|(_, item)| item).collect();
                Ok(None)
            }
        }
    })
    .await
}

pub(super) async fn item(
    store: &DynamoDbStore,
    notification: &Notification,
    sequence: u64,
) -> Result<Item> {
    let item = Item::new(&schema::message(
        &notification.id,
        &notification.destination,
    ))
    .number("sequence", sequence)
    .text("id", &notification.id)
    .text("destination", &notification.destination)
    .text("subject", &notification.subject)
    .text("created_at", notification.created_at)
    .number("attempts", notification.attempts)
    .text("next_attempt_at", notification.next_attempt_at)
    .text("work", MESSAGES)
    .text("work_at", moment(notification.next_attempt_at, sequence));
    store.bodies.pack(item, &notification.body).await
}

pub(super) async fn record(store: &DynamoDbStore, item: &Item) -> Result<Notification> {
    Ok(Notification {
        id: item.get("id")?.to_owned(),
        destination: item.parse("destination")?,
        subject: item.get("subject")?.to_owned(),
        body: store.bodies.unpack(item).await?,
        created_at: item.parse("created_at")?,
        attempts: item.count("attempts")?,
        next_attempt_at: item.parse("next_attempt_at")?,
    })
}

pub(super) async fn due(
    store: &DynamoDbStore,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Notification>> {
    let until = Range::Below(format!("{now}$"));
    let named = store
        .table
        .index(Index::Work, MESSAGES, until, limit, true)
        .await?;
    let keys = named.iter().map(Item::key).collect::<Result<Vec<Key>>>()?;
    let mut due = Vec::new();
    for item in store.table.get_all(&keys).await? {
        let notification = record(store, &item).await?;
        if notification.next_attempt_at <= now {
            let place: (Timestamp, u64) = (notification.next_attempt_at, item.count("sequence")?);
            due.push((place, notification));
        }
    }
    due.sort_by_key(|(place, _)| *place);
    Ok(due.into_iter().map(|(_, message)| message).collect())
}

pub(super) async fn begin_attempt(
    store: &DynamoDbStore,
    notification: &Notification,
    next_attempt_at: Timestamp,
) -> Result<bool> {
    let key = schema::message(&notification.id, &notification.destination);
    let Some(known) = store.table.get(&key).await? else {
        return Ok(false);
    };
    let sequence: u64 = known.count("sequence")?;
    let tried = known
        .number("attempts", notification.attempts.saturating_add(1))
        .text("next_attempt_at", next_attempt_at)
        .text("work_at", moment(next_attempt_at, sequence));
    let begin = Write::put(tried)
        .when("#attempts = :attempts")
        .value(":attempts", number_value(notification.attempts));
    let written = store.table.transact(vec![begin]).await?;
    Ok(written == Outcome::Done)
}

pub(super) async fn end(store: &DynamoDbStore, notification: &Notification) -> Result<()> {
    let key = schema::message(&notification.id, &notification.destination);
    store.table.delete_all(&[key]).await
}

//! What came from GitHub and what was said there: deliveries, events, conversations.

use super::columns::{get, json, number, optional_number, text, time};
use crate::model::{Conversation, Delivery, Event, Timestamp};
use crate::store::{Recorded, Result};
use anyhow::ensure;
use rusqlite::{Row, Transaction, params};

/// Days that a delivery is kept, with the event that it told of once that is finished.
const KEPT_DAYS: u32 = 90;
/// With each that comes, so many go: the past becomes shorter, and no call takes long.
const GO_AT_ONCE: i64 = 4;

/// Deliveries of before a time, `?1`, that nothing waits for, the oldest first, at most `?2`.
pub(super) const OLD: &str = "
    SELECT id FROM deliveries WHERE received_at < ?1
    AND NOT EXISTS (SELECT 1 FROM events WHERE delivery = deliveries.id AND outcome IS NULL)
    ORDER BY received_at LIMIT ?2";

fn remove_old(tx: &Transaction<'_>, now: Timestamp) -> Result<()> {
    let before = now.minus_days(KEPT_DAYS).unix();
    let old = tx
        .prepare_cached(OLD)?
        .query_map([before, GO_AT_ONCE], |row| row.get("id"))?
        .collect::<std::result::Result<Vec<String>, _>>()?;
    for id in old {
        tx.execute("DELETE FROM events WHERE delivery = ?1", [&id])?;
        tx.execute("DELETE FROM deliveries WHERE id = ?1", [&id])?;
    }
    Ok(())
}

pub(super) fn record(
    tx: &Transaction<'_>,
    delivery: &Delivery,
    event: Option<&Event>,
) -> Result<Recorded> {
    let new_delivery = tx.execute(
        "INSERT INTO deliveries (id, event, body, received_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING",
        params![
            delivery.id,
            delivery.event,
            delivery.body,
            delivery.received_at.unix()
        ],
    )? == 1;
    if !new_delivery {
        return Ok(Recorded::SeenDelivery);
    }
    remove_old(tx, delivery.received_at)?;
    let Some(event) = event else {
        return Ok(Recorded::New);
    };
    let new_event = tx.execute(
        "INSERT INTO events (key, delivery, payload, received_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO NOTHING",
        params![
            event.key,
            event.delivery,
            event.payload.to_string(),
            event.received_at.unix()
        ],
    )? == 1;
    Ok(if new_event {
        Recorded::New
    } else {
        Recorded::SeenEvent
    })
}

pub(super) fn is_there(tx: &Transaction<'_>, id: &str) -> Result<bool> {
    let mut known = tx.prepare_cached("SELECT 1 FROM deliveries WHERE id = ?1")?;
    Ok(known.exists([id])?)
}

pub(super) fn waiting(tx: &Transaction<'_>, limit: usize) -> Result<Vec<Event>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    tx.prepare_cached(
        "SELECT * FROM events WHERE outcome IS NULL ORDER BY received_at, sequence LIMIT ?1",
    )?
    .query_and_then([limit], event)?
    .collect()
}

pub(super) fn finish(tx: &Transaction<'_>, key: &str, outcome: &str) -> Result<()> {
    // The first outcome stands: whoever finishes an event again did nothing more.
    let known = tx.execute(
        "UPDATE events SET outcome = coalesce(outcome, ?2) WHERE key = ?1",
        [key, outcome],
    )?;
    ensure!(known == 1, "there is no event `{key}` to finish");
    Ok(())
}

pub(super) fn conversation(
    tx: &Transaction<'_>,
    pull_request: u64,
) -> Result<Option<Conversation>> {
    tx.prepare_cached("SELECT * FROM conversations WHERE pull_request = ?1")?
        .query_and_then([number(pull_request)?], |row| {
            Ok(Conversation {
                pull_request,
                comment_id: optional_number(row, "comment_id")?,
                approved_sha: get(row, "approved_sha")?,
            })
        })?
        .next()
        .transpose()
}

pub(super) fn put_conversation(tx: &Transaction<'_>, conversation: &Conversation) -> Result<()> {
    tx.execute(
        "INSERT OR REPLACE INTO conversations (pull_request, comment_id, approved_sha) VALUES (?1, ?2, ?3)",
        params![
            number(conversation.pull_request)?,
            conversation.comment_id.map(number).transpose()?,
            conversation.approved_sha
        ],
    )?;
    Ok(())
}

pub(super) fn event(row: &Row<'_>) -> Result<Event> {
    Ok(Event {
        key: text(row, "key")?,
        delivery: text(row, "delivery")?,
        payload: json(row, "payload")?,
        received_at: time(row, "received_at")?,
    })
}

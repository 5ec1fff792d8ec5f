//! What nobody was told of yet, and the messages on their way.

use super::columns::{from_word, get, text, time};
use super::layer_versions::version;
use crate::model::{News, Notification, Timestamp};
use crate::store::Result;
use anyhow::Context as _;
use rusqlite::{Row, Transaction, params};

pub(super) fn news(tx: &Transaction<'_>) -> Result<Vec<News>> {
    tx.prepare_cached(
        "SELECT layer_versions.*, news.sequence AS news_sequence, news.kind AS kind
         FROM news JOIN layer_versions ON layer_versions.sequence = news.layer_version
         ORDER BY news.sequence",
    )?
    .query_and_then([], |row| {
        Ok(News {
            sequence: u64::try_from(get::<i64>(row, "news_sequence")?)?,
            kind: from_word(row, "kind")?,
            version: version(row)?,
        })
    })?
    .collect()
}

pub(super) fn put(
    tx: &Transaction<'_>,
    notifications: &[Notification],
    told: &[u64],
) -> Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT OR IGNORE INTO notifications (id, destination, subject, body, created_at, attempts, next_attempt_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for notification in notifications {
        insert.execute(params![
            notification.id,
            notification.destination.to_string(),
            notification.subject,
            notification.body,
            notification.created_at.unix(),
            notification.attempts,
            notification.next_attempt_at.unix(),
        ])?;
    }
    let mut forget = tx.prepare_cached("DELETE FROM news WHERE sequence = ?1")?;
    for sequence in told {
        let sequence = i64::try_from(*sequence).context("news are counted from 1")?;
        forget.execute([sequence])?;
    }
    Ok(())
}

pub(super) fn due(tx: &Transaction<'_>, now: Timestamp, limit: usize) -> Result<Vec<Notification>> {
    tx.prepare_cached(
        "SELECT * FROM notifications WHERE next_attempt_at <= ?1
         ORDER BY next_attempt_at, sequence LIMIT ?2",
    )?
    .query_and_then(params![now.unix(), i64::try_from(limit)?], notification)?
    .collect()
}

pub(super) fn begin_attempt(
    tx: &Transaction<'_>,
    notification: &Notification,
    next_attempt_at: Timestamp,
) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE notifications SET attempts = attempts + 1, next_attempt_at = ?4
         WHERE id = ?1 AND destination = ?2 AND attempts = ?3",
        params![
            notification.id,
            notification.destination.to_string(),
            notification.attempts,
            next_attempt_at.unix()
        ],
    )?;
    Ok(changed == 1)
}

pub(super) fn end(tx: &Transaction<'_>, notification: &Notification) -> Result<()> {
    tx.execute(
        "DELETE FROM notifications WHERE id = ?1 AND destination = ?2",
        params![notification.id, notification.destination.to_string()],
    )?;
    Ok(())
}

pub(super) fn notification(row: &Row<'_>) -> Result<Notification> {
    Ok(Notification {
        id: get(row, "id")?,
        destination: text(row, "destination")?,
        subject: get(row, "subject")?,
        body: get(row, "body")?,
        created_at: time(row, "created_at")?,
        attempts: get(row, "attempts")?,
        next_attempt_at: time(row, "next_attempt_at")?,
    })
}

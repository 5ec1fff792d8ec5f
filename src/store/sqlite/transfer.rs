//! Everything out of the file, and back into one.

use super::columns::{from_word, get, json, number, optional_number, text, time, word};
use super::layer_versions::version;
use super::{deliveries, notifications, runs};
use crate::model::{Conversation, Delivery, Run, SlotKey, Timestamp};
use crate::store::{Page, Record, Result};
use anyhow::Context as _;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

/// How many rows are on a page.
const ROWS: i64 = 200;

/// How a kind of record is read: each row with the number it is found again by, those after `?1`, at most `?2`.
type Source = (&'static str, fn(&Row<'_>) -> Result<Record>);

const SOURCES: [Source; 9] = [
    (
        "SELECT rowid AS place, * FROM deliveries WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
        delivery,
    ),
    (
        "SELECT sequence AS place, * FROM events WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        event,
    ),
    (
        "SELECT sequence AS place, * FROM runs WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        run,
    ),
    (
        "SELECT sequence AS place, * FROM steps WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        step,
    ),
    (
        "SELECT rowid AS place, * FROM conversations WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
        conversation,
    ),
    (
        "SELECT sequence AS place, * FROM builds WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        build,
    ),
    (
        "SELECT sequence AS place, * FROM layer_versions WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        layer_version,
    ),
    (
        "SELECT news.sequence AS place, news.layer_version, news.kind, v.layer, v.target, v.region, v.digest, v.published_name
         FROM news JOIN layer_versions AS v ON v.sequence = news.layer_version
         WHERE news.sequence > ?1 ORDER BY news.sequence LIMIT ?2",
        news,
    ),
    (
        "SELECT sequence AS place, * FROM notifications WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        notification,
    ),
];

/// A page is of one kind; its place is the kind's number and that of its last row.
pub(super) fn export(tx: &Transaction<'_>, after: Option<&str>) -> Result<Page> {
    let (kind, place): (usize, i64) = match after {
        Some(text) => serde_json::from_str(text).context("this is no place in the store")?,
        None => (0, i64::MIN),
    };
    let (sql, read) = SOURCES.get(kind).context("this is no place in the store")?;
    let mut last = None;
    let records = tx
        .prepare_cached(sql)?
        .query_and_then([place, ROWS], |row| {
            last = Some(get::<i64>(row, "place")?);
            read(row)
        })?
        .collect::<Result<Vec<_>>>()?;
    let next = match last {
        Some(place) => Some((kind, place)),
        None if kind + 1 < SOURCES.len() => Some((kind + 1, i64::MIN)),
        None => None,
    };
    let next = next.map(|next| serde_json::to_string(&next)).transpose()?;
    Ok(Page { records, next })
}

/// The place as a sequence, which is counted from 1.
fn sequence(row: &Row<'_>) -> Result<u64> {
    Ok(u64::try_from(get::<i64>(row, "place")?)?)
}

fn delivery(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Delivery {
        delivery: Delivery {
            id: get(row, "id")?,
            event: get(row, "event")?,
            body: get(row, "body")?,
            received_at: time(row, "received_at")?,
        },
    })
}

fn event(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Event {
        sequence: sequence(row)?,
        event: deliveries::event(row)?,
        outcome: get(row, "outcome")?,
    })
}

fn run(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Run {
        sequence: sequence(row)?,
        run: runs::run(row)?,
    })
}

fn step(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Step {
        sequence: sequence(row)?,
        step: runs::record(row)?,
    })
}

fn conversation(row: &Row<'_>) -> Result<Record> {
    let pull_request = optional_number(row, "pull_request")?;
    Ok(Record::Conversation {
        conversation: Conversation {
            pull_request: pull_request.context("a conversation of no pull request")?,
            comment_id: optional_number(row, "comment_id")?,
            approved_sha: get(row, "approved_sha")?,
        },
    })
}

fn build(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Build {
        sequence: sequence(row)?,
        build: Box::new(json(row, "record")?),
    })
}

fn layer_version(row: &Row<'_>) -> Result<Record> {
    let visibility = get::<Option<String>>(row, "visibility")?;
    let visibility = visibility.map(|text| serde_json::from_str(&text));
    Ok(Record::LayerVersion {
        sequence: sequence(row)?,
        version: version(row)?,
        visibility: visibility.transpose()?,
        is_idle: get(row, "is_idle")?,
    })
}

fn news(row: &Row<'_>) -> Result<Record> {
    Ok(Record::News {
        sequence: sequence(row)?,
        kind: from_word(row, "kind")?,
        version: u64::try_from(get::<i64>(row, "layer_version")?)?,
        key: SlotKey {
            layer: text(row, "layer")?,
            target: text(row, "target")?,
            region: text(row, "region")?,
            digest: text(row, "digest")?,
            published_name: get(row, "published_name")?,
        },
    })
}

fn notification(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Notification {
        sequence: sequence(row)?,
        notification: notifications::notification(row)?,
    })
}

/// In one transaction, within which a record may come before the one that it refers to.
pub(super) fn import(connection: &mut Connection, records: &[Record]) -> Result<()> {
    connection.pragma_update(None, "foreign_keys", false)?;
    let imported = import_all(connection, records);
    connection.pragma_update(None, "foreign_keys", true)?;
    imported
}

fn import_all(connection: &mut Connection, records: &[Record]) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for record in records {
        put(&transaction, record)
            .with_context(|| format!("cannot take in {} of {}", record.name(), record.kind()))?;
    }
    transaction.commit()?;
    Ok(())
}

fn put(tx: &Transaction<'_>, record: &Record) -> Result<()> {
    match record {
        Record::Delivery { delivery } => tx.execute(
            "INSERT OR REPLACE INTO deliveries (id, event, body, received_at) VALUES (?1, ?2, ?3, ?4)",
            params![delivery.id, delivery.event, delivery.body, delivery.received_at.unix()],
        )?,
        Record::Event { sequence, event, outcome } => tx.execute(
            "INSERT OR REPLACE INTO events (sequence, key, delivery, payload, received_at, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                number(*sequence)?,
                event.key,
                event.delivery,
                event.payload.to_string(),
                event.received_at.unix(),
                outcome
            ],
        )?,
        Record::Run { sequence, run } => put_run(tx, *sequence, run)?,
        Record::Step { sequence, step } => tx.execute(
            "INSERT OR REPLACE INTO steps (sequence, run, name, state, output, finished_at, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                number(*sequence)?,
                step.run,
                step.name,
                word(step.state)?,
                step.output.to_string(),
                step.finished_at.unix(),
                step.started_at.map(Timestamp::unix)
            ],
        )?,
        Record::Conversation { conversation } => {
            deliveries::put_conversation(tx, conversation)?;
            1
        }
        Record::Build { sequence, build } => tx.execute(
            "INSERT OR REPLACE INTO builds (sequence, layer, target, fingerprint, digest, built_at, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                number(*sequence)?,
                build.layer.as_str(),
                build.target.to_string(),
                build.fingerprint.to_string(),
                build.artifact.digest.to_string(),
                build.built_at.unix(),
                serde_json::to_string(build)?
            ],
        )?,
        Record::LayerVersion { sequence, version, visibility, is_idle } => {
            let [layer, target, region, digest, published_name] =
                super::layer_versions::parameters(&version.key);
            let visibility = visibility.as_ref().map(serde_json::to_string).transpose()?;
            tx.execute(
                "INSERT OR REPLACE INTO layer_versions
                 (sequence, layer, target, region, digest, published_name, state, arn, version, created_at, live_at, expires_at, visibility, is_idle)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
                params![
                    number(*sequence)?,
                    layer,
                    target,
                    region,
                    digest,
                    published_name,
                    word(version.state)?,
                    version.arn.as_ref().map(ToString::to_string),
                    version.version,
                    version.created_at.unix(),
                    version.live_at.map(Timestamp::unix),
                    version.expires_at.map(Timestamp::unix),
                    visibility,
                    is_idle
                ],
            )?
        }
        Record::News { sequence, kind, version, .. } => tx.execute(
            "INSERT OR REPLACE INTO news (sequence, layer_version, kind) VALUES (?1, ?2, ?3)",
            params![number(*sequence)?, number(*version)?, word(*kind)?],
        )?,
        Record::Notification { sequence, notification } => tx.execute(
            "INSERT OR REPLACE INTO notifications
             (sequence, id, destination, subject, body, created_at, attempts, next_attempt_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                number(*sequence)?,
                notification.id,
                notification.destination.to_string(),
                notification.subject,
                notification.body,
                notification.created_at.unix(),
                notification.attempts,
                notification.next_attempt_at.unix()
            ],
        )?,
    };
    Ok(())
}

fn put_run(tx: &Transaction<'_>, sequence: u64, run: &Run) -> Result<usize> {
    Ok(tx.execute(
        "INSERT OR REPLACE INTO runs (sequence, id, kind, pull_request, head_sha, base_sha, state, detail, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            number(sequence)?,
            run.id,
            word(run.kind)?,
            run.pull_request.map(number).transpose()?,
            run.head_sha,
            run.base_sha,
            word(run.state)?,
            run.detail,
            run.created_at.unix()
        ],
    )?)
}

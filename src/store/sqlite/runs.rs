//! Runs and the journal of their steps.

use super::columns::{self, from_word, json, number, optional_number, optional_time, time, word};
use crate::model::{Run, RunKind, RunState, StepRecord, Timestamp};
use crate::store::{RUNS_KEPT, Result};
use anyhow::{Context as _, ensure};
use rusqlite::{Params, Row, Transaction, params};

pub(super) fn create(tx: &Transaction<'_>, run: &Run) -> Result<bool> {
    let created = tx.execute(
        "INSERT INTO runs (id, kind, pull_request, head_sha, base_sha, state, detail, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
        params![
            run.id,
            word(run.kind)?,
            run.pull_request.map(number).transpose()?,
            run.head_sha,
            run.base_sha,
            word(run.state)?,
            run.detail,
            run.created_at.unix()
        ],
    )?;
    Ok(created == 1)
}

pub(super) fn get(tx: &Transaction<'_>, id: &str) -> Result<Option<Run>> {
    Ok(select(tx, "WHERE id = ?1", [id])?.pop())
}

pub(super) fn in_state(tx: &Transaction<'_>, state: RunState) -> Result<Vec<Run>> {
    select(
        tx,
        "WHERE state = ?1 ORDER BY created_at, sequence",
        [word(state)?],
    )
}

pub(super) fn of(tx: &Transaction<'_>, pull_request: u64) -> Result<Vec<Run>> {
    select(
        tx,
        "WHERE pull_request = ?1 ORDER BY created_at, sequence",
        [number(pull_request)?],
    )
}

pub(super) fn of_kind(tx: &Transaction<'_>, kind: RunKind, limit: usize) -> Result<Vec<Run>> {
    select(
        tx,
        "WHERE kind = ?1 ORDER BY created_at DESC, sequence DESC LIMIT ?2",
        params![word(kind)?, i64::try_from(limit)?],
    )
}

pub(super) fn end(
    tx: &Transaction<'_>,
    id: &str,
    state: RunState,
    detail: Option<&str>,
) -> Result<bool> {
    ensure!(state != RunState::Open, "a run cannot end as open");
    let ended = tx.execute(
        "UPDATE runs SET state = ?2, detail = ?3 WHERE id = ?1 AND state = ?4",
        params![id, word(state)?, detail, word(RunState::Open)?],
    )?;
    Ok(ended == 1)
}

pub(super) fn attach_pull_request(tx: &Transaction<'_>, id: &str, pull_request: u64) -> Result<()> {
    let attached = tx.execute(
        "UPDATE runs SET pull_request = ?2, state = CASE state WHEN ?3 THEN ?4 ELSE state END WHERE id = ?1",
        params![
            id,
            number(pull_request)?,
            word(RunState::Done)?,
            word(RunState::Open)?
        ],
    )?;
    ensure!(attached == 1, "there is no run `{id}`");
    Ok(())
}

/// Ended runs of a kind, `?3`, that were written down before a time, `?1`, oldest first, at most `?2`; but the last ones of
/// the kind, and those of a pull request that has a younger run.
pub(super) fn old() -> String {
    format!(
        "SELECT sequence, id FROM runs AS old
         WHERE kind = ?3 AND created_at < ?1 AND state <> 'open'
         AND (created_at, sequence) < (
             SELECT created_at, sequence FROM runs WHERE kind = ?3
             ORDER BY created_at DESC, sequence DESC LIMIT 1 OFFSET {})
         AND NOT EXISTS (
             SELECT 1 FROM runs AS younger
             WHERE younger.pull_request = old.pull_request AND younger.created_at >= ?1)
         ORDER BY created_at, sequence LIMIT ?2",
        RUNS_KEPT - 1
    )
}

pub(super) fn prune(tx: &Transaction<'_>, before: Timestamp, limit: usize) -> Result<usize> {
    let mut old = tx.prepare_cached(&old())?;
    let mut of_run = tx.prepare_cached("DELETE FROM steps WHERE run = ?1")?;
    let mut remove = tx.prepare_cached("DELETE FROM runs WHERE sequence = ?1")?;
    let mut pruned = 0;
    for kind in RunKind::ALL {
        let left = i64::try_from(limit - pruned).unwrap_or(i64::MAX);
        let found = old
            .query_map(params![before.unix(), left, word(kind)?], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<std::result::Result<Vec<(i64, String)>, _>>()?;
        for (sequence, id) in found {
            of_run.execute([id])?;
            pruned += remove.execute([sequence])?;
        }
    }
    Ok(pruned)
}

pub(super) fn put_step(tx: &Transaction<'_>, step: &StepRecord) -> Result<()> {
    // An update keeps the row's sequence, and so the step's place in the journal.
    tx.execute(
        "INSERT INTO steps (run, name, state, output, finished_at, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (run, name) DO UPDATE
         SET state = excluded.state, output = excluded.output, finished_at = excluded.finished_at,
             started_at = excluded.started_at",
        params![
            step.run,
            step.name,
            word(step.state)?,
            step.output.to_string(),
            step.finished_at.unix(),
            step.started_at.map(Timestamp::unix)
        ],
    )
    .with_context(|| format!("cannot write step `{}` of run `{}`", step.name, step.run))?;
    Ok(())
}

pub(super) fn steps(tx: &Transaction<'_>, run: &str) -> Result<Vec<StepRecord>> {
    tx.prepare_cached("SELECT * FROM steps WHERE run = ?1 ORDER BY sequence")?
        .query_and_then([run], record)?
        .collect()
}

pub(super) fn step(tx: &Transaction<'_>, run: &str, name: &str) -> Result<Option<StepRecord>> {
    tx.prepare_cached("SELECT * FROM steps WHERE run = ?1 AND name = ?2")?
        .query_and_then([run, name], record)?
        .next()
        .transpose()
}

pub(super) fn record(row: &Row<'_>) -> Result<StepRecord> {
    Ok(StepRecord {
        run: columns::get(row, "run")?,
        name: columns::get(row, "name")?,
        state: from_word(row, "state")?,
        output: json(row, "output")?,
        started_at: optional_time(row, "started_at")?,
        finished_at: time(row, "finished_at")?,
    })
}

/// Runs that a condition (fixed text, never input) holds for.
fn select(tx: &Transaction<'_>, condition: &str, parameters: impl Params) -> Result<Vec<Run>> {
    tx.prepare_cached(&format!("SELECT * FROM runs {condition}"))?
        .query_and_then(parameters, run)?
        .collect()
}

pub(super) fn run(row: &Row<'_>) -> Result<Run> {
    Ok(Run {
        id: columns::get(row, "id")?,
        kind: from_word(row, "kind")?,
        pull_request: optional_number(row, "pull_request")?,
        head_sha: columns::get(row, "head_sha")?,
        base_sha: columns::get(row, "base_sha")?,
        state: from_word(row, "state")?,
        detail: columns::get(row, "detail")?,
        created_at: time(row, "created_at")?,
    })
}

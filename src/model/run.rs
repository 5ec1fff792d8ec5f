//! Deliveries, events, runs and their steps: what the journal keeps.

use super::Timestamp;
use serde::{Deserialize, Serialize};

/// One delivery of a webhook, as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// GitHub's `X-GitHub-Delivery`; a redelivery keeps it.
    pub id: String,
    /// GitHub's `X-GitHub-Event`.
    pub event: String,
    /// The raw body.
    pub body: String,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// Something that happened on GitHub, keyed by what happened, so that two deliveries of it are one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened: `pull_request/7/synchronize/<head SHA>`.
    pub key: String,
    /// The delivery it came with first.
    pub delivery: String,
    /// The event in the `github` room's own words, as JSON.
    pub payload: serde_json::Value,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Shows on a pull request what merging it would do.
    Plan,
    /// Carries out what the default branch asks for.
    Apply,
    /// Looks for new releases of everything and carries out what the default branch asks for.
    Upgrade,
    /// Deletes what has expired.
    Expire,
    /// Reads back what is recorded as published and mends what is wrong.
    Verify,
}

impl RunKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Plan,
        Self::Apply,
        Self::Upgrade,
        Self::Expire,
        Self::Verify,
    ];
    /// What time sets off.
    pub const SCHEDULED: [Self; 3] = [Self::Expire, Self::Upgrade, Self::Verify];

    /// As in ids of runs: `plan`, `apply`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Upgrade => "upgrade",
            Self::Expire => "expire",
            Self::Verify => "verify",
        }
    }

    /// Whether it publishes or deletes, so that it waits for its turn and is never cut short.
    #[must_use]
    pub fn publishes(self) -> bool {
        !matches!(self, Self::Plan)
    }
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Written down, not finished.
    Open,
    /// Finished; whatever it found was reported.
    Done,
    /// Ended without reaching its end; the detail says why.
    Failed,
    /// A newer head took its place.
    Superseded,
    /// A person asked to stop it.
    Cancelled,
}

/// One run over the catalog at a commit. Its id is made from what it is about, so the same event twice is one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// `plan-7-<12 of head>-<12 of base>-1`, `apply-<12 of the commit>-1`, `upgrade-2026-11-22-1`: letters, digits and
    /// `-`, at most 80.
    pub id: String,
    /// What it does.
    pub kind: RunKind,
    /// The pull request it answers on.
    pub pull_request: Option<u64>,
    /// The commit it is about: a pull request's head, or one of the default branch; empty for what time sets off.
    pub head_sha: String,
    /// The base a pull request is compared with.
    pub base_sha: Option<String>,
    /// How far it has come.
    pub state: RunState,
    /// What a person should know about the state.
    pub detail: Option<String>,
    /// When it was written down.
    pub created_at: Timestamp,
}

/// How a journaled step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It did what it is for; its output is in the journal.
    Done,
    /// It failed for good; its output says why.
    Failed,
}

/// The journal's line about one step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The run.
    pub run: String,
    /// The step: `read`, `build/pandas/p3.13`, `publish/pandas/p3.13`, `tables`, `report`.
    pub name: String,
    /// How it ended.
    pub state: StepState,
    /// Its output, in its own type, as JSON.
    pub output: serde_json::Value,
    /// When its last try began, where that is known.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// What the bot said on a pull request, so that it edits instead of repeating itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The pull request.
    pub pull_request: u64,
    /// The living comment, once it exists.
    pub comment_id: Option<u64>,
    /// The head SHA that a person with write permission approved with `/layersmith ok`.
    pub approved_sha: Option<String>,
}

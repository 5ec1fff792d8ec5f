//! From events to runs: what each event asks for, and the runs that follow.
//!
//! An event is a hint. What is to be done is asked of GitHub and the store at the time it is handled, so a repeated,
//! late or lost event changes nothing in the end; [`Intake::sweep`] finds what a lost one would have said.

use super::engine::Engine;
use super::lanes::Lanes;
use super::tables::run_in_message;
use super::{Bot, StepFailure, commands};
use crate::github::{Happening, PullRequest, What};
use crate::model::{Event, Run, RunKind, RunState};
use crate::store::Store;
use crate::telemetry::{add, metric};
use std::sync::Arc;
use tokio::sync::Mutex;

/// An event that still cannot be handled after this many seconds is given up; the sweep sees what it was about.
const GIVE_UP_AFTER: i64 = 3600;

/// For so many seconds GitHub may show an older state than the one an event tells of.
pub(super) const GITHUB_LAGS: i64 = 5;

/// Turns events into runs.
#[derive(Clone)]
pub struct Intake {
    pub(super) bot: Bot,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) lanes: Arc<Lanes>,
    /// Held while it is decided whether a commit has its run already: merging tells of one commit twice.
    deciding: Arc<Mutex<()>>,
}

impl Intake {
    /// An intake that starts runs on an engine.
    #[must_use]
    pub fn new(bot: Bot, engine: Arc<dyn Engine>) -> Self {
        Self {
            bot,
            engine,
            lanes: Lanes::new(),
            deciding: Arc::default(),
        }
    }

    /// Handles one event; whether that is done, or the event waits for a reason that may pass.
    pub(super) async fn finish(&self, event: &Event) -> anyhow::Result<bool> {
        let outcome = match self.handle(event).await {
            Ok(outcome) => outcome,
            Err(failure)
                if failure.transient
                    && self.bot.workshop.now().unix() - event.received_at.unix()
                        < GIVE_UP_AFTER =>
            {
                tracing::warn!(event = %event.key, "event {} waits: {}", event.key, failure.message);
                return Ok(false);
            }
            Err(failure) => {
                add(&metric::DELIVERIES_GIVEN_UP, &[], 1);
                tracing::error!(event = %event.key, "event {} is given up: {}", event.key, failure.message);
                format!("given up: {}", failure.message)
            }
        };
        tracing::info!(event = %event.key, "event {}: {outcome}", event.key);
        self.bot
            .workshop
            .store
            .finish_event(&event.key, &outcome)
            .await?;
        Ok(true)
    }

    async fn handle(&self, event: &Event) -> Result<String, StepFailure> {
        let happening: Happening =
            serde_json::from_value(event.payload.clone()).map_err(|error| {
                StepFailure::lasting(format!("the stored event cannot be read: {error}"))
            })?;
        match happening.what {
            What::PullRequestChanged {
                number, head_sha, ..
            } => self.changed(number, &head_sha, event).await,
            What::PullRequestClosed {
                number,
                merged,
                merge_commit_sha,
                ..
            } => {
                self.closed(number, if merged { merge_commit_sha } else { None })
                    .await
            }
            What::DefaultBranchPushed {
                after,
                head_commit_message,
                ..
            } => {
                if self
                    .is_own_commit(&after, head_commit_message.as_deref())
                    .await?
                {
                    return Ok("the bot's own commit".to_owned());
                }
                self.apply(&after, None, false).await
            }
            What::Commented {
                number,
                comment_id,
                author,
                body,
            } => commands::handle(self, number, comment_id, &author, &body).await,
            What::CheckRequested { head_sha } => self.check_requested(&head_sha).await,
            What::Ping { .. } => Ok("ping".to_owned()),
        }
    }

    /// Plans a pull request as GitHub shows it now: the event may be late, and of a head that was left behind.
    async fn changed(&self, number: u64, head: &str, event: &Event) -> Result<String, StepFailure> {
        let pull_request = self.bot.github.pull_request(number).await?;
        let age = self.bot.workshop.now().unix() - event.received_at.unix();
        if pull_request.head_sha != head && age < GITHUB_LAGS {
            return Err(StepFailure::transient(format!(
                "GitHub shows {} as the head of #{number}, the event says {}",
                short(&pull_request.head_sha),
                short(head)
            )));
        }
        if !pull_request.is_open {
            return Ok("closed since".to_owned());
        }
        if !self.is_to_default_branch(&pull_request).await? {
            return Ok("moved to another branch since".to_owned());
        }
        self.plan(
            number,
            &pull_request.head_sha,
            &pull_request.base_sha,
            false,
        )
        .await
    }

    /// Whether a pull request is to be merged into the default branch: the policy of any other has no say.
    pub(super) async fn is_to_default_branch(
        &self,
        pull_request: &PullRequest,
    ) -> Result<bool, StepFailure> {
        let repository = self.bot.github.repository().await?;
        Ok(pull_request.base_ref == repository.default_branch)
    }

    /// Starts planning a head of a pull request and stops what is under way for its other heads. With `again`, a head
    /// that was planned before is planned once more.
    pub(super) async fn plan(
        &self,
        number: u64,
        head: &str,
        base: &str,
        again: bool,
    ) -> Result<String, StepFailure> {
        let runs = self.bot.workshop.store.runs_of(number).await?;
        let prefix = format!("plan-{number}-{}-{}-", short(head), short(base));
        // Earlier attempts may be removed by now.
        let attempts = runs.iter().filter_map(|run| run.id.strip_prefix(&prefix));
        let attempts = attempts.filter_map(|attempt| attempt.parse::<u32>().ok());
        let attempt = attempts.max().unwrap_or_default() + 1;
        // Only the last plan's answer can be read: a head that was left and came back is planned anew.
        let stands = last_plan(&runs).is_some_and(|run| {
            run.id.starts_with(&prefix) && matches!(run.state, RunState::Open | RunState::Done)
        });
        if stands && !again {
            return Ok(format!("head {} is planned already", short(head)));
        }
        let detail = format!("a newer run for {} took its place", short(head));
        for run in runs
            .iter()
            .filter(|run| run.kind == RunKind::Plan && run.state == RunState::Open)
        {
            self.engine.stop(run, RunState::Superseded, &detail).await?;
        }
        let run = Run {
            id: format!("{prefix}{attempt}"),
            kind: RunKind::Plan,
            pull_request: Some(number),
            head_sha: head.to_owned(),
            base_sha: Some(base.to_owned()),
            state: RunState::Open,
            detail: None,
            created_at: self.bot.workshop.now(),
        };
        self.create_and_start(&run).await
    }

    /// Starts applying the default branch. With `again`, a commit that was applied before is applied once more.
    pub(super) async fn apply(
        &self,
        commit: &str,
        pull_request: Option<u64>,
        again: bool,
    ) -> Result<String, StepFailure> {
        let _one_at_a_time = self.deciding.lock().await;
        let store = &self.bot.workshop.store;
        let prefix = format!("apply-{}-", short(commit));
        let mut attempt = 1;
        while let Some(earlier) = store.run(&format!("{prefix}{attempt}")).await? {
            let stands = matches!(earlier.state, RunState::Open | RunState::Done);
            if stands && !again {
                // Merging tells of one commit twice, as a push and as a closed pull request, in any order.
                if let (Some(number), None) = (pull_request, earlier.pull_request) {
                    store.attach_pull_request(&earlier.id, number).await?;
                    self.engine
                        .start(&Run {
                            pull_request,
                            state: RunState::Open,
                            ..earlier.clone()
                        })
                        .await;
                }
                return Ok(format!("run {}", earlier.id));
            }
            attempt += 1;
        }
        let run = Run {
            id: format!("{prefix}{attempt}"),
            kind: RunKind::Apply,
            pull_request,
            head_sha: commit.to_owned(),
            base_sha: None,
            state: RunState::Open,
            detail: None,
            created_at: self.bot.workshop.now(),
        };
        self.create_and_start(&run).await
    }

    pub(super) async fn create_and_start(&self, run: &Run) -> Result<String, StepFailure> {
        if self.bot.workshop.store.create_run(run).await? {
            self.engine.start(run).await;
        }
        Ok(format!("run {}", run.id))
    }

    pub(super) async fn closed(
        &self,
        number: u64,
        merge_commit: Option<String>,
    ) -> Result<String, StepFailure> {
        for run in self.bot.workshop.store.runs_of(number).await? {
            if run.kind == RunKind::Plan && run.state == RunState::Open {
                self.engine
                    .stop(&run, RunState::Superseded, "the pull request was closed")
                    .await?;
            }
        }
        match merge_commit {
            Some(commit) => self.apply(&commit, Some(number), false).await,
            None => Ok("closed without merging".to_owned()),
        }
    }

    async fn check_requested(&self, head_sha: &str) -> Result<String, StepFailure> {
        let open = self.bot.github.open_pull_requests().await?;
        match open
            .iter()
            .find(|pull_request| pull_request.head_sha == head_sha)
        {
            Some(found) if !self.is_to_default_branch(found).await? => {
                Ok("the base is not the default branch".to_owned())
            }
            Some(found) => {
                self.plan(found.number, &found.head_sha, &found.base_sha, true)
                    .await
            }
            None => Ok("no open pull request has this head".to_owned()),
        }
    }

    /// Whether a commit is one of the bot's own table commits: its message names a run, and that run either made it or
    /// is just about to write down that it did. A message alone proves nothing.
    async fn is_own_commit(&self, sha: &str, message: Option<&str>) -> Result<bool, StepFailure> {
        let Some(id) = message.and_then(run_in_message) else {
            return Ok(false);
        };
        let store = &self.bot.workshop.store;
        let Some(run) = store.run(id).await?.filter(|run| run.kind.publishes()) else {
            return Ok(false);
        };
        Ok(run.state == RunState::Open || made_by(&**store, &run.id, sha).await?)
    }
}

/// Whether a run made this commit, by its journal.
pub(super) async fn made_by(store: &dyn Store, run: &str, sha: &str) -> anyhow::Result<bool> {
    let step = store.step(run, "tables").await?;
    let commit = step
        .as_ref()
        .and_then(|step| step.output.pointer("/pushed/commit"));
    Ok(commit.and_then(|commit| commit.as_str()) == Some(sha))
}

/// The plan whose answer a pull request shows.
pub(super) fn last_plan(runs: &[Run]) -> Option<&Run> {
    runs.iter().rfind(|run| run.kind == RunKind::Plan)
}

/// The first 12 digits of a commit's SHA, as run ids and people use them.
pub(super) fn short(sha: &str) -> String {
    sha.chars().take(12).collect()
}

//! The engine of one machine: runs are tasks of this process, the journal is in the store.

use super::Engine;
use crate::github::render;
use crate::model::{Run, RunKind, RunState};
use crate::pipeline::pull_request::{check_report, say};
use crate::pipeline::{Bot, StepFailure, apply, pull_request};
use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::AbortHandle;

/// Runs runs in this process.
///
/// Plans run side by side; applies one after the other, because each of them brings the whole default branch about:
/// they take turns with everybody who shares the store.
pub struct LocalEngine {
    bot: Bot,
    /// Waits between the tries of a run whose step failed for a reason that may pass.
    retries: ExponentialBuilder,
    tasks: Mutex<BTreeMap<String, AbortHandle>>,
}

impl LocalEngine {
    /// An engine with nothing under way; see [`Self::resume`].
    #[must_use]
    pub fn new(bot: Bot, retries: ExponentialBuilder) -> Arc<Self> {
        Arc::new(Self {
            bot,
            retries,
            tasks: Mutex::default(),
        })
    }

    /// Takes up every run that was open when the process ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn resume(self: &Arc<Self>) -> anyhow::Result<usize> {
        let open = self.bot.workshop.store.runs_in(RunState::Open).await?;
        for run in &open {
            tracing::info!(run = %run.id, "taking up run {} from its journal", run.id);
            self.spawn(run);
        }
        Ok(open.len())
    }

    fn spawn(self: &Arc<Self>, run: &Run) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|_, task| !task.is_finished());
        if tasks.contains_key(&run.id) {
            return;
        }
        let (engine, task_run) = (Arc::clone(self), run.clone());
        let task = tokio::spawn(async move { engine.drive(&task_run).await });
        tasks.insert(run.id.clone(), task.abort_handle());
    }

    async fn drive(&self, run: &Run) {
        let mut waits = self.retries.build();
        let outcome = loop {
            match self.execute(run).await {
                Err(failure) if failure.transient => match waits.next() {
                    Some(wait) => {
                        tracing::warn!(run = %run.id, reason = %failure.message, "run {} goes on in {wait:?}: {}", run.id, failure.message);
                        tokio::time::sleep(wait).await;
                    }
                    None => break Err(failure),
                },
                other => break other,
            }
        };
        let (state, detail) = match &outcome {
            Ok(()) => (RunState::Done, None),
            Err(failure) => (RunState::Failed, Some(failure.message.as_str())),
        };
        if let Err(failure) = &outcome {
            tracing::error!(run = %run.id, reason = %failure.message, "run {} failed: {}", run.id, failure.message);
            self.tell_failure(run, failure).await;
        }
        match self
            .bot
            .workshop
            .store
            .end_run(&run.id, state, detail)
            .await
        {
            Ok(_) => tracing::info!(run = %run.id, state = ?state, "run {} ended", run.id),
            Err(error) => {
                tracing::error!(run = %run.id, "the end of run {} could not be written down: {error:#}", run.id)
            }
        }
    }

    async fn execute(&self, run: &Run) -> Result<(), StepFailure> {
        match run.kind {
            RunKind::Plan => pull_request::execute(&self.bot, run).await,
            RunKind::Apply => {
                let _turn = self.bot.workshop.store.turn_to_publish().await?;
                // A pull request may have been attached while the run waited for its turn.
                let run = self
                    .bot
                    .workshop
                    .store
                    .run(&run.id)
                    .await?
                    .unwrap_or_else(|| run.clone());
                apply::execute(&self.bot, &run).await
            }
        }
    }

    /// Says on the pull request that the run failed: check run first, comment last, each as well as it can be had.
    async fn tell_failure(&self, run: &Run, failure: &StepFailure) {
        let number = run.pull_request.unwrap_or_default();
        let marker = render::marker("pull_request", number);
        let rendered = render::render_failed(
            &marker,
            &run.head_sha,
            &format!("run {} was under way", run.id),
            &failure.message,
        );
        if let Err(error) = self
            .bot
            .github
            .put_check(&check_report(run, &run.head_sha, &rendered))
            .await
        {
            tracing::error!(run = %run.id, "the check run for run {} could not be concluded: {error}", run.id);
        }
        if run.pull_request.is_some()
            && let Err(error) = say(&self.bot, number, &marker, &rendered.comment).await
        {
            tracing::error!(run = %run.id, "the failure of run {} could not be said: {error}", run.id);
        }
    }
}

#[async_trait]
impl Engine for Arc<LocalEngine> {
    async fn start(&self, run: &Run) {
        self.spawn(run);
    }

    async fn stop(&self, run: &Run, state: RunState, detail: &str) -> anyhow::Result<()> {
        if !self
            .bot
            .workshop
            .store
            .end_run(&run.id, state, Some(detail))
            .await?
        {
            return Ok(());
        }
        let task = self
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&run.id);
        if let Some(task) = task {
            task.abort();
        }
        tracing::info!(run = %run.id, state = ?state, "run {} stopped: {detail}", run.id);
        // The old head's check is concluded too: nothing may wait for it for ever.
        let rendered = render::render_stopped(
            &render::marker("pull_request", run.pull_request.unwrap_or_default()),
            &run.head_sha,
            detail,
        );
        if let Err(error) = self
            .bot
            .github
            .put_check(&check_report(run, &run.head_sha, &rendered))
            .await
        {
            tracing::warn!(run = %run.id, "the check run of the stopped run {} could not be concluded: {error}", run.id);
        }
        Ok(())
    }
}

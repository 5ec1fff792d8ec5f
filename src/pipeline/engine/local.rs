//! The engine of one machine: runs are tasks of this process, the journal is in the store.

use super::Engine;
use crate::github::render;
use crate::model::{Run, RunKind, RunState};
use crate::pipeline::pull_request::{check_report, say};
use crate::pipeline::{Bot, StepFailure, apply, pull_request};
use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Runs runs in this process.
///
/// Plans run side by side; applies one after the other in the order in which they were started, because each of them
/// brings the whole default branch about: one that waits for its next try is not overtaken, so that what it read
/// never replaces something newer.
pub struct LocalEngine {
    bot: Bot,
    /// Waits between the tries of a run whose step failed for a reason that may pass.
    retries: ExponentialBuilder,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    tasks: BTreeMap<String, Task>,
    /// Closed when the apply that was started last is over.
    last_apply: Option<oneshot::Receiver<()>>,
}

struct Task {
    handle: AbortHandle,
    /// Started again while it was under way: it may have been given a pull request to answer after it looked.
    again: bool,
}

impl LocalEngine {
    /// An engine with nothing under way; see [`Self::resume`].
    #[must_use]
    pub fn new(bot: Bot, retries: ExponentialBuilder) -> Arc<Self> {
        Arc::new(Self {
            bot,
            retries,
            under_way: Mutex::default(),
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

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(self: &Arc<Self>, run: &Run) {
        let mut under_way = self.under_way();
        if let Some(task) = under_way.tasks.get_mut(&run.id)
            && !task.handle.is_finished()
        {
            task.again = true;
            return;
        }
        let (over, turn) = oneshot::channel::<()>();
        let before = match run.kind {
            RunKind::Apply => under_way.last_apply.replace(turn),
            RunKind::Plan => None,
        };
        let (engine, run_id, task_run) = (Arc::clone(self), run.id.clone(), run.clone());
        let task = tokio::spawn(async move {
            // Dropped when the task ends, however it ends.
            let _over = over;
            if let Some(before) = before {
                // Nothing is ever sent: it is the end that is waited for.
                before.await.ok();
            }
            loop {
                engine.drive(&task_run).await;
                if engine.is_over(&task_run.id) {
                    break;
                }
            }
        });
        let task = Task {
            handle: task.abort_handle(),
            again: false,
        };
        under_way.tasks.insert(run_id, task);
    }

    /// Forgets a task that has come to its end, unless it was started again in the meantime.
    fn is_over(&self, id: &str) -> bool {
        let mut under_way = self.under_way();
        match under_way.tasks.get_mut(id) {
            Some(task) if task.again => {
                task.again = false;
                false
            }
            _ => {
                under_way.tasks.remove(id);
                true
            }
        }
    }

    async fn drive(&self, run: &Run) {
        let mut waits = self.retries.build();
        let outcome = loop {
            let now = self.as_it_is_now(run).await;
            match self.execute(&now).await {
                // A pull request may have been attached while the run was under way: it is answered, too.
                Ok(()) if self.as_it_is_now(run).await.pull_request != now.pull_request => {}
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
            self.tell_failure(&self.as_it_is_now(run).await, failure)
                .await;
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
            RunKind::Apply => apply::execute(&self.bot, run).await,
        }
    }

    /// The run as the store has it now; as it was, should the store not be readable at the moment.
    async fn as_it_is_now(&self, run: &Run) -> Run {
        match self.bot.workshop.store.run(&run.id).await {
            Ok(Some(now)) => now,
            Ok(None) => run.clone(),
            Err(error) => {
                tracing::warn!(run = %run.id, "run {} could not be read again: {error:#}", run.id);
                run.clone()
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
        let task = self.under_way().tasks.remove(&run.id);
        if let Some(task) = task {
            task.handle.abort();
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

//! The engine of one machine: runs are tasks of this process, the journal is in the store.

use super::Engine;
use super::drive::{current, drive, end, word};
use super::stopping::conclude_stopped;
use crate::model::{Run, RunKind, RunState};
use crate::pipeline::{Bot, StepFailure};
use crate::telemetry::{add, metric};
use async_trait::async_trait;
use backon::ExponentialBuilder;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tracing::{Instrument as _, error_span};

/// Runs runs in this process.
///
/// Plans run side by side. Applies run one after the other, in the order they were started in, also while one of them
/// waits for another try: each brings the whole default branch about as it read it, so a later one must not overtake.
pub struct LocalEngine {
    bot: Bot,
    /// Waits between the tries of a run whose step failed for a reason that may pass.
    retries: ExponentialBuilder,
    /// Runs under way or waiting for their turn; those that can be stopped have a handle.
    under_way: Mutex<BTreeMap<String, Option<AbortHandle>>>,
    applies: UnboundedSender<Run>,
}

impl LocalEngine {
    /// An engine with nothing under way; see [`Engine::take_up`]. Needs a running tokio runtime.
    #[must_use]
    pub fn new(bot: Bot, retries: ExponentialBuilder) -> Arc<Self> {
        let (applies, queue) = unbounded_channel();
        let engine = Arc::new(Self {
            bot,
            retries,
            under_way: Mutex::default(),
            applies,
        });
        tokio::spawn(Arc::clone(&engine).work_off(queue));
        engine
    }

    fn launch(self: &Arc<Self>, run: &Run) {
        if run.kind.publishes() && run.kind != RunKind::Verify {
            return self.queue(run);
        }
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !under_way.contains_key(&run.id) {
            let (engine, task_run) = (Arc::clone(self), run.clone());
            let task = tokio::spawn(async move { engine.carry(&task_run).await });
            under_way.insert(run.id.clone(), Some(task.abort_handle()));
        }
    }

    async fn work_off(self: Arc<Self>, mut queue: UnboundedReceiver<Run>) {
        while let Some(run) = queue.recv().await {
            self.carry(&run).await;
        }
    }

    /// Brings a run to its end, whatever happens: one that panics has failed, and the others go on.
    async fn carry(self: &Arc<Self>, run: &Run) {
        let guard = StopWithMe(tokio::spawn({
            let (bot, run, retries) = (self.bot.clone(), run.clone(), self.retries);
            let span = error_span!("run", run = %run.id);
            async move { drive(&bot, &run, retries).await }.instrument(span)
        }));
        let outcome = guard.wait().await.unwrap_or_else(|| {
            Err(StepFailure::lasting(
                "the program met a case it was not made for; its log says more",
            ))
        });
        // Before its end is written down, so that whoever wants it started again from now on is heard.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&run.id);
        let outcome = match outcome {
            Ok(answered) => match current(&self.bot, run).await {
                // A pull request was attached after the run had looked: it is answered, too, from the journal.
                Ok(now) if now.pull_request != answered.pull_request => {
                    self.queue(&now);
                    return;
                }
                Ok(_) => Ok(()),
                Err(failure) => Err(failure),
            },
            Err(failure) => Err(failure),
        };
        end(&self.bot, run, outcome).await;
    }

    fn queue(&self, run: &Run) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if under_way.insert(run.id.clone(), None).is_none()
            && self.applies.send(run.clone()).is_err()
        {
            // The receiver lives as long as the engine; should it be gone, the run stays open for the next start.
            tracing::error!(run = %run.id, "run {} waits for the next start", run.id);
        }
    }
}

/// A task that ends together with whoever waits for it.
struct StopWithMe(tokio::task::JoinHandle<Result<Run, StepFailure>>);

impl StopWithMe {
    /// Its outcome; nothing when it panicked.
    async fn wait(mut self) -> Option<Result<Run, StepFailure>> {
        (&mut self.0).await.ok()
    }
}

impl Drop for StopWithMe {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Engine for Arc<LocalEngine> {
    async fn start(&self, run: &Run) {
        self.launch(run);
    }

    async fn take_up(&self) -> anyhow::Result<usize> {
        let open = self.bot.workshop.store.runs_in(RunState::Open).await?;
        for run in &open {
            tracing::info!(run = %run.id, "taking up run {} from its journal", run.id);
            self.launch(run);
        }
        Ok(open.len())
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
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&run.id);
        if let Some(Some(task)) = task {
            task.abort();
        }
        add(&metric::RUNS_ENDED, &[word(state)], 1);
        tracing::info!(run = %run.id, state = ?state, "run {} stopped: {detail}", run.id);
        conclude_stopped(&self.bot, run, detail).await;
        Ok(())
    }
}

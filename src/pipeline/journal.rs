//! A run's journal: a step that is written there is not done again.

use super::{StepFailure, Workshop};
use crate::model::{Run, StepRecord, StepState, Timestamp};
use crate::telemetry::{metric, took};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tracing::{Instrument as _, error_span};

/// The journal of one run, and the hand that goes on writing it.
pub(super) struct Journal<'a> {
    workshop: &'a Workshop,
    run: &'a Run,
    /// Outputs of steps that are done, as far as they are known here.
    done: Mutex<BTreeMap<String, Value>>,
    /// Whether `done` is all there is: otherwise the store is asked for what is missing.
    is_whole: bool,
}

impl<'a> Journal<'a> {
    /// Opens the journal of a run that is carried out here from one end to the other: it is read once.
    pub(super) async fn open(workshop: &'a Workshop, run: &'a Run) -> Result<Self, StepFailure> {
        let steps = workshop.store.steps(&run.id).await?;
        let done = steps
            .into_iter()
            .filter(|step| step.state == StepState::Done)
            .map(|step| (step.name, step.output))
            .collect();
        Ok(Self {
            workshop,
            run,
            done: Mutex::new(done),
            is_whole: true,
        })
    }

    /// Opens the journal of a run for one step of it: each line is read when it is asked for, since there may be thousands.
    pub(super) fn open_for_a_step(workshop: &'a Workshop, run: &'a Run) -> Self {
        Self {
            workshop,
            run,
            done: Mutex::default(),
            is_whole: false,
        }
    }

    /// The output of a step that was done before.
    pub(super) async fn output<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, StepFailure> {
        let known = self.known(name);
        let output = match known {
            Some(output) => output,
            None if self.is_whole => return Ok(None),
            None => {
                let step = self.workshop.store.step(&self.run.id, name).await?;
                let Some(step) = step.filter(|step| step.state == StepState::Done) else {
                    return Ok(None);
                };
                self.know(name, step.output.clone());
                step.output
            }
        };
        // An output that cannot be read was written by another revision of the program: the step is done again.
        Ok(serde_json::from_value(output).ok())
    }

    /// When a step ended, if it did.
    pub(super) async fn finished_at(&self, name: &str) -> Result<Option<Timestamp>, StepFailure> {
        let step = self.workshop.store.step(&self.run.id, name).await?;
        Ok(step.map(|step| step.finished_at))
    }

    /// Why a step failed, if it did.
    pub(super) async fn failure(&self, name: &str) -> Result<Option<StepFailure>, StepFailure> {
        let step = self.workshop.store.step(&self.run.id, name).await?;
        let failed = step.filter(|step| step.state == StepState::Failed);
        Ok(failed.map(|step| StepFailure::read(&step.output)))
    }

    /// Does a step unless it was done before, and writes down how it ended.
    pub(super) async fn step<T, F>(&self, name: &str, work: F) -> Result<T, StepFailure>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, StepFailure>> + Send,
    {
        match self.output(name).await? {
            Some(output) => Ok(output),
            None => self.step_again(name, Box::pin(work)).await,
        }
    }

    /// Does a step whether it was done before or not, and writes down how it ended this time.
    pub(super) async fn step_again<T, F>(&self, name: &str, work: F) -> Result<T, StepFailure>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, StepFailure>> + Send,
    {
        let started_at = self.workshop.now();
        let result = self.watched(name, work).await;
        self.note(name, started_at, &result).await?;
        result
    }

    /// What a step came to that was carried out, and measured, elsewhere; `fetch` gets it the first time.
    pub(super) async fn fetched<T, F>(&self, name: &str, fetch: F) -> Result<T, StepFailure>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, StepFailure>> + Send,
    {
        if let Some(output) = self.output(name).await? {
            return Ok(output);
        }
        let started_at = self.workshop.now();
        let result = fetch.await;
        self.note(name, started_at, &result).await?;
        result
    }

    /// Writes down how a step ended.
    async fn note<T: Serialize>(
        &self,
        name: &str,
        started_at: Timestamp,
        result: &Result<T, StepFailure>,
    ) -> Result<(), StepFailure> {
        match result {
            Ok(output) => {
                let output = to_value(output)?;
                self.write(name, StepState::Done, started_at, output.clone())
                    .await?;
                self.know(name, output);
                Ok(())
            }
            Err(failure) => {
                self.write(name, StepState::Failed, started_at, to_value(failure)?)
                    .await
            }
        }
    }

    fn known(&self, name: &str) -> Option<Value> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.get(name).cloned()
    }

    fn know(&self, name: &str, output: Value) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(name.to_owned(), output);
    }

    /// Does the work of a step: its log says of which, and it is measured how long it takes.
    async fn watched<F: Future>(&self, name: &str, work: F) -> F::Output {
        let began = Instant::now();
        let span = error_span!("step", run = %self.run.id, step = name);
        let output = work.instrument(span).await;
        let kind = name.split('/').next().unwrap_or_default();
        took(&metric::STEP_SECONDS, &[kind], began.elapsed());
        output
    }

    async fn write(
        &self,
        name: &str,
        state: StepState,
        started_at: Timestamp,
        output: Value,
    ) -> Result<(), StepFailure> {
        let record = StepRecord {
            run: self.run.id.clone(),
            name: name.to_owned(),
            state,
            output,
            started_at: Some(started_at),
            finished_at: self.workshop.now(),
        };
        Ok(self.workshop.store.put_step(&record).await?)
    }
}

fn to_value<T: Serialize>(output: &T) -> Result<Value, StepFailure> {
    serde_json::to_value(output).map_err(|error| StepFailure::lasting(error.to_string()))
}

//! A run's journal: a step that is written there is not done again.

use super::{StepFailure, Workshop};
use crate::model::{Run, StepRecord, StepState, Timestamp};
use crate::telemetry::{metric, took};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Instant;
use tracing::{Instrument as _, error_span};

/// The journal of one run, as far as it was written when the run was taken up, and the hand that goes on writing it.
pub(super) struct Journal<'a> {
    workshop: &'a Workshop,
    run: &'a Run,
    done: BTreeMap<String, serde_json::Value>,
}

impl<'a> Journal<'a> {
    /// Opens the journal of a run.
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
            done,
        })
    }

    /// The output of a step that was done before.
    pub(super) fn output<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        // An output that cannot be read was written by another revision of the program: the step is done again.
        self.done
            .get(name)
            .and_then(|output| serde_json::from_value(output.clone()).ok())
    }

    /// Does a step unless it was done before, and writes down how it ended.
    pub(super) async fn step<T, F>(&self, name: &str, work: F) -> Result<T, StepFailure>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, StepFailure>> + Send,
    {
        if let Some(output) = self.output(name) {
            return Ok(output);
        }
        let started_at = self.workshop.now();
        let result = self.watched(name, work).await;
        match &result {
            Ok(output) => {
                self.write(name, StepState::Done, started_at, output)
                    .await?
            }
            Err(failure) => {
                self.write(name, StepState::Failed, started_at, &failure.message)
                    .await?
            }
        }
        result
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

    async fn write<T: Serialize>(
        &self,
        name: &str,
        state: StepState,
        started_at: Timestamp,
        output: &T,
    ) -> Result<(), StepFailure> {
        let output = serde_json::to_value(output)
            .map_err(|error| StepFailure::lasting(error.to_string()))?;
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

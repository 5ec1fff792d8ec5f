//! Building one layer for one target, in the runtime that it is for.
//!
//! Nothing is at hand here but the task and a place for the result: strangers' code may be near.

use super::FunctionError;
use crate::build::{BuildHost, empty_folder};
use crate::pipeline::build_task::perform;
use crate::pipeline::flow::{StepCall, Worker, task_key};
use crate::pipeline::{StepFailure, TaskBodies, Workbench};
use crate::plan::{BuildFailure, BuildState};
use crate::telemetry::{metric, took};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};
use tracing::{Instrument as _, error_span};

/// What ending a build and writing down what came of it may take: a function that is cut off by AWS says nothing.
const GOODBYE: Duration = Duration::from_secs(30);

/// What a function that builds is asked for.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum BuildEvent {
    /// To build something.
    Step(StepCall),
    /// To say what it has, which [`ExaminedHost`] holds.
    Examine {
        /// Always `true`.
        #[serde(rename = "examine")]
        _is_asked: bool,
    },
}

/// What a function that builds has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExaminedHost {
    /// What resolves.
    pub uv: ExaminedUv,
    /// What builds.
    #[serde(flatten)]
    pub host: BuildHost,
}

/// What resolves in a function that builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExaminedUv {
    /// It answers.
    Works {
        /// Such as `0.9.1`.
        version: String,
    },
    /// It does not.
    Missing {
        /// Why, as a sentence.
        reason: String,
    },
}

/// Builds what the step names within the time that is left, and leaves what came of it.
pub(super) async fn handle(
    bench: &Workbench,
    bodies: &TaskBodies,
    data: &Path,
    event: &BuildEvent,
    left: Duration,
) -> Result<Option<ExaminedHost>, FunctionError> {
    // A function's environment is used again: nothing that packages of another build left there may have a say in this one.
    let emptied = std::fs::create_dir_all(data).and_then(|()| empty_folder(data));
    emptied.map_err(|error| {
        StepFailure::transient(format!(
            "the folder for building cannot be emptied: {error}"
        ))
    })?;
    match event {
        BuildEvent::Step(call) => build(bench, bodies, call, left).await.map(|()| None),
        BuildEvent::Examine { .. } => {
            let uv = bench.resolver.uv_version().await;
            let host = bench.builder.examine_host().await;
            Ok(Some(ExaminedHost {
                uv: match uv {
                    Ok(version) => ExaminedUv::Works { version },
                    Err(error) => ExaminedUv::Missing {
                        reason: error.for_people(),
                    },
                },
                host: host.map_err(|error| StepFailure::transient(error.to_string()))?,
            }))
        }
    }
}

async fn build(
    bench: &Workbench,
    bodies: &TaskBodies,
    call: &StepCall,
    left: Duration,
) -> Result<(), FunctionError> {
    if call.stage.worker() != Worker::Build {
        let message = format!("stage `{}` is another function's", call.stage.name());
        return Err(StepFailure::lasting(message).into());
    }
    let Some(item) = &call.item else {
        let failure = StepFailure::lasting("the step names no layer and target");
        return Err(failure.into());
    };
    let key = task_key(&call.run, call.stage, item)?;
    match bodies.result(&key).await {
        // A try whose answer was lost has left its result.
        Ok(_) => return Ok(()),
        Err(error) if error.is_missing() => {}
        Err(error) => return Err(StepFailure::from(error).into()),
    }
    let task = bodies.task(&key).await.map_err(StepFailure::from)?;
    let began = Instant::now();
    let span = error_span!("step", run = %call.run, step = item.step(call.stage));
    let limit = left.saturating_sub(GOODBYE).max(left / 2);
    let result = tokio::time::timeout(limit, perform(bench, &task).instrument(span)).await;
    took(&metric::STEP_SECONDS, &["build"], began.elapsed());
    let result = result.unwrap_or_else(|_| {
        BuildState::Failed(BuildFailure {
            message: format!(
                "resolving and building it took longer than the {} minutes that a function on AWS Lambda has",
                left.as_secs().div_ceil(60)
            ),
            package: None,
            // It would take as long the next time; whoever asks for it can have it tried again.
            transient: false,
        })
    });
    let left = bodies.put_result(&key, &result).await;
    left.map_err(|error| StepFailure::from(error).into())
}

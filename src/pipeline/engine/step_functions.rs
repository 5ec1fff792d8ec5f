//! The engine of AWS: a run is an execution of a state machine, whose states call functions.
//!
//! An execution is named after its run, so that starting one twice is starting it once. A run whose execution ended before
//! the run did, because AWS lost it or somebody stopped it by hand, is carried on by another execution, which finds in the
//! journal what is done.

use super::Engine;
use super::drive::{end, word};
use super::stopping::conclude_stopped;
use crate::model::{Run, RunState};
use crate::pipeline::flow::Machine;
use crate::pipeline::{Bot, StepFailure};
use crate::telemetry::{add, metric};
use anyhow::Context as _;
use async_trait::async_trait;
use aws_sdk_sfn::error::{DisplayErrorContext, SdkError};
use aws_sdk_sfn::types::ExecutionStatus;

/// Executions of one run, after which it has failed for good.
const EXECUTIONS: u32 = 5;
/// The longest name of an execution (AWS Step Functions API, `StartExecution`).
const NAME_LIMIT: usize = 80;

/// Starts and stops executions of the two state machines.
pub struct StepFunctionsEngine {
    bot: Bot,
    client: aws_sdk_sfn::Client,
    /// The ARN of the machines without `-plan` and `-apply`.
    machines: String,
}

/// What starting an execution came to.
enum Started {
    /// It runs, from now or from before.
    Runs,
    /// One of that name ran and has ended.
    Ended,
}

impl StepFunctionsEngine {
    /// An engine for the state machines `{machines}-plan` and `{machines}-apply`, given as an ARN.
    #[must_use]
    pub fn new(bot: Bot, client: aws_sdk_sfn::Client, machines: String) -> Self {
        Self {
            bot,
            client,
            machines,
        }
    }

    fn machine(&self, run: &Run) -> String {
        format!("{}-{}", self.machines, Machine::of(run.kind).name())
    }

    /// The ARN of an execution (AWS documentation, "Actions, resources, and condition keys for AWS Step Functions").
    fn execution(&self, run: &Run, name: &str) -> String {
        let machine = self
            .machine(run)
            .replacen(":stateMachine:", ":execution:", 1);
        format!("{machine}:{name}")
    }

    async fn try_start(&self, run: &Run) -> anyhow::Result<()> {
        for attempt in 1..=EXECUTIONS {
            let name = execution_name(&run.id, attempt);
            match self.start_named(run, &name).await? {
                Started::Runs => return Ok(()),
                Started::Ended => {}
            }
        }
        // The function that says so otherwise may be the one that does not work.
        let detail = format!("{EXECUTIONS} executions of it ended before it did");
        end(&self.bot, run, Err(StepFailure::lasting(detail))).await;
        Ok(())
    }

    async fn start_named(&self, run: &Run, name: &str) -> anyhow::Result<Started> {
        let input = serde_json::json!({ "run": run.id, "kind": run.kind });
        let start = self
            .client
            .start_execution()
            .state_machine_arn(self.machine(run))
            .name(name)
            .input(input.to_string());
        match start.send().await {
            // AWS answers as at the first time while an execution of that name and input runs.
            Ok(_) => Ok(Started::Runs),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|it| it.is_execution_already_exists()) =>
            {
                let known = self
                    .client
                    .describe_execution()
                    .execution_arn(self.execution(run, name));
                let known = known.send().await.map_err(|error| plain(&error))?;
                Ok(match known.status() {
                    ExecutionStatus::Running | ExecutionStatus::PendingRedrive => Started::Runs,
                    _ => Started::Ended,
                })
            }
            Err(error) => Err(plain(&error)).context("the state machine was not started"),
        }
    }

    async fn stop_executions(&self, run: &Run, detail: &str) {
        for attempt in 1..=EXECUTIONS {
            let name = execution_name(&run.id, attempt);
            let stop = self
                .client
                .stop_execution()
                .execution_arn(self.execution(run, &name))
                .cause(detail);
            let Err(error) = stop.send().await else {
                continue;
            };
            if error
                .as_service_error()
                .is_some_and(|error| error.is_execution_does_not_exist())
            {
                return;
            }
            // It may have ended meanwhile; whatever goes on of it sees that the run is over.
            tracing::debug!(run = %run.id, "execution {name} was not stopped: {}", DisplayErrorContext(&error));
        }
    }
}

/// The first execution of a run has its id, a later one says which it is.
fn execution_name(run: &str, attempt: u32) -> String {
    let suffix = match attempt {
        1 => String::new(),
        attempt => format!(".{attempt}"),
    };
    let kept: String = run.chars().take(NAME_LIMIT - suffix.len()).collect();
    format!("{kept}{suffix}")
}

fn plain<E, R>(error: &SdkError<E, R>) -> anyhow::Error
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    anyhow::anyhow!("{}", DisplayErrorContext(error))
}

#[async_trait]
impl Engine for StepFunctionsEngine {
    async fn start(&self, run: &Run) {
        if let Err(error) = self.try_start(run).await {
            // The run is written down: the next sweep starts it.
            tracing::error!(run = %run.id, "run {} waits for the next sweep: {error:#}", run.id);
        }
    }

    async fn stop(&self, run: &Run, state: RunState, detail: &str) -> anyhow::Result<()> {
        let store = &self.bot.workshop.store;
        if !store.end_run(&run.id, state, Some(detail)).await? {
            return Ok(());
        }
        self.stop_executions(run, detail).await;
        add(&metric::RUNS_ENDED, &[word(state)], 1);
        tracing::info!(run = %run.id, state = ?state, "run {} stopped: {detail}", run.id);
        conclude_stopped(&self.bot, run, detail).await;
        Ok(())
    }

    async fn take_up(&self) -> anyhow::Result<usize> {
        let open = self.bot.workshop.store.runs_in(RunState::Open).await?;
        for run in &open {
            self.start(run).await;
        }
        Ok(open.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_named_after_their_run() {
        assert_eq!(
            execution_name("apply-0123456789ab-1", 1),
            "apply-0123456789ab-1"
        );
        assert_eq!(
            execution_name("apply-0123456789ab-1", 3),
            "apply-0123456789ab-1.3"
        );
        let long = execution_name(&"x".repeat(90), 2);
        assert_eq!((long.len(), long.ends_with(".2")), (80, true));
    }
}

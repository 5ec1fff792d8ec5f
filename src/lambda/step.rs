//! One step of a run, as a state of its state machine calls for it.

use super::FunctionError;
use crate::model::{InvalidValue, Run, RunId, RunKind, RunState, Target};
use crate::pipeline::engine::end;
use crate::pipeline::flow::{INLINE_ITEMS, Item, Stage, Steps, Worker, is_within_turn};
use crate::pipeline::{Bot, StepFailure};
use crate::plan::BuildFailure;
use crate::store::{Claimant, Lease, Term};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Seconds that a run has the turn to publish while functions are at work that have the store: more than any may take.
const TURN: u32 = 1_000;
/// The same while layers are built: those functions know no store, and cannot say that the run is still there. Three hours
/// are the longest build, tried again, for ten times as many layers as are built at once.
const TURN_WHILE_BUILDING: u32 = 10_800;

/// Carries out the steps that are one function's.
pub struct StepWorker {
    /// The bot, with what the function's role may know.
    pub bot: Bot,
    /// Whose steps.
    pub worker: Worker,
    /// The turn to publish.
    pub lease: Lease,
}

/// What a state hands over.
#[derive(Debug, Deserialize)]
pub(super) struct StepEvent {
    run: String,
    /// The execution that the state is of. Executions that were started by an earlier revision do not say it.
    execution: Option<String>,
    kind: RunKind,
    stage: Moment,
    item: Option<Item>,
    error: Option<Caught>,
}

/// A stage, or the end of the run.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Moment {
    Last(LastWord),
    Stage(Stage),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LastWord {
    /// Every stage is done.
    End,
    /// One failed for good.
    Failed,
}

/// What a `Catch` caught (Amazon States Language, "Error representation").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Caught {
    error: String,
    cause: Option<String>,
}

/// What a function that fails answers with (AWS Lambda documentation, "Error format").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionFailure {
    error_message: String,
}

/// What a state gets back.
#[derive(Debug, Default, Serialize)]
pub(super) struct StepAnswer {
    items: Vec<Item>,
    /// Whether the items are a list in S3.
    many: bool,
    bucket: String,
    key: String,
    /// Whether the last stage is to be carried out again.
    again: bool,
}

impl StepWorker {
    /// `left` is the time that this invocation may take at the most.
    pub(super) async fn handle(
        &self,
        event: StepEvent,
        left: Duration,
    ) -> Result<StepAnswer, FunctionError> {
        let store = &self.bot.workshop.store;
        let Some(run) = store.run(&event.run).await? else {
            let message = format!("there is no run `{}`", event.run);
            return Err(StepFailure::lasting(message).into());
        };
        let claimant = Claimant {
            owner: event.execution.as_deref().unwrap_or(&run.id),
            run: Some(&run.id),
        };
        let stage = match event.stage {
            Moment::Stage(stage) => stage,
            Moment::Last(LastWord::End) => return self.end(&run, claimant).await,
            Moment::Last(LastWord::Failed) => return self.fail(&run, claimant, event.error).await,
        };
        if run.state != RunState::Open {
            return Err(FunctionError::RunOver(run.id));
        }
        // Whoever builds has no store: that it gave no answer is written down by whoever plans with what it built.
        let unanswered = event
            .error
            .filter(|_| stage.worker() == Worker::Build && self.worker == Worker::Plan);
        let is_ours = stage.worker() == self.worker || unanswered.is_some();
        if !is_ours || run.kind != event.kind {
            let message = format!("stage `{}` is another function's", stage.name());
            return Err(StepFailure::lasting(message).into());
        }
        if stage == Stage::Turn {
            self.take_turn(claimant, term(TURN, left)).await?;
        } else if is_within_turn(run.kind, stage) {
            let turn = match stage {
                Stage::Prepare | Stage::Build => TURN_WHILE_BUILDING,
                _ => TURN,
            };
            self.keep_turn(claimant, term(turn, left)).await?;
        }
        let steps = Steps::of_one_step(&self.bot, &run).within(left);
        if let (Some(caught), Some(item)) = (unanswered, &event.item) {
            let failure = unanswered_build(&caught, item.target);
            steps.leave_unanswered(stage, item, failure).await?;
            return Ok(StepAnswer::default());
        }
        let items = steps.perform(stage, event.item.as_ref()).await?.items;
        if items.len() <= INLINE_ITEMS {
            return Ok(StepAnswer {
                items,
                ..StepAnswer::default()
            });
        }
        let Some(handover) = &self.bot.workshop.handover else {
            let message = "there is no bucket for long lists: set LAYERSMITH_ARTIFACTS";
            return Err(StepFailure::lasting(message).into());
        };
        let id: RunId = run
            .id
            .parse()
            .map_err(|error: InvalidValue| StepFailure::lasting(error.to_string()))?;
        let place = handover.put_list(&id, stage, &items).await;
        let place = place.map_err(StepFailure::from)?;
        Ok(StepAnswer {
            many: true,
            bucket: place.bucket,
            key: place.key,
            ..StepAnswer::default()
        })
    }

    async fn take_turn(&self, claimant: Claimant<'_>, term: Term) -> Result<(), FunctionError> {
        let now = self.bot.workshop.now();
        if self.lease.take(claimant, now, term).await? {
            return Ok(());
        }
        let holder = self.lease.holder().await?;
        let owner = holder.map_or_else(|| "another run".to_owned(), |holder| holder.owner);
        Err(FunctionError::TurnTaken(owner))
    }

    /// Keeps the turn. Whoever had it meanwhile may have changed what this run found.
    async fn keep_turn(&self, claimant: Claimant<'_>, term: Term) -> Result<(), FunctionError> {
        let now = self.bot.workshop.now();
        if self.lease.renew(claimant, now, term).await? {
            return Ok(());
        }
        let message = "the run was away for so long that another had the turn to publish";
        Err(StepFailure::lasting(message).into())
    }

    async fn end(&self, run: &Run, claimant: Claimant<'_>) -> Result<StepAnswer, FunctionError> {
        if run.state == RunState::Open && !Steps::of_one_step(&self.bot, run).is_answered().await? {
            return Ok(StepAnswer {
                again: true,
                ..StepAnswer::default()
            });
        }
        end(&self.bot, run, Ok(())).await;
        self.lease.release(claimant.owner).await?;
        Ok(StepAnswer::default())
    }

    async fn fail(
        &self,
        run: &Run,
        claimant: Claimant<'_>,
        caught: Option<Caught>,
    ) -> Result<StepAnswer, FunctionError> {
        // One that was stopped is over already, and was told of.
        if run.state == RunState::Open {
            end(&self.bot, run, Err(reason(caught))).await;
        }
        self.lease.release(claimant.owner).await?;
        Ok(StepAnswer::default())
    }
}

/// The turn for so many seconds, in which this invocation is at work until its time is over.
fn term(turn: u32, left: Duration) -> Term {
    let work = u32::try_from(left.as_secs() + 1).unwrap_or(turn);
    Term {
        turn,
        work: work.min(turn),
    }
}

/// What the function itself said, unless it died.
fn said_by(caught: &Caught) -> Option<FunctionFailure> {
    serde_json::from_str(caught.cause.as_deref()?).ok()
}

/// What a step failed of, in its own words where it had some.
fn reason(caught: Option<Caught>) -> StepFailure {
    let Some(caught) = caught else {
        return StepFailure::lasting("a step failed");
    };
    match (caught.error.as_str(), said_by(&caught)) {
        ("Transient" | "Lasting" | "ArtifactLost" | "TurnTaken", Some(said)) => {
            StepFailure::lasting(said.error_message)
        }
        ("States.Timeout", _) => StepFailure::lasting("a step took longer than it may"),
        (error, _) => StepFailure::lasting(format!("a function ended without an answer ({error})")),
    }
}

/// Why a function that builds gave no answer, in the words that a pull request is told.
fn unanswered_build(caught: &Caught, target: Target) -> BuildFailure {
    let (message, transient) = match caught.error.as_str() {
        "Lambda.ResourceNotFoundException" => {
            let message = format!(
                "nothing builds for {target} here: this deployment has no function for Python {} on {}",
                target.python, target.architecture
            );
            (message, false)
        }
        "Sandbox.Timedout" | "States.Timeout" => (
            "the function that builds it took longer than a function may".to_owned(),
            false,
        ),
        error @ ("Transient" | "Lasting") => {
            let transient = error == "Transient";
            let said = said_by(caught).map(|said| said.error_message);
            (
                said.unwrap_or_else(|| "the function that builds it failed".to_owned()),
                transient,
            )
        }
        "Runtime.ExitError" | "Runtime.OutOfMemory" | "Lambda.Unknown" => (
            "the function that builds it ended without an answer: it may have run out of memory"
                .to_owned(),
            true,
        ),
        error => (
            format!("the function that builds it gave no answer ({error})"),
            true,
        ),
    };
    BuildFailure {
        message,
        package: None,
        transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states_name_stages_and_the_end() {
        let event = |stage: &str| -> StepEvent {
            let event = json!({"run": "apply-1", "kind": "apply", "stage": stage});
            serde_json::from_value(event).unwrap()
        };
        assert!(matches!(event("end").stage, Moment::Last(LastWord::End)));
        assert!(matches!(
            event("tables").stage,
            Moment::Stage(Stage::Tables)
        ));
    }

    #[test]
    fn a_build_without_an_answer_is_told_by_what_happened_to_its_function() {
        let told = |error: &str, cause: &str| {
            let caught = json!({"Error": error, "Cause": cause});
            let target = "p3.10-arm64".parse().unwrap();
            let failure = unanswered_build(&serde_json::from_value(caught).unwrap(), target);
            (failure.message, failure.transient)
        };
        assert_eq!(
            told("Lambda.ResourceNotFoundException", "Function not found"),
            (
                "nothing builds for p3.10-arm64 here: this deployment has no function for Python 3.10 on arm64"
                    .to_owned(),
                false
            )
        );
        let cause = r#"{"errorType":"Transient","errorMessage":"the bucket does not answer"}"#;
        assert_eq!(
            told("Transient", cause),
            ("the bucket does not answer".to_owned(), true)
        );
        assert!(!told("Sandbox.Timedout", "").1);
        assert!(told("Runtime.ExitError", "").1);
        let (message, _) = told("Lambda.ServiceException", "");
        assert!(message.ends_with("(Lambda.ServiceException)"), "{message}");
    }

    #[test]
    fn a_failure_is_told_in_the_words_of_the_step() {
        let told = |error: &str, cause: &str| {
            let caught = json!({"Error": error, "Cause": cause});
            reason(serde_json::from_value(caught).ok()).message
        };
        let cause = r#"{"errorType":"Lasting","errorMessage":"the branch is gone"}"#;
        assert_eq!(told("Lasting", cause), "the branch is gone");
        assert_eq!(
            told(
                "Runtime.ExitError",
                r#"{"errorMessage":"RequestId: 1 Error: /tmp/x"}"#
            ),
            "a function ended without an answer (Runtime.ExitError)"
        );
    }
}

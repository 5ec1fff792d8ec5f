//! Drives one run to its end: tries again what may pass, and says so when it does not.

use crate::github::render;
use crate::model::{Run, RunKind, RunState};
use crate::pipeline::flow::{Answer, Item, Stage, Steps, stages};
use crate::pipeline::pull_request::{check_report, say};
use crate::pipeline::{Bot, StepFailure};
use crate::telemetry::{add, metric};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::{FutureExt as _, StreamExt as _, stream};

/// Carries a run through its steps, as often as `retries` allows while they fail for reasons that may pass. Returns the
/// run as it was carried out: a pull request may have been attached before, and may be attached at any time.
///
/// # Errors
/// The failure that ended it. Nothing was said or written down about that yet; see [`end`].
pub(super) async fn drive(
    bot: &Bot,
    run: &Run,
    retries: ExponentialBuilder,
) -> Result<Run, StepFailure> {
    let mut waits = retries.build();
    loop {
        let wait = waits.next();
        match execute(bot, run, wait.is_none()).await {
            Err(failure) if failure.transient => match wait {
                Some(wait) => {
                    tracing::warn!(run = %run.id, reason = %failure.message, "run {} goes on in {wait:?}: {}", run.id, failure.message);
                    tokio::time::sleep(wait).await;
                }
                None => return Err(failure),
            },
            other => return other,
        }
    }
}

/// One try, stage by stage; what the journal has is not done again.
async fn execute(bot: &Bot, run: &Run, last_try: bool) -> Result<Run, StepFailure> {
    let store = &bot.workshop.store;
    let mut turn = None;
    let mut run = run.clone();
    if stages(run.kind).first() == Some(&Stage::Turn) {
        // With everybody who shares the store, other processes included.
        turn = Some(store.turn_to_publish().await?);
        run = current(bot, &run).await?;
    }
    let steps = Steps::of_run(bot, &run).await?;
    let mut items = Vec::new();
    for &stage in stages(run.kind) {
        if stage == Stage::Turn {
            if turn.is_none() {
                turn = Some(store.turn_to_publish().await?);
            }
            continue;
        }
        // As an object, like each stage within it: these futures are deep, and a worker's stack is not.
        let work = carry_out(&steps, stage, &items).boxed();
        let done = match &turn {
            Some(turn) => turn.during(work).await?,
            None => work.await,
        };
        match done {
            Ok(answer) if stage.gives_items() => items = answer.items,
            Ok(_) => {}
            Err(failure) if stage.may_fail() && (last_try || !failure.transient) => {}
            Err(failure) => return Err(failure),
        }
    }
    drop(steps);
    Ok(run)
}

/// A stage, for each of the items where it is for items. One that fails stops no other.
async fn carry_out(steps: &Steps<'_>, stage: Stage, items: &[Item]) -> Result<Answer, StepFailure> {
    let Some(at_once) = stage.at_once() else {
        return steps.perform(stage, None).boxed().await;
    };
    let work: Vec<_> = items
        .iter()
        .map(|item| carry_out_one(steps, stage, item).boxed())
        .collect();
    let results: Vec<Result<Answer, StepFailure>> =
        stream::iter(work).buffer_unordered(at_once).collect().await;
    let failures: Vec<StepFailure> = results.into_iter().filter_map(Result::err).collect();
    // What another try may get past comes first: the rest is found again then.
    let transient = failures.iter().find(|failure| failure.transient);
    match transient.or(failures.first()) {
        Some(failure) => Err(failure.clone()),
        None => Ok(Answer::default()),
    }
}

/// A stage for one item, with what is done when its zip is lost.
async fn carry_out_one(
    steps: &Steps<'_>,
    stage: Stage,
    item: &Item,
) -> Result<Answer, StepFailure> {
    let mut done = steps.perform(stage, Some(item)).boxed().await;
    if done.as_ref().is_err_and(|failure| failure.artifact_lost) {
        for &stage in stage.when_lost() {
            done = Ok(steps.perform(stage, Some(item)).boxed().await?);
        }
    }
    done
}

/// The run as the store has it now.
pub(super) async fn current(bot: &Bot, run: &Run) -> Result<Run, StepFailure> {
    let stored = bot.workshop.store.run(&run.id).await?;
    Ok(stored.unwrap_or_else(|| run.clone()))
}

/// Writes down how a run ended; a failure is said on the pull request first.
pub async fn end(bot: &Bot, run: &Run, outcome: Result<(), StepFailure>) {
    let run = &current(bot, run).await.unwrap_or_else(|_| run.clone());
    let (state, detail) = match &outcome {
        Ok(()) => (RunState::Done, None),
        Err(failure) => (RunState::Failed, Some(failure.message.as_str())),
    };
    if let Err(failure) = &outcome {
        tracing::error!(run = %run.id, reason = %failure.message, "run {} failed: {}", run.id, failure.message);
        // What time sets off has no commit and nobody who waits for it.
        if matches!(run.kind, RunKind::Plan | RunKind::Apply) {
            tell_failure(bot, run, failure).await;
        }
    }
    match bot.workshop.store.end_run(&run.id, state, detail).await {
        Ok(ended) => {
            if ended {
                add(&metric::RUNS_ENDED, &[word(state)], 1);
            }
            tracing::info!(run = %run.id, state = ?state, "run {} ended", run.id);
        }
        Err(error) => {
            tracing::error!(run = %run.id, "the end of run {} could not be written down: {error:#}", run.id);
        }
    }
}

/// The state's name among the values of [`metric::RUNS_ENDED`].
pub(super) fn word(state: RunState) -> &'static str {
    match state {
        RunState::Open => "open",
        RunState::Done => "done",
        RunState::Failed => "failed",
        RunState::Superseded => "superseded",
        RunState::Cancelled => "cancelled",
    }
}

/// Check run first, comment last, each as well as it can be had.
async fn tell_failure(bot: &Bot, run: &Run, failure: &StepFailure) {
    let number = run.pull_request.unwrap_or_default();
    let marker = render::marker("pull_request", number);
    let doing = format!("run {} was under way", run.id);
    let rendered = render::render_failed(&marker, &run.head_sha, &doing, &failure.message);
    let report = check_report(run, &run.head_sha, &rendered);
    if let Err(error) = bot.github.put_check(&report).await {
        tracing::error!(run = %run.id, "the check run for run {} could not be concluded: {error}", run.id);
    }
    if run.pull_request.is_some()
        && let Err(error) = say(bot, number, &marker, &rendered.comment).await
    {
        tracing::error!(run = %run.id, "the failure of run {} could not be said: {error}", run.id);
    }
}

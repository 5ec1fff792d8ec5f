//! `layersmith status`: the journal of a run, or the last runs.

use super::{Backends, Ended, Failure, Output};
use crate::model::{Run, RunKind, RunState, StepRecord, StepState};
use crate::pipeline::shortfalls;
use crate::settings::Settings;
use crate::store::Store;
use clap::Args;
use serde_json::json;
use std::cmp::Reverse;

/// Runs of each kind that are looked through for one whose id begins with what was typed.
const LOOKED_THROUGH: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The run's id, as comments and commits name it (`apply-0123456789ab-1`), or how it begins; without one, the last runs
    run: Option<String>,

    /// How many of the last runs are listed, newest first
    #[arg(long, value_name = "NUMBER", num_args = 0..=1, default_value_t = 20, default_missing_value = "20", conflicts_with = "run")]
    last: usize,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    let workshop = (backends.workshop)(settings).await?;
    let store = &*workshop.store;
    let Some(asked) = &options.run else {
        return list(output, &last(store, options.last).await?);
    };
    if let Some(run) = store.run(asked).await? {
        return show(output, store, &run).await;
    }
    let mut runs = last(store, LOOKED_THROUGH).await?;
    runs.retain(|run| run.id.starts_with(asked));
    match &runs[..] {
        [] => Err(Failure::Usage(format!(
            "there is no run `{asked}` in this store"
        ))),
        [run] => show(output, store, run).await,
        _ => list(output, &runs),
    }
}

/// The last runs, of whatever kind, newest first.
async fn last(store: &dyn Store, limit: usize) -> anyhow::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for kind in RunKind::ALL {
        runs.extend(store.runs_of_kind(kind, limit).await?);
    }
    // Those of a kind are newest first already, and stay so where the times are the same.
    // Of one second, what publishes comes after the plan that was merged.
    runs.sort_by_key(|run| (Reverse(run.created_at), run.kind == RunKind::Plan));
    runs.truncate(limit);
    Ok(runs)
}

fn list(output: &Output, runs: &[Run]) -> Result<Ended, Failure> {
    let mut text = String::new();
    let width = runs
        .iter()
        .map(|run| run.id.len())
        .max()
        .unwrap_or_default();
    for run in runs {
        let detail = run
            .detail
            .as_deref()
            .and_then(|detail| detail.lines().next());
        let detail = detail.map_or_else(String::new, |line| format!(": {line}"));
        let (id, state) = (&run.id, state(run));
        text.push_str(&format!(
            "{}  {id:width$}  {state}{detail}\n",
            run.created_at
        ));
    }
    if runs.is_empty() {
        text.push_str("There was no run yet.\n");
    }
    output.answer(&json!({ "runs": runs }), &text)?;
    Ok(Ended::Done)
}

async fn show(output: &Output, store: &dyn Store, run: &Run) -> Result<Ended, Failure> {
    let steps = store.steps(&run.id).await?;
    let answer = json!({ "run": run, "steps": steps });
    output.answer(&answer, &journal(run, &steps))?;
    Ok(Ended::Done)
}

fn journal(run: &Run, steps: &[StepRecord]) -> String {
    let kind = match run.kind {
        RunKind::Plan => "plan",
        RunKind::Apply => "apply",
        RunKind::Upgrade => "upgrade",
        RunKind::Expire => "expire",
        RunKind::Verify => "verify",
    };
    let mut text = format!(
        "{}  {kind}, {}, started {}",
        run.id,
        state(run),
        run.created_at
    );
    if let Some(last) = steps.iter().map(|step| step.finished_at).max() {
        let seconds = last.unix() - run.created_at.unix();
        text.push_str(&format!(", its last step ended after {}", shown(seconds)));
    }
    text.push('\n');
    if let Some(number) = run.pull_request {
        text.push_str(&format!("  answers on pull request #{number}\n"));
    }
    if let Some(detail) = &run.detail {
        text.push_str(&format!("  {}\n", detail.replace('\n', "\n  ")));
    }
    let mut failed = 0;
    for step in steps {
        let state = match step.state {
            StepState::Done => "done  ",
            StepState::Failed => "FAILED",
        };
        let took = step
            .started_at
            .map(|began| shown(step.finished_at.unix() - began.unix()));
        let took = took.unwrap_or_default();
        text.push_str(&format!(
            "  {}  {took:>8}  {state}  {}\n",
            step.finished_at, step.name
        ));
        let lines = match step.state {
            StepState::Done => shortfalls(step),
            StepState::Failed => vec![reason(step)],
        };
        failed += usize::from(!lines.is_empty());
        for line in lines {
            text.push_str(&format!("    {}\n", line.replace('\n', "\n    ")));
        }
    }
    if failed > 0 {
        text.push_str(&format!(
            "  {failed} of {} steps failed or left something undone\n",
            steps.len()
        ));
    }
    text
}

/// Why a step failed: its output is the reason, by itself or with what else is known.
fn reason(step: &StepRecord) -> String {
    let message = step
        .output
        .as_str()
        .or_else(|| step.output["message"].as_str());
    message.unwrap_or_default().to_owned()
}

fn state(run: &Run) -> &'static str {
    match run.state {
        RunState::Open => "at work",
        RunState::Done => "done",
        RunState::Failed => "failed",
        RunState::Superseded => "a newer commit took its place",
        RunState::Cancelled => "cancelled",
    }
}

fn shown(seconds: i64) -> String {
    match seconds.max(0) {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

//! `layersmith status`: the journal of a run.

use super::{Backends, Ended, Failure, Output};
use crate::model::{RunState, StepState};
use crate::pipeline::StepFailure;
use crate::settings::Settings;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The run's id, as comments and commits name it: `apply-0123456789ab-1`
    run: String,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    let workshop = (backends.workshop)(settings).await?;
    let Some(run) = workshop.store.run(&options.run).await? else {
        return Err(Failure::Usage(format!(
            "there is no run `{}` in this store",
            options.run
        )));
    };
    let steps = workshop.store.steps(&run.id).await?;
    let state = match run.state {
        RunState::Open => "at work",
        RunState::Done => "done",
        RunState::Failed => "failed",
        RunState::Superseded => "a newer commit took its place",
        RunState::Cancelled => "cancelled",
    };
    let mut text = format!("{}  {state}, written down {}\n", run.id, run.created_at);
    if let Some(detail) = &run.detail {
        text.push_str(&format!("  {}\n", detail.replace('\n', "\n  ")));
    }
    for step in &steps {
        let state = match step.state {
            StepState::Done => "done  ",
            StepState::Failed => "FAILED",
        };
        text.push_str(&format!("  {}  {state}  {}\n", step.finished_at, step.name));
        if step.state == StepState::Failed {
            let reason = StepFailure::read(&step.output).message;
            text.push_str(&format!("    {}\n", reason.replace('\n', "\n    ")));
        }
    }
    output.answer(&json!({ "run": run, "steps": steps }), &text)?;
    Ok(Ended::Done)
}

//! What a step that was done could not do all the same, for people who look at its run.

use super::{Carried, Expired, Shared};
use crate::model::StepRecord;
use crate::plan::{BuildState, ParametersOutcome};

/// A line for each thing that a step of the journal left undone, and why; nothing where nothing was.
#[must_use]
pub fn shortfalls(step: &StepRecord) -> Vec<String> {
    let output = || step.output.clone();
    let kind = step.name.split('/').next().unwrap_or_default();
    let mut lines = Vec::new();
    match kind {
        "publish" => {
            if let Ok(Carried::Published(outcome)) = serde_json::from_value(output()) {
                let failed = outcome.failed.iter();
                lines.extend(failed.map(|it| format!("{}: {}", it.region, it.message)));
            }
        }
        "build" | "rebuild" => {
            if let Ok(BuildState::Failed(failure)) = serde_json::from_value(output()) {
                lines.push(failure.message);
            }
        }
        "permissions" => {
            let shared: Shared = serde_json::from_value(output()).unwrap_or_default();
            let failed = shared.failed.iter();
            lines.extend(failed.map(|it| format!("{}: {}", it.arn, it.message)));
        }
        "expire" => {
            let expired: Expired = serde_json::from_value(output()).unwrap_or_default();
            let failed = expired.failed.iter();
            lines.extend(failed.map(|it| format!("{}: {}", it.arn, it.message)));
        }
        "parameters" => {
            let put: ParametersOutcome = serde_json::from_value(output()).unwrap_or_default();
            let failed = put.failed.iter();
            lines.extend(failed.map(|it| format!("{}: {}", it.region, it.message)));
        }
        _ => {}
    }
    lines
}

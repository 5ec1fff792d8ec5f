//! What became of the public names in Parameter Store. A region that fails is a warning: what was published is live.

use super::document::Block;
use super::escape::{code, cut, line};
use super::words::count;
use crate::plan::{ParametersOutcome, RegionFailure};

/// Regions whose reasons are told.
const SHOWN_REASONS: usize = 10;

/// The part of an outcome; none where nothing was done and nothing is wrong.
pub(super) fn block(outcome: &ParametersOutcome) -> Option<Block> {
    let done = sentence(outcome);
    if outcome.failed.is_empty() {
        return done.map(|done| Block {
            name: "the parameters".to_owned(),
            forms: vec![format!("- {done}")],
        });
    }
    let regions = count(outcome.failed.len(), "region");
    let head = format!(
        "⚠️ **The parameters in {regions} are not up to date.** What was published is live all the same; the next run tries again.{}",
        done.map_or_else(String::new, |done| format!(" {done}"))
    );
    let mut reasons: Vec<String> = outcome
        .failed
        .iter()
        .take(SHOWN_REASONS)
        .map(|failure| {
            let RegionFailure {
                region, message, ..
            } = failure;
            format!("- {}: {}", code(region.as_str()), code(&cut(message, 300)))
        })
        .collect();
    if outcome.failed.len() > SHOWN_REASONS {
        reasons.push(format!(
            "- and {} more",
            outcome.failed.len() - SHOWN_REASONS
        ));
    }
    Some(Block {
        name: "the parameters".to_owned(),
        forms: vec![format!("{head}\n\n{}", reasons.join("\n")), head],
    })
}

/// What became of the parameters, for a terminal; lines with their ends, none where nothing was done and nothing is wrong.
#[must_use]
pub fn parameters_as_text(outcome: &ParametersOutcome) -> String {
    let mut text = sentence(outcome).map_or_else(String::new, |done| format!("{done}\n"));
    for failure in &outcome.failed {
        text.push_str(&format!(
            "Parameters in {}: WARNING: {}\n",
            failure.region,
            line(&failure.message)
        ));
    }
    text
}

fn sentence(outcome: &ParametersOutcome) -> Option<String> {
    let (written, removed) = (outcome.written, outcome.removed);
    match (written, removed) {
        (0, 0) => None,
        (_, 0) => Some(format!("Parameters: {written} written.")),
        (0, _) => Some(format!("Parameters: {removed} removed.")),
        _ => Some(format!("Parameters: {written} written, {removed} removed.")),
    }
}

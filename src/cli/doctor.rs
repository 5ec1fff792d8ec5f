//! `layersmith doctor`: what works, what does not, and what to do about it.

use super::{Backends, Ended, Failure, FindingState, Output};
use crate::settings::Settings;
use clap::Args;
use std::fmt::Write as _;

#[derive(Debug, Args)]
pub(super) struct Options {}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    _options: &Options,
) -> Result<Ended, Failure> {
    let findings = (backends.examine)(settings).await;
    let width = findings
        .iter()
        .map(|finding| finding.what.chars().count())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for finding in &findings {
        let state = finding.state.word();
        writeln!(text, "{state}  {:width$}  {}", finding.what, finding.detail)?;
    }
    output.answer(&serde_json::json!({ "findings": findings }), &text)?;
    let bad = findings
        .iter()
        .any(|finding| finding.state == FindingState::Bad);
    Ok(if bad { Ended::Incomplete } else { Ended::Done })
}

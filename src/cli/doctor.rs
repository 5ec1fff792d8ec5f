//! `layersmith doctor`: what works, what does not, and what to do about it.

use super::catalog::policy_of;
use super::{AccountQuestions, Backends, Ended, Failure, FindingState, Output};
use crate::settings::Settings;
use clap::Args;
use std::fmt::Write as _;
use std::path::Path;
use url::Url;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Also look at what only a real AWS account can show; changes nothing
    #[arg(long)]
    aws: bool,

    /// With --aws: where GitHub reaches the bot, `https://HOST`; a delivery that is not signed has to be refused there
    #[arg(long, requires = "aws", value_name = "URL")]
    url: Option<Url>,

    /// With --aws: the stack whose functions are looked at; those that build are invoked, and try what packages find there
    #[arg(long, requires = "aws", value_name = "NAME")]
    stack: Option<String>,

    /// With --aws: publish a layer of one small file in the home region, share it with this account, read it back and
    /// delete it
    #[arg(long, requires = "aws")]
    publish_probe: bool,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    let mut findings = (backends.examine)(settings.clone()).await;
    if options.aws {
        let questions = AccountQuestions {
            policy: policy_of(Path::new("."))?,
            url: options.url.clone(),
            stack: options.stack.clone(),
            publish_probe: options.publish_probe,
        };
        findings.extend((backends.examine_account)(settings, questions).await);
    }
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

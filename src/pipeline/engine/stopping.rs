//! What is said of a run that was stopped.

use crate::github::render;
use crate::model::Run;
use crate::pipeline::Bot;
use crate::pipeline::pull_request::check_report;

/// Concludes the check of the head that a stopped run was about: nothing may wait for it for ever.
pub(super) async fn conclude_stopped(bot: &Bot, run: &Run, detail: &str) {
    let rendered = render::render_stopped(
        &render::marker("pull_request", run.pull_request.unwrap_or_default()),
        &run.head_sha,
        detail,
    );
    let report = check_report(run, &run.head_sha, &rendered);
    if let Err(error) = bot.github.put_check(&report).await {
        tracing::warn!(run = %run.id, "the check run of the stopped run {} could not be concluded: {error}", run.id);
    }
}

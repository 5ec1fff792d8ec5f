//! `layersmith redeliver --since 2h`: webhooks that did not arrive are sent again.

use super::span::Span;
use super::{Backends, Ended, Failure, Output};
use crate::github::{DELIVERIES_KEPT, render::count};
use crate::model::Timestamp;
use crate::pipeline::{Answered, Redeliver, redeliver};
use crate::settings::Settings;
use clap::Args;
use std::fmt::Write as _;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// How far back to look, such as 30m, 2h or 3d; GitHub keeps deliveries for three days
    #[arg(long, value_name = "TIME")]
    since: Span,

    /// Say what would be sent again, and ask for nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    if options.since.0 > DELIVERIES_KEPT {
        return Err(Failure::Usage(format!(
            "--since {}: GitHub keeps deliveries for three days and sends none again after that: write --since 3d, and let `layersmith plan` show what else is missing",
            options.since
        )));
    }
    let github = (backends.github)(settings.clone()).await?;
    let workshop = (backends.workshop)(settings).await?;
    let since = Timestamp::from_unix((workshop.bench.clock)().unix() - options.since.seconds());
    let how = if options.dry_run {
        Redeliver::Look
    } else {
        Redeliver::Ask
    };
    let failed = redeliver(&github, workshop.store.as_ref(), since, how).await?;
    let mut text = String::new();
    for delivery in &failed {
        let answer = match &delivery.answer {
            Answered::Recorded => "arrived, only the answer got lost".to_owned(),
            Answered::WouldBeAsked => "would be sent again".to_owned(),
            Answered::Asked => "is sent again".to_owned(),
            Answered::Refused(reason) => format!("FAILED: {reason}"),
        };
        writeln!(
            text,
            "{}  {}  {} ({}): {answer}",
            delivery.tried_at, delivery.delivery, delivery.event, delivery.failure
        )?;
    }
    let number = |wanted: fn(&Answered) -> bool| {
        let wanted = failed.iter().filter(|delivery| wanted(&delivery.answer));
        count(wanted.count(), "webhook")
    };
    let asked = number(|answer| matches!(answer, Answered::Asked));
    let would_be = number(|answer| matches!(answer, Answered::WouldBeAsked));
    let refused = number(|answer| matches!(answer, Answered::Refused(_)));
    if failed.is_empty() {
        writeln!(text, "Every delivery since {since} arrived.")?;
    } else if options.dry_run {
        writeln!(text, "{would_be} since {since} would be sent again.")?;
    } else {
        writeln!(text, "{asked} since {since} sent again, {refused} refused.")?;
    }
    output.answer(
        &serde_json::json!({ "since": since, "dry_run": options.dry_run, "failed": failed }),
        &text,
    )?;
    let any_refused = failed
        .iter()
        .any(|delivery| matches!(delivery.answer, Answered::Refused(_)));
    Ok(if any_refused {
        Ended::Incomplete
    } else {
        Ended::Done
    })
}

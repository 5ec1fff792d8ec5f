//! `layersmith verify`: what is recorded as published, read back; with `--repair` also mended.

use super::catalog::{CatalogOptions, problems_as_text};
use super::tables::TablesWritten;
use super::{Backends, Ended, Failure, Output, deliver, not_enabled, tables, told_as_text};
use crate::github::render::count;
use crate::pipeline::verify::{Mended, Verified, observe, repair, still_wrong};
use crate::pipeline::{Extent, commit_message, tell_others};
use crate::settings::Settings;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    catalog: CatalogOptions,

    /// Publish what is missing, share what is not shared, take what is gone off the tables
    #[arg(long)]
    repair: bool,

    /// With --repair: publish everything anew although nothing of what is recorded is there
    #[arg(long, requires = "repair")]
    all_missing: bool,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    if options.catalog.push && !options.repair {
        return Err(Failure::Usage(
            "--push goes with --repair: without it nothing is written".to_owned(),
        ));
    }
    let catalog = options
        .catalog
        .read_whole("verify takes a whole catalog: it reads back everything that is recorded")?;
    let Some(desired) = &catalog.desired else {
        return catalog.cannot_be_used(output);
    };
    let repository = options.catalog.repository(backends, &settings).await?;
    let workshop = (backends.workshop)(settings).await?;
    let mut verified = observe(&workshop, desired).await?;
    if options.repair
        && !options.all_missing
        && let Some(disbelief) = verified.disbelief()
    {
        return Err(anyhow::anyhow!(disbelief).into());
    }
    let turn = workshop.store.turn_to_publish().await?;
    // The folder is as it was.
    let policy = &desired.policy;
    let looking = still_wrong(&workshop, &mut verified, policy, policy);
    turn.during(looking).await??;
    let (mut written, mut told) = (None, None);
    if options.repair {
        let work = repair(&workshop, desired, &mut verified);
        turn.during(work).await??;
        let message = commit_message(&verified.backfilled, &[], "command-line");
        let root = &catalog.root;
        let repository = repository.as_ref();
        let extent = Extent::Everything;
        let tables = tables::try_write(&workshop, desired, root, repository, &message, extent);
        written = Some(turn.during(tables).await?);
        let telling = tell_others(&workshop, &desired.policy);
        told = Some(turn.during(telling).await?);
    }
    drop(turn);
    let mut text = as_text(&verified);
    if let Some(written) = &written {
        text.push_str(&format!("{written}\n"));
    }
    if let Some(told) = &told {
        text.push_str(&told_as_text(told));
    } else if !verified.is_clean() {
        text.push_str("`layersmith verify --repair` mends what can be mended.\n");
    }
    text.push_str(&problems_as_text(&catalog.problems));
    let parameters = told.as_ref().and_then(|told| told.as_ref().ok());
    let value = json!({
        "checked": verified.checked,
        "findings": verified.findings,
        "unverified": verified.unverified,
        "not_enabled": verified.not_enabled,
        "backfilled": verified.backfilled,
        "tables": written,
        "parameters": parameters,
        "problems": catalog.problems,
    });
    output.answer(&value, &text)?;
    let failed = written.as_ref().is_some_and(TablesWritten::failed)
        || told.as_ref().is_some_and(Result::is_err);
    if options.repair {
        deliver(&workshop).await;
    }
    Ok(
        if verified.is_clean() && verified.unverified.is_empty() && !failed {
            Ended::Done
        } else {
            Ended::Incomplete
        },
    )
}

fn as_text(verified: &Verified) -> String {
    let mut text = String::new();
    for finding in &verified.findings {
        text.push_str(&format!("{}\n  {}\n", finding.arn, finding.wrong));
        if finding.mended != Mended::No {
            text.push_str(&format!("  {}\n", finding.mended));
        }
    }
    for outcome in &verified.backfilled {
        for arn in &outcome.published {
            text.push_str(&format!("{arn}\n  was missing, is published\n"));
        }
        for failed in &outcome.failed {
            let (layer, target) = (&outcome.layer, outcome.target);
            text.push_str(&format!(
                "NOT PUBLISHED: {layer} {target} in {}: {}\n",
                failed.region, failed.message
            ));
        }
    }
    text.push_str(&not_enabled(&verified.not_enabled));
    for region in &verified.unverified {
        text.push_str(&format!(
            "NOT VERIFIED: {}: {}\n",
            region.region, region.message
        ));
    }
    let checked = count(verified.checked, "version");
    let wrong = verified.findings.len();
    let mended = verified.findings.iter().filter(|it| it.is_mended()).count();
    let rest = match verified.unverified.len() {
        0 => String::new(),
        regions => format!(" {} could not be asked.", count(regions, "region")),
    };
    text.push_str(&match (wrong, mended) {
        (0, _) if verified.backfilled.is_empty() => {
            format!("{checked} read back: nothing is wrong.{rest}\n")
        }
        (0, _) => format!("{checked} read back: nothing else is wrong.{rest}\n"),
        (_, 0) => format!("{checked} read back: {wrong} wrong.{rest}\n"),
        _ => format!("{checked} read back: {wrong} wrong, {mended} mended.{rest}\n"),
    });
    text
}

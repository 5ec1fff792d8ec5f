//! `layersmith apply`: build, publish, record, write the tables.

use super::{Backends, Ended, Failure, Output, catalog, plan, tables};
use crate::github::render::{self, OutcomeView, TablesResult};
use crate::pipeline::{Carried, carry_out, commit_message};
use crate::plan::{Action, Outcome};
use crate::settings::Settings;
use clap::Args;
use futures::{StreamExt, stream};
use std::path::PathBuf;

/// Layers × targets published at once; each goes to all its regions at once.
const CONCURRENT_PUBLICATIONS: usize = 4;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The catalog, or its `layers/` folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Commit the tables to the catalog repository instead of writing them here
    #[arg(long)]
    push: bool,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    if options.path.is_file() {
        return Err(Failure::Usage(
            "apply takes a whole catalog: what one file does not name would be retired".to_owned(),
        ));
    }
    let catalog = catalog::read(&options.path)?;
    let Some(desired) = &catalog.desired else {
        output.answer(
            &catalog.problems,
            &catalog::problems_as_text(&catalog.problems),
        )?;
        return Ok(Ended::BadInput);
    };
    // Before anything is published: a push that cannot work should be known now.
    let repository = if options.push {
        Some((backends.catalog)(settings.clone()).await?)
    } else {
        None
    };
    let workshop = (backends.workshop)(settings).await?;
    let plan = plan::make(output, &workshop, desired).await?;
    let work: Vec<_> = plan
        .entries
        .iter()
        .filter(|entry| matches!(entry.action, Action::Publish(_) | Action::Retire { .. }))
        .collect();
    let progress = output.progress("Publishing", work.len());
    let publications: Vec<_> = work
        .into_iter()
        .map(|entry| {
            let (workshop, progress) = (&workshop, &progress);
            let license = desired
                .layers
                .get(&entry.layer)
                .and_then(|request| request.license.as_deref());
            async move {
                let outcome = carry_out(workshop, entry, &desired.policy, license).await;
                progress.done(&format!("{} {}", entry.layer, entry.target));
                (entry.layer.clone(), entry.target, outcome)
            }
        })
        .collect();
    let results: Vec<_> = stream::iter(publications)
        .buffered(CONCURRENT_PUBLICATIONS)
        .collect()
        .await;
    progress.finish();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut retired = Vec::new();
    for (layer, target, result) in results {
        match result? {
            Carried::Published(outcome) => outcomes.push(outcome),
            Carried::Retired(versions) => retired.push((layer, target, versions)),
            Carried::Nothing => {}
        }
    }
    let message = commit_message(&outcomes, &retired, "command-line");
    let written = tables::write(
        &workshop,
        desired,
        &catalog.root,
        repository.as_ref(),
        &message,
    )
    .await?;
    let view = OutcomeView {
        marker: "",
        commit_sha: "",
        repository_url: None,
        policy: &desired.policy,
        plan: &plan,
        outcomes: &outcomes,
        problems: &catalog.problems,
        retired: &retired,
        tables: &TablesResult::Unchanged,
        run: "command-line",
        usable_until: Some(workshop.now().plus_days(desired.policy.expire_after_days)),
    };
    let text = format!("{}\n{written}", render::outcome_as_text(&view).trim_end());
    output.answer(&serde_json::json!({ "outcomes": outcomes, "retired": retired, "problems": catalog.problems, "tables": written.to_string() }), &text)?;
    let incomplete = outcomes.iter().any(|outcome| !outcome.failed.is_empty());
    Ok(if incomplete {
        Ended::Incomplete
    } else {
        plan::ended(&catalog.problems, &plan)
    })
}

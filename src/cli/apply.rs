//! `layersmith apply`: build, publish, record, write the tables.

use super::tables::TablesWritten;
use super::{Backends, Ended, Failure, Output, catalog, plan, tables};
use crate::github::render::{self, OutcomeView, TablesResult};
use crate::model::{LayerName, Target};
use crate::pipeline::{Carried, Desired, SourceBuilds, Workshop, carry_out, commit_message};
use crate::plan::{Action, Outcome, Plan};
use crate::settings::Settings;
use clap::Args;
use futures::{StreamExt, stream};
use serde_json::json;
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
        return catalog.cannot_be_used(output);
    };
    // Before anything is published: a push that cannot work should be known now.
    let repository = if options.push {
        Some((backends.catalog)(settings.clone()).await?)
    } else {
        None
    };
    let workshop = (backends.workshop)(settings).await?;
    let turn = workshop.store.turn_to_publish().await?;
    let plan = plan::make(
        output,
        &workshop,
        desired,
        plan::Look::ForMissing,
        SourceBuilds::Permitted,
    )
    .await?;
    let done = carry_out_all(output, &workshop, desired, &plan).await;
    let message = commit_message(&done.outcomes, &done.retired, "command-line");
    let root = &catalog.root;
    // Whatever went wrong before: what is live belongs into the tables.
    let tables = tables::write(&workshop, desired, root, repository.as_ref(), &message)
        .await
        .unwrap_or_else(|error| TablesWritten::Failed {
            message: format!("{error:#}"),
        });
    drop(turn);
    let view = OutcomeView {
        marker: "",
        commit_sha: "",
        repository_url: None,
        policy: &desired.policy,
        plan: &plan,
        outcomes: &done.outcomes,
        problems: &catalog.problems,
        retired: &done.retired,
        tables: &TablesResult::Unchanged,
        run: "command-line",
        usable_until: Some(workshop.now().plus_days(desired.policy.expire_after_days)),
    };
    let mut text = format!("{}\n{tables}\n", render::outcome_as_text(&view).trim_end());
    for failure in &done.failures {
        text.push_str(&format!("FAILED: {failure}\n"));
    }
    let value = json!({
        "outcomes": done.outcomes,
        "retired": done.retired,
        "failures": done.failures,
        "tables": tables,
        "problems": catalog.problems,
    });
    output.answer(&value, &text)?;
    let incomplete = !done.failures.is_empty()
        || done
            .outcomes
            .iter()
            .any(|outcome| !outcome.failed.is_empty())
        || matches!(tables, TablesWritten::Failed { .. });
    Ok(if incomplete {
        Ended::Incomplete
    } else {
        plan::ended(&catalog.problems, &plan)
    })
}

/// What carrying out a plan came to.
#[derive(Default)]
struct Done {
    outcomes: Vec<Outcome>,
    retired: Vec<(LayerName, Target, usize)>,
    /// What could not even be tried.
    failures: Vec<String>,
}

/// Carries out every entry; one that cannot be carried out stops no other.
async fn carry_out_all(
    output: &Output,
    workshop: &Workshop,
    desired: &Desired,
    plan: &Plan,
) -> Done {
    let work: Vec<_> = plan
        .entries
        .iter()
        .filter(|entry| matches!(entry.action, Action::Publish(_) | Action::Retire { .. }))
        .collect();
    let progress = output.progress("Publishing", work.len());
    let publications: Vec<_> = work
        .into_iter()
        .map(|entry| {
            let progress = &progress;
            async move {
                let result = carry_out(workshop, entry, desired).await;
                progress.done(&format!("{} {}", entry.layer, entry.target));
                (entry, result)
            }
        })
        .collect();
    let results: Vec<_> = stream::iter(publications)
        .buffered(CONCURRENT_PUBLICATIONS)
        .collect()
        .await;
    progress.finish();
    let mut done = Done::default();
    for (entry, result) in results {
        match result {
            Ok(Carried::Published(outcome)) => done.outcomes.push(outcome),
            Ok(Carried::Retired(versions)) => {
                done.retired
                    .push((entry.layer.clone(), entry.target, versions));
            }
            Ok(Carried::Nothing) => {}
            Err(failure) => {
                done.failures
                    .push(format!("{} {}: {failure}", entry.layer, entry.target));
            }
        }
    }
    done
}

//! `layersmith apply` and `layersmith upgrade`: build, publish, record, write the tables.

use super::catalog::CatalogOptions;
use super::{Backends, Ended, Failure, Output, deliver, plan, tables};
use crate::github::render::{self, OutcomeView, TablesResult, count};
use crate::model::{LayerName, Target};
use crate::pipeline::{
    Carried, Desired, Extent, NotRebuilt, SourceBuilds, Workshop, carry_out, commit_message,
    list_meanwhile, settle_expiries, settle_intents, settle_visibility, tell_others,
};
use crate::plan::{Action, Outcome, ParametersOutcome, Plan};
use crate::settings::Settings;
use futures::{StreamExt, stream};
use serde_json::json;

/// Layers × targets published at once; each goes to all its regions at once.
const CONCURRENT_PUBLICATIONS: usize = 4;

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &CatalogOptions,
    look: plan::Look,
) -> Result<Ended, Failure> {
    let command = match look {
        plan::Look::ToUpgrade => "upgrade",
        plan::Look::ForMissing | plan::Look::ForUpgrades => "apply",
    };
    let catalog = options.read_whole(&format!(
        "{command} takes a whole catalog: what one file does not name would be retired"
    ))?;
    let Some(desired) = &catalog.desired else {
        return catalog.cannot_be_used(output);
    };
    let repository = options.repository(backends, &settings).await?;
    let workshop = (backends.workshop)(settings).await?;
    let turn = workshop.store.turn_to_publish().await?;
    let made = plan::make(
        output,
        &workshop,
        desired,
        None,
        look,
        SourceBuilds::Permitted,
    );
    let made = turn.during(made).await??;
    let plan = made.plan;
    list_meanwhile(workshop.store.as_ref(), &desired.policy).await?;
    let work = carry_out_all(output, &workshop, desired, &plan);
    let mut done = turn.during(work).await?;
    let settling = settle(&workshop, desired, &plan, &mut done);
    turn.during(settling).await?;
    let message = commit_message(&done.outcomes, &done.retired, "command-line");
    let (root, repository) = (&catalog.root, repository.as_ref());
    let extent = Extent::Changes;
    // Whatever went wrong before: what is live belongs into the tables.
    let writing = tables::try_write(&workshop, desired, root, repository, &message, extent);
    let tables = turn.during(writing).await?;
    let telling = tell_others(&workshop, &desired.policy);
    let parameters = turn.during(telling).await?.unwrap_or_else(|failure| {
        done.failures
            .push(format!("parameters and notifications: {failure}"));
        ParametersOutcome::default()
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
        // Each is told below, by its ARN.
        permissions: &[],
        parameters: &parameters,
        run: "command-line",
        usable_until: Some(workshop.now().plus_days(desired.policy.expire_after_days)),
    };
    let mut text = format!("{}\n{tables}\n", render::outcome_as_text(&view).trim_end());
    if done.shared > 0 {
        let versions = count(done.shared, "version");
        text.push_str(&format!(
            "Permissions: {versions} brought to what the policy says.\n"
        ));
    }
    for failure in &done.failures {
        text.push_str(&format!("FAILED: {failure}\n"));
    }
    for NotRebuilt {
        layer,
        target,
        failure,
    } in &made.not_rebuilt
    {
        let message = failure.message.replace('\n', "\n  ");
        text.push_str(&format!("NOT UPGRADED: {layer} {target}: {message}\n"));
    }
    let value = json!({
        "outcomes": done.outcomes,
        "retired": done.retired,
        "shared": done.shared,
        "not_rebuilt": made.not_rebuilt,
        "failures": done.failures,
        "tables": tables,
        "parameters": parameters,
        "problems": catalog.problems,
    });
    output.answer(&value, &text)?;
    deliver(&workshop).await;
    let incomplete = !done.failures.is_empty()
        || !made.not_rebuilt.is_empty()
        || done
            .outcomes
            .iter()
            .any(|outcome| !outcome.failed.is_empty())
        || tables.failed();
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
    /// Versions whose permissions were changed or looked at for the first time.
    shared: usize,
    /// What could not even be tried.
    failures: Vec<String>,
}

/// Brings permissions and expiry dates to what the policy and the requests say.
async fn settle(workshop: &Workshop, desired: &Desired, plan: &Plan, done: &mut Done) {
    match settle_visibility(workshop, &desired.policy).await {
        Ok(shared) => {
            done.shared = shared.changed;
            done.failures.extend(
                shared
                    .failed
                    .iter()
                    .map(|failed| format!("who may use {}: {}", failed.arn, failed.message)),
            );
        }
        Err(failure) => done.failures.push(failure.to_string()),
    }
    let settled = async {
        settle_intents(workshop, desired, plan).await?;
        settle_expiries(workshop, desired).await
    };
    if let Err(failure) = settled.await {
        done.failures.push(failure.to_string());
    }
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

//! `layersmith plan`: what `apply` would do.

use super::{Backends, Ended, Failure, Output, catalog};
use crate::github::render;
use crate::model::{BuildRecord, LayerName, LayerRequest, Level};
use crate::pipeline::build_task::{BuildTask, incomplete, perform};
use crate::pipeline::{Desired, NotRebuilt, SourceBuilds, Workshop, keep_known, recorded, settle};
use crate::plan::{BuildState, Plan, Wanted, plan, wanted};
use crate::settings::Settings;
use clap::Args;
use futures::future::join_all;
use std::collections::BTreeSet;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The catalog, its `layers/` folder, or one request file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Look for new releases of layers whose requests have not changed, too
    #[arg(long)]
    upgrade: bool,
}

/// What is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// What is not built yet.
    ForMissing,
    /// Everything, for the sake of new releases.
    ForUpgrades,
    /// The same, and what is built stays where nothing newer can be had.
    ToUpgrade,
}

/// A plan, and what of it could not be rebuilt.
pub(super) struct Made {
    pub(super) plan: Plan,
    /// With [`Look::ToUpgrade`] only.
    pub(super) not_rebuilt: Vec<NotRebuilt>,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    let catalog = catalog::read(&options.path)?;
    let Some(desired) = &catalog.desired else {
        return catalog.cannot_be_used(output);
    };
    let workshop = (backends.workshop)(settings).await?;
    let look = if options.upgrade {
        Look::ForUpgrades
    } else {
        Look::ForMissing
    };
    let of_one_file = options.path.is_file();
    let layers: BTreeSet<LayerName> = desired.layers.keys().cloned().collect();
    let layers = of_one_file.then_some(&layers);
    let sources = SourceBuilds::AfterMerge;
    let mut plan = make(output, &workshop, desired, layers, look, sources)
        .await?
        .plan;
    if of_one_file {
        // Of one file nothing can be said about layers that other files ask for: they are not retired by being left out.
        plan.entries.retain(|entry| entry.request.is_some());
    }
    let value = serde_json::json!({ "plan": plan, "problems": catalog.problems });
    output.answer(&value, &render::plan_as_text(&plan, &catalog.problems))?;
    Ok(ended(&catalog.problems, &plan))
}

/// Resolves and builds what is not known yet, and compares with what is live; of these layers only, where some are given.
pub(super) async fn make(
    output: &Output,
    workshop: &Workshop,
    desired: &Desired,
    layers: Option<&BTreeSet<LayerName>>,
    look: Look,
    sources: SourceBuilds,
) -> Result<Made, Failure> {
    let store = &workshop.store;
    let known = async {
        let versions = recorded(&**store, &desired.policy, layers).await?;
        let builds = match layers {
            Some(layers) => store.builds_of(layers).await?,
            None => store.builds().await?,
        };
        Ok::<_, Failure>((versions, builds))
    };
    // The one is read here, the other is asked for far away.
    let (known, offered) = tokio::join!(known, workshop.registry.regions());
    let ((versions, builds), offered) = (known?, offered?);
    let mut wanted = wanted(&desired.layers, &desired.policy, &offered, &builds);
    let incomplete = if look == Look::ForMissing {
        BTreeSet::new()
    } else {
        incomplete(&plan(&wanted, &builds, &versions, &desired.held))
    };
    let task = |wanted: &Wanted, request: &LayerRequest| match look {
        Look::ForMissing => BuildTask::new(wanted, request, &desired.policy, sources),
        Look::ForUpgrades | Look::ToUpgrade => BuildTask {
            needs_zip: incomplete.contains(&(wanted.layer.clone(), wanted.target)),
            ..BuildTask::upgrade(wanted, request, &desired.policy, sources)
        },
    };
    let not_rebuilt = build(output, workshop, desired, &mut wanted, look, task).await;
    let builds = with_new(&builds, &wanted);
    Ok(Made {
        plan: plan(&wanted, &builds, &versions, &desired.held),
        not_rebuilt,
    })
}

async fn build(
    output: &Output,
    workshop: &Workshop,
    desired: &Desired,
    wanted: &mut [Wanted],
    look: Look,
    task: impl Fn(&Wanted, &LayerRequest) -> BuildTask,
) -> Vec<NotRebuilt> {
    let missing: Vec<usize> = (0..wanted.len())
        .filter(|&n| look != Look::ForMissing || wanted[n].build == BuildState::Unknown)
        .collect();
    let progress = output.progress("Building", missing.len());
    let builds: Vec<_> = missing
        .iter()
        .filter_map(|&n| {
            desired
                .layers
                .get(&wanted[n].layer)
                .map(|request| (n, &wanted[n], request))
        })
        .map(|(n, wanted, request)| {
            let progress = &progress;
            let task = task(wanted, request);
            async move {
                let state = perform(&workshop.bench, &task).await;
                progress.done(&format!("{} {}", wanted.layer, wanted.target));
                (n, state)
            }
        })
        .collect();
    let states: Vec<(usize, BuildState)> = join_all(builds).await;
    progress.finish();
    let mut not_rebuilt = Vec::new();
    for (n, state) in states {
        match desired.layers.get(&wanted[n].layer) {
            Some(request) if look == Look::ToUpgrade => {
                not_rebuilt.extend(keep_known(&mut wanted[n], request, state));
            }
            Some(request) => settle(&mut wanted[n], request, state),
            None => wanted[n].build = state,
        }
    }
    not_rebuilt
}

fn with_new(builds: &[BuildRecord], wanted: &[Wanted]) -> Vec<BuildRecord> {
    let new = wanted.iter().filter_map(|wanted| match &wanted.build {
        BuildState::Built(build) => Some((**build).clone()),
        BuildState::Unknown | BuildState::FromSource(_) | BuildState::Failed(_) => None,
    });
    builds.iter().cloned().chain(new).collect()
}

/// Bad input when a file is wrong, incomplete when something asked for cannot be had.
pub(super) fn ended(problems: &[crate::model::Problem], plan: &Plan) -> Ended {
    if problems.iter().any(|problem| problem.level == Level::Error) {
        Ended::BadInput
    } else if plan.blocked().next().is_some() {
        Ended::Incomplete
    } else {
        Ended::Done
    }
}

//! `layersmith build NAME`: one layer's zip.

use super::{Backends, Ended, Failure, Output, catalog};
use crate::github::render::build_as_text;
use crate::model::OfferedRegions;
use crate::model::{LayerName, Target};
use crate::pipeline::SourceBuilds;
use crate::pipeline::build_task::{BuildTask, perform};
use crate::plan::{BuildState, against_publishing, wanted};
use crate::settings::Settings;
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The layer: the stem of its request file
    name: LayerName,

    /// What to build it for, such as p3.13 or p3.13-arm64; default: everything its request names
    #[arg(long)]
    target: Option<Target>,

    /// Where to write the zip (with one target)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The catalog
    #[arg(long, default_value = ".", value_name = "DIR")]
    catalog: PathBuf,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    let catalog = catalog::read(&options.catalog)?;
    let Some(desired) = &catalog.desired else {
        return catalog.cannot_be_used(output);
    };
    let Some(request) = desired.layers.get(&options.name) else {
        let prefix = format!("layers/{}.", options.name);
        let own: Vec<_> = catalog
            .problems
            .into_iter()
            .filter(|problem| problem.path.starts_with(&prefix))
            .collect();
        if own.is_empty() {
            return Err(Failure::Usage(format!(
                "there is no layers/{}.yaml in {}",
                options.name,
                catalog.root.display()
            )));
        }
        output.answer(
            &json!({ "problems": own }),
            &catalog::problems_as_text(&own),
        )?;
        return Ok(Ended::BadInput);
    };
    let one = std::iter::once((options.name.clone(), request.clone())).collect();
    let mut wanted = wanted(&one, &desired.policy, &OfferedRegions::default(), &[]);
    if let Some(target) = options.target {
        wanted.retain(|wanted| wanted.target == target);
        if wanted.is_empty() {
            let targets: Vec<String> = request.targets.iter().map(Target::to_string).collect();
            return Err(Failure::Usage(format!(
                "{} is not built for {target}: it asks for {}",
                options.name,
                targets.join(", ")
            )));
        }
    }
    if options.output.is_some() && wanted.len() > 1 {
        return Err(Failure::Usage(
            "--output takes one zip: name one --target with it".to_owned(),
        ));
    }
    let workshop = (backends.workshop)(settings).await?;
    let progress = output.progress("Building", wanted.len());
    let (mut text, mut values, mut failed) = (String::new(), Vec::new(), false);
    for wanted in &wanted {
        let task = BuildTask::new(wanted, request, &desired.policy, SourceBuilds::Permitted);
        let state = perform(&workshop.bench, &task).await;
        progress.done(&format!("{} {}", wanted.layer, wanted.target));
        match state {
            BuildState::Built(build) => {
                let kept = workshop
                    .bench
                    .builder
                    .artifacts()
                    .local()
                    .path_of(&build.artifact.digest);
                let path = match &options.output {
                    Some(path) => {
                        std::fs::copy(&kept, path).map_err(|error| {
                            Failure::Usage(format!("{} cannot be written: {error}", path.display()))
                        })?;
                        path.clone()
                    }
                    None => kept,
                };
                text.push_str(&build_as_text(
                    &build,
                    &path.display().to_string(),
                    wanted.is_staged,
                ));
                let refused = against_publishing(&build, wanted.is_staged);
                failed |= refused.is_some();
                values.push(json!({ "target": build.target, "build": build, "path": path, "refused": refused }));
            }
            BuildState::Failed(failure) => {
                failed = true;
                writeln!(
                    text,
                    "{} {}: {}",
                    wanted.layer, wanted.target, failure.message
                )?;
                values.push(json!({ "target": wanted.target, "failure": failure }));
            }
            BuildState::Unknown | BuildState::FromSource(_) => {}
        }
    }
    progress.finish();
    output.answer(&json!({ "builds": values }), &text)?;
    Ok(if failed {
        Ended::Incomplete
    } else {
        Ended::Done
    })
}

//! `layersmith check`: what is wrong with the request files.

use super::{Ended, Failure, Output, catalog};
use crate::github::render::count;
use crate::model::Level;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The catalog, its `layers/` folder, or one request file
    #[arg(default_value = ".")]
    path: PathBuf,
}

pub(super) fn run(output: &Output, options: &Options) -> Result<Ended, Failure> {
    let catalog = catalog::read(&options.path)?;
    let errors = catalog
        .problems
        .iter()
        .filter(|problem| problem.level == Level::Error)
        .count();
    let warnings = catalog.problems.len() - errors;
    let layers = catalog
        .desired
        .as_ref()
        .map_or(0, |desired| desired.layers.len());
    let files = count(catalog.files, "request file");
    let layers = count(layers, "layer");
    let summary = match (errors, warnings) {
        (0, 0) => format!("{files}, {layers}: nothing wrong"),
        _ => format!(
            "{files}, {layers} without mistakes: {}, {}",
            count(errors, "error"),
            count(warnings, "warning")
        ),
    };
    let text = format!("{}{summary}", catalog::problems_as_text(&catalog.problems));
    let value = serde_json::json!({
        "files": catalog.files,
        "layers": catalog.desired.map(|desired| desired.layers),
        "problems": catalog.problems,
    });
    output.answer(&value, &text)?;
    Ok(if errors == 0 {
        Ended::Done
    } else {
        Ended::BadInput
    })
}

//! `layersmith check`: what is wrong with the request files.

use super::{Ended, Failure, Output, catalog};
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
    let summary = match (errors, warnings) {
        (0, 0) => format!(
            "{} request files, {layers} layers: nothing wrong",
            catalog.files
        ),
        _ => format!(
            "{} request files, {layers} layers good: {errors} errors, {warnings} warnings",
            catalog.files
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

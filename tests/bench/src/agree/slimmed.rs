//! The same layer with the options that requests have by default: what it lacks is of a kind that layers can do without,
//! and its modules import without it.

use super::case::{Case, Imports, Setting, build, import};
use super::files::{self, Files};
use super::rules::{self, Difference};
use crate::ours::Catalog;
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What came of building with the default options.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Slimmed {
    /// It is beside the complete layer.
    Built {
        differences: Vec<Difference>,
        imports: Imports,
    },
    /// Why it could not be built, although the complete layer could.
    NotBuilt(String),
}

/// Builds a case again and compares it with the complete layer's files; `work` is a folder of its own.
pub(super) async fn compare(
    setting: &Setting<'_>,
    catalog: &Catalog,
    case: &Case,
    complete: &Files,
    work: &Path,
) -> anyhow::Result<Slimmed> {
    std::fs::create_dir_all(work)?;
    let zip = work.join("layer.zip");
    let build = match build(setting, catalog, case, &zip).await? {
        Ok(build) => build,
        Err(why) => return Ok(Slimmed::NotBuilt(why)),
    };
    let slim = files::in_zip(&zip)?;
    let origins = origins(&work.join("artifacts"))?;
    let mut differences = differences(complete, &slim, &origins);
    differences.extend(files::check_records(&zip, &slim)?);
    let findings = build.artifact.report.findings.into_iter();
    let told = findings.map(|finding| finding.message).collect();
    let imports = import(setting, case, &zip, work, told).await?;
    Ok(Slimmed::Built {
        differences,
        imports,
    })
}

fn differences(
    complete: &Files,
    slim: &Files,
    origins: &BTreeMap<String, String>,
) -> Vec<Difference> {
    let paths: BTreeSet<&String> = complete.keys().chain(slim.keys()).collect();
    let differences = paths.into_iter();
    differences
        .filter_map(|path| {
            let origin = origins.get(path).map(String::as_str);
            rules::difference_by_default(path, complete, slim, origin)
        })
        .collect()
}

/// What the manifest of the one layer in a folder says became of each file.
fn origins(artifacts: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    for entry in std::fs::read_dir(artifacts).context("the folder of the layer")? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".manifest.json") {
            let manifest: Manifest = serde_json::from_slice(&std::fs::read(&path)?)?;
            let files = manifest.files.into_iter();
            return Ok(files.map(|file| (file.path, file.origin)).collect());
        }
    }
    bail!("there is no manifest beside the layer")
}

/// The manifest's lines of files; what is not needed here is left out.
#[derive(Deserialize)]
struct Manifest {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    origin: String,
}

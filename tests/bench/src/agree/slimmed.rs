//! The same layer with the options that requests have by default: what it lacks is of a kind that layers can do without,
//! and its modules import without it.

use super::case::{Case, Imports, Setting, build, import};
use super::files::{self, Files};
use super::rules::{self, Difference};
use crate::ours::Catalog;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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
    let mut differences = differences(complete, &slim);
    differences.extend(files::check_records(&zip, &slim)?);
    let findings = build.artifact.report.findings.into_iter();
    let told = findings.map(|finding| finding.message).collect();
    let imports = import(setting, case, &zip, work, told).await?;
    Ok(Slimmed::Built {
        differences,
        imports,
    })
}

fn differences(complete: &Files, slim: &Files) -> Vec<Difference> {
    let paths: BTreeSet<&String> = complete.keys().chain(slim.keys()).collect();
    let differences = paths.into_iter();
    differences
        .filter_map(|path| rules::difference_by_default(path, complete, slim))
        .collect()
}

//! `make bench-agree`: are the files of a layer those that an installer puts in place, and do they import?
//!
//! Each package is built for each target, and installed by `uv pip install --target` with the same versions. Paths,
//! contents and executable bits are compared; a difference is explained by a rule of [`rules`] or it is a failure.
//! Where this machine can import a layer, it is built once more with the options that requests have by default: what that
//! lacks is explained as well, and its modules import too ([`slimmed`]).
//! Results are kept, so that a run that was stopped goes on where it was, as long as the executable is the same.

mod case;
mod files;
mod interpreters;
mod report;
mod rules;
mod slimmed;

use crate::layers::{layer_name, many_packages};
use crate::ours::Catalog;
use crate::programs::Programs;
use crate::{limit, process, say};
use anyhow::{Context as _, bail};
use case::{Case, Outcome, Setting};
use clap::Args;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

/// The versions of Python that AWS Lambda runs, and the architectures.
const PYTHONS: [&str; 5] = ["3.10", "3.11", "3.12", "3.13", "3.14"];
const ARCHITECTURES: [&str; 2] = ["x86_64", "arm64"];
/// What of a request makes a layer as complete as an installation: a key is left out where it is not known.
const COMPLETE: [&str; 2] = ["bytecode: false\n", "slim: false\n"];

/// What may be chosen; each is also a variable, for `make bench-agree`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Packages to compare; default: all fifty
    #[arg(long, env = "BENCH_ONLY", value_delimiter = ',')]
    only: Vec<String>,
}

/// Compares what was asked for, writes the report; false when something is not explained.
pub(crate) async fn run(
    programs: &Programs,
    out: &Path,
    options: &Options,
) -> anyhow::Result<bool> {
    let folder = out.join("agree");
    let results = folder.join("results");
    std::fs::create_dir_all(&results)?;
    let keys = known_keys(programs, &folder).await?;
    let complete = catalog(&folder.join("catalog"), &keys)?;
    let by_default = catalog(&folder.join("catalog-by-default"), "")?;
    let executable = std::fs::read(&programs.layersmith).context("reading the executable")?;
    let setting = Setting {
        programs,
        catalog: complete,
        by_default,
        interpreters: interpreters::find(programs, &PYTHONS).await,
        executable: limit::digest(&executable),
        caches: folder.join("caches"),
        results,
        scratch: tempfile::Builder::new()
            .prefix("scratch-")
            .tempdir_in(&folder)?,
    };
    let cases = cases(&options.only)?;
    let total = cases.len();
    let left = Mutex::new(VecDeque::from(cases));
    let done = Mutex::new(Vec::with_capacity(total));
    // Two at once: one waits for the network while the other compares.
    tokio::try_join!(
        work(&setting, &left, &done, total),
        work(&setting, &left, &done, total)
    )?;
    let mut outcomes = done.into_inner().unwrap_or_default();
    outcomes.sort_by(|a: &Outcome, b| a.case.cmp(&b.case));
    let text = report::markdown(&setting, &outcomes);
    std::fs::write(out.join("agree.md"), &text)?;
    say(&text);
    Ok(outcomes.iter().all(Outcome::is_fine))
}

/// Takes cases until none is left.
async fn work(
    setting: &Setting<'_>,
    left: &Mutex<VecDeque<Case>>,
    done: &Mutex<Vec<Outcome>>,
    total: usize,
) -> anyhow::Result<()> {
    loop {
        let next = left.lock().ok().and_then(|mut left| left.pop_front());
        let Some(case) = next else {
            return Ok(());
        };
        let outcome = case::compare_or_recall(setting, &case).await?;
        let told = report::one_line(&outcome);
        if let Ok(mut done) = done.lock() {
            done.push(outcome);
            say(&format!("{}/{total} {told}", done.len()));
        }
    }
}

fn cases(only: &[String]) -> anyhow::Result<Vec<Case>> {
    let known = many_packages();
    if let Some(unknown) = only.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("{unknown} is not one of the packages: {}", known.join(", "));
    }
    let mut cases = Vec::new();
    for package in known {
        if !only.is_empty() && !only.iter().any(|name| name == package) {
            continue;
        }
        for python in PYTHONS {
            for architecture in ARCHITECTURES {
                cases.push(Case {
                    package: package.to_owned(),
                    python: python.to_owned(),
                    architecture: architecture.to_owned(),
                });
            }
        }
    }
    Ok(cases)
}

/// What makes layers complete, without the keys that the executable does not know.
async fn known_keys(programs: &Programs, folder: &Path) -> anyhow::Result<String> {
    let probe = Catalog::write(folder.join("probe"))?;
    let mut keys = String::new();
    for key in COMPLETE {
        probe.request("probe", &["six"], key)?;
        let mut check = programs.command(&programs.layersmith);
        check.arg("check").arg(&probe.folder);
        if process::run(&mut check).await?.status.success() {
            keys.push_str(key);
        } else {
            say(&format!("the executable does not know `{}`", key.trim()));
        }
    }
    Ok(keys)
}

/// A catalog with a request for every package.
fn catalog(folder: &Path, keys: &str) -> anyhow::Result<Catalog> {
    let catalog = Catalog::write(folder.to_owned())?;
    let policy = format!(
        "python: {}\narchitectures: {}\nregions: [us-east-1]\n",
        serde_json::to_string(&PYTHONS)?,
        serde_json::to_string(&ARCHITECTURES)?
    );
    catalog.put(".github/layersmith.yaml", &policy)?;
    for package in many_packages() {
        catalog.request(&layer_name(package), &[package], keys)?;
    }
    Ok(catalog)
}

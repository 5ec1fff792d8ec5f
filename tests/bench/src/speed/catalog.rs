//! A catalog of fifty layers for six targets, all of it built: how long a plan takes that finds nothing new.

use super::statistics::Spread;
use crate::layers::{layer_name, many_packages};
use crate::ours::{self, Catalog};
use crate::process;
use crate::programs::Programs;
use crate::say;
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::path::Path;

/// Three Python versions × both architectures.
const POLICY: &str = "python: [\"3.11\", \"3.12\", \"3.13\"]\narchitectures: [x86_64, arm64]\nregions: [us-east-1]\n";
const TARGETS: usize = 6;

/// What is there when a plan starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Known {
    /// Neither locks nor anything of the package index.
    Nothing,
    /// What uv remembers of the package index, but no locks.
    Index,
    /// Locks young enough to be used.
    Locks,
}

/// Seconds that plans took.
#[derive(Debug, Serialize)]
pub(crate) struct Plans {
    pub(crate) layers: usize,
    /// Layers × targets that can be built; the others are answered with why not.
    pub(crate) built: usize,
    pub(crate) targets: usize,
    pub(crate) nothing: Vec<f64>,
    pub(crate) index: Vec<f64>,
    pub(crate) locks: Vec<f64>,
    /// Seconds that building all of them took, the first time.
    pub(crate) prepared: f64,
}

impl Plans {
    /// The spread of one kind.
    pub(crate) fn spread(&self, known: Known) -> Option<Spread> {
        Spread::of(match known {
            Known::Nothing => &self.nothing,
            Known::Index => &self.index,
            Known::Locks => &self.locks,
        })
    }
}

/// Builds what is not built yet, kept between runs in `out`, then plans by turns.
pub(crate) async fn measure(programs: &Programs, out: &Path, runs: usize) -> anyhow::Result<Plans> {
    let folder = out.join("catalog");
    let catalog = Catalog::write(folder.join("catalog"))?;
    catalog.put(".github/layersmith.yaml", POLICY)?;
    for package in many_packages() {
        catalog.request(&layer_name(package), &[package], "bytecode: false\n")?;
    }
    let data = folder.join("data");
    let prepared = prepare(programs, &catalog, &data).await?;
    let mut plans = Plans {
        layers: many_packages().len(),
        built: 0,
        targets: TARGETS,
        nothing: Vec::new(),
        index: Vec::new(),
        locks: Vec::new(),
        prepared,
    };
    for round in 1..=runs {
        forget(&data.join("cache/uv"))?;
        plans.nothing.push(plan(programs, &catalog, &data).await?.0);
        forget(&data.join("cache/uv/locks"))?;
        plans.index.push(plan(programs, &catalog, &data).await?.0);
        let (seconds, built) = plan(programs, &catalog, &data).await?;
        plans.locks.push(seconds);
        plans.built = built;
        say(&format!(
            "catalog {round}/{runs}: nothing known {:.2} s, index known {:.2} s, locks fresh {:.2} s",
            plans.nothing[round - 1],
            plans.index[round - 1],
            plans.locks[round - 1]
        ));
    }
    Ok(plans)
}

/// Builds and publishes everything into a directory. Seconds that it took, when it was not there yet.
async fn prepare(programs: &Programs, catalog: &Catalog, data: &Path) -> anyhow::Result<f64> {
    let note = data.join("seconds");
    let known = std::fs::read_to_string(&note).unwrap_or_default();
    if known.is_empty() {
        say("building fifty layers for six targets, once");
    }
    let mut apply = ours::command(programs, data);
    apply.args(["--json", "apply"]).arg(&catalog.folder);
    let finished = process::run(&mut apply).await?;
    // Some cannot be had for some target, which is an incomplete success; bad usage is none.
    if finished.status.code().is_none_or(|code| code > 1) || finished.stdout.is_empty() {
        finished.succeeded("layersmith apply")?;
        bail!("layersmith apply did not answer");
    }
    if let Ok(seconds) = known.parse() {
        return Ok(seconds);
    }
    std::fs::write(&note, finished.seconds.to_string())?;
    Ok(finished.seconds)
}

/// Plans with every release looked up anew; seconds, and how many layers × targets have a build.
async fn plan(programs: &Programs, catalog: &Catalog, data: &Path) -> anyhow::Result<(f64, usize)> {
    process::settle_disk().await?;
    let mut plan = ours::command(programs, data);
    plan.args(["--json", "plan", "--upgrade"])
        .arg(&catalog.folder);
    let finished = process::run(&mut plan).await?;
    let answer: serde_json::Value = serde_json::from_str(&finished.stdout)
        .with_context(|| format!("layersmith plan: {}", finished.stderr))?;
    let entries = answer["plan"]["entries"]
        .as_array()
        .context("a plan has entries")?;
    let unchanged = entries.iter().filter(|entry| is_unchanged(entry)).count();
    if unchanged == 0 {
        bail!(
            "the plan has no layer that is as it was: {}",
            finished.stdout
        );
    }
    Ok((finished.seconds, unchanged))
}

/// Whether a plan's entry has nothing to do.
fn is_unchanged(entry: &serde_json::Value) -> bool {
    entry["action"]["keep"].is_object()
}

fn forget(cache: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(cache) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

//! The command that is measured, `layersmith build`, and what it answers.

use crate::process::{self, Finished};
use crate::programs::{PYTHON, Programs};
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// A lock this old still counts when locks are said to be fresh, in seconds.
const FRESH: &str = "86400";

/// What `layersmith build --json` says of one build; keys that are not needed here are left out.
#[derive(Debug, Deserialize)]
pub(crate) struct Built {
    pub(crate) build: Option<Build>,
    /// Where the zip is.
    pub(crate) path: Option<PathBuf>,
    pub(crate) failure: Option<Failure>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    pub(crate) message: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Build {
    pub(crate) artifact: Artifact,
    pub(crate) lock: Lock,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Artifact {
    pub(crate) digest: String,
    pub(crate) report: Report,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
}

/// What the audit found.
#[derive(Debug, Deserialize)]
pub(crate) struct Finding {
    pub(crate) message: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Lock {
    pub(crate) packages: Vec<Locked>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Locked {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) wheel: WheelFile,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WheelFile {
    pub(crate) sha256: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    builds: Vec<Built>,
}

impl Lock {
    /// The same versions for another installer, one a line.
    pub(crate) fn constraints(&self) -> String {
        let pins = self.packages.iter();
        pins.map(|package| format!("{}=={}\n", package.name, package.version))
            .collect()
    }

    /// Where the wheels are in the cache of a data folder: in one of its folders, below the digest's first two digits.
    ///
    /// # Errors
    /// When one is in none of them.
    pub(crate) fn cached_wheels(&self, data: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let mut roots = Vec::new();
        for entry in std::fs::read_dir(data.join("cache"))? {
            roots.push(entry?.path());
        }
        let packages = self.packages.iter();
        packages
            .map(|package| {
                let digest = &package.wheel.sha256;
                let inside = Path::new(&digest[..2]).join(format!("{digest}.whl"));
                let mut places = roots.iter().map(|root| root.join(&inside));
                places
                    .find(|place| place.is_file())
                    .with_context(|| format!("the wheel of {} is not cached", package.name))
            })
            .collect()
    }
}

/// One layer's request, in a catalog folder of its own.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    pub(crate) folder: PathBuf,
}

impl Catalog {
    /// Writes a catalog for this machine's architecture and [`PYTHON`].
    pub(crate) fn write(folder: PathBuf) -> anyhow::Result<Self> {
        let catalog = Self { folder };
        catalog.put(".github/layersmith.yaml", &policy())?;
        Ok(catalog)
    }

    /// Takes packages from this index alone.
    pub(crate) fn use_index(&self, url: &str) -> anyhow::Result<()> {
        let policy = format!("{}index_url: {url}\n", policy());
        self.put(".github/layersmith.yaml", &policy)
    }

    /// Adds a request; `keys` are lines of their own.
    pub(crate) fn request(&self, name: &str, packages: &[&str], keys: &str) -> anyhow::Result<()> {
        let packages = serde_json::to_string(packages)?;
        let text = format!("packages: {packages}\n{keys}");
        self.put(&format!("layers/{name}.yaml"), &text)
    }

    /// Writes a file of the catalog.
    pub(crate) fn put(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(path);
        let folder = path.parent().context("a file lies in a folder")?;
        std::fs::create_dir_all(folder)?;
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }
}

fn policy() -> String {
    format!(
        "python: [\"{PYTHON}\"]\narchitectures: [{}]\nregions: [us-east-1]\n",
        architecture()
    )
}

/// A command of layersmith with its own data folder and nothing else of this machine's settings.
pub(crate) fn command(programs: &Programs, data: &Path) -> Command {
    let mut command = programs.command(&programs.layersmith);
    command
        .env("LAYERSMITH_DATA", data)
        .env("LAYERSMITH_UV", &programs.uv)
        .env("LAYERSMITH_PYTHON", &programs.python)
        .env("LAYERSMITH_LOCK_MAX_AGE", FRESH)
        .env("LAYERSMITH_LOG", "error");
    command
}

/// What a build does besides building.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How {
    /// The packages are imported, which no other way of making a layer does.
    pub(crate) tested: bool,
    /// Its memory is looked at.
    pub(crate) watched: bool,
}

/// Builds one layer for this machine's target, whatever was built before; the zip is found at `output` afterwards. What
/// takes it there is not measured: the command itself leaves one zip, as the others do.
pub(crate) async fn build(
    programs: &Programs,
    catalog: &Catalog,
    name: &str,
    data: &Path,
    output: &Path,
    how: How,
) -> anyhow::Result<(Finished, Built)> {
    let mut command = command(programs, data);
    command
        .args(["--json", "build", name, "--target", &target()])
        .arg("--catalog")
        .arg(&catalog.folder);
    match std::fs::remove_dir_all(data.join("artifacts")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    if !how.tested {
        command.env("LAYERSMITH_BWRAP", "off");
    }
    let finished = process::run_watched(&mut command, how.watched).await?;
    let mut builds = answer(&finished, name)?;
    match (builds.pop(), builds.pop()) {
        (Some(built), None) if built.build.is_some() => {
            let path = built.path.as_ref().context("a build says where it is")?;
            std::fs::copy(path, output)?;
            Ok((finished, built))
        }
        (Some(built), None) => bail!("building {name} failed: {}", built.why()),
        _ => bail!("building {name} was not answered with one build"),
    }
}

/// What a build answered; whatever its status, as long as it answered.
pub(crate) fn answer(finished: &Finished, name: &str) -> anyhow::Result<Vec<Built>> {
    let answer: Answer = serde_json::from_str(&finished.stdout).with_context(|| {
        format!(
            "building {name} ({}): {}{}",
            finished.status, finished.stdout, finished.stderr
        )
    })?;
    Ok(answer.builds)
}

impl Built {
    /// What is said to the layer's author when there is no build.
    pub(crate) fn why(self) -> String {
        self.failure
            .map_or_else(String::new, |failure| failure.message)
    }
}

/// This machine's target, such as `p3.11`.
pub(crate) fn target() -> String {
    if architecture() == "arm64" {
        format!("p{PYTHON}-arm64")
    } else {
        format!("p{PYTHON}")
    }
}

/// This machine's architecture as AWS Lambda names it.
pub(crate) fn architecture() -> &'static str {
    if std::env::consts::ARCH == "aarch64" {
        "arm64"
    } else {
        "x86_64"
    }
}

//! One package for one target: built, installed, compared, imported.

use super::files;
use super::interpreters::Interpreters;
use super::rules::{self, Difference, Installed};
use super::slimmed::{self, Slimmed};
use crate::layers::layer_name;
use crate::ours::{self, Build, Catalog};
use crate::process;
use crate::programs::Programs;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Imports each module by itself, and says which could not be and why.
const IMPORT: &str = r#"
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
failed = {}
for name in json.loads(sys.argv[2]):
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = f"{type(error).__name__}: {error}"
print("\n" + json.dumps(failed))
"#;

/// What every case shares.
pub(super) struct Setting<'a> {
    pub(super) programs: &'a Programs,
    pub(super) catalog: Catalog,
    /// The same packages with the options that requests have by default.
    pub(super) by_default: Catalog,
    pub(super) interpreters: Interpreters,
    /// SHA-256 of the executable: a result is that of one executable.
    pub(super) executable: String,
    /// Wheels and uv's cache, kept between runs.
    pub(super) caches: PathBuf,
    pub(super) results: PathBuf,
    pub(super) scratch: TempDir,
}

/// A package and a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Case {
    pub(super) package: String,
    pub(super) python: String,
    pub(super) architecture: String,
}

/// What came of a case.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) case: Case,
    pub(super) executable: String,
    pub(super) comparison: Comparison,
    pub(super) imports: Imports,
    /// With the default options, where this machine can import the layer.
    pub(super) slimmed: Option<Slimmed>,
}

/// What came of comparing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Comparison {
    /// Both made something.
    Compared {
        /// Files of the layer.
        files: usize,
        differences: Vec<Difference>,
    },
    /// Neither could be made; why ours could not.
    NeitherBuilt { ours: String },
    /// Only the installer managed; why ours could not.
    OnlyInstalled { ours: String },
    /// Only ours; what the installer said.
    OnlyBuilt { installer: String },
}

/// What came of importing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Imports {
    /// This machine cannot: another architecture, or no such Python.
    NotHere,
    /// So many modules were imported, apart from those that failed.
    Tried {
        modules: usize,
        failed: BTreeMap<String, String>,
        /// What the build's audit found.
        told: Vec<String>,
    },
}

impl Case {
    /// The target as requests name it.
    pub(super) fn target(&self) -> String {
        let suffix = if self.architecture == "arm64" {
            "-arm64"
        } else {
            ""
        };
        format!("p{}{suffix}", self.python)
    }

    /// The newest platform that uv knows and the target has: glibc 2.26 of Amazon Linux 2 is not among them.
    fn platform(&self) -> String {
        let machine = if self.architecture == "arm64" {
            "aarch64"
        } else {
            "x86_64"
        };
        match self.python.as_str() {
            "3.10" | "3.11" => format!("{machine}-manylinux2014"),
            _ => format!("{machine}-manylinux_2_34"),
        }
    }
}

impl Outcome {
    /// Whether every difference is explained and everything that could be imported was.
    pub(super) fn is_fine(&self) -> bool {
        let agrees = match &self.comparison {
            Comparison::Compared { differences, .. } => differences
                .iter()
                .all(|difference| difference.rule.is_some()),
            Comparison::NeitherBuilt { .. } => true,
            Comparison::OnlyInstalled { .. } | Comparison::OnlyBuilt { .. } => false,
        };
        let is_slim_enough = match &self.slimmed {
            None => true,
            Some(Slimmed::NotBuilt(_)) => false,
            Some(Slimmed::Built { differences, .. }) => differences
                .iter()
                .all(|difference| difference.rule.is_some()),
        };
        agrees
            && is_slim_enough
            && self
                .failed_imports()
                .iter()
                .all(|(_, _, why)| why.is_some())
    }

    /// Module, error, and why that is so where it is known.
    pub(super) fn failed_imports(&self) -> Vec<(&str, &str, Option<&'static str>)> {
        let slimmed = match &self.slimmed {
            Some(Slimmed::Built { imports, .. }) => Some(imports),
            Some(Slimmed::NotBuilt(_)) | None => None,
        };
        let mut found = Vec::new();
        for imports in [Some(&self.imports), slimmed].into_iter().flatten() {
            if let Imports::Tried { failed, told, .. } = imports {
                let failed = failed.iter();
                found.extend(failed.map(|(module, error)| {
                    let why = rules::why_not(error, told);
                    (module.as_str(), error.as_str(), why)
                }));
            }
        }
        found
    }
}

/// The outcome of an earlier run with the same executable, or a new one, which is kept.
pub(super) async fn compare_or_recall(
    setting: &Setting<'_>,
    case: &Case,
) -> anyhow::Result<Outcome> {
    let name = format!("{}-{}.json", layer_name(&case.package), case.target());
    let kept = setting.results.join(name);
    let text = std::fs::read(&kept).unwrap_or_default();
    if let Ok(outcome) = serde_json::from_slice::<Outcome>(&text)
        && outcome.executable == setting.executable
        && outcome.is_fine()
    {
        return Ok(outcome);
    }
    let outcome = compare(setting, case)
        .await
        .with_context(|| format!("{} {}", case.package, case.target()))?;
    std::fs::write(&kept, serde_json::to_string_pretty(&outcome)?)?;
    Ok(outcome)
}

async fn compare(setting: &Setting<'_>, case: &Case) -> anyhow::Result<Outcome> {
    let work = tempfile::tempdir_in(setting.scratch.path())?;
    let zip = work.path().join("layer.zip");
    let installed = work.path().join("installed");
    let outcome = |comparison, imports| Outcome {
        case: case.clone(),
        executable: setting.executable.clone(),
        comparison,
        imports,
        slimmed: None,
    };
    let build = match build(setting, &setting.catalog, case, &zip).await? {
        Ok(build) => build,
        Err(ours) => {
            let whole = [case.package.as_str()];
            let comparison = match install(setting, case, &whole, false, &installed).await? {
                Ok(()) => Comparison::OnlyInstalled { ours },
                Err(_) => Comparison::NeitherBuilt { ours },
            };
            return Ok(outcome(comparison, Imports::NotHere));
        }
    };
    let packages = build.lock.packages.iter();
    let pins: Vec<String> = packages
        .map(|package| format!("{}=={}", package.name, package.version))
        .collect();
    let pins: Vec<&str> = pins.iter().map(String::as_str).collect();
    let comparison = match install(setting, case, &pins, true, &installed).await? {
        Err(installer) => Comparison::OnlyBuilt { installer },
        Ok(()) => {
            let (zip, installed) = (zip.clone(), installed.clone());
            tokio::task::spawn_blocking(move || compare_files(&zip, &installed)).await??
        }
    };
    let findings = build.artifact.report.findings.into_iter();
    let told = findings.map(|finding| finding.message).collect();
    let imports = import(setting, case, &zip, work.path(), told).await?;
    let slimmed = match imports {
        Imports::NotHere => None,
        Imports::Tried { .. } => {
            let complete = files::in_zip(&zip)?;
            let folder = work.path().join("by-default");
            let catalog = &setting.by_default;
            Some(slimmed::compare(setting, catalog, case, &complete, &folder).await?)
        }
    };
    Ok(Outcome {
        slimmed,
        ..outcome(comparison, imports)
    })
}

/// Builds the layer into `zip`; the inner error is what is said to the layer's author.
pub(super) async fn build(
    setting: &Setting<'_>,
    catalog: &Catalog,
    case: &Case,
    zip: &Path,
) -> anyhow::Result<Result<Build, String>> {
    let data = setting.caches.join("data");
    let name = layer_name(&case.package);
    let folder = zip.parent().context("a zip lies in a folder")?;
    let artifacts = format!("dir:{}", folder.join("artifacts").display());
    let mut command = ours::command(setting.programs, &data);
    command
        .args(["--json", "build", &name, "--target", &case.target()])
        .arg("--catalog")
        .arg(&catalog.folder)
        .arg("-o")
        .arg(zip)
        // A folder that goes with the case: five hundred zips would fill a disk.
        .env("LAYERSMITH_ARTIFACTS", artifacts);
    let finished = process::run(&mut command).await?;
    let built = ours::answer(&finished, &name)?.pop();
    let built = built.context("one build was asked for")?;
    let Some(build) = built.build else {
        return Ok(Err(built
            .failure
            .map_or_else(String::new, |failure| failure.message)));
    };
    Ok(Ok(build))
}

/// `uv pip install --target`; the inner error is what it said.
async fn install(
    setting: &Setting<'_>,
    case: &Case,
    packages: &[&str],
    pinned: bool,
    folder: &Path,
) -> anyhow::Result<Result<(), String>> {
    let mut command = setting.programs.command(&setting.programs.uv);
    command
        .args(["pip", "install", "--quiet", "--no-config"])
        .args(["--only-binary", ":all:", "--link-mode", "hardlink"])
        .args(["--python-version", &case.python])
        .args(["--python-platform", &case.platform()])
        .args(pinned.then_some("--no-deps"))
        .arg("--python")
        .arg(&setting.programs.python)
        .arg("--target")
        .arg(folder)
        .args(packages)
        .env("UV_CACHE_DIR", setting.caches.join("uv"));
    let finished = process::run(&mut command).await?;
    Ok(if finished.status.success() {
        Ok(())
    } else {
        Err(finished.stderr)
    })
}

fn compare_files(zip: &Path, installed: &Path) -> anyhow::Result<Comparison> {
    let ours = files::in_zip(zip)?;
    let theirs = files::in_folder(installed)?;
    let scripts = files::entry_points(installed)?;
    let context = Installed {
        scripts: &scripts,
        ours: &ours,
        theirs: &theirs,
    };
    let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let mut differences = Vec::new();
    for path in paths {
        differences.extend(context.difference(path));
    }
    differences.extend(files::check_records(zip, &ours)?);
    Ok(Comparison::Compared {
        files: ours.len(),
        differences,
    })
}

/// Imports every top-level module of the layer where this machine can.
pub(super) async fn import(
    setting: &Setting<'_>,
    case: &Case,
    zip: &Path,
    work: &Path,
    told: Vec<String>,
) -> anyhow::Result<Imports> {
    let interpreter = setting.interpreters.of(&case.python);
    let (Some(python), true) = (interpreter, case.architecture == ours::architecture()) else {
        return Ok(Imports::NotHere);
    };
    let layer = work.join("layer");
    let mut unzip = setting.programs.command("unzip");
    unzip.arg("-q").arg(zip).arg("-d").arg(&layer);
    process::run(&mut unzip).await?.succeeded("unzip")?;
    let modules = files::top_level_modules(&files::in_zip(zip)?, &case.python);
    let mut command = setting.programs.command("bwrap");
    command
        .args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"])
        .args(["--tmpfs", "/tmp", "--ro-bind"])
        .arg(layer.join("python"))
        .args(["/tmp/layer", "--unshare-net", "--die-with-parent", "--"])
        .arg(python)
        .args(["-I", "-S", "-B", "-c", IMPORT, "/tmp/layer"])
        .arg(serde_json::to_string(&modules)?)
        .env("HOME", "/tmp");
    let finished = process::run(&mut command).await?;
    let last = finished.stdout.lines().last().unwrap_or_default();
    let failed = match serde_json::from_str(last) {
        Ok(failed) => failed,
        // A module that ends the interpreter takes the answers with it.
        Err(_) => BTreeMap::from([(
            case.package.clone(),
            format!(
                "the interpreter ended ({}): {}",
                finished.status, finished.stderr
            ),
        )]),
    };
    Ok(Imports::Tried {
        modules: modules.len(),
        failed,
        told,
    })
}

//! The import test of finished layers, remembered: a layer that could be imported once can be imported.

use super::artifacts::ArtifactDirectory;
use super::derived::DerivedCache;
use super::elf::WheelFacts;
use super::error::BuildError;
use super::layer::Written;
use super::options::BuildOptions;
use super::prepare::Preparer;
use super::sandbox::{ImportTested, Sandbox, test_import};
use super::settings::{BuildProgress, BuilderSettings};
use crate::model::{ImportTest, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use tokio::sync::{OnceCell, Semaphore};

/// To be raised whenever the test comes to try something else.
const REVISION: &str = "1";
/// Layers imported at once: a large one takes gigabytes of disk and memory.
const AT_ONCE: usize = 2;

/// Imports the packages of layers.
#[derive(Debug)]
pub(crate) struct Importer {
    derived: DerivedCache,
    bwrap: Option<PathBuf>,
    search_path: Option<OsString>,
    /// The sandbox, or why there is none, as a sentence.
    sandbox: OnceCell<Result<Sandbox, String>>,
    testing: Semaphore,
}

/// A test that was passed, as it is kept.
#[derive(Serialize, Deserialize)]
struct Passed {
    modules: Vec<String>,
    notes: Vec<String>,
    loaded: Vec<String>,
}

impl Importer {
    pub(crate) fn new(settings: &BuilderSettings, preparer: &Preparer) -> Self {
        Self {
            derived: preparer.derived().clone(),
            bwrap: settings.bwrap.clone(),
            search_path: settings.search_path.clone(),
            sandbox: OnceCell::new(),
            testing: Semaphore::new(AT_ONCE),
        }
    }

    /// Imports the modules of the packages asked for, in isolation; where there is none, says so.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub(crate) async fn test(
        &self,
        written: &Written,
        options: &BuildOptions<'_>,
        facts: &BTreeMap<String, WheelFacts>,
        artifacts: &ArtifactDirectory,
        preparer: &Preparer,
    ) -> Result<ImportTested, BuildError> {
        let modules = modules(written, options, facts);
        let (digest, target) = (written.digest.to_string(), options.target.to_string());
        let mut parts = vec!["import", REVISION, &digest, &target];
        parts.extend(modules.iter().map(String::as_str));
        let key = DerivedCache::key(&parts);
        let io = || BuildError::io("importing a layer");
        if let Some(kept) = self.derived.get(&key).map_err(io())?
            && let Ok(passed) = serde_json::from_str::<Passed>(&kept.note)
        {
            return Ok(ImportTested {
                outcome: ImportTest::Passed {
                    modules: passed.modules,
                },
                notes: passed.notes,
                failed_inside: Vec::new(),
                loaded: passed.loaded,
            });
        }
        let sandbox = match self.sandbox().await {
            Ok(sandbox) => sandbox,
            Err(reason) => return Ok(skipped(reason.clone())),
        };
        let python = options.target.python;
        let Some(interpreter) = preparer.bytecode().interpreter(python).await else {
            return Ok(skipped(format!(
                "there is no CPython {python} where Layersmith runs"
            )));
        };
        // Never closed; should it be, tests go on unbounded.
        let _permit = self.testing.acquire().await.ok();
        let working_folder = self.derived.temporary_folder().map_err(io())?;
        let layer = artifacts.path_of(&written.digest);
        let tested = test_import(
            sandbox,
            &interpreter,
            options.target,
            &layer,
            &modules,
            &working_folder,
        )
        .await
        .map_err(io())?;
        let tested = judged(tested, options, facts);
        if let ImportTest::Passed { modules } = &tested.outcome {
            let passed = Passed {
                modules: modules.clone(),
                notes: tested.notes.clone(),
                loaded: tested.loaded.clone(),
            };
            let note = serde_json::to_string(&passed)
                .map_err(std::io::Error::other)
                .map_err(io())?;
            let (_, size) = self.derived.put(&key, &note, None).map_err(io())?;
            preparer.wrote_aside(size).await?;
        }
        Ok(tested)
    }

    /// Whether this machine has no way to import such a layer: it cannot isolate, is of another kind, or lacks the
    /// interpreter. What else keeps a layer from being tested may pass.
    pub(crate) async fn never_tests(
        &self,
        options: &BuildOptions<'_>,
        preparer: &Preparer,
    ) -> bool {
        let Target {
            python,
            architecture,
        } = options.target;
        self.isolation().is_none()
            || architecture.machine() != std::env::consts::ARCH
            || preparer.bytecode().interpreter(python).await.is_none()
    }

    /// The program that isolates, should there be one; whether it works is not tried.
    pub(crate) fn isolation(&self) -> Option<PathBuf> {
        Sandbox::program(self.bwrap.as_deref(), self.search_path.as_deref())
    }

    /// The sandbox of this machine, or why there is none, as a sentence.
    pub(crate) async fn sandbox(&self) -> &Result<Sandbox, String> {
        self.sandbox.get_or_init(|| self.find_sandbox()).await
    }

    async fn find_sandbox(&self) -> Result<Sandbox, String> {
        Sandbox::find(self.bwrap.as_deref(), self.search_path.as_deref())
            .await
            .map_err(|error| error.to_string())
    }
}

/// The importer with what it needs to test one layer.
pub(crate) struct Tester<'a> {
    pub(crate) importer: &'a Importer,
    pub(crate) options: &'a BuildOptions<'a>,
    pub(crate) facts: &'a BTreeMap<String, WheelFacts>,
    pub(crate) artifacts: &'a ArtifactDirectory,
    pub(crate) preparer: &'a Preparer,
    pub(crate) on_progress: &'a (dyn Fn(BuildProgress) + Send + Sync),
}

impl Tester<'_> {
    /// Imports the packages of a layer that was written.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub(crate) async fn test(&self, written: &Written) -> Result<ImportTested, BuildError> {
        (self.on_progress)(BuildProgress::Importing);
        self.importer
            .test(
                written,
                self.options,
                self.facts,
                self.artifacts,
                self.preparer,
            )
            .await
    }
}

fn skipped(reason: String) -> ImportTested {
    ImportTested {
        outcome: ImportTest::Skipped { reason },
        notes: Vec::new(),
        failed_inside: Vec::new(),
        loaded: Vec::new(),
    }
}

/// What modules inside of folders that are no packages say of the layer. Such a folder may be anything that came along with
/// a package, so that its modules count for nothing as long as another module of the same package could be imported.
fn judged(
    mut tested: ImportTested,
    options: &BuildOptions<'_>,
    facts: &BTreeMap<String, WheelFacts>,
) -> ImportTested {
    let ImportTest::Passed { modules } = &mut tested.outcome else {
        return tested;
    };
    let failed = std::mem::take(&mut tested.failed_inside);
    modules.retain(|module| failed.iter().all(|(name, _)| name != module));
    let mut against = None;
    for (module, trace) in failed {
        let mut packages = options.packages.iter().filter_map(|it| facts.get(it));
        let package = packages.find(|facts| facts.modules.contains(&module));
        let others = package.map_or(&[][..], |facts| &facts.modules);
        if others.iter().any(|other| modules.contains(other)) {
            let last = trace.lines().last().unwrap_or_default();
            tested.notes.push(format!(
                "`{module}`, which is in a folder without `__init__.py`, cannot be imported, and the rest of its package can: {last}"
            ));
        } else if against.is_none() {
            against = Some(ImportTest::Failed { module, trace });
        }
    }
    if let Some(against) = against {
        tested.outcome = against;
    }
    tested
}

/// The modules of the packages asked for that the layer really has.
fn modules(
    written: &Written,
    options: &BuildOptions<'_>,
    facts: &BTreeMap<String, WheelFacts>,
) -> Vec<String> {
    let is_there = |module: &str| {
        let path = module.replace('.', "/");
        written.assembled.files.iter().any(|file| {
            file.path
                .strip_prefix(&path)
                .is_some_and(|rest| rest.starts_with(['/', '.']))
        })
    };
    let packages = options.packages.iter();
    packages
        .filter_map(|package| facts.get(package))
        .flat_map(|facts| facts.modules.iter())
        .filter(|module| is_there(module))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn a_module_in_a_plain_folder_counts_where_nothing_else_of_its_package_is_imported() {
        let names = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let (modules, of_demo, of_space) = (
            names(&["demo", "extra.sample", "space.one", "space.two"]),
            names(&["demo", "extra.sample"]),
            names(&["space.one", "space.two"]),
        );
        let facts = [("demo", of_demo), ("space", of_space)].map(|(package, modules)| {
            let facts = WheelFacts {
                modules,
                ..WheelFacts::default()
            };
            (package.to_owned(), facts)
        });
        let facts = BTreeMap::from(facts);
        let packages = names(&["demo", "space"]);
        let options = BuildOptions {
            packages: &packages,
            ..BuildOptions::plain("p3.13".parse().unwrap(), Timestamp::from_unix(0))
        };
        let tested = |failed: &[&str]| {
            let tested = ImportTested {
                outcome: ImportTest::Passed {
                    modules: modules.clone(),
                },
                failed_inside: failed
                    .iter()
                    .map(|name| ((*name).to_owned(), "first\nImportError: x".to_owned()))
                    .collect(),
                notes: Vec::new(),
                loaded: Vec::new(),
            };
            judged(tested, &options, &facts)
        };
        let some = tested(&["extra.sample", "space.two"]);
        let ImportTest::Passed { modules } = &some.outcome else {
            panic!("{some:?}");
        };
        assert_eq!(*modules, ["demo", "space.one"]);
        assert_eq!(some.notes.len(), 2);
        insta::assert_snapshot!(some.notes[0], @"`extra.sample`, which is in a folder without `__init__.py`, cannot be imported, and the rest of its package can: ImportError: x");
        let all = tested(&["space.one", "space.two"]);
        let ImportTest::Failed { module, .. } = &all.outcome else {
            panic!("{all:?}");
        };
        assert_eq!(module, "space.one");
    }
}

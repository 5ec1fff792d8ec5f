//! What building has on this machine, tried out: the interpreters it finds, and whether packages run in isolation.

use super::builder::Builder;
use super::bytecode::Interpreter;
use super::error::BuildError;
use super::sandbox::{Sandbox, test_import};
use crate::model::{Architecture, ImportTest, PythonVersion, Target};
use serde::{Deserialize, Serialize};
use std::env::consts::ARCH;
use std::io::{self, Write as _};
use std::path::Path;
use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;

/// A module that cannot be imported where it gets at what no package may.
const PROBE: &str = include_str!("host_probe.py");
const MODULE: &str = "layersmith_probe";

/// What building has on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildHost {
    /// As Linux calls its processor: `x86_64` or `aarch64`.
    pub machine: String,
    /// How packages are kept from everything else.
    pub isolation: Isolation,
    /// Every interpreter for a Python version that layers are built for, oldest first.
    pub interpreters: Vec<HostInterpreter>,
}

/// How packages are kept from everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// They run isolated.
    Works {
        /// Whether the kernel keeps them to the files that they need.
        keeps_to_files: bool,
    },
    /// They do not run.
    Missing {
        /// Why, as a sentence.
        reason: String,
    },
}

/// A Python that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInterpreter {
    /// The version that it compiles for.
    pub python: PythonVersion,
    /// All of its version, such as `3.13.5`.
    pub version: String,
    /// What came of importing a module in isolation that looks for a way out.
    pub probe: ImportTest,
}

impl Builder {
    /// Looks for interpreters and isolation, and tries them.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub async fn examine_host(&self) -> Result<BuildHost, BuildError> {
        let sandbox = self.inner.importer.sandbox().await;
        let mut interpreters = Vec::new();
        for python in PythonVersion::ALL {
            let found = self.inner.preparer.bytecode().interpreter(python).await;
            let Some(interpreter) = found else { continue };
            let probe = match sandbox {
                Ok(sandbox) => self.probe(sandbox, &interpreter).await?,
                Err(_) => ImportTest::NotRun,
            };
            interpreters.push(HostInterpreter {
                python,
                version: interpreter.version,
                probe,
            });
        }
        let isolation = match sandbox {
            Ok(sandbox) => Isolation::Works {
                keeps_to_files: sandbox.keeps_to_files(),
            },
            Err(reason) => Isolation::Missing {
                reason: reason.clone(),
            },
        };
        Ok(BuildHost {
            machine: ARCH.to_owned(),
            isolation,
            interpreters,
        })
    }

    /// Imports the probe as a package of a layer for this machine.
    async fn probe(
        &self,
        sandbox: &Sandbox,
        interpreter: &Interpreter,
    ) -> Result<ImportTest, BuildError> {
        let mut architectures = Architecture::ALL.into_iter();
        let Some(architecture) = architectures.find(|it| it.machine() == ARCH) else {
            return Ok(ImportTest::NotRun);
        };
        let target = Target {
            python: interpreter.python,
            architecture,
        };
        let io = || BuildError::io("trying to import a module");
        let folder = self.inner.preparer.derived().temporary_folder();
        let folder = folder.map_err(io())?;
        let layer = probe_layer(&folder).map_err(io())?;
        let modules = [MODULE.to_owned()];
        let path = layer.path();
        let tested = test_import(sandbox, interpreter, target, path, &modules, &folder);
        Ok(tested.await.map_err(io())?.outcome)
    }
}

/// A layer with nothing but the probe.
fn probe_layer(folder: &Path) -> io::Result<NamedTempFile> {
    let file = NamedTempFile::new_in(folder)?;
    let mut zip = zip::ZipWriter::new(file.as_file());
    let path = format!("python/{MODULE}.py");
    zip.start_file(path, SimpleFileOptions::default())?;
    zip.write_all(PROBE.as_bytes())?;
    zip.finish()?;
    Ok(file)
}

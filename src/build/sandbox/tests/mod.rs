//! Real isolation, real interpreters, and packages that mean harm.

mod function;
mod import_test;
mod isolation;
mod source_build;

use super::{Interpreter, Sandbox};
use crate::model::PythonVersion;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bubblewrap as it is on the machine; tests of isolation need it.
async fn sandbox() -> Sandbox {
    Sandbox::find(None, Some("/usr/bin:/bin:/usr/local/bin".as_ref()))
        .await
        .unwrap()
}

/// Confinement within the function that this process stands for, by the executable that was built with these tests.
async fn within_function() -> Sandbox {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().and_then(Path::parent).unwrap();
    let launcher = folder.join("layersmith");
    assert!(
        launcher.is_file(),
        "the launcher is not built: cargo build --bin layersmith"
    );
    Sandbox::within_function(launcher).await.unwrap()
}

/// Both ways of isolating.
async fn both() -> [Sandbox; 2] {
    [sandbox().await, within_function().await]
}

/// The newest supported interpreter of the machine: one on the search path, or one that pyenv installed.
fn interpreter() -> Interpreter {
    PythonVersion::ALL
        .into_iter()
        .rev()
        .find_map(|python| {
            let name = format!("python{python}");
            let mut places: Vec<PathBuf> = Vec::new();
            if let Some(home) = std::env::home_dir()
                && let Ok(versions) = std::fs::read_dir(home.join(".pyenv/versions"))
            {
                places.extend(
                    versions
                        .flatten()
                        .map(|version| version.path().join("bin").join(&name)),
                );
            }
            places.push(name.into());
            places.into_iter().find_map(|path| ask(&path, python))
        })
        .unwrap()
}

fn ask(path: &Path, python: PythonVersion) -> Option<Interpreter> {
    let script = "import sys, platform; print(sys.executable); print(sys.base_prefix); print(platform.python_version())";
    let output = Command::new(path)
        .args(["-I", "-c", script])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut lines = text.lines();
    let (executable, prefix, version) = (lines.next()?, lines.next()?, lines.next()?);
    version
        .starts_with(&format!("{python}."))
        .then(|| Interpreter {
            path: executable.into(),
            prefix: prefix.into(),
            version: version.to_owned(),
            python,
        })
}

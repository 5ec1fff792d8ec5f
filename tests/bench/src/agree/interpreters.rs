//! The Pythons of this machine.

use crate::process;
use crate::programs::Programs;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::process::Command;

/// Prints the version and where the interpreter really is.
const ASK: &str =
    "import os, sys; print('%d.%d' % sys.version_info[:2], os.path.realpath(sys._base_executable))";

/// An interpreter for each minor version that there is.
#[derive(Debug, Default)]
pub(super) struct Interpreters(BTreeMap<String, PathBuf>);

impl Interpreters {
    /// The interpreter of a minor version.
    pub(super) fn of(&self, python: &str) -> Option<&PathBuf> {
        self.0.get(python)
    }

    /// The minor versions there are.
    pub(super) fn versions(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// Looks on the search path, where pyenv keeps its own, and at the one that everything is measured with.
pub(super) async fn find(programs: &Programs, pythons: &[&str]) -> Interpreters {
    let mut found = Interpreters::default();
    for python in pythons {
        for candidate in candidates(programs, python) {
            let mut ask = Command::new(&candidate);
            let Ok(finished) = process::run(ask.args(["-I", "-S", "-c", ASK])).await else {
                continue;
            };
            if let Some((version, path)) = finished.stdout.trim().split_once(' ')
                && version == *python
            {
                found.0.insert(version.to_owned(), PathBuf::from(path));
                break;
            }
        }
    }
    found
}

fn candidates(programs: &Programs, python: &str) -> Vec<PathBuf> {
    let name = format!("python{python}");
    let mut candidates = vec![programs.python.clone()];
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| Some(home?.join(".pyenv")));
    let versions = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    let prefix = format!("{python}.");
    let mut kept: Vec<PathBuf> = versions
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        })
        .map(|path| path.join("bin").join(&name))
        .collect();
    kept.sort();
    candidates.extend(kept);
    let path = std::env::var_os("PATH").unwrap_or_default();
    candidates.extend(std::env::split_paths(&path).map(|folder| folder.join(&name)));
    candidates.retain(|path| path.is_file());
    candidates
}

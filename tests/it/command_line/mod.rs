//! The executable as a person at a terminal, or a script, uses it.

mod aligning;
mod applying;
mod asking;
mod checking;
mod copying;
mod from_source;
mod inside;
mod lifetimes;
mod manners;
mod trouble;
mod upgrading;
mod verifying;

use crate::world::{normalize, usual_wheels};
use layersmith_testbed::bot::BotOptions;
use layersmith_testbed::index::PackageIndex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A catalog in a folder, a package index, and the executable with nothing but the embedded defaults.
pub(crate) struct Desk {
    pub(crate) index: PackageIndex,
    pub(crate) options: BotOptions,
    folder: TempDir,
}

/// What a command came to, with whatever differs from run to run replaced.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    /// A catalog for one Python version, one architecture and two regions, and no request file yet.
    pub(crate) async fn new() -> Self {
        let index = PackageIndex::start().await;
        for wheel in usual_wheels() {
            index.publish(wheel);
        }
        let folder = tempfile::tempdir().unwrap();
        let mut options = BotOptions::new(env!("CARGO_BIN_EXE_layersmith"), folder.path());
        options.set("LAYERSMITH_LOG", "warn");
        let desk = Self {
            index,
            options,
            folder,
        };
        std::fs::create_dir_all(desk.path("layers")).unwrap();
        desk.policy("");
        desk
    }

    /// Writes the policy; later lines are added to the usual ones.
    pub(crate) fn policy(&self, more: &str) {
        let usual = "python: [\"3.13\"]\narchitectures: [x86_64]\nregions: [eu-west-1, us-east-1]";
        let text = format!("{usual}\nindex_url: {}\n{more}", self.index.url());
        self.write(".github/layersmith.yaml", &text);
    }

    /// A path in the catalog.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("catalog").join(path)
    }

    /// A path in the data folder.
    pub(crate) fn data(&self, path: &str) -> PathBuf {
        self.folder.path().join("data").join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Lets everything that is recorded be so many days older.
    pub(crate) fn days_pass(&self, days: i64) {
        crate::world::age_store(&self.data("store.sqlite"), days);
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.path(path)).unwrap();
    }

    /// The executable with these arguments, in the catalog's folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.options.command();
        command.args(arguments).current_dir(self.path("."));
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.said(self.command(arguments).output().unwrap())
    }

    /// Runs it with `--json`; standard output has to be one JSON value and nothing else.
    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let said = self.run(&all);
        let value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| {
            panic!("{arguments:?} does not answer JSON: {error}\n{said:#?}")
        });
        (said.code, value)
    }

    fn said(&self, output: Output) -> Said {
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("the executable speaks UTF-8");
            let folder = self.folder.path().canonicalize().unwrap();
            let text = text.replace(folder.to_str().unwrap(), "[HERE]");
            normalize(&text.replace(self.folder.path().to_str().unwrap(), "[HERE]"))
        };
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Layer versions in the registry directory, as `REGION/NAME/NUMBER`, sorted.
    pub(crate) fn published(&self) -> Vec<String> {
        let registry = self.data("registry");
        files_below(&registry)
            .keys()
            .filter_map(|path| path.strip_suffix(".json").map(str::to_owned))
            .collect()
    }

    /// Every generated table with its content.
    pub(crate) fn tables(&self) -> BTreeMap<String, Vec<u8>> {
        files_below(&self.path("layers/arns"))
    }
}

/// Every file below a folder, by its path relative to it.
pub(crate) fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                files.insert(name.to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

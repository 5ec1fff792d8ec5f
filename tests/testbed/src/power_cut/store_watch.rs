//! Counts what a process writes to its SQLite store, and kills it at the n-th time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::{Line, Moment, Point};
use crate::support::{cache_directory, run};

/// The library that is loaded into the process.
const SOURCE: &str = include_str!("store_watch.c");

/// Watches the store of one process. The process needs [`variables`](Self::variables) in its environment.
pub struct StoreWatch {
    folder: TempDir,
    store: PathBuf,
    library: PathBuf,
}

impl StoreWatch {
    /// Watches a store's file, which need not be there yet, in a folder that is; the power goes at `armed` should that be
    /// a point of the journal.
    ///
    /// # Panics
    /// When there is no C compiler; the text says what it said.
    pub fn new(store: &Path, armed: Option<Point>) -> Self {
        let folder = TempDir::new().expect("the temporary folder is writable");
        let parent = store.parent().expect("a store lies in a folder");
        let parent = parent.canonicalize().expect("the store's folder is there");
        let name = store.file_name().expect("a store has a name");
        let armed = armed.filter(|point| point.line == Line::Journal);
        let number = |moment| {
            let armed = armed.filter(|point| point.moment == moment);
            armed.map_or(0, |point| point.number as u64)
        };
        let control = [0, number(Moment::Before), number(Moment::After)];
        let control: Vec<u8> = control.into_iter().flat_map(u64::to_ne_bytes).collect();
        fs::write(folder.path().join("control"), control)
            .expect("the temporary folder is writable");
        Self {
            folder,
            store: parent.join(name),
            library: library(),
        }
    }

    /// What the process is started with.
    pub fn variables(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("POWER_CUT_STORE", self.store.clone()),
            ("POWER_CUT_CONTROL", self.folder.path().join("control")),
        ]
    }

    /// How many writes to the store are through.
    pub fn writes(&self) -> usize {
        let control = fs::read(self.folder.path().join("control")).expect("the file stays there");
        let count = control.first_chunk().expect("it begins with a number");
        usize::try_from(u64::from_ne_bytes(*count)).expect("that many writes were waited for")
    }
}

/// The library, compiled once for each process that tests.
fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let cache = cache_directory();
        let folder = TempDir::new_in(&cache).expect("target/testbed is writable");
        let (source, made) = (
            folder.path().join("watch.c"),
            folder.path().join("watch.so"),
        );
        fs::write(&source, SOURCE).expect("target/testbed is writable");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        run(command.args([&made, &source]).arg("-ldl"));
        let library = cache.join("libstore_watch.so");
        // In one step: another process may be loading it.
        fs::rename(&made, &library).expect("target/testbed is writable");
        library
    };
    LIBRARY.get_or_init(make).clone()
}

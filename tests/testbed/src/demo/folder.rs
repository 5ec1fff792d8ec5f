//! Where the demo works: a fresh folder for each run below `target/demo`, and a cache that is kept between runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::tools::target_directory;

const LOCK: &str = ".lock";

/// The folder of one run. It is removed when dropped, unless it was kept; a kept one is removed by the next run.
pub(super) struct RunFolder {
    folder: TempDir,
    /// Held as long as the run goes on: the next one removes folders that nobody holds.
    _lock: File,
}

impl RunFolder {
    /// Makes a folder below `target/demo`, and removes those of runs that have ended.
    pub(super) fn create() -> Self {
        let home = target_directory().join("demo");
        fs::create_dir_all(&home).expect("the target folder is writable");
        remove_left_over(&home);
        let folder = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(&home)
            .expect("target/demo is writable");
        let lock = File::create(folder.path().join(LOCK)).expect("the run's folder is writable");
        lock.lock().expect("nobody else knows this file yet");
        // Wheels and uv's cache are the same for every run, and the only thing that takes long to get.
        let cache = target_directory().join("demo-cache");
        let data = folder.path().join("data");
        fs::create_dir_all(&cache).expect("the target folder is writable");
        fs::create_dir_all(&data).expect("the run's folder is writable");
        std::os::unix::fs::symlink(&cache, data.join("cache"))
            .expect("the run's folder is writable");
        Self {
            folder,
            _lock: lock,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder for somebody to look at.
    pub(super) fn keep(&mut self) {
        self.folder.disable_cleanup(true);
    }
}

fn remove_left_over(home: &Path) {
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let path = entry.path();
        let lock = File::options().read(true).open(path.join(LOCK));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            // What cannot be removed now stays for the next run.
            fs::remove_dir_all(path).ok();
        }
    }
}

/// A path as it is shown: from the current folder on where it lies below it, otherwise from the target folder on.
pub(super) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let target = target_directory();
    let shown = path
        .strip_prefix(&here)
        .map(Path::to_path_buf)
        .or_else(|_| {
            path.strip_prefix(&target)
                .map(|inside| PathBuf::from("target").join(inside))
        });
    shown
        .unwrap_or_else(|_| path.to_path_buf())
        .display()
        .to_string()
}

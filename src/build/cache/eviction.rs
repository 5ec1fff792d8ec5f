//! Keeping the caches below a number of bytes: what was used longest ago goes first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::UNFINISHED;

/// What was used more recently stays, even above the limit: a build in another process may be about to open it.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// A temporary file that nobody has written to for so long was left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(6 * 60 * 60);
/// Looking through the folders is due when this part of the limit has been written since.
const SWEEP_PART: u64 = 16;
/// How deep the folders are.
const DEPTH: usize = 4;

/// Looks after some folders that several caches, and several processes, write to.
#[derive(Debug)]
pub(crate) struct Eviction {
    folders: Vec<PathBuf>,
    /// In bytes.
    limit: u64,
    /// Bytes written since the folders were last looked through.
    written: AtomicU64,
    sweeping: Mutex<()>,
}

struct Found {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

impl Eviction {
    /// Keeps these folders together below `limit` bytes.
    pub(crate) fn new(folders: Vec<PathBuf>, limit: u64) -> Self {
        Self {
            folders,
            limit,
            // So that the first file written has the folders looked through: nobody knows what is there.
            written: AtomicU64::new(limit),
            sweeping: Mutex::new(()),
        }
    }

    /// Says that so many bytes were written; looks through the folders when it is time to.
    pub(crate) fn written(&self, bytes: u64) {
        let before = self.written.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) < self.limit / SWEEP_PART {
            return;
        }
        // Whoever comes while another looks has nothing to do.
        if let Ok(_guard) = self.sweeping.try_lock() {
            self.written.store(0, Ordering::Relaxed);
            self.sweep(SystemTime::now());
        }
    }

    /// Removes what was left behind, then what was used longest ago until nine tenths of the limit are kept.
    pub(crate) fn sweep(&self, now: SystemTime) {
        let mut found = Vec::new();
        for folder in &self.folders {
            list(folder, DEPTH, &mut found);
        }
        let age = |file: &Found| now.duration_since(file.used).unwrap_or_default();
        let is_unfinished = |file: &Found| {
            let folder = file.path.parent().and_then(Path::file_name);
            folder.is_some_and(|name| name == UNFINISHED)
        };
        found.retain(|file| {
            let is_left_behind = is_unfinished(file) && age(file) > LEFT_BEHIND;
            !(is_left_behind && remove(&file.path))
        });
        let mut total: u64 = found.iter().map(|file| file.size).sum();
        if total <= self.limit {
            return;
        }
        let before = total;
        // Files of one time go in the order of their paths: by chance of their digests.
        let oldest: BTreeMap<(SystemTime, &Path), &Found> = found
            .iter()
            .filter(|file| !is_unfinished(file) && age(file) > KEPT)
            .map(|file| ((file.used, file.path.as_path()), file))
            .collect();
        let aim = self.limit / 10 * 9;
        for file in oldest.values() {
            if total <= aim {
                break;
            }
            if remove(&file.path) {
                total -= file.size;
            }
        }
        tracing::info!(
            "the caches came to {before} bytes, and {} may be kept: {} were removed",
            self.limit,
            before - total
        );
    }
}

/// Whether the file is gone.
fn remove(path: &Path) -> bool {
    match super::remove(path) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!("{} cannot be removed: {error}", path.display());
            false
        }
    }
}

/// Lists files, and passes over what vanishes or cannot be read. Links are not followed.
fn list(folder: &Path, depth: usize, found: &mut Vec<Found>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() && depth > 0 {
            list(&path, depth - 1, found);
        } else if metadata.is_file()
            && let Ok(used) = metadata.modified()
        {
            found.push(Found {
                path,
                size: metadata.len(),
                used,
            });
        }
    }
}

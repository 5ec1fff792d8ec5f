//! Keeping folders of files that can be made again below a size: what was used least recently goes first.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Files younger than this stay, however full it is: somebody may be about to use them.
const YOUNG: Duration = Duration::from_secs(10 * 60);
/// Working files older than this were left behind by a process that died.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);
/// How full the folder is after files were removed, in percent of the limit: so that not every build removes some.
const FULL_PERCENT: u64 = 90;
/// A look at the folder is due when this part of the limit was written since the last one.
const DUE_PART: u64 = 32;

/// Some folders and the most they may hold together. The time a file was last used is its modification time: whoever reads it sets it.
#[derive(Debug)]
pub(crate) struct Bounded {
    roots: Vec<PathBuf>,
    limit: u64,
    written: AtomicU64,
    looked: AtomicBool,
}

/// A file that may go.
struct Candidate {
    used: SystemTime,
    size: u64,
    path: PathBuf,
}

impl Bounded {
    pub(crate) fn new(roots: Vec<PathBuf>, limit: u64) -> Self {
        Self {
            roots,
            limit,
            written: AtomicU64::new(0),
            looked: AtomicBool::new(false),
        }
    }

    /// Notes that bytes were written, and makes room when it is time to: the first time, and whenever a good part of
    /// the limit was written. Files that vanish meanwhile were removed by another process, which is just as well.
    pub(crate) fn wrote(&self, bytes: u64, now: SystemTime) {
        let written = self.written.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.looked.swap(true, Ordering::Relaxed) && written < self.limit / DUE_PART {
            return;
        }
        self.written.store(0, Ordering::Relaxed);
        match self.make_room(now) {
            Ok(0) => {}
            Ok(removed) => tracing::info!(
                removed,
                "removed {removed} bytes that were not used for the longest time"
            ),
            Err(error) => tracing::warn!("the cache could not be looked through: {error}"),
        }
    }

    /// Removes files until the folder is below its limit; gives the bytes removed.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn make_room(&self, now: SystemTime) -> io::Result<u64> {
        let mut candidates = Vec::new();
        let mut total = 0;
        for root in &self.roots {
            collect(root, now, false, &mut candidates, &mut total)?;
        }
        if total <= self.limit {
            return Ok(0);
        }
        candidates.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        let goal = self.limit / 100 * FULL_PERCENT;
        let mut removed = 0;
        for candidate in candidates {
            if total - removed <= goal {
                break;
            }
            if std::fs::remove_file(&candidate.path).is_ok() {
                removed += candidate.size;
            }
        }
        Ok(removed)
    }
}

/// Everything in a folder that may go, and how large all of it is; abandoned working files go at once.
fn collect(
    folder: &Path,
    now: SystemTime,
    is_below_temporary: bool,
    candidates: &mut Vec<Candidate>,
    total: &mut u64,
) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let is_temporary_folder =
        is_below_temporary || folder.file_name().is_some_and(|name| name == "tmp");
    for entry in entries {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            collect(&entry.path(), now, is_temporary_folder, candidates, total)?;
            continue;
        }
        let Ok(used) = metadata.modified() else {
            continue;
        };
        let age = now.duration_since(used).unwrap_or_default();
        let is_working_file =
            is_temporary_folder || entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_working_file {
            if age > ABANDONED {
                std::fs::remove_file(entry.path()).ok();
            }
            continue;
        }
        *total += metadata.len();
        if age > YOUNG {
            candidates.push(Candidate {
                used,
                size: metadata.len(),
                path: entry.path(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn file(root: &Path, name: &str, size: u64, used: SystemTime) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(path).unwrap();
        file.set_len(size).unwrap();
        file.set_modified(used).unwrap();
    }

    fn names(root: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for folder in ["wheels", "tmp"] {
            let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
                continue;
            };
            names.extend(
                entries.map(|entry| {
                    format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy())
                }),
            );
        }
        names.sort();
        names
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let now = SystemTime::now();
        let hours = |count: u64| now - Duration::from_secs(count * 60 * 60);
        for (name, used) in [("a", 3), ("b", 5), ("c", 1), ("d", 4)] {
            file(root, &format!("wheels/{name}"), 300, hours(used));
        }
        let bounded = Bounded::new(vec![root.join("wheels"), root.join("tmp")], 1000);
        bounded.wrote(1, now);
        assert_eq!(names(root), ["wheels/a", "wheels/c", "wheels/d"]);
        // Nothing is looked at again before enough was written.
        file(root, "wheels/e", 900, hours(9));
        bounded.wrote(1, now);
        assert_eq!(names(root).len(), 4);
        bounded.wrote(1000, now);
        assert_eq!(names(root), ["wheels/a", "wheels/c", "wheels/d"]);
    }

    #[test]
    fn other_folders_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let now = SystemTime::now();
        let used = now - Duration::from_secs(60 * 60);
        file(root, "wheels/a", 300, used);
        file(root, "tmp/of-others", 300, now - 2 * ABANDONED);
        Bounded::new(vec![root.join("wheels")], 100).wrote(1, now);
        assert_eq!(names(root), ["tmp/of-others"]);
    }

    #[test]
    fn young_files_stay_and_abandoned_working_files_go() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let now = SystemTime::now();
        file(root, "wheels/young", 5000, now);
        file(root, "tmp/in-use", 10, now - Duration::from_secs(3600));
        file(
            root,
            "tmp/folder/linked",
            500,
            now - Duration::from_secs(3600),
        );
        file(root, "tmp/abandoned", 10, now - 2 * ABANDONED);
        file(root, "wheels/.new-abandoned", 10, now - 2 * ABANDONED);
        Bounded::new(vec![root.join("wheels"), root.join("tmp")], 100).wrote(1, now);
        assert_eq!(names(root), ["tmp/folder", "tmp/in-use", "wheels/young"]);
        assert!(root.join("tmp/folder/linked").is_file());
    }
}

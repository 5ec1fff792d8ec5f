//! How many finished layers the folder of this machine holds: all there are, or copies of what is kept elsewhere.

use super::artifacts::{ArtifactDirectory, NEW};
use crate::model::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// What no running process knows is somebody's who just made it, or was left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);
/// Half-written files older than this were left behind by a process that died.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);
/// The folder is looked through when this part of the limit was written since the last time.
const DUE_PART: u64 = 32;
/// How full it is after zips were removed, in percent of the limit: so that not every build removes one.
const FULL_PERCENT: u64 = 90;

/// The room for finished layers on this machine.
#[derive(Debug)]
pub(super) struct Room {
    limit: u64,
    known: Mutex<Known>,
    /// Bytes written since the folder was looked through.
    written: AtomicU64,
    looked: AtomicBool,
}

#[derive(Debug, Default)]
struct Known {
    /// How often each is in use.
    in_use: BTreeMap<Digest, usize>,
    /// What this process put into its home, or had from there.
    at_home: BTreeSet<Digest>,
    /// What is about to be published, whoever wrote that down.
    needed: BTreeSet<Digest>,
}

/// A zip of this machine that stays as long as this lives.
#[derive(Debug)]
pub(super) struct Lease {
    room: Arc<Room>,
    digest: Digest,
}

/// The files of one artifact.
struct Copy {
    used: SystemTime,
    size: u64,
    /// Each with its size.
    files: Vec<(PathBuf, u64)>,
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            known: Mutex::default(),
            written: AtomicU64::new(0),
            looked: AtomicBool::new(false),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an artifact is about to be used.
    pub(super) fn hold(self: &Arc<Self>, digest: &Digest) -> Lease {
        *self.known().in_use.entry(*digest).or_default() += 1;
        Lease {
            room: Arc::clone(self),
            digest: *digest,
        }
    }

    /// Notes that an artifact is in its home, so that the copy here may go.
    pub(super) fn is_at_home(&self, digest: &Digest) {
        self.known().at_home.insert(*digest);
    }

    /// Removes copies that were not used for the longest time until so many more bytes have room; what is in use stays, and
    /// so does what may not be in its home yet. Blocks.
    pub(super) fn make(&self, directory: &ArtifactDirectory, more: u64, now: SystemTime) {
        let mut copies = copies(directory);
        let mut total: u64 = more + copies.values().map(|copy| copy.size).sum::<u64>();
        {
            let known = self.known();
            copies.retain(|digest, copy| {
                let age = now.duration_since(copy.used).unwrap_or_default();
                !known.in_use.contains_key(digest)
                    && (known.at_home.contains(digest) || age > LEFT_BEHIND)
            });
        }
        let mut oldest: Vec<Copy> = copies.into_values().collect();
        oldest.sort_by_key(|copy| copy.used);
        for copy in oldest {
            if total <= self.limit {
                break;
            }
            total -= copy.size;
            for (file, _) in copy.files {
                // Somebody else may have removed it, which is just as well.
                std::fs::remove_file(file).ok();
            }
        }
    }

    /// Notes what is about to be published, in place of what was noted before.
    pub(super) fn need(&self, needed: BTreeSet<Digest>) {
        self.known().needed = needed;
    }

    /// For a folder that is the home of its artifacts: notes that bytes were written, and makes room when it is time to:
    /// the first time, and whenever a good part of the limit was written. Blocks then.
    pub(super) fn wrote(&self, directory: &ArtifactDirectory, bytes: u64, now: SystemTime) {
        let written = self.written.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.looked.swap(true, Ordering::Relaxed) && written < self.limit / DUE_PART {
            return;
        }
        self.written.store(0, Ordering::Relaxed);
        match self.bound(directory, now) {
            0 => {}
            removed => tracing::info!(
                removed,
                "removed {removed} bytes of built layers that were not used for the longest time"
            ),
        }
    }

    /// Removes what was not used for the longest time until the folder is below the limit: zips, which can be built again,
    /// and documents only when that is not enough. What is in use or needed stays, and so does what was used just now,
    /// perhaps by another process. Gives the bytes removed.
    fn bound(&self, directory: &ArtifactDirectory, now: SystemTime) -> u64 {
        remove_abandoned(directory.root(), now);
        let mut copies = copies(directory);
        let total: u64 = copies.values().map(|copy| copy.size).sum();
        if total <= self.limit {
            return 0;
        }
        {
            let known = self.known();
            copies.retain(|digest, copy| {
                let age = now.duration_since(copy.used).unwrap_or_default();
                !known.in_use.contains_key(digest)
                    && !known.needed.contains(digest)
                    && age > LEFT_BEHIND
            });
        }
        let mut oldest: Vec<Copy> = copies.into_values().collect();
        oldest.sort_by(|a, b| (a.used, &a.files).cmp(&(b.used, &b.files)));
        let files = oldest.into_iter().flat_map(|copy| copy.files);
        let (zips, documents): (Vec<_>, Vec<_>) =
            files.partition(|(path, _)| path.extension().is_some_and(|kind| kind == "zip"));
        let goal = self.limit / 100 * FULL_PERCENT;
        let mut removed = 0;
        for (path, size) in zips.into_iter().chain(documents) {
            if total - removed <= goal {
                break;
            }
            if std::fs::remove_file(path).is_ok() {
                removed += size;
            }
        }
        removed
    }
}

/// Removes what a process that died was writing.
fn remove_abandoned(folder: &Path, now: SystemTime) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let is_new = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(NEW.as_bytes());
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let age = written.map(|written| now.duration_since(written).unwrap_or_default());
        if is_new && age.is_ok_and(|age| age > ABANDONED) {
            std::fs::remove_file(entry.path()).ok();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut known = self.room.known();
        if let Some(uses) = known.in_use.get_mut(&self.digest) {
            *uses -= 1;
            if *uses == 0 {
                known.in_use.remove(&self.digest);
            }
        }
    }
}

/// The artifacts in a folder, each with its documents.
fn copies(directory: &ArtifactDirectory) -> BTreeMap<Digest, Copy> {
    let mut copies: BTreeMap<Digest, Copy> = BTreeMap::new();
    for entry in std::fs::read_dir(directory.root())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let digest = name.to_str().and_then(|name| name.split('.').next());
        let (Some(digest), Ok(metadata)) = (
            digest.and_then(|digest| digest.parse().ok()),
            entry.metadata(),
        ) else {
            continue;
        };
        let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let copy = copies.entry(digest).or_insert(Copy {
            used,
            size: 0,
            files: Vec::new(),
        });
        copy.used = copy.used.max(used);
        copy.size += metadata.len();
        copy.files.push((entry.path(), metadata.len()));
    }
    copies
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn the_oldest_copies_go_and_what_is_needed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let directory = ArtifactDirectory::new(folder.path().to_owned());
        let room = Arc::new(Room::new(1000));
        let now = SystemTime::now();
        let digests: Vec<Digest> = (0..5_u8).map(|n| Digest::of(&[n])).collect();
        for (minutes, digest) in (1..).zip(&digests) {
            for path in [
                directory.path_of(digest),
                directory.path_of(digest).with_extension("cdx.json"),
            ] {
                let file = File::create(path).unwrap();
                file.set_len(200).unwrap();
                file.set_modified(now - Duration::from_secs(minutes * 60))
                    .unwrap();
            }
        }
        // The oldest is in use, the next may not be in its home.
        let lease = room.hold(&digests[4]);
        for digest in [0, 1, 2, 4].map(|n| &digests[n]) {
            room.is_at_home(digest);
        }
        let left = || -> Vec<bool> {
            let is_there = |digest: &Digest| directory.contains(digest);
            digests.iter().map(is_there).collect()
        };
        room.make(&directory, 0, now);
        assert_eq!(left(), [false, false, false, true, true]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
        drop(lease);
        room.make(&directory, 600, now);
        assert_eq!(left(), [false, false, false, true, false]);
        room.make(&directory, 2000, now + 2 * LEFT_BEHIND);
        assert_eq!(left(), [false; 5]);
    }

    #[test]
    fn zips_go_first_and_what_is_about_to_be_published_stays() {
        let folder = tempfile::tempdir().unwrap();
        let directory = ArtifactDirectory::new(folder.path().to_owned());
        let room = Arc::new(Room::new(1000));
        let now = SystemTime::now();
        let hours = |count: u32| now - LEFT_BEHIND * count;
        let file = |path: PathBuf, size: u64, used: SystemTime| {
            let file = File::create(path).unwrap();
            file.set_len(size).unwrap();
            file.set_modified(used).unwrap();
        };
        let digests: Vec<Digest> = (0..6_u8).map(|n| Digest::of(&[n])).collect();
        let document = |digest| directory.path_of(digest).with_extension("cdx.json");
        // The first was used just now, the last is the oldest.
        for (digest, used) in digests.iter().zip([0, 2, 3, 4, 5, 6]) {
            file(directory.path_of(digest), 200, hours(used));
            file(document(digest), 10, hours(used));
        }
        file(folder.path().join(".new-half"), 500, hours(2));
        file(folder.path().join(".new-old"), 500, now - 2 * ABANDONED);
        let zips = || -> Vec<bool> {
            let is_there = |digest: &Digest| directory.contains(digest);
            digests.iter().map(is_there).collect()
        };
        let lease = room.hold(&digests[5]);
        room.need(BTreeSet::from([digests[4]]));
        room.wrote(&directory, 200, now);
        assert_eq!(zips(), [true, true, false, false, true, true]);
        assert!(digests.iter().all(|digest| document(digest).is_file()));
        assert!(folder.path().join(".new-half").is_file());
        assert!(!folder.path().join(".new-old").exists());

        // Nothing is looked at again before a good part of the limit was written.
        drop(lease);
        room.need(BTreeSet::new());
        file(directory.path_of(&digests[3]), 600, hours(4));
        room.wrote(&directory, 1, now);
        assert_eq!(zips(), [true, true, false, true, true, true]);
        room.wrote(&directory, 1000, now);
        assert_eq!(zips(), [true, true, false, false, false, false]);

        // Documents go once there is no zip left to remove.
        let small = Room::new(1);
        small.wrote(&directory, 1, now);
        assert_eq!(zips(), [true, false, false, false, false, false]);
        let left: Vec<bool> = digests.iter().map(|it| document(it).is_file()).collect();
        assert_eq!(left, [true, false, false, false, false, false]);
    }
}

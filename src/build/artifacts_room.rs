//! Which of the zips that are kept elsewhere are here as well, and how many of them.

use super::artifacts::ArtifactDirectory;
use crate::model::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// What no running process knows is somebody's who just made it, or was left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);

/// The room for local copies of what is kept elsewhere.
#[derive(Debug)]
pub(super) struct Room {
    limit: u64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// How often each is in use.
    in_use: BTreeMap<Digest, usize>,
    /// What this process put into its home, or had from there.
    at_home: BTreeSet<Digest>,
}

/// A local copy that stays as long as this lives.
#[derive(Debug)]
pub(super) struct Lease {
    room: Arc<Room>,
    digest: Digest,
}

/// The files of one artifact.
struct Copy {
    used: SystemTime,
    size: u64,
    files: Vec<PathBuf>,
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            known: Mutex::default(),
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
            for file in copy.files {
                // Somebody else may have removed it, which is just as well.
                std::fs::remove_file(file).ok();
            }
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
        copy.files.push(entry.path());
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
}

//! Locks on disk, found by everything that decides them and believed only as long as they are fresh and whole.

use crate::model::{Digest, Lock, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// Raised whenever locks are written or found in another way.
pub(crate) const REVISION: &str = "1";
/// The most locks kept: a catalog of 300 layers for ten targets, and as many again.
const KEPT: usize = 6_000;
/// Locks written between two looks at how many there are.
const BETWEEN_SWEEPS: usize = 64;
/// The largest file that is read: a lock of a thousand packages is a third of a MiB.
const SIZE_LIMIT: u64 = 4 * 1024 * 1024;
/// How far a clock may be behind the one that dated a lock, in seconds.
const CLOCK_DIFFERENCE: i64 = 60;

/// A folder of locks named by their key. Several processes may share it: a lock appears under its name only when it is
/// whole, and one that does not match its own digest counts as absent.
#[derive(Debug)]
pub(crate) struct LockCache {
    root: PathBuf,
    written: AtomicUsize,
}

/// What a file holds below its first line, which is the SHA-256 of the rest.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: Digest,
    resolved_at: Timestamp,
    lock: Lock,
}

impl LockCache {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            written: AtomicUsize::new(0),
        }
    }

    /// The lock with a key, when it was resolved less than `max_age` before `now`.
    pub(crate) fn get(&self, key: &Digest, now: Timestamp, max_age: Duration) -> Option<Lock> {
        let entry = read(&self.path_of(key)).ok().flatten()?;
        let age = now.unix() - entry.resolved_at.unix();
        let max_age = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
        (entry.key == *key && age >= -CLOCK_DIFFERENCE && age < max_age).then_some(entry.lock)
    }

    /// Keeps a lock.
    ///
    /// # Errors
    /// When it cannot be written; nothing is lost by that but time.
    pub(crate) fn put(&self, key: Digest, lock: &Lock, resolved_at: Timestamp) -> io::Result<()> {
        let entry = Entry {
            key,
            resolved_at,
            lock: lock.clone(),
        };
        let text = serde_json::to_string(&entry)?;
        fs::create_dir_all(&self.root)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.root)?;
        write!(file, "{}\n{text}", Digest::of(text.as_bytes()))?;
        file.persist(self.path_of(&key))
            .map_err(|error| error.error)?;
        let before = self.written.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(BETWEEN_SWEEPS) {
            self.sweep(KEPT)?;
        }
        Ok(())
    }

    fn path_of(&self, key: &Digest) -> PathBuf {
        self.root.join(format!("{key}.json"))
    }

    /// Removes the oldest files once there are more than `kept`, and then so many that it is a while until the next time.
    fn sweep(&self, kept: usize) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for file in fs::read_dir(&self.root)? {
            let file = file?;
            // Another process may have removed it meanwhile.
            if let Ok(modified) = file.metadata().and_then(|metadata| metadata.modified()) {
                files.push((modified, file.path()));
            }
        }
        if files.len() <= kept {
            return Ok(());
        }
        files.sort();
        for (_, path) in &files[..files.len() - kept * 3 / 4] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// `None` for a file that is too large, altered or cut off.
fn read(path: &Path) -> io::Result<Option<Entry>> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(SIZE_LIMIT);
    file.read_to_string(&mut text)?;
    let Some((digest, entry)) = text.split_once('\n') else {
        return Ok(None);
    };
    if digest != Digest::of(entry.as_bytes()).to_string() {
        return Ok(None);
    }
    Ok(serde_json::from_str(entry).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LockedPackage, WheelFile};

    fn lock(version: &str) -> Lock {
        Lock {
            packages: vec![LockedPackage {
                name: "six".to_owned(),
                version: version.to_owned(),
                wheel: WheelFile {
                    filename: format!("six-{version}-py3-none-any.whl"),
                    url: "https://files.example.com/six.whl".to_owned(),
                    sha256: Digest::of(version.as_bytes()),
                    size: Some(7),
                },
                yanked: Some("broken".to_owned()),
            }],
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    const TEN: Duration = Duration::from_secs(10);

    fn key(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[test]
    fn a_lock_is_fresh_for_its_age_and_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LockCache::new(folder.path().join("locks"));
        assert_eq!(cache.get(&key("a"), at(0), TEN), None);
        cache.put(key("a"), &lock("1.0"), at(0)).unwrap();
        assert_eq!(cache.get(&key("a"), at(0), TEN), Some(lock("1.0")));
        assert_eq!(cache.get(&key("a"), at(9), TEN), Some(lock("1.0")));
        assert_eq!(cache.get(&key("a"), at(10), TEN), None);
        assert_eq!(cache.get(&key("a"), at(0), Duration::ZERO), None);
        assert_eq!(cache.get(&key("b"), at(0), TEN), None);
        // From a clock that is far ahead: nobody knows when it was resolved.
        assert_eq!(cache.get(&key("a"), at(-3_600), TEN), None);
        cache.put(key("a"), &lock("2.0"), at(20)).unwrap();
        assert_eq!(cache.get(&key("a"), at(21), TEN), Some(lock("2.0")));
    }

    #[test]
    fn an_altered_or_misplaced_lock_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LockCache::new(folder.path().to_owned());
        cache.put(key("a"), &lock("1.0"), at(0)).unwrap();
        let path = cache.path_of(&key("a"));
        let whole = fs::read(&path).unwrap();
        for cut in [0, 10, 64, 65, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(cache.get(&key("a"), at(0), TEN), None, "{cut}");
        }
        for position in [3, 70, whole.len() - 3] {
            let mut altered = whole.clone();
            altered[position] ^= 1;
            fs::write(&path, &altered).unwrap();
            assert_eq!(cache.get(&key("a"), at(0), TEN), None, "{position}");
        }
        fs::write(cache.path_of(&key("b")), &whole).unwrap();
        assert_eq!(cache.get(&key("b"), at(0), TEN), None);
        fs::write(&path, &whole).unwrap();
        assert_eq!(cache.get(&key("a"), at(0), TEN), Some(lock("1.0")));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LockCache::new(folder.path().to_owned());
        for n in 0..8 {
            let key = key(&n.to_string());
            cache.put(key, &lock("1.0"), at(0)).unwrap();
            let file = File::options().write(true).open(cache.path_of(&key));
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + n);
            file.unwrap().set_modified(modified).unwrap();
        }
        cache.sweep(8).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 8);
        cache.sweep(4).unwrap();
        let left: Vec<u64> = (0..8)
            .filter(|n| cache.path_of(&key(&n.to_string())).exists())
            .collect();
        assert_eq!(left, [5, 6, 7]);
    }
}

//! Wheels on disk, found by digest and believed only after hashing.

use super::artifacts::{persist, readable_by_all};
use super::checksum::Checksum;
use super::derived::touch;
use super::files;
use super::verify::VerifiedWheel;
use crate::model::Digest;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tempfile::NamedTempFile;
use tokio::sync::OwnedMutexGuard;

/// A folder of wheels named by their digest. Several processes may share it: a wheel appears under its name only when
/// it is whole and verified, and an altered one is thrown away by whoever finds it.
#[derive(Debug)]
pub(crate) struct WheelCache {
    root: PathBuf,
    being_fetched: Mutex<BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl WheelCache {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            being_fetched: Mutex::default(),
        }
    }

    /// Where a wheel is, when it is there.
    pub(crate) fn path_of(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join(&name[..2]).join(format!("{name}.whl"))
    }

    /// A cached wheel, open at its start, its bytes held to the digest, with the checksum of the very same bytes; `None` when
    /// there is none. One that was altered is thrown away.
    pub(crate) fn open(&self, digest: &Digest) -> io::Result<Option<(File, Checksum)>> {
        let path = self.path_of(digest);
        let Some(file) = files::open_if_there(&path)? else {
            return Ok(None);
        };
        let (found, checksum) = files::digest_and_checksum(&file)?;
        if found == *digest {
            touch(&file);
            return Ok(Some((file, checksum)));
        }
        tracing::warn!(wheel = %digest, "the cached wheel {digest} was altered: fetching it again");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(None),
        }
    }

    /// A cached wheel, open at its start, if it has the checksum that was noted when its bytes were held to the digest: that
    /// takes a fraction of the time. What to do with one that has not is for [`Self::open`] to say.
    pub(crate) fn open_known(
        &self,
        digest: &Digest,
        checksum: &Checksum,
    ) -> io::Result<Option<File>> {
        match files::open_if_there(&self.path_of(digest))? {
            Some(file) if files::checksum(&file)? == *checksum => {
                touch(&file);
                Ok(Some(file))
            }
            _ => Ok(None),
        }
    }

    /// A temporary file next to where wheels are kept.
    pub(crate) fn create(&self) -> io::Result<NamedTempFile> {
        let folder = self.root.join("tmp");
        std::fs::create_dir_all(&folder)?;
        tempfile::Builder::new()
            .permissions(readable_by_all())
            .tempfile_in(folder)
    }

    /// Keeps a wheel whose bytes were hashed while they were written; gives it back, open at its start.
    pub(crate) fn store(&self, wheel: VerifiedWheel, digest: &Digest) -> io::Result<File> {
        let file = wheel.into_file();
        let path = self.path_of(digest);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut open = file.as_file().try_clone()?;
        persist(file, &path)?;
        open.seek(SeekFrom::Start(0))?;
        Ok(open)
    }

    /// Waits until nobody else in this process fetches the same wheel: two targets often share one.
    pub(crate) async fn lock(&self, digest: &Digest) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self
                .being_fetched
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| lock.strong_count() > 0);
            match locks.get(digest).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::default();
                    locks.insert(*digest, Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::checksum::Checksummer;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_wheel_that_is_used_counts_as_used_now() {
        let folder = tempfile::tempdir().unwrap();
        let cache = WheelCache::new(folder.path().to_owned());
        let digest = Digest::of(b"wheel");
        let path = cache.path_of(&digest);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"wheel").unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let (before, file) = (
            SystemTime::now() - day,
            File::options().write(true).open(&path),
        );
        file.unwrap().set_modified(before).unwrap();
        assert!(cache.open(&digest).unwrap().is_some());
        let used = path.metadata().unwrap().modified().unwrap();
        assert!(
            used > before + day / 2,
            "what is used least recently goes first"
        );
    }

    /// Its note may be wrong where the wheel is right.
    #[test]
    fn a_wheel_is_thrown_away_for_its_digest_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = WheelCache::new(folder.path().to_owned());
        let digest = Digest::of(b"wheel");
        let path = cache.path_of(&digest);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"wheel").unwrap();
        let (_, right) = cache.open(&digest).unwrap().unwrap();
        let wrong = Checksummer::default().finish();
        assert!(cache.open_known(&digest, &right).unwrap().is_some());
        assert!(cache.open_known(&digest, &wrong).unwrap().is_none());
        assert!(path.is_file());
        std::fs::write(&path, b"wheeL").unwrap();
        assert!(cache.open_known(&digest, &right).unwrap().is_none());
        assert!(cache.open(&digest).unwrap().is_none());
        assert!(!path.exists());
        assert!(cache.open_known(&digest, &right).unwrap().is_none());
    }
}

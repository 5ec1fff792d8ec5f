//! Wheels on disk, found by digest and believed only after hashing.

use super::artifacts::{persist, readable_by_all};
use super::checksum::{Checksum, Checksummer};
use super::derived::touch;
use super::verify::VerifiedWheel;
use crate::model::{Digest, Hasher};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
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
        let Some(mut file) = there(&path)? else {
            return Ok(None);
        };
        let (found, checksum) = hash_both(&mut file)?;
        if found == *digest {
            file.seek(SeekFrom::Start(0))?;
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
        let file = there(&self.path_of(digest))?;
        let Some(file) = file else { return Ok(None) };
        if Checksum::of_file(&file)? != *checksum {
            return Ok(None);
        }
        touch(&file);
        Ok(Some(file))
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

/// A file, open, if it is there.
fn there(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The digest of a file from where it stands to its end.
pub(crate) fn hash(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    each_piece(file, |piece| hasher.update(piece))?;
    Ok(hasher.finish())
}

/// The same, and the checksum of the very same bytes.
fn hash_both(file: &mut File) -> io::Result<(Digest, Checksum)> {
    let (mut hasher, mut checksum) = (Hasher::default(), Checksummer::default());
    each_piece(file, |piece| {
        hasher.update(piece);
        checksum.update(piece);
    })?;
    Ok((hasher.finish(), checksum.finish()))
}

fn each_piece(file: &mut File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => take(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
}

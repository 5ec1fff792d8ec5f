//! Wheels on disk, found by digest and believed only after hashing.

use super::eviction::Eviction;
use super::keyed_locks::KeyedLocks;
use super::{open_verified, unfinished};
use crate::build::artifacts::persist;
use crate::model::Digest;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::NamedTempFile;
use tokio::sync::OwnedMutexGuard;

/// A folder of wheels named by their digest. Several processes may share it: a wheel appears under its name only when
/// it is whole, and an altered one is thrown away by whoever finds it.
#[derive(Debug)]
pub(crate) struct WheelCache {
    root: PathBuf,
    eviction: Arc<Eviction>,
    being_fetched: KeyedLocks,
}

impl WheelCache {
    /// A cache in `root`, which `eviction` keeps small.
    pub(crate) fn new(root: PathBuf, eviction: Arc<Eviction>) -> Self {
        Self {
            root,
            eviction,
            being_fetched: KeyedLocks::default(),
        }
    }

    fn path_of(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join(&name[..2]).join(format!("{name}.whl"))
    }

    /// A cached wheel, open at its start, once its bytes are known to be right; `None` when there is none.
    pub(crate) fn open(&self, digest: &Digest) -> io::Result<Option<File>> {
        open_verified(&self.path_of(digest), digest)
    }

    /// A temporary file next to where wheels are kept.
    pub(crate) fn create(&self) -> io::Result<NamedTempFile> {
        unfinished(&self.root)
    }

    /// Keeps a file whose bytes were verified while they were written; gives it back, open at its start.
    pub(crate) fn store(&self, file: NamedTempFile, digest: &Digest) -> io::Result<File> {
        let path = self.path_of(digest);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut open = file.as_file().try_clone()?;
        persist(file, &path)?;
        self.eviction.written(open.metadata()?.len());
        open.seek(SeekFrom::Start(0))?;
        Ok(open)
    }

    /// Waits until nobody else in this process fetches the same wheel: two targets often share one.
    pub(crate) async fn lock(&self, digest: &Digest) -> OwnedMutexGuard<()> {
        self.being_fetched.lock(digest).await
    }
}

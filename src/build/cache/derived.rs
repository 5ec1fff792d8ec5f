//! What was derived from wheels: bytecode, stripped files and the like, found by what they were derived from.

use super::eviction::Eviction;
use super::keyed_locks::KeyedLocks;
use super::{hash, mark_used, open_verified, remove, unfinished};
use crate::build::artifacts::persist;
use crate::model::{Digest, Hasher};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;
use tokio::sync::OwnedMutexGuard;

/// The largest reference read, in bytes: a few lines about what it refers to.
const REFERENCE_LIMIT: u64 = 1024 * 1024;

/// The key of what is derived from the wheel with this digest, where `how` says all else that decides its bytes: the
/// kind, the format's revision, the tool's version.
pub(crate) fn derived_key(how: &[&str], wheel: &Digest) -> Digest {
    let mut hasher = Hasher::default();
    for part in how {
        // With its length, so that no two lists give the same bytes.
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(wheel.to_string().as_bytes());
    hasher.finish()
}

/// A folder of files named by their digest, and of references from keys to them. A reference begins with the digest of
/// the rest of it, and repeats its key.
#[derive(Debug)]
pub(crate) struct DerivedCache {
    root: PathBuf,
    eviction: Arc<Eviction>,
    being_made: KeyedLocks,
}

#[derive(Serialize, Deserialize)]
struct Reference<M> {
    key: Digest,
    blob: Digest,
    about: M,
}

impl DerivedCache {
    /// A cache in `root`, which `eviction` keeps small.
    pub(crate) fn new(root: PathBuf, eviction: Arc<Eviction>) -> Self {
        Self {
            root,
            eviction,
            being_made: KeyedLocks::default(),
        }
    }

    fn path_of(&self, kind: &str, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join(kind).join(&name[..2]).join(name)
    }

    fn reference(&self, key: &Digest) -> PathBuf {
        self.path_of("references", key)
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.path_of("blobs", digest)
    }

    /// What was kept for a key, open at its start, and what was said of it; `None` when there is none, or when it was
    /// cut off or altered.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn open<M: DeserializeOwned>(&self, key: &Digest) -> io::Result<Option<(File, M)>> {
        let path = self.reference(key);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        (&mut file).take(REFERENCE_LIMIT).read_to_end(&mut bytes)?;
        let Some(reference) = read_reference(&bytes, key) else {
            tracing::warn!(%key, "a reference in the cache was altered and is removed");
            remove(&path)?;
            return Ok(None);
        };
        let Some(blob) = open_verified(&self.blob(&reference.blob), &reference.blob)? else {
            remove(&path)?;
            return Ok(None);
        };
        mark_used(&file);
        Ok(Some((blob, reference.about)))
    }

    /// A temporary file next to where files are kept.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create(&self) -> io::Result<NamedTempFile> {
        unfinished(&self.root)
    }

    /// Keeps a file for a key, with a few words about it; gives the file back, open at its start.
    ///
    /// # Errors
    /// When it cannot be read or moved.
    pub(crate) fn store<M: Serialize>(
        &self,
        key: &Digest,
        file: NamedTempFile,
        about: &M,
    ) -> io::Result<File> {
        let mut open = file.as_file().try_clone()?;
        open.seek(SeekFrom::Start(0))?;
        let blob = hash(&mut open)?;
        let body = serde_json::to_vec(&Reference {
            key: *key,
            blob,
            about,
        })?;
        let mut reference = self.create()?;
        writeln!(reference, "{}", Digest::of(&body))?;
        reference.write_all(&body)?;
        // The file first: a reference to nothing would only be thrown away.
        put(file, &self.blob(&blob))?;
        put(reference, &self.reference(key))?;
        self.eviction
            .written(open.metadata()?.len() + body.len() as u64);
        open.seek(SeekFrom::Start(0))?;
        Ok(open)
    }

    /// Waits until nobody else in this process makes what belongs to the same key.
    pub(crate) async fn lock(&self, key: &Digest) -> OwnedMutexGuard<()> {
        self.being_made.lock(key).await
    }
}

fn put(file: NamedTempFile, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    persist(file, path)
}

fn read_reference<M: DeserializeOwned>(bytes: &[u8], key: &Digest) -> Option<Reference<M>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (digest, body) = text.split_once('\n')?;
    if digest.parse() != Ok(Digest::of(body.as_bytes())) {
        return None;
    }
    let reference: Reference<M> = serde_json::from_str(body).ok()?;
    (reference.key == *key).then_some(reference)
}

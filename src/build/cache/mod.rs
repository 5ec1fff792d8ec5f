//! What is kept on this machine to be quick: fetched wheels and what was derived from them.
//!
//! Everything is found by a digest and believed only after hashing; what was cut off or altered is thrown away. Nothing
//! that a request says becomes part of a path. Several processes may share the folders: a file appears under its name
//! only when it is whole, and one that vanishes is missed, never an error.

mod derived;
mod eviction;
mod keyed_locks;
mod wheels;

#[cfg(test)]
mod tests;

pub(crate) use derived::{DerivedCache, derived_key};
pub(crate) use eviction::Eviction;
pub(crate) use wheels::WheelCache;

use super::artifacts::readable_by_all;
use crate::model::{Digest, Hasher};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;
use tempfile::NamedTempFile;

/// The folder of unfinished files in each kind's own folder.
const UNFINISHED: &str = "tmp";

/// A file whose bytes have the digest, open at its start and marked as used; `None` when there is none. One whose bytes
/// differ is removed.
fn open_verified(path: &Path, digest: &Digest) -> io::Result<Option<File>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if hash(&mut file)? == *digest {
        mark_used(&file);
        file.seek(SeekFrom::Start(0))?;
        return Ok(Some(file));
    }
    tracing::warn!(%digest, "the cached file {} was altered and is removed", path.display());
    remove(path)?;
    Ok(None)
}

/// The time of use is the file's own time: that of reading is not kept on many machines.
fn mark_used(file: &File) {
    if let Err(error) = file.set_modified(SystemTime::now()) {
        // Another user's file: it is used all the same, and leaves the cache sooner.
        tracing::debug!("a cached file cannot be marked as used: {error}");
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A temporary file on the same file system as `root`.
fn unfinished(root: &Path) -> io::Result<NamedTempFile> {
    let folder = root.join(UNFINISHED);
    std::fs::create_dir_all(&folder)?;
    tempfile::Builder::new()
        .permissions(readable_by_all())
        .tempfile_in(folder)
}

fn hash(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

//! The bare, shallow clone on this machine, and the right to use it.
//!
//! It holds nothing that the server does not have, so whatever is odd about it, it is thrown away.

use super::error::Fault;
use super::stop::Stop;
use super::{GitError, loose};
use anyhow::Context as _;
use git2::{Repository, RepositoryInitOptions};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

/// Names what the clone is a clone of; written last, so that half a clone has none.
const ORIGIN_FILE: &str = "layersmith-origin";
/// Every fetch adds a pack and nothing repacks them: beyond this many, a new clone is smaller and quicker.
const PACKS_LIMIT: usize = 64;
/// Nothing packs what was committed here either, nor takes away what a killed process left half written: dozens of
/// publications of a catalog of thousands of layers to all regions.
pub(super) const LOOSE_LIMIT: u64 = 1024 * 1024 * 1024;
/// Bytes above which a file is pushed as it is. Looking among the others for what it can be told as a difference from takes
/// many times longer than sending it: in a catalog of thousands of layers, the tables of all regions a minute.
const WITHOUT_DELTAS: i64 = 256 * 1024;
/// What libgit2 1.9 reads that limit from (`packbuilder_config` in its `pack-objects.c`), besides the size of a cache of
/// differences. It does not look at `core.bigFileThreshold`.
const WITHOUT_DELTAS_KEY: &str = "pack.deltaCacheSize";

/// The clone's folder, locked against other users of it, in this process and in others, until dropped.
#[derive(Debug)]
pub(super) struct LocalClone {
    folder: PathBuf,
    origin: String,
    _lock: File,
}

impl LocalClone {
    /// Waits until nobody else uses the clone in a working folder, or the operation is ended.
    pub(super) fn lock(work_dir: &Path, origin: &str, stop: &Stop) -> Result<Self, Fault> {
        fs::create_dir_all(work_dir).with_context(|| format!("creating {}", work_dir.display()))?;
        let lock_path = work_dir.join("catalog.lock");
        let opening = || format!("locking {}", lock_path.display());
        let lock = File::create(&lock_path).with_context(opening)?;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if stop.stopped() => {
                    return Err(GitError::Unreachable(format!(
                        "{} was in use by another process all the time",
                        lock_path.display()
                    ))
                    .into());
                }
                Err(TryLockError::WouldBlock) => stop.pause(Duration::from_millis(20)),
                Err(TryLockError::Error(error)) => {
                    return Err(anyhow::Error::new(error).context(opening()).into());
                }
            }
        }
        Ok(Self {
            folder: work_dir.join("catalog.git"),
            origin: origin.to_owned(),
            _lock: lock,
        })
    }

    /// The clone as it is, or a new, empty one when there is none, or not one of this origin.
    pub(super) fn open(&self) -> Result<Repository, Fault> {
        // As git: each object has a checksum (RFC 1950), which tells what a disk does to it. Hashing takes far longer.
        static ONCE: Once = Once::new();
        ONCE.call_once(|| git2::opts::strict_hash_verification(false));
        let origin = fs::read_to_string(self.folder.join(ORIGIN_FILE)).ok();
        if origin.as_ref() == Some(&self.origin)
            && self.packs() <= PACKS_LIMIT
            && loose::size(&self.folder) <= LOOSE_LIMIT
            && let Ok(repository) = Repository::open_bare(&self.folder)
        {
            push_without_deltas(&repository)?;
            return Ok(repository);
        }
        self.discard()?;
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false);
        let repository = Repository::init_opts(&self.folder, &options)
            .with_context(|| format!("creating a clone in {}", self.folder.display()))?;
        push_without_deltas(&repository)?;
        fs::write(self.folder.join(ORIGIN_FILE), &self.origin)
            .context("naming the clone's origin")?;
        Ok(repository)
    }

    /// Throws the clone away.
    pub(super) fn discard(&self) -> Result<(), Fault> {
        let removed = match fs::symlink_metadata(&self.folder) {
            Err(_) => Ok(()),
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&self.folder),
            Ok(_) => fs::remove_file(&self.folder),
        };
        Ok(removed.with_context(|| format!("removing the old clone {}", self.folder.display()))?)
    }

    fn packs(&self) -> usize {
        let packs = fs::read_dir(self.folder.join("objects/pack"));
        packs.map_or(0, |entries| {
            let names = entries.flatten().map(|entry| entry.path());
            names
                .filter(|path| path.extension().is_some_and(|end| end == "pack"))
                .count()
        })
    }
}

/// Sets the limit, also in a clone that was made with another one.
fn push_without_deltas(repository: &Repository) -> Result<(), Fault> {
    let mut config = repository.config()?;
    if config.get_i64(WITHOUT_DELTAS_KEY).ok() != Some(WITHOUT_DELTAS) {
        config.set_i64(WITHOUT_DELTAS_KEY, WITHOUT_DELTAS)?;
    }
    Ok(())
}

//! Wheels built from source distributions: what is fetched for it, and each wheel kept, so that it is built once.
//!
//! A wheel that was built is kept among those that were fetched, under its own digest. Which one came of a source
//! distribution is noted beside; the note is found by the digest of the source and by who built it.

use super::builder::{Builder, blocking};
use super::bytecode::Interpreter;
use super::derived::DerivedCache;
use super::error::BuildError;
use super::fetch::{check_announced_size, fetch_file};
use super::sandbox::{BuiltWheel, Sandbox};
use super::verify::VerifiedWheel;
use crate::model::{Architecture, Digest, Lock, PythonVersion, WheelFile};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::{OwnedMutexGuard, SemaphorePermit};

/// To be raised whenever the same source comes to be built in another way.
const REVISION: &str = "1";

/// Where and by what a source distribution is built.
#[derive(Debug, Clone)]
pub struct SourceBuildTools {
    /// Isolates the build.
    pub sandbox: Sandbox,
    /// Builds, and is what the wheel is built for.
    pub interpreter: Interpreter,
    /// The architecture of this machine, for which compilers compile.
    pub architecture: Architecture,
}

/// A wheel that was built from a source distribution and is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptWheel {
    /// Its file name (PEP 427).
    pub filename: String,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A source distribution's turn: nobody else in this process builds the same, and few others any.
#[derive(Debug)]
pub struct SourceBuildTurn<'a> {
    _source: OwnedMutexGuard<()>,
    _building: Option<SemaphorePermit<'a>>,
}

impl Builder {
    /// What builds source distributions for a Python version on this machine, or why nothing can, as a sentence.
    ///
    /// # Errors
    /// The reason, fit to be shown to people.
    pub async fn source_build_tools(
        &self,
        python: PythonVersion,
    ) -> Result<SourceBuildTools, String> {
        let sandbox = self.inner.importer.sandbox().await.clone()?;
        let bytecode = self.inner.preparer.bytecode();
        let interpreter = bytecode
            .interpreter(python)
            .await
            .ok_or_else(|| format!("there is no CPython {python} where Layersmith runs"))?;
        let architecture = if cfg!(target_arch = "aarch64") {
            Architecture::Arm64
        } else {
            Architecture::X86_64
        };
        Ok(SourceBuildTools {
            sandbox,
            interpreter,
            architecture,
        })
    }

    /// The wheel that was built from the source distribution with this digest, as long as it is kept.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub async fn built_before(
        &self,
        tools: &SourceBuildTools,
        source: &Digest,
    ) -> Result<Option<KeptWheel>, BuildError> {
        let (inner, key) = (Arc::clone(&self.inner), key(tools, source));
        blocking(move || {
            let reading = || BuildError::io("reading what was built from source");
            let derived = inner.preparer.derived();
            let Some(note) = derived.get(&key).map_err(reading())? else {
                return Ok(None);
            };
            let Ok(kept) = serde_json::from_str::<KeptWheel>(&note.note) else {
                return Ok(None);
            };
            let there = inner.cache.open(&kept.sha256).map_err(reading())?;
            Ok(there.map(|_| kept))
        })
        .await
    }

    /// Whether a wheel is kept.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub async fn keeps(&self, wheel: &WheelFile) -> Result<bool, BuildError> {
        let (inner, digest) = (Arc::clone(&self.inner), wheel.sha256);
        blocking(move || {
            let found = inner.cache.open(&digest);
            let found = found.map_err(BuildError::io("reading the wheel cache"))?;
            Ok(found.is_some())
        })
        .await
    }

    /// Where a wheel is that is kept.
    #[must_use]
    pub fn path_of_wheel(&self, digest: &Digest) -> PathBuf {
        self.inner.cache.path_of(digest)
    }

    /// Waits until it is this source distribution's turn to be built.
    pub async fn turn_to_build(&self, source: &Digest) -> SourceBuildTurn<'_> {
        SourceBuildTurn {
            _source: self.inner.cache.lock(source).await,
            // Never closed; should it be, builds go on unbounded.
            _building: self.inner.building.acquire().await.ok(),
        }
    }

    /// An empty folder for one build, on the disk of what is kept; removed when dropped.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub fn source_build_folder(&self) -> Result<TempDir, BuildError> {
        let making = || BuildError::io("making a folder to build in");
        let parent = self.inner.preparer.derived().temporary_folder();
        let parent = parent.and_then(std::fs::canonicalize).map_err(making())?;
        tempfile::Builder::new()
            .prefix("source-build-")
            .tempdir_in(parent)
            .map_err(making())
    }

    /// Fetches a source distribution into a folder, or takes it from the cache; its bytes are those of its digest.
    ///
    /// # Errors
    /// [`BuildError::Fetch`], [`BuildError::HashMismatch`], [`BuildError::BadWheel`] when it is too large, and
    /// [`BuildError::Io`].
    pub async fn fetch_source(
        &self,
        source: &WheelFile,
        folder: &Path,
    ) -> Result<PathBuf, BuildError> {
        check_announced_size(source)?;
        let path = folder.join(&source.filename);
        let key = DerivedCache::key(&["source-file", &source.sha256.to_string()]);
        let keeping = || BuildError::io("keeping a source distribution");
        let inner = Arc::clone(&self.inner);
        let kept = blocking(move || {
            let kept = inner.preparer.derived().get(&key).map_err(keeping())?;
            Ok(kept.and_then(|kept| kept.blob))
        })
        .await?;
        let file = match kept {
            Some(file) => file,
            None => {
                let inner = &self.inner;
                let (client, cache, limits) = (&inner.http.client()?, &inner.cache, inner.limits);
                let fetched = fetch_file(client, cache, source, limits, &|_| {}).await?;
                let inner = Arc::clone(&self.inner);
                blocking(move || {
                    let derived = inner.preparer.derived();
                    let (blob, size) = derived
                        .put(&key, "", Some(fetched.file))
                        .map_err(keeping())?;
                    inner.preparer.wrote(size);
                    blob.ok_or_else(|| io::ErrorKind::NotFound.into())
                        .map_err(keeping())
                })
                .await?
            }
        };
        let to = path.clone();
        blocking(move || copy(file, &to).map_err(keeping())).await?;
        Ok(path)
    }

    /// Puts the wheels of a lock into a folder, each under its name; those that are not kept are fetched and verified.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn wheels_into(&self, lock: &Lock, folder: &Path) -> Result<(), BuildError> {
        for package in &lock.packages {
            check_announced_size(&package.wheel)?;
            let file = self.wheel(package).await?;
            let kept = self.path_of_wheel(&package.wheel.sha256);
            let to = folder.join(&package.wheel.filename);
            blocking(move || {
                // The wheel may be on another disk, or gone by now.
                std::fs::hard_link(kept, &to)
                    .or_else(|_| copy(file, &to))
                    .map_err(BuildError::io("handing wheels to a build"))
            })
            .await?;
        }
        Ok(())
    }

    /// Keeps a wheel that was built, and notes what it was built from.
    ///
    /// # Errors
    /// [`BuildError::BadWheel`] when it is not what it says of itself, and [`BuildError::Io`].
    pub async fn keep_built(
        &self,
        tools: &SourceBuildTools,
        source: &Digest,
        built: BuiltWheel,
    ) -> Result<KeptWheel, BuildError> {
        let (inner, key) = (Arc::clone(&self.inner), key(tools, source));
        blocking(move || {
            let keeping = || BuildError::io("keeping a wheel that was built");
            let mut file = inner.cache.create().map_err(keeping())?;
            let mut from = File::open(&built.path).map_err(keeping())?;
            io::copy(&mut from, file.as_file_mut()).map_err(keeping())?;
            let verified = VerifiedWheel::new(file, &built.filename)?;
            let stored = inner.cache.store(verified, &built.sha256);
            stored.map_err(keeping())?;
            let kept = KeptWheel {
                filename: built.filename,
                sha256: built.sha256,
                size: built.size,
            };
            let note = serde_json::to_string(&kept)
                .map_err(io::Error::other)
                .map_err(keeping())?;
            let noted = inner.preparer.derived().put(&key, &note, None);
            let (_, size) = noted.map_err(keeping())?;
            inner.preparer.wrote(size + kept.size);
            Ok(kept)
        })
        .await
    }
}

/// What decides a wheel besides chance: the source, and what builds it. The architecture of the target is no part of it:
/// a build gives the same wheel for both, and one that was compiled is for this machine's alone.
fn key(tools: &SourceBuildTools, source: &Digest) -> Digest {
    DerivedCache::key(&[
        "source-build",
        REVISION,
        &source.to_string(),
        &tools.interpreter.version,
        tools.architecture.as_str(),
    ])
}

fn copy(mut from: File, to: &Path) -> io::Result<()> {
    let mut to = File::create_new(to)?;
    io::copy(&mut from, &mut to).map(|_| ())
}

//! What is found out about one wheel, and derived from it, before any layer is assembled from it.
//!
//! All of it depends on the wheel's bytes (and the interpreter that compiles) alone, is made once and kept by digest.

use super::builder::blocking;
use super::bytecode::{BytecodeMaker, BytecodeSummary, InterpreterSettings, WheelBytecode};
use super::cache::WheelCache;
use super::checksum::Checksum;
use super::derived::DerivedCache;
use super::elf::{WheelFacts, strip_wheel};
use super::error::BuildError;
use super::eviction::Bounded;
use super::examine::{self, Examined};
use super::fetch::Fetched;
use super::overlay::{Overlay, OverlayKind};
use super::slim::UsedKinds;
use super::verify::VerifiedWheel;
use super::wheel::Wheel;
use super::wheel_index::WheelIndex;
use super::window::WindowedFile;
use crate::model::{Digest, LockedPackage, PythonVersion};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The folder of fetched wheels in that of the cache.
pub(crate) const WHEELS: &str = "verified-wheels";
/// The folder of what is derived from them.
const DERIVED: &str = "derived";
/// To be raised whenever the same wheel comes to have other facts.
const FACTS_REVISION: &str = "3";
/// To be raised whenever the same wheel is stripped to other bytes.
const STRIPPED_REVISION: &str = "3";

/// A wheel, open, with everything that is known of it and derived from it.
pub(crate) struct Prepared {
    pub(crate) wheel: Wheel<WindowedFile>,
    pub(crate) facts: WheelFacts,
    /// What its bytecode came to; absent when none was asked for.
    pub(crate) bytecode: Option<Compiled>,
}

impl Prepared {
    fn new(wheel: Wheel<WindowedFile>, facts: WheelFacts) -> Self {
        Self {
            wheel,
            facts,
            bytecode: None,
        }
    }

    /// Whether there is no interpreter for it on this machine.
    pub(crate) fn lacks_interpreter(&self) -> bool {
        matches!(self.bytecode, Some(Compiled::NoInterpreter))
    }

    /// Whether compiling it again would come to the same.
    pub(crate) fn is_compiled_for_good(&self) -> bool {
        match &self.bytecode {
            Some(Compiled::Ready(summary)) => summary.died == 0,
            Some(Compiled::GaveUp) => false,
            Some(Compiled::NoInterpreter) | None => true,
        }
    }
}

/// What came of compiling a wheel's modules.
#[derive(Debug)]
pub(crate) enum Compiled {
    /// They are in an overlay.
    Ready(BytecodeSummary),
    /// There is no interpreter of the target's version on this machine.
    NoInterpreter,
    /// The interpreter crashed too often, or it took too long.
    GaveUp,
}

/// The file of a wheel in the cache, its bytes right.
pub(crate) struct Cached {
    pub(crate) file: File,
    /// Its checksum alone when the rest was lost.
    known: Result<Box<Known>, Checksum>,
}

/// What is kept of a wheel.
#[derive(Serialize, Deserialize)]
struct Known {
    /// By what its file is known again.
    checksum: Checksum,
    facts: WheelFacts,
    used: UsedKinds,
    index: Option<WheelIndex>,
}

/// Under which key is kept what is known of a package's wheel.
fn facts_key(package: &LockedPackage) -> Digest {
    DerivedCache::key(&[
        "facts",
        FACTS_REVISION,
        &package.wheel.sha256.to_string(),
        &package.name,
    ])
}

/// Prepares wheels; keeps what it finds out in the cache.
#[derive(Debug)]
pub(crate) struct Preparer {
    derived: DerivedCache,
    bytecode: BytecodeMaker,
    bounded: Arc<Bounded>,
}

impl Preparer {
    /// A preparer with its cache in a folder that holds so many bytes at most; `processes` compile at once.
    pub(crate) fn new(
        cache_dir: &Path,
        limit: u64,
        interpreters: InterpreterSettings,
        processes: usize,
    ) -> Self {
        let derived = DerivedCache::new(cache_dir.join(DERIVED));
        Self {
            bytecode: BytecodeMaker::new(interpreters, derived.clone(), processes),
            derived,
            // Not the whole folder: others, uv among them, keep theirs in it.
            bounded: Arc::new(Bounded::new(
                vec![cache_dir.join(WHEELS), cache_dir.join(DERIVED)],
                limit,
            )),
        }
    }

    /// Where else something is derived and kept.
    pub(crate) fn derived(&self) -> &DerivedCache {
        &self.derived
    }

    /// Who knows the interpreters.
    pub(crate) fn bytecode(&self) -> &BytecodeMaker {
        &self.bytecode
    }

    /// Notes that bytes were added to the cache. Takes its time when room has to be made.
    pub(crate) fn wrote(&self, bytes: u64) {
        self.bounded.wrote(bytes, SystemTime::now());
    }

    /// The same on a thread of its own.
    pub(crate) async fn wrote_aside(&self, bytes: u64) -> Result<(), BuildError> {
        let bounded = Arc::clone(&self.bounded);
        blocking(move || {
            bounded.wrote(bytes, SystemTime::now());
            Ok(())
        })
        .await
    }

    /// A wheel that is in the cache with what is known of it; `None` when there is none. Takes its time.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub(crate) fn cached(
        &self,
        cache: &WheelCache,
        package: &LockedPackage,
    ) -> Result<Option<Cached>, BuildError> {
        let digest = &package.wheel.sha256;
        let noted = self.derived.get(&facts_key(package));
        let noted = noted.map_err(BuildError::io("reading what is known of a wheel"))?;
        let known = noted.and_then(|noted| serde_json::from_str::<Box<Known>>(&noted.note).ok());
        let reading = || BuildError::io("reading the wheel cache");
        if let Some(known) = known
            && let Some(file) = cache
                .open_known(digest, &known.checksum)
                .map_err(reading())?
        {
            return Ok(Some(Cached {
                file,
                known: Ok(known),
            }));
        }
        let file = cache.open(digest).map_err(reading())?;
        Ok(file.map(|(file, checksum)| Cached {
            file,
            known: Err(checksum),
        }))
    }

    /// Opens a wheel of [`Self::cached`]. Takes its time when what is known of it was lost: to be called where nobody waits.
    ///
    /// # Errors
    /// [`BuildError::BadWheel`] and [`BuildError::Io`].
    pub(crate) fn open(
        &self,
        cached: Cached,
        package: &LockedPackage,
    ) -> Result<Prepared, BuildError> {
        let Cached { file, known } = cached;
        let known = match known {
            Ok(known) => known,
            Err(checksum) => {
                let scratch = self.scratch()?;
                let (wheel, examined) = examine::open(file, package, &scratch)?;
                return self.keep(checksum, wheel, examined, package);
            }
        };
        let file = WindowedFile::new(file);
        let filename = package.wheel.filename.clone();
        let (name, version) = (package.name.as_str(), package.version.as_str());
        let wheel = match known.index {
            Some(index) => index.open(file, filename, name, version, known.used),
            None => {
                let mut wheel = Wheel::open(file, filename, name, version)?;
                wheel.used = known.used;
                wheel
            }
        };
        Ok(Prepared::new(wheel, known.facts))
    }

    /// Takes in a wheel that was fetched: unpacks it once to verify every byte and to find out what is to be known of it,
    /// and keeps it. Takes its time.
    ///
    /// # Errors
    /// [`BuildError::BadWheel`] and [`BuildError::Io`]; nothing is kept then.
    pub(crate) fn take_in(
        &self,
        fetched: Fetched,
        package: &LockedPackage,
        cache: &WheelCache,
    ) -> Result<Prepared, BuildError> {
        let Fetched {
            file,
            size,
            checksum,
        } = fetched;
        let scratch = self.scratch()?;
        let (verified, wheel, examined) = VerifiedWheel::examined(file, package, &scratch)?;
        cache
            .store(verified, &package.wheel.sha256)
            .map_err(BuildError::io("storing a wheel"))?;
        self.wrote(size);
        self.keep(checksum, wheel, examined, package)
    }

    fn scratch(&self) -> Result<PathBuf, BuildError> {
        let folder = self.derived.temporary_folder();
        folder.map_err(BuildError::io("making a folder for working files"))
    }

    /// Notes what is known of a wheel.
    fn keep(
        &self,
        checksum: Checksum,
        wheel: Wheel<WindowedFile>,
        examined: Examined,
        package: &LockedPackage,
    ) -> Result<Prepared, BuildError> {
        let known = Known {
            checksum,
            index: WheelIndex::of(&wheel),
            facts: examined.facts,
            used: examined.used,
        };
        let (_, size) = serde_json::to_string(&known)
            .map_err(io::Error::other)
            .and_then(|note| self.derived.put(&facts_key(package), &note, None))
            .map_err(BuildError::io("noting what is known of a wheel"))?;
        self.wrote(size);
        Ok(Prepared::new(wheel, known.facts))
    }

    /// Adds the stripped shared objects of a wheel. Takes its time the first time.
    ///
    /// # Errors
    /// [`BuildError::BadWheel`] and [`BuildError::Io`].
    pub(crate) fn strip(
        &self,
        wheel: &mut Wheel<WindowedFile>,
        facts: &WheelFacts,
        digest: &Digest,
    ) -> Result<(), BuildError> {
        let key = DerivedCache::key(&["stripped", STRIPPED_REVISION, &digest.to_string()]);
        let reading = BuildError::io("reading stripped shared objects");
        let blob = match self.derived.get(&key).map_err(reading)? {
            Some(derived) => derived.blob,
            None => {
                let writing = || BuildError::io("keeping stripped shared objects");
                let scratch = self.derived.temporary_folder().map_err(writing())?;
                let out = self.derived.create().map_err(writing())?;
                let another = wheel.reader.another().map_err(writing())?;
                let (report, out) = strip_wheel(wheel, another, facts, &scratch, out)?;
                let out = (!report.stripped.is_empty()).then_some(out);
                let (blob, size) = self.derived.put(&key, "", out).map_err(writing())?;
                self.wrote(size);
                blob
            }
        };
        if let Some(blob) = blob {
            let blob = WindowedFile::new(blob);
            let overlay = Overlay::open(OverlayKind::Stripped, blob, &wheel.filename)?;
            wheel.overlays.push(overlay);
        }
        Ok(())
    }

    /// Adds the bytecode of a prepared wheel, compiled for a Python version where that is needed.
    ///
    /// # Errors
    /// [`BuildError::BadWheel`] and [`BuildError::Io`].
    pub(crate) async fn compile(
        &self,
        prepared: &mut Prepared,
        cache: &Arc<WheelCache>,
        package: &LockedPackage,
        python: PythonVersion,
    ) -> Result<(), BuildError> {
        let (wheels, own) = (Arc::clone(cache), package.clone());
        let open = move || {
            let lost = || BuildError::io("reading the wheel cache");
            let file = wheels
                .open(&own.wheel.sha256)
                .and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()))
                .map_err(lost())?;
            let (file, _) = file;
            let file = WindowedFile::new(file);
            Wheel::open(file, own.wheel.filename, &own.name, &own.version)
        };
        let digest: &Digest = &package.wheel.sha256;
        let made = self.bytecode.bytecode(digest, python, open).await?;
        prepared.bytecode = Some(match made {
            WheelBytecode::Ready {
                overlay,
                summary,
                kept,
            } => {
                // Nothing is looked through on behalf of what was there.
                if kept > 0 {
                    self.wrote_aside(kept).await?;
                }
                let filename = &prepared.wheel.filename;
                let overlay = WindowedFile::new(overlay);
                let overlay = Overlay::open(OverlayKind::Bytecode, overlay, filename)?;
                prepared.wheel.overlays.push(overlay);
                Compiled::Ready(summary)
            }
            WheelBytecode::NoInterpreter => Compiled::NoInterpreter,
            WheelBytecode::GaveUp => Compiled::GaveUp,
        });
        Ok(())
    }
}

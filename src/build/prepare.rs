//! What is found out about one wheel, and derived from it, before any layer is assembled from it.
//!
//! All of it depends on the wheel's bytes (and the interpreter that compiles) alone, is made once and kept by digest.

use super::bytecode::{BytecodeMaker, BytecodeSummary, InterpreterSettings, WheelBytecode};
use super::cache::WheelCache;
use super::derived::{Derived, DerivedCache};
use super::elf::{WheelFacts, inspect_wheel, strip_wheel};
use super::error::BuildError;
use super::eviction::Bounded;
use super::overlay::{Overlay, OverlayKind};
use super::slim::UsedKinds;
use super::wheel::Wheel;
use crate::model::{Digest, LockedPackage, PythonVersion};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// To be raised whenever the same wheel comes to have other facts.
const FACTS_REVISION: &str = "1";
/// To be raised whenever the same wheel is stripped to other bytes.
const STRIPPED_REVISION: &str = "1";

/// A wheel, open, with everything that is known of it and derived from it.
pub(crate) struct Prepared {
    pub(crate) wheel: Wheel<File>,
    pub(crate) facts: WheelFacts,
    /// What its bytecode came to; absent when none was asked for.
    pub(crate) bytecode: Option<Compiled>,
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

/// What is kept of a wheel.
#[derive(Serialize, Deserialize)]
struct Known {
    facts: WheelFacts,
    used: UsedKinds,
}

/// Prepares wheels; keeps what it finds out in the cache.
#[derive(Debug)]
pub(crate) struct Preparer {
    derived: DerivedCache,
    bytecode: BytecodeMaker,
    bounded: Bounded,
}

impl Preparer {
    /// A preparer with its cache in a folder that holds so many bytes at most; `processes` compile at once.
    pub(crate) fn new(
        cache_dir: PathBuf,
        limit: u64,
        interpreters: InterpreterSettings,
        processes: usize,
    ) -> Self {
        let derived = DerivedCache::new(cache_dir.join("derived"));
        Self {
            bytecode: BytecodeMaker::new(interpreters, derived.clone(), processes),
            derived,
            bounded: Bounded::new(cache_dir, limit),
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

    /// Notes that bytes were added to the cache.
    pub(crate) fn wrote(&self, bytes: u64) {
        self.bounded.wrote(bytes, SystemTime::now());
    }

    /// Opens a wheel and finds out what is to be known of it; with `strip`, its stripped shared objects come along. Takes
    /// its time the first time: to be called where nobody waits.
    ///
    /// # Errors
    /// [`BuildError::BadWheel`] and [`BuildError::Io`].
    pub(crate) fn open(
        &self,
        file: File,
        package: &LockedPackage,
        strip: bool,
    ) -> Result<Prepared, BuildError> {
        let mut wheel = Wheel::open(
            file,
            package.wheel.filename.clone(),
            &package.name,
            &package.version,
        )?;
        let digest = package.wheel.sha256.to_string();
        let known = self.known(&mut wheel, &digest)?;
        wheel.used = known.used;
        if strip {
            let stripped = self.stripped(&mut wheel, &known.facts, &digest)?;
            wheel.overlays.extend(stripped);
        }
        Ok(Prepared {
            wheel,
            facts: known.facts,
            bytecode: None,
        })
    }

    fn known(&self, wheel: &mut Wheel<File>, digest: &str) -> Result<Known, BuildError> {
        let key = DerivedCache::key(&["facts", FACTS_REVISION, digest]);
        let reading = BuildError::io("reading what is known of a wheel");
        if let Some(derived) = self.derived.get(&key).map_err(reading)?
            && let Ok(known) = serde_json::from_str(&derived.note)
        {
            return Ok(known);
        }
        let writing = || BuildError::io("noting what is known of a wheel");
        let scratch = self.derived.temporary_folder().map_err(writing())?;
        let known = Known {
            facts: inspect_wheel(wheel, &scratch)?,
            used: UsedKinds::of(wheel)?,
        };
        let note = serde_json::to_string(&known)
            .map_err(io::Error::other)
            .map_err(writing())?;
        let (_, size) = self.derived.put(&key, &note, None).map_err(writing())?;
        self.wrote(size);
        Ok(known)
    }

    fn stripped(
        &self,
        wheel: &mut Wheel<File>,
        facts: &WheelFacts,
        digest: &str,
    ) -> Result<Option<Overlay<File>>, BuildError> {
        let open = |blob: File, wheel: &Wheel<File>| {
            Overlay::open(OverlayKind::Stripped, blob, &wheel.filename)
        };
        let key = DerivedCache::key(&["stripped", STRIPPED_REVISION, digest]);
        let reading = BuildError::io("reading stripped shared objects");
        match self.derived.get(&key).map_err(reading)? {
            Some(Derived { blob: None, .. }) => return Ok(None),
            Some(Derived {
                blob: Some(blob), ..
            }) => return open(blob, wheel).map(Some),
            None => {}
        }
        let writing = || BuildError::io("keeping stripped shared objects");
        let scratch = self.derived.temporary_folder().map_err(writing())?;
        let out = self.derived.create().map_err(writing())?;
        let (report, out) = strip_wheel(wheel, facts, &scratch, out)?;
        let out = (!report.stripped.is_empty()).then_some(out);
        let (blob, size) = self.derived.put(&key, "", out).map_err(writing())?;
        self.wrote(size);
        blob.map(|blob| open(blob, wheel)).transpose()
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
                .and_then(|file| file.ok_or_else(|| io::ErrorKind::NotFound.into()))
                .map_err(lost())?;
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
                self.wrote(kept);
                let filename = &prepared.wheel.filename;
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

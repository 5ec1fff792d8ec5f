//! Bytecode of one wheel's modules, so that a layer imports quickly: nothing can be compiled on Lambda's read-only `/opt`.
//!
//! Compiled by a CPython of the target's own minor version, as `.pyc` files with an unchecked hash (PEP 552), which hold
//! no time and are never stale, at optimisation level 0, which is what a function runs with. Sources are compiled,
//! never imported or run. The bytes depend on the wheel and on the interpreter's version alone: see [`marshal`] for what
//! else would have decided them.

mod compiler;
mod interpreter;
mod marshal;
mod reader;
mod wheel;

#[cfg(test)]
mod tests;

use interpreter::Interpreters;
pub use interpreter::{Interpreter, InterpreterSettings};
#[cfg(test)]
pub(in crate::build) use tests::here;
pub(crate) use wheel::{BytecodeSummary, compile_wheel};

use super::derived::{Derived, DerivedCache};
use super::error::BuildError;
use super::wheel::Wheel;
use super::window::WindowedFile;
use crate::model::{Digest, PythonVersion};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{OwnedMutexGuard, Semaphore, oneshot};

/// To be raised whenever the same wheel and interpreter come to give other bytes, or these are kept otherwise.
const REVISION: &str = "2";

/// Compiles wheels, each once per interpreter version as long as the cache keeps it.
#[derive(Debug)]
pub(crate) struct BytecodeMaker {
    interpreters: Interpreters,
    cache: DerivedCache,
    /// A lock for each thing being made: two builds often need the same.
    being_made: Mutex<BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
    /// A permit for each process that may run, over all wheels.
    processes: Arc<Semaphore>,
    most: usize,
}

/// The bytecode of a wheel, or why there is none.
#[derive(Debug)]
pub(crate) enum WheelBytecode {
    /// There is an overlay, open at its start.
    Ready {
        /// The overlay.
        overlay: File,
        /// What is in it.
        summary: BytecodeSummary,
        /// Bytes that were added to the cache.
        kept: u64,
    },
    /// There is no CPython of this minor version here.
    NoInterpreter,
    /// The interpreter crashed or hung on too many of the wheel's files, or all of them took too long.
    GaveUp,
}

impl BytecodeMaker {
    /// A maker that keeps what it made in `cache` and runs so many processes at once (at least 1).
    pub(crate) fn new(
        interpreters: InterpreterSettings,
        cache: DerivedCache,
        processes: usize,
    ) -> Self {
        let most = processes.max(1);
        Self {
            interpreters: Interpreters::new(interpreters, cache.clone()),
            cache,
            being_made: Mutex::default(),
            processes: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// The interpreter that compiles for a Python version, if there is one.
    pub(crate) async fn interpreter(&self, python: PythonVersion) -> Option<Interpreter> {
        self.interpreters.find(python).await
    }

    /// The bytecode of the wheel with this digest, which `open` opens when it has to be compiled.
    ///
    /// Dropping the future stops the processes.
    ///
    /// # Errors
    /// What `open` says, [`BuildError::BadWheel`] and [`BuildError::Io`].
    pub(crate) async fn bytecode(
        &self,
        wheel: &Digest,
        python: PythonVersion,
        open: impl FnOnce() -> Result<Wheel<WindowedFile>, BuildError> + Send + 'static,
    ) -> Result<WheelBytecode, BuildError> {
        let Some(interpreter) = self.interpreters.find(python).await else {
            return Ok(WheelBytecode::NoInterpreter);
        };
        let parts = ["bytecode", REVISION, &interpreter.version];
        let key = DerivedCache::key(&[&parts[..], &[&wheel.to_string()]].concat());
        let _lock = self.lock(&key).await;
        let cache = self.cache.clone();
        let cached = tokio::task::spawn_blocking(move || cache.get(&key)).await;
        let cached = cached.map_err(io::Error::other).and_then(|cached| cached);
        let cached = cached.map_err(BuildError::io("reading cached bytecode"))?;
        if let Some(Derived { note, blob }) = cached
            && let (Ok(summary), Some(overlay)) = (serde_json::from_str(&note), blob)
        {
            return Ok(WheelBytecode::Ready {
                overlay,
                summary,
                kept: 0,
            });
        }

        // The first permit is waited for, further ones are taken if they are free.
        let permits = Arc::clone(&self.processes);
        let mut permit = permits
            .acquire_owned()
            .await
            .map_err(io::Error::other)
            .map_err(BuildError::io("waiting for a processor"))?;
        while permit.num_permits() < self.most
            && let Ok(more) = Arc::clone(&self.processes).try_acquire_owned()
        {
            permit.merge(more);
        }
        let cache = self.cache.clone();
        let runtime = tokio::runtime::Handle::current();
        // Dropped with this future, and then the work on the other thread ends.
        let (_alive, gone) = oneshot::channel::<()>();
        let work = tokio::task::spawn_blocking(move || {
            let mut wheel = open()?;
            let file = cache.create().map_err(BuildError::io(MAKING))?;
            let compiled = compile_wheel(&mut wheel, &interpreter, permit.num_permits(), file);
            let compiled = runtime.block_on(async {
                tokio::select! {
                    compiled = compiled => compiled,
                    _ = gone => Ok(None),
                }
            })?;
            let Some((file, summary)) = compiled else {
                return Ok(WheelBytecode::GaveUp);
            };
            // What a crash left out may be there next time: such bytecode is used, and not kept.
            if summary.died > 0 {
                let overlay = file.reopen().map_err(BuildError::io(MAKING))?;
                return Ok(WheelBytecode::Ready {
                    overlay,
                    summary,
                    kept: 0,
                });
            }
            let note = serde_json::to_string(&summary).map_err(io::Error::other);
            let (overlay, kept) = note
                .and_then(|note| cache.put(&key, &note, Some(file)))
                .map_err(BuildError::io(MAKING))?;
            let overlay = overlay
                .ok_or_else(|| io::Error::other("what was kept is not given back"))
                .map_err(BuildError::io(MAKING))?;
            Ok(WheelBytecode::Ready {
                overlay,
                summary,
                kept,
            })
        });
        work.await
            .map_err(io::Error::other)
            .map_err(BuildError::io(MAKING))?
    }

    /// Waits until nobody else makes what belongs to the key.
    async fn lock(&self, key: &Digest) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self
                .being_made
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| lock.strong_count() > 0);
            match locks.get(key).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::default();
                    locks.insert(*key, Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }
}

const MAKING: &str = "compiling a wheel's modules";

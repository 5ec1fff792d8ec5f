//! Bytecode of one wheel's modules, so that a layer imports quickly: nothing can be compiled on Lambda's read-only `/opt`.
//!
//! Compiled by a CPython of the target's own minor version, as `.pyc` files with an unchecked hash (PEP 552), which hold
//! no time and are never stale, at optimisation level 0, which is what a function runs with. Sources are compiled,
//! never imported or run. The bytes depend on the wheel and on the interpreter's version alone: see [`marshal`] for what
//! else would have decided them.

mod compiler;
mod interpreter;
mod marshal;
mod wheel;

#[cfg(test)]
mod tests;

pub use interpreter::InterpreterSettings;
pub(crate) use interpreter::{Interpreter, Interpreters};
pub(crate) use wheel::{BytecodeSummary, compile_wheel};

use super::cache::{DerivedCache, derived_key};
use super::error::BuildError;
use super::wheel::Wheel;
use crate::model::{Digest, PythonVersion};
use std::fs::File;
use std::io;
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot};

/// To be raised whenever the same wheel and interpreter come to give other bytes.
const REVISION: &str = "1";

/// Compiles wheels, each once per interpreter version as long as the cache keeps it.
#[derive(Debug)]
pub(crate) struct BytecodeMaker {
    interpreters: Interpreters,
    cache: Arc<DerivedCache>,
    /// A permit for each process that may run, over all wheels.
    processes: Arc<Semaphore>,
    most: usize,
}

/// The bytecode of a wheel, or why there is none.
#[derive(Debug)]
pub(crate) enum WheelBytecode {
    /// An overlay, open at its start, and what it holds.
    Ready(File, BytecodeSummary),
    /// There is no CPython of this minor version here.
    NoInterpreter,
    /// The interpreter crashed or hung on too many of the wheel's files, or all of them took too long.
    GaveUp,
}

impl BytecodeMaker {
    /// A maker that keeps what it made in `cache` and runs so many processes at once (at least 1).
    pub(crate) fn new(
        interpreters: InterpreterSettings,
        cache: Arc<DerivedCache>,
        processes: usize,
    ) -> Self {
        let most = processes.max(1);
        Self {
            interpreters: Interpreters::new(interpreters),
            cache,
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
        open: impl FnOnce() -> Result<Wheel<File>, BuildError> + Send + 'static,
    ) -> Result<WheelBytecode, BuildError> {
        let Some(interpreter) = self.interpreters.find(python).await else {
            return Ok(WheelBytecode::NoInterpreter);
        };
        let key = derived_key(&["bytecode", REVISION, &interpreter.version], wheel);
        let _lock = self.cache.lock(&key).await;
        let cache = Arc::clone(&self.cache);
        let cached = tokio::task::spawn_blocking(move || cache.open(&key)).await;
        let cached = cached.map_err(io::Error::other).and_then(|cached| cached);
        if let Some((file, summary)) = cached.map_err(BuildError::io("reading cached bytecode"))? {
            return Ok(WheelBytecode::Ready(file, summary));
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
        let cache = Arc::clone(&self.cache);
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
            let file = if summary.died == 0 {
                cache.store(&key, file, &summary)
            } else {
                file.reopen()
            };
            let file = file.map_err(BuildError::io(MAKING))?;
            Ok(WheelBytecode::Ready(file, summary))
        });
        work.await
            .map_err(io::Error::other)
            .map_err(BuildError::io(MAKING))?
    }
}

const MAKING: &str = "compiling a wheel's modules";

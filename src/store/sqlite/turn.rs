//! The turn to publish: one process at a time, by a lock on a file beside the store's.
//!
//! The system takes the lock back when the process that holds it ends, however it ends.

use crate::store::{Result, Turn};
use anyhow::Context as _;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long to wait before looking again; whoever publishes does so for seconds at least.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Hands out the turns of one store.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    /// In this process, first come, first served.
    queue: Arc<Mutex<()>>,
    /// Among processes; a store in memory has no others.
    file: Option<PathBuf>,
}

impl Turns {
    pub(super) fn beside(store: Option<&Path>) -> Self {
        let file = store.map(|path| {
            let mut name = OsString::from(path);
            name.push(".lock");
            PathBuf::from(name)
        });
        Self {
            queue: Arc::default(),
            file,
        }
    }

    pub(super) async fn take(&self) -> Result<Turn> {
        let place = Arc::clone(&self.queue).lock_owned().await;
        let file = match &self.file {
            Some(path) => Some(
                lock(path)
                    .await
                    .with_context(|| format!("cannot lock {}", path.display()))?,
            ),
            None => None,
        };
        Ok(Turn::new((place, file)))
    }
}

async fn lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    tracing::info!("waiting: another process publishes with this store");
                    told = true;
                }
                // Not the blocking call: it could not be given up when this process is told to end.
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

//! Who goes first when several resolutions would ask for the same.

use crate::model::Digest;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OwnedMutexGuard;

/// Turns within this process, each found by what it is about.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    /// Waits until nobody else is at it; it is the caller's until the guard is dropped.
    pub(crate) async fn wait(&self, about: Digest) -> OwnedMutexGuard<()> {
        self.lock(about).lock_owned().await
    }

    /// The guard for whoever comes first. Everybody else waits until that one is done, and then goes on beside the others.
    pub(crate) async fn lead(&self, about: Digest) -> Option<OwnedMutexGuard<()>> {
        let lock = self.lock(about);
        match Arc::clone(&lock).try_lock_owned() {
            Ok(guard) => Some(guard),
            Err(_) => {
                drop(lock.lock().await);
                None
            }
        }
    }

    fn lock(&self, about: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, lock| lock.strong_count() > 0);
        match taken.get(&about).and_then(Weak::upgrade) {
            Some(lock) => lock,
            None => {
                let lock = Arc::default();
                taken.insert(about, Arc::downgrade(&lock));
                lock
            }
        }
    }
}

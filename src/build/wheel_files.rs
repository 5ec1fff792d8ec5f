//! The files of wheels: from the cache, or else from the network.

use super::builder::{Builder, blocking};
use super::error::BuildError;
use super::fetch::{Fetched, fetch_file};
use super::prepare::Cached;
use super::settings::BuildProgress;
use super::verify::VerifiedWheel;
use crate::model::LockedPackage;
use std::fs::File;
use std::sync::Arc;

/// A wheel's file.
pub(super) enum Found {
    /// It is in the cache.
    Cached(Cached),
    /// It has the right digest; nobody looked inside.
    Fetched(Fetched),
}

impl Builder {
    /// A package's wheel, from the cache or the network, verified and open.
    pub(super) async fn wheel(&self, package: &LockedPackage) -> Result<File, BuildError> {
        let _one_at_a_time = self.inner.cache.lock(&package.wheel.sha256).await;
        let fetched = match self.find(package, &|_| {}).await? {
            Found::Cached(cached) => return Ok(cached.file),
            Found::Fetched(fetched) => fetched,
        };
        let (inner, wheel) = (Arc::clone(&self.inner), package.wheel.clone());
        blocking(move || {
            let verified = VerifiedWheel::new(fetched.file, &wheel.filename)?;
            let stored = inner.cache.store(verified, &wheel.sha256);
            let stored = stored.map_err(BuildError::io("storing a wheel"))?;
            inner.preparer.wrote(fetched.size);
            Ok(stored)
        })
        .await
    }

    /// A package's wheel, from the cache or else from the network; to be called with the wheel's lock held.
    pub(super) async fn find(
        &self,
        package: &LockedPackage,
        on_progress: &(dyn Fn(BuildProgress) + Send + Sync),
    ) -> Result<Found, BuildError> {
        let wheel = &package.wheel;
        let (inner, own) = (Arc::clone(&self.inner), package.clone());
        let cached = blocking(move || inner.preparer.cached(&inner.cache, &own));
        let found = match cached.await? {
            Some(cached) => Found::Cached(cached),
            None if wheel.built_from().is_some() => {
                return Err(BuildError::Lost {
                    wheel: wheel.filename.clone(),
                });
            }
            None => {
                // The semaphore is never closed; should it be, fetching goes on unbounded.
                let _permit = self.inner.fetching.acquire().await.ok();
                let on_bytes = |bytes| on_progress(BuildProgress::Received { bytes });
                let inner = &self.inner;
                let client = inner.http.client()?;
                let fetched = fetch_file(&client, &inner.cache, wheel, inner.limits, &on_bytes);
                Found::Fetched(Box::pin(fetched).await?)
            }
        };
        on_progress(BuildProgress::WheelReady {
            wheel: wheel.filename.clone(),
            cached: matches!(found, Found::Cached(..)),
        });
        Ok(found)
    }
}

//! Builds remembered by what decides them: a plan asks for the same layer again and again, and one that may not be
//! published is known to nobody else.

use super::builder::{Builder, Built, blocking};
use super::checksum::Checksum;
use super::derived::DerivedCache;
use super::documents::DocumentSet;
use super::error::BuildError;
use super::files;
use super::options::BuildOptions;
use super::settings::BuildProgress;
use crate::model::{Artifact, BUILDER_REVISION, Digest, Lock};
use serde::{Deserialize, Serialize};
use std::io;

/// A build as it is remembered.
#[derive(Serialize, Deserialize)]
struct Remembered {
    artifact: Artifact,
    /// By what its zip is known again.
    checksum: Checksum,
    documents: DocumentSet,
}

impl Builder {
    /// The layer for a lock: the one that was built of it before, should all of it still be there and right, else a new
    /// one of [`Self::build`].
    ///
    /// What is said of a layer depends on the day, the program and what this machine can isolate, compile and import, so a
    /// build is remembered for the same of these. One whose packages could not be imported is not remembered, nor is one
    /// that lacks something which may be there the next time: because an interpreter crashed, or the isolation did not work.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn recall_or_build(
        &self,
        lock: &Lock,
        options: &BuildOptions<'_>,
        on_progress: &(dyn Fn(BuildProgress) + Send + Sync),
    ) -> Result<Artifact, BuildError> {
        let key = self.recipe(lock, options).await?;
        let builder = self.clone();
        let known = blocking(move || {
            let known = builder.recall(&key);
            known.map_err(BuildError::io("reading a layer that was built before"))
        });
        if let Some(Remembered {
            artifact,
            documents,
            checksum: _,
        }) = known.await?
        {
            Box::pin(self.artifacts().keep(&documents)).await?;
            return Ok(artifact);
        }
        let Built {
            artifact,
            checksum,
            documents,
            lasts,
        } = Box::pin(self.build_anew(lock, options, on_progress)).await?;
        if lasts {
            let builder = self.clone();
            let built = Remembered {
                artifact: artifact.clone(),
                checksum,
                documents,
            };
            let kept = blocking(move || {
                builder
                    .remember(&key, &built)
                    .map_err(BuildError::io("remembering a layer"))
            });
            kept.await?;
        }
        Ok(artifact)
    }

    /// The digest of all that decides a layer and what is said of it.
    async fn recipe(&self, lock: &Lock, options: &BuildOptions<'_>) -> Result<Digest, BuildError> {
        let BuildOptions {
            target,
            packages,
            exclude,
            slim,
            exclude_runtime,
            bytecode,
            is_staged,
            today,
        } = options;
        let interpreter = self.inner.preparer.bytecode().interpreter(target.python);
        let interpreter = interpreter.await.map(|found| (found.path, found.version));
        let machine = (interpreter, self.inner.importer.isolation());
        // Another version of the program may judge the same bytes differently.
        let revision = format!("{BUILDER_REVISION} {}", env!("CARGO_PKG_VERSION"));
        let text = serde_json::to_string(&(
            (target, packages, exclude, slim, exclude_runtime, bytecode),
            is_staged,
            today.date(),
            machine,
            lock,
        ));
        let text = text
            .map_err(io::Error::other)
            .map_err(BuildError::io("describing a layer"))?;
        Ok(DerivedCache::key(&["layer", &revision, &text]))
    }

    /// Notes what was built by a recipe.
    fn remember(&self, recipe: &Digest, built: &Remembered) -> io::Result<()> {
        let preparer = &self.inner.preparer;
        let note = serde_json::to_string(built).map_err(io::Error::other)?;
        let (_, size) = preparer.derived().put(recipe, &note, None)?;
        preparer.wrote(size);
        Ok(())
    }

    /// The layer that was built by a recipe, as long as its zip and the documents of that build are what they were. What was
    /// altered is written over by the build that follows.
    fn recall(&self, recipe: &Digest) -> io::Result<Option<Remembered>> {
        let Some(known) = self.inner.preparer.derived().get(recipe)? else {
            return Ok(None);
        };
        let Ok(known) = serde_json::from_str::<Remembered>(&known.note) else {
            return Ok(None);
        };
        let artifacts = self.artifacts().local();
        if !known.documents.is_whole(artifacts)? {
            return Ok(None);
        }
        let zip = artifacts.path_of(&known.artifact.digest);
        let is_whole = match files::open_if_there(&zip)? {
            Some(zip) => files::checksum(&zip)? == known.checksum,
            None => false,
        };
        Ok(is_whole.then_some(known))
    }
}

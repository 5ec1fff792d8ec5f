//! Builds remembered by what decides them: a plan asks for the same layer again and again, and one that may not be
//! published is known to nobody else.

use super::builder::{Builder, blocking};
use super::derived::DerivedCache;
use super::documents::Document;
use super::error::BuildError;
use super::options::BuildOptions;
use super::settings::BuildProgress;
use crate::model::{Artifact, BUILDER_REVISION, Digest, ImportTest, Lock};
use std::fs::File;
use std::io;
use std::sync::Arc;

impl Builder {
    /// The layer for a lock: the one that was built of it before, should all of it still be there and right, else a new
    /// one of [`Self::build`].
    ///
    /// What is said of a layer depends on the day and on what this machine can isolate, compile and import, so a build is
    /// remembered for the same day and the same of these. One whose packages could not be imported is not remembered.
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
        if let Some(artifact) = known.await? {
            return Ok(artifact);
        }
        let artifact = self.build(lock, options, on_progress).await?;
        if matches!(
            artifact.report.import_test,
            ImportTest::Passed { .. } | ImportTest::Skipped { .. }
        ) {
            let (inner, note) = (Arc::clone(&self.inner), artifact.clone());
            let kept = blocking(move || {
                let note = serde_json::to_string(&note).map_err(io::Error::other);
                note.and_then(|note| inner.preparer.derived().put(&key, &note, None))
                    .map(|(_, size)| inner.preparer.wrote(size))
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
        let revision = BUILDER_REVISION.to_string();
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

    /// The layer that was built by a recipe, as long as its zip is whole and its documents are there.
    fn recall(&self, recipe: &Digest) -> io::Result<Option<Artifact>> {
        let Some(known) = self.inner.preparer.derived().get(recipe)? else {
            return Ok(None);
        };
        let Ok(artifact) = serde_json::from_str::<Artifact>(&known.note) else {
            return Ok(None);
        };
        let artifacts = self.artifacts();
        let has_documents = Document::ALL.iter().all(|document| {
            artifacts
                .document_path(&artifact.digest, *document)
                .is_file()
        });
        if !has_documents {
            return Ok(None);
        }
        let mut zip = match File::open(artifacts.path_of(&artifact.digest)) {
            Ok(zip) => zip,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // An altered one is written over by the build that follows.
        let is_whole = super::cache::hash(&mut zip)? == artifact.digest;
        Ok(is_whole.then_some(artifact))
    }
}

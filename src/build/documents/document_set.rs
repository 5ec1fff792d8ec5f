//! Which documents belong to which build: two builds may come to the same zip, and say different things of it.

use super::Document;
use crate::build::artifacts::ArtifactDirectory;
use crate::build::derived::DerivedCache;
use crate::build::files;
use crate::model::{Digest, Target};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// The documents of one build of a zip.
///
/// A zip does not decide them: a layer of pure Python is the same for every target, and `a` with what it brings along is
/// the same as `a` and `b` asked for by name. So they go by the zip, the target, and a digest of what they say: under one
/// name there is only ever one text, and no build writes over another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentSet {
    /// Of the zip.
    artifact: Digest,
    /// What the layer is for.
    target: Target,
    /// Of the digests of all of them, in the order of [`Document::ALL`].
    digest: Digest,
}

impl DocumentSet {
    /// Those with these digests, in the order of [`Document::ALL`].
    pub(super) fn new(artifact: Digest, target: Target, digests: &[Digest]) -> Self {
        let digests: Vec<String> = digests.iter().map(Digest::to_string).collect();
        let digests: Vec<&str> = digests.iter().map(String::as_str).collect();
        Self {
            artifact,
            target,
            digest: DerivedCache::key(&digests),
        }
    }

    /// The digest of the zip they are about.
    #[must_use]
    pub fn artifact(&self) -> &Digest {
        &self.artifact
    }

    /// The name of one of them: `DIGEST.p3.13-arm64.0123456789abcdef.cdx.json`.
    #[must_use]
    pub fn file_name(&self, document: Document) -> String {
        let Self {
            artifact,
            target,
            digest,
        } = self;
        format!(
            "{artifact}.{target}.{}.{}",
            digest.short(),
            document.suffix()
        )
    }

    /// Whether all of them are in a folder, as they were written. Blocks.
    ///
    /// # Errors
    /// What the system says of files that are there.
    pub(crate) fn is_whole(&self, artifacts: &ArtifactDirectory) -> io::Result<bool> {
        let mut digests = Vec::new();
        for document in Document::ALL {
            match files::open_if_there(&artifacts.document_path(self, document))? {
                Some(file) => digests.push(files::digest(&file)?),
                None => return Ok(false),
            }
        }
        Ok(Self::new(self.artifact, self.target, &digests) == *self)
    }
}

impl ArtifactDirectory {
    /// Where a document of a build is, or would be.
    #[must_use]
    pub fn document_path(&self, documents: &DocumentSet, document: Document) -> PathBuf {
        self.root().join(documents.file_name(document))
    }
}

//! The keys of what building keeps in a bucket: made of checked parts only.

use super::documents::{Document, DocumentSet};
use crate::model::{Digest, LayerName, RunId, Target};
use std::fmt;

/// The key of an object below a bucket's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectKey {
    path: String,
    content_type: &'static str,
}

impl ObjectKey {
    /// A layer zip.
    #[must_use]
    pub fn zip(digest: &Digest) -> Self {
        Self {
            path: format!("build/artifacts/{digest}.zip"),
            content_type: "application/zip",
        }
    }

    /// A document beside a layer zip.
    #[must_use]
    pub fn document(documents: &DocumentSet, document: Document) -> Self {
        let name = documents.file_name(document);
        Self {
            path: format!("build/artifacts/{name}"),
            content_type: match document {
                Document::Requirements => "text/plain; charset=utf-8",
                Document::Manifest | Document::Licenses | Document::Sbom => "application/json",
            },
        }
    }

    /// What a build function is asked for. `stage` is one of a few words.
    #[must_use]
    pub fn task(run: &RunId, stage: &str, layer: &LayerName, target: Target) -> Self {
        Self {
            path: format!("build/tasks/{run}/{stage}/{layer}/{target}.json"),
            content_type: "application/json",
        }
    }

    /// What it answers.
    #[must_use]
    pub fn result(run: &RunId, stage: &str, layer: &LayerName, target: Target) -> Self {
        Self {
            path: format!("build/results/{run}/{stage}/{layer}/{target}.json"),
            content_type: "application/json",
        }
    }

    /// What a stage of a run is carried out for. `stage` is one of a few words.
    #[must_use]
    pub fn list(run: &RunId, stage: &str) -> Self {
        Self {
            path: format!("lists/{run}/{stage}.json"),
            content_type: "application/json",
        }
    }

    pub(super) fn content_type(&self) -> &'static str {
        self.content_type
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

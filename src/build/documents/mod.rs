//! What is told of a layer beside its zip: which files it holds and where they come from, its packages with the digests
//! of their wheels, their licences, and an SBOM.
//!
//! Values in, text out: the same layer gives the same bytes, without a clock and without random numbers. [`write()`] puts
//! them into the artifacts folder. Deliberately absent: what the audit found, which is judged anew with every build and
//! is part of [`crate::model::BuildReport`].

mod cyclonedx;
mod document_set;
mod format;
mod licenses;
mod manifest;
mod requirements;
#[cfg(test)]
mod tests;

pub use document_set::DocumentSet;

use super::artifacts::{ArtifactDirectory, NEW, persist, readable_by_all};
use super::assemble::LayerFile;
use super::error::BuildError;
use super::hashing::HashingWriter;
use super::metadata::Metadata;
use super::options::BuildOptions;
use crate::model::{Artifact, Bytecode, Digest, LockedPackage, SlimKind, Target, WheelFile};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use tempfile::NamedTempFile;
use url::Url;

/// A document beside a layer zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// Every file with its digest, the wheels, and how the layer was built (JSON).
    Manifest,
    /// The packages with the digests of their wheels, as `pip install --require-hashes` reads them.
    Requirements,
    /// What the packages say of their licences (JSON).
    Licenses,
    /// The bill of materials in CycloneDX 1.6 (JSON).
    Sbom,
}

impl Document {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Manifest,
        Self::Requirements,
        Self::Licenses,
        Self::Sbom,
    ];

    /// What its file name ends with.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Manifest => "manifest.json",
            Self::Requirements => "requirements.txt",
            Self::Licenses => "licenses.json",
            Self::Sbom => "cdx.json",
        }
    }
}

/// What of a request decided the layer's bytes.
#[derive(Debug, Clone)]
pub(crate) struct Choices {
    /// What the layer is for.
    pub(crate) target: Target,
    /// The packages asked for (normalised names).
    pub(crate) packages: Vec<String>,
    /// Patterns of files left out.
    pub(crate) exclude: Vec<String>,
    /// Kinds of files left out.
    pub(crate) slim: Vec<SlimKind>,
    /// Whether packages of the Lambda runtime are left out.
    pub(crate) exclude_runtime: bool,
    /// Which bytecode was asked for.
    pub(crate) bytecode: Bytecode,
    /// Whether it may be too large for a direct upload.
    pub(crate) is_staged: bool,
}

impl Choices {
    /// Those of a build.
    pub(crate) fn of(options: &BuildOptions<'_>) -> Self {
        Self {
            target: options.target,
            packages: options.packages.to_vec(),
            exclude: options.exclude.to_vec(),
            slim: options.slim.to_vec(),
            exclude_runtime: options.exclude_runtime,
            bytecode: options.bytecode,
            is_staged: options.is_staged,
        }
    }
}

/// What the documents of a layer are made from.
#[derive(Debug, Clone)]
pub(crate) struct Documented {
    /// The zip.
    pub(crate) artifact: Artifact,
    /// How it was built, and for what.
    pub(crate) choices: Choices,
    /// What was locked; packages that are not in the layer do no harm.
    pub(crate) locked: Vec<LockedPackage>,
    /// What the packages say of themselves, in the order of the artifact's pins.
    pub(crate) metadata: Vec<Metadata>,
    /// Every file, sorted by path; [`LayerFile::wheel`] counts in the order of the artifact's pins.
    pub(crate) files: Vec<LayerFile>,
}

/// A package of a layer.
#[derive(Clone, Copy)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    wheel: &'a WheelFile,
    metadata: &'a Metadata,
}

/// A layer and its packages, in the order of the artifact's pins.
struct Input<'a> {
    layer: &'a Documented,
    packages: Vec<Package<'a>>,
}

impl<'a> Input<'a> {
    fn of(layer: &'a Documented) -> Self {
        let locked: BTreeMap<&str, &LockedPackage> = layer
            .locked
            .iter()
            .map(|package| (package.name.as_str(), package))
            .collect();
        let described = layer.artifact.pins.iter().zip(&layer.metadata);
        let packages = described
            .filter_map(|(pin, metadata)| {
                locked.get(pin.name.as_str()).map(|locked| Package {
                    name: &pin.name,
                    version: &locked.version,
                    wheel: &locked.wheel,
                    metadata,
                })
            })
            .collect();
        Self { layer, packages }
    }

    /// The files of the package at a place in the list.
    fn files_of(&self, package: usize) -> impl Iterator<Item = &'a LayerFile> {
        let files = self.layer.files.iter();
        files.filter(move |file| file.wheel == package)
    }
}

/// Writes every document of a layer beside its zip, in place of what may be there under the same name: what is missing or
/// damaged is made again by building again. Blocks.
///
/// # Errors
/// [`BuildError::Io`].
pub(crate) fn write(
    artifacts: &ArtifactDirectory,
    layer: &Documented,
) -> Result<DocumentSet, BuildError> {
    write_all(artifacts, &Input::of(layer))
        .map_err(BuildError::io("writing the documents of an artifact"))
}

fn write_all(artifacts: &ArtifactDirectory, input: &Input<'_>) -> io::Result<DocumentSet> {
    std::fs::create_dir_all(artifacts.root())?;
    let mut written = Vec::new();
    let mut digests = Vec::new();
    for document in Document::ALL {
        let (file, digest) = write_one(artifacts.root(), input, document)?;
        written.push((document, file));
        digests.push(digest);
    }
    let layer = input.layer;
    let documents = DocumentSet::new(layer.artifact.digest, layer.choices.target, &digests);
    for (document, file) in written {
        persist(file, &artifacts.document_path(&documents, document))?;
    }
    Ok(documents)
}

fn write_one(
    folder: &Path,
    input: &Input<'_>,
    document: Document,
) -> io::Result<(NamedTempFile, Digest)> {
    let file = tempfile::Builder::new()
        .prefix(NEW)
        .permissions(readable_by_all())
        .tempfile_in(folder)?;
    let mut out = HashingWriter::new(file)?;
    match document {
        Document::Manifest => manifest::write(input, &mut out)?,
        Document::Requirements => requirements::write(input, &mut out)?,
        Document::Licenses => licenses::write(input, &mut out)?,
        Document::Sbom => cyclonedx::write(input, &mut out)?,
    }
    let (file, hashed) = out.finish()?;
    Ok((file, hashed.digest))
}

/// An address as strangers may see it, without credentials, query and fragment; `None` for what is no address on the web.
fn public_address(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url.into())
}

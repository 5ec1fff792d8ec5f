//! Where layer versions are published: AWS Lambda in many regions, or a directory on disk that behaves the same.
//!
//! A registry does single things in single regions and answers with what it saw. Deliberately absent: which
//! versions there should be (that is `plan`), what was published before (that is `store`), the order of things
//! (that is `pipeline`).

use crate::model::{Architecture, Digest, LayerArn, PythonVersion, Region, Visibility};
use async_trait::async_trait;
use bytes::Bytes;

mod aws;
mod directory;
mod limits;
mod policy;
#[cfg(test)]
mod tests;

pub use aws::{AwsRegistry, aws_config};
pub use directory::DirectoryRegistry;

/// What to publish; the same value goes to every region, so the zip is shared, not copied.
#[derive(Debug, Clone)]
pub struct PublishRequest {
    /// Name, prefix included.
    pub name: String,
    /// [`crate::model::layer_description`]: holds the digest that an interrupted publish is found by.
    pub description: String,
    /// One line, at most 512 characters.
    pub license: Option<String>,
    /// The one compatible runtime.
    pub python: PythonVersion,
    /// The one compatible architecture.
    pub architecture: Architecture,
    /// The layer zip.
    pub zip: Bytes,
    /// SHA-256 of the zip.
    pub digest: Digest,
}

/// A layer version as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedVersion {
    /// Its ARN.
    pub arn: LayerArn,
    /// SHA-256 of its zip, where the call tells it (a listing of versions does not).
    pub digest: Option<Digest>,
    /// Size of its zip in bytes, where the call tells it.
    pub size: Option<u64>,
    /// Its description.
    pub description: String,
}

/// Why a registry could not do something; the kinds are those a caller acts on.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", self.region(), self.reason())]
pub enum RegistryError {
    /// Too many requests; worth another try later.
    Throttled {
        /// Where.
        region: Region,
        /// The registry's words.
        message: String,
    },
    /// The region did not answer, or broke off; worth another try. A publish may or may not have happened.
    Unreachable {
        /// Where.
        region: Region,
        /// What went wrong on the way.
        message: String,
    },
    /// The registry refused; the same request will be refused again.
    Refused {
        /// Where.
        region: Region,
        /// The registry's words.
        message: String,
    },
}

impl RegistryError {
    /// Where.
    #[must_use]
    pub fn region(&self) -> &Region {
        let (Self::Throttled { region, .. }
        | Self::Unreachable { region, .. }
        | Self::Refused { region, .. }) = self;
        region
    }

    /// Why, for where the region is told anyway.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Throttled { message, .. } => format!("AWS Lambda asks to slow down: {message}"),
            Self::Unreachable { message, .. } => format!("no answer: {message}"),
            Self::Refused { message, .. } => format!("refused: {message}"),
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// A place that holds immutable, numbered layer versions per region.
///
/// Every call is about one region and may be made for many at once; a region that fails says nothing about the others.
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// The regions it offers, sorted.
    ///
    /// # Errors
    /// When it cannot find out.
    async fn regions(&self) -> Result<Vec<Region>, RegistryError>;

    /// Publishes a new version. Not idempotent: every call makes a version; see [`Self::find`].
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn publish(
        &self,
        region: &Region,
        request: &PublishRequest,
    ) -> Result<PublishedVersion, RegistryError>;

    /// The newest version of a layer whose description names this digest, should there be one.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn find(
        &self,
        region: &Region,
        name: &str,
        digest: &Digest,
    ) -> Result<Option<PublishedVersion>, RegistryError>;

    /// Lets others use a version. May be repeated: permission that is already there is success.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn share(&self, arn: &LayerArn, visibility: &Visibility) -> Result<(), RegistryError>;

    /// Reads a version back as the registry has it now, digest and size included; `None` when it is not there.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn read(&self, arn: &LayerArn) -> Result<Option<PublishedVersion>, RegistryError>;

    /// Whether the version's policy, read back, lets exactly those use it that the visibility names.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn is_shared(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<bool, RegistryError>;

    /// Deletes a version. Its number is never used again. Deleting what is not there is success.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn delete(&self, arn: &LayerArn) -> Result<(), RegistryError>;
}

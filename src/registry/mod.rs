//! Where layer versions are published: AWS Lambda in many regions, or a directory on disk that behaves the same.
//!
//! A registry does single things in single regions and answers with what it saw. Deliberately absent: which
//! versions there should be (that is `plan`), what was published before (that is `store`), the order of things
//! (that is `pipeline`).

use crate::model::{
    Architecture, Digest, LayerArn, OfferedRegions, PythonVersion, Region, StagingBucket,
    Visibility,
};
use async_trait::async_trait;
use std::path::PathBuf;
use std::time::Duration;

mod aws;
mod directory;
mod limits;
mod parameters;
mod policy;
#[cfg(test)]
pub(crate) mod tests;

pub use aws::{AwsRegistry, Clock, Timing, aws_config, aws_configs};
pub use directory::DirectoryRegistry;
pub use parameters::ParameterStore;

/// What to publish; the same value goes to every region.
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
    /// The file with the layer zip.
    pub zip: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of the zip.
    pub digest: Digest,
    /// The buckets that a zip above the limit of a direct upload goes through.
    pub staging: Option<StagingBucket>,
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

/// What [`Registry::prepare`] got ready, as long as it lives. Of what is not [published](Registry::publish_prepared) in the
/// end nothing remains.
#[derive(Debug, Default)]
pub struct Prepared(Option<aws::Ready>);

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
    /// The region answered, but not what was asked for: an error of its own, or something that cannot be understood. Worth
    /// another try. A publish may or may not have happened.
    Failed {
        /// Where.
        region: Region,
        /// What it answered.
        message: String,
    },
    /// The credentials had expired: nothing was done, and the next call has new ones.
    Expired {
        /// Where.
        region: Region,
        /// The registry's words.
        message: String,
    },
    /// A publish was sent and nobody heard what became of it: it may have happened, or happen yet. Worth another try when
    /// it is over.
    Unheard {
        /// Where.
        region: Region,
        /// What went wrong on the way.
        message: String,
        /// How long from now it may still be at work.
        at_work_for: Duration,
    },
    /// The account has not enabled the region: nothing was done there, and that is as the account wants it.
    NotEnabled {
        /// Where.
        region: Region,
    },
    /// The account says, or said not long ago, that it has enabled the region, and the keys are not known there: nothing was
    /// done. Worth another try later: the account may have enabled it, or left it, a moment ago.
    ///
    /// Source: AWS Identity and Access Management, "Manage AWS STS in an AWS Region": tokens of the global endpoint are good
    /// in the regions that every account has, unless the account wants it otherwise.
    UnknownKeys {
        /// Where.
        region: Region,
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
        | Self::Failed { region, .. }
        | Self::Expired { region, .. }
        | Self::Unheard { region, .. }
        | Self::NotEnabled { region }
        | Self::UnknownKeys { region }
        | Self::Refused { region, .. }) = self;
        region
    }

    /// Why, for where the region is told anyway.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Throttled { message, .. } => format!("AWS Lambda asks to slow down: {message}"),
            Self::Unreachable { message, .. } | Self::Unheard { message, .. } => {
                format!("no answer: {message}")
            }
            Self::Failed { message, .. } => format!("failed: {message}"),
            Self::Expired { message, .. } => {
                format!("refused: the credentials have expired ({message})")
            }
            Self::NotEnabled { .. } => "the account has not enabled the region".to_owned(),
            Self::UnknownKeys { .. } => "refused: the keys are not known there, though the account says that it has enabled the region (a session of AWS STS' global endpoint is good in the default regions only)".to_owned(),
            Self::Refused { message, .. } => format!("refused: {message}"),
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Throttled { .. }
                | Self::Unreachable { .. }
                | Self::Failed { .. }
                | Self::Expired { .. }
                | Self::Unheard { .. }
                | Self::UnknownKeys { .. }
        )
    }
}

/// A place that holds immutable, numbered layer versions per region.
///
/// Every call is about one region and may be made for many at once; a region that fails says nothing about the others.
#[async_trait]
pub trait Registry: ParameterStore + Send + Sync + 'static {
    /// The regions it offers, and those that the account has not enabled. What it answers may be an hour old.
    ///
    /// # Errors
    /// When it cannot find out.
    async fn regions(&self) -> Result<OfferedRegions, RegistryError>;

    /// Gets ready what [`Self::publish_prepared`] would send there, while it is found out whether it is to be published;
    /// should be used soon. That it cannot be had is for the publish to say. Nothing to do where nothing is sent.
    async fn prepare(&self, _region: &Region, _request: &PublishRequest) -> Prepared {
        Prepared::default()
    }

    /// Publishes a new version. Not idempotent: every call makes a version; see [`Self::find`].
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn publish(
        &self,
        region: &Region,
        request: &PublishRequest,
    ) -> Result<PublishedVersion, RegistryError> {
        let prepared = Prepared::default();
        self.publish_prepared(region, request, prepared).await
    }

    /// [`Self::publish`] with what was got ready for the same region and request.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn publish_prepared(
        &self,
        region: &Region,
        request: &PublishRequest,
        prepared: Prepared,
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

    /// Lets exactly those use a version whom the visibility names: permission that is missing is given, any other taken
    /// back, whoever gave it. May be repeated.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn set_visibility(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<(), RegistryError>;

    /// Names of the region's layers that begin with `prefix` and have a version, sorted.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn layers(&self, region: &Region, prefix: &str) -> Result<Vec<String>, RegistryError>;

    /// Every version of a layer that is there, oldest first, without digest and size; none when there is no such layer.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn versions(
        &self,
        region: &Region,
        name: &str,
    ) -> Result<Vec<PublishedVersion>, RegistryError>;

    /// Whether the version's policy, read back, lets exactly those use it that the visibility names.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn is_shared(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<bool, RegistryError>;

    /// Whether everybody may use the version whom the visibility names, be it that others may as well.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn reaches(&self, arn: &LayerArn, visibility: &Visibility)
    -> Result<bool, RegistryError>;

    /// Deletes a version. Its number is never used again. Deleting what is not there is success.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn delete(&self, arn: &LayerArn) -> Result<(), RegistryError>;

    /// How long a publish may go on when whoever asked for it is gone. Not at all where that does the work itself.
    fn at_work_for(&self) -> Duration {
        Duration::ZERO
    }

    /// Takes away what a publish that was broken off left of a zip in the staging bucket. That it cannot be taken away is
    /// no failure, only said in the log. Nothing to do where zips are published without such a bucket.
    async fn unstage(
        &self,
        _region: &Region,
        _name: &str,
        _digest: &Digest,
        _staging: &StagingBucket,
    ) {
    }

    /// Somebody wants everything tried again now: regions that were left alone because they did not answer are asked.
    fn ask_again(&self) {}
}

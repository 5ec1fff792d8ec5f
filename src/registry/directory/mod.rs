//! A registry in a directory on disk: what AWS Lambda does with layer versions, without an account.
//!
//! ```text
//! blobs/3f9a….zip                        each zip once, named by its SHA-256
//! eu-west-1/Layersmith-p313-requests/    a layer in a region
//!     4.zip                              the version's zip: a hard link to the blob
//!     4.json                             what is known of the version; it is published once this file is there
//!     .lock                              held while a version is added, shared or deleted
//! parameters/eu-west-1/layersmith/…      public names, each a file
//! ```
//!
//! A deleted version keeps its `.json`, marked as deleted, so that its number is never used again. Numbers are given
//! out under a file lock, so threads and processes may publish at once, and a version that was answered with survives
//! a power failure. Deliberately absent: functions that use the layers, and AWS' rate limits.

mod files;
mod layer;
mod listing;
mod parameters;

use super::limits::{name_violation, violation};
use super::policy::Grantee;
use super::{Prepared, PublishRequest, PublishedVersion, Registry, RegistryError};
use crate::model::{Digest, LayerArn, OfferedRegions, Region, Visibility};
use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use layer::{Extent, Layer, Record};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// Layer versions in a directory; see the module's documentation for the layout.
#[derive(Debug, Clone)]
pub struct DirectoryRegistry {
    root: PathBuf,
    account: String,
}

impl DirectoryRegistry {
    /// The account in the ARNs of a directory that stands for no real account: the one of AWS' own examples.
    pub const DEFAULT_ACCOUNT: &str = "123456789012";

    /// A registry in this directory, which is made if it is missing. The account goes into the ARNs.
    ///
    /// # Errors
    /// When the account has not 12 digits or the directory cannot be made.
    pub fn open(root: PathBuf, account: &str) -> anyhow::Result<Self> {
        ensure!(
            account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()),
            "`{account}` is not the number of an AWS account: 12 digits are expected"
        );
        files::create_folders(&root)
            .with_context(|| format!("cannot make the registry's directory {}", root.display()))?;
        Ok(Self {
            root,
            account: account.to_owned(),
        })
    }

    /// Does something with a layer's folder on a blocking thread.
    async fn with_layer<T: Send + 'static>(
        &self,
        region: &Region,
        name: &str,
        work: impl FnOnce(&Layer) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let refused = |message: String| RegistryError::Refused {
            region: region.clone(),
            message,
        };
        // Also what keeps a name from leading out of the directory.
        if let Some(message) = name_violation(name) {
            return Err(refused(message));
        }
        let layer = Layer::new(&self.root, region, name);
        match tokio::task::spawn_blocking(move || work(&layer)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Failure::Refused(message))) => Err(refused(message)),
            Ok(Err(Failure::Disk(error))) if never_mends(&error) => Err(refused(error.to_string())),
            Ok(Err(Failure::Disk(error))) => Err(RegistryError::Unreachable {
                region: region.clone(),
                message: error.to_string(),
            }),
            Err(broken_off) => Err(RegistryError::Unreachable {
                region: region.clone(),
                message: broken_off.to_string(),
            }),
        }
    }

    async fn allowed(&self, arn: &LayerArn) -> Result<BTreeSet<Grantee>, RegistryError> {
        let version = arn.version;
        self.with_version(arn, move |layer| {
            let record = layer.read(version)?;
            Ok(record.map(|record| record.allowed).unwrap_or_default())
        })
        .await
    }

    /// The same for a version of this registry's account.
    async fn with_version<T: Send + 'static>(
        &self,
        arn: &LayerArn,
        work: impl FnOnce(&Layer) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RegistryError> {
        if arn.account != self.account {
            return Err(RegistryError::Refused {
                region: arn.region.clone(),
                message: format!("{arn} belongs to another account than {}", self.account),
            });
        }
        self.with_layer(&arn.region, &arn.layer, work).await
    }

    async fn allow(
        &self,
        arn: &LayerArn,
        grantees: BTreeSet<Grantee>,
        extent: Extent,
    ) -> Result<(), RegistryError> {
        let (version, shown) = (arn.version, arn.to_string());
        let takes_back_only = grantees.is_empty();
        self.with_version(arn, move |layer| {
            if let Some(bad) = grantees.iter().find(|grantee| !grantee.is_well_formed()) {
                return Err(Failure::Refused(format!(
                    "`{}` is neither an account nor an organization",
                    bad.organization().unwrap_or(bad.principal())
                )));
            }
            // As in AWS, taking permissions back from what is not there is success, and giving some is not.
            if layer.allow(version, grantees, extent)? || takes_back_only {
                Ok(())
            } else {
                Err(Failure::Refused(format!("{shown} does not exist")))
            }
        })
        .await
    }

    fn arn(&self, region: &Region, name: &str, version: u64) -> LayerArn {
        LayerArn {
            region: region.clone(),
            account: self.account.clone(),
            layer: name.to_owned(),
            version,
        }
    }
}

/// Why work in a layer's folder came to nothing.
#[derive(Debug)]
enum Failure {
    /// AWS would have refused.
    Refused(String),
    /// The disk did not do it.
    Disk(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

fn never_mends(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

#[async_trait]
impl Registry for DirectoryRegistry {
    async fn regions(&self) -> Result<OfferedRegions, RegistryError> {
        Ok(OfferedRegions::all(Region::commercial()))
    }

    async fn publish_prepared(
        &self,
        region: &Region,
        request: &PublishRequest,
        _prepared: Prepared,
    ) -> Result<PublishedVersion, RegistryError> {
        let request = request.clone();
        let (version, record) = self
            .with_layer(region, &request.name.clone(), move |layer| {
                if let Some(message) = violation(&request)? {
                    return Err(Failure::Refused(message));
                }
                let (digest, size) = layer::digest_of(&request.zip)?;
                let record = Record {
                    description: request.description,
                    license: request.license,
                    runtime: request.python.runtime(),
                    architecture: request.architecture,
                    digest,
                    size,
                    allowed: BTreeSet::new(),
                    deleted: false,
                };
                let version = layer.add(&record, &request.zip)?;
                Ok((version, (request.name, record)))
            })
            .await?;
        let (name, record) = record;
        Ok(PublishedVersion {
            arn: self.arn(region, &name, version),
            digest: Some(record.digest),
            size: Some(record.size),
            description: record.description,
        })
    }

    async fn find(
        &self,
        region: &Region,
        name: &str,
        digest: &Digest,
    ) -> Result<Option<PublishedVersion>, RegistryError> {
        let mark = format!("sha256:{}", digest.short());
        let found = self
            .with_layer(region, name, move |layer| {
                for version in layer.versions()?.into_iter().rev() {
                    match layer.read(version)? {
                        Some(record) if record.description.contains(&mark) => {
                            return Ok(Some((version, record.description)));
                        }
                        _ => {}
                    }
                }
                Ok(None)
            })
            .await?;
        // A listing of AWS tells neither digest nor size.
        Ok(found.map(|(version, description)| PublishedVersion {
            arn: self.arn(region, name, version),
            digest: None,
            size: None,
            description,
        }))
    }

    async fn share(&self, arn: &LayerArn, visibility: &Visibility) -> Result<(), RegistryError> {
        let grantees = Grantee::of(visibility);
        if grantees.is_empty() {
            return Ok(());
        }
        self.allow(arn, grantees, Extent::AtLeast).await
    }

    async fn set_visibility(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<(), RegistryError> {
        self.allow(arn, Grantee::of(visibility), Extent::Exactly)
            .await
    }

    async fn layers(&self, region: &Region, prefix: &str) -> Result<Vec<String>, RegistryError> {
        let (root, place, prefix) = (self.root.clone(), region.clone(), prefix.to_owned());
        let work = move || listing::layers(&root, &place, &prefix);
        let listed = tokio::task::spawn_blocking(work).await;
        let unreachable = |message: String| RegistryError::Unreachable {
            region: region.clone(),
            message,
        };
        listed
            .map_err(|broken_off| unreachable(broken_off.to_string()))?
            .map_err(|error| unreachable(error.to_string()))
    }

    async fn versions(
        &self,
        region: &Region,
        name: &str,
    ) -> Result<Vec<PublishedVersion>, RegistryError> {
        let versions = self
            .with_layer(region, name, |layer| Ok(listing::versions(layer)?))
            .await?;
        let shown = versions
            .into_iter()
            .map(|(version, description)| PublishedVersion {
                arn: self.arn(region, name, version),
                digest: None,
                size: None,
                description,
            });
        Ok(shown.collect())
    }

    async fn read(&self, arn: &LayerArn) -> Result<Option<PublishedVersion>, RegistryError> {
        let version = arn.version;
        let record = self
            .with_version(arn, move |layer| {
                let Some(record) = layer.read(version)? else {
                    return Ok(None);
                };
                if layer.has_zip(version, record.size)? {
                    Ok(Some(record))
                } else {
                    Err(Failure::Refused(format!(
                        "the zip of version {version} is not as it was published"
                    )))
                }
            })
            .await?;
        Ok(record.map(|record| PublishedVersion {
            arn: arn.clone(),
            digest: Some(record.digest),
            size: Some(record.size),
            description: record.description,
        }))
    }

    async fn is_shared(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<bool, RegistryError> {
        Ok(self.allowed(arn).await? == Grantee::of(visibility))
    }

    async fn reaches(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<bool, RegistryError> {
        Ok(Grantee::reach(&self.allowed(arn).await?, visibility))
    }

    async fn delete(&self, arn: &LayerArn) -> Result<(), RegistryError> {
        let version = arn.version;
        self.with_version(arn, move |layer| Ok(layer.delete(version)?))
            .await
    }
}

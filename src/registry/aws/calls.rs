//! The calls of AWS Lambda that a registry consists of, and what their answers mean.

use super::AwsRegistry;
use super::errors::{is_conflict, is_not_found, odd_answer};
use crate::model::{Digest, LayerArn, OfferedRegions, Region, StagingBucket, Visibility};
use crate::registry::policy::{Grantee, grantees};
use crate::registry::{Prepared, PublishRequest, PublishedVersion, Registry, RegistryError};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

/// The longest `LayerName` AWS takes, be it a name or an ARN.
const LAYER_NAME_LIMIT: usize = 140;

#[async_trait]
impl Registry for AwsRegistry {
    async fn regions(&self) -> Result<OfferedRegions, RegistryError> {
        Ok(self.offered().await)
    }

    async fn prepare(&self, region: &Region, request: &PublishRequest) -> Prepared {
        Prepared(self.ready(region, request).await)
    }

    async fn publish_prepared(
        &self,
        region: &Region,
        request: &PublishRequest,
        prepared: Prepared,
    ) -> Result<PublishedVersion, RegistryError> {
        let output = self.publish_version(region, request, prepared.0).await?;
        let content = output.content();
        Ok(PublishedVersion {
            arn: parse_arn(region, output.layer_version_arn())?,
            digest: parse_digest(region, content.and_then(|content| content.code_sha256()))?,
            size: content.and_then(|content| u64::try_from(content.code_size()).ok()),
            description: output.description.unwrap_or_default(),
        })
    }

    async fn find(
        &self,
        region: &Region,
        name: &str,
        digest: &Digest,
    ) -> Result<Option<PublishedVersion>, RegistryError> {
        let mark = format!("sha256:{}", digest.short());
        self.pages_of_versions(region, name, |page| {
            // Pages come newest first, so the first page with a match holds the newest.
            page.into_iter()
                .filter(|version| version.description.contains(&mark))
                .max_by_key(|version| version.arn.version)
        })
        .await
    }

    async fn share(&self, arn: &LayerArn, visibility: &Visibility) -> Result<(), RegistryError> {
        let wanted = Grantee::of(visibility);
        let mut conflict = None;
        for grantee in &wanted {
            let answer = self
                .client(&arn.region)?
                .add_layer_version_permission()
                .layer_name(self.layer_name(arn).await?)
                .version_number(version_number(arn)?)
                .statement_id(grantee.statement_id())
                .action("lambda:GetLayerVersion")
                .principal(grantee.principal())
                .set_organization_id(grantee.organization().map(str::to_owned))
                .send()
                .await;
            match answer {
                Ok(_) => {}
                Err(error) if is_conflict(&error) => {
                    conflict = Some(self.explain(&arn.region, &error).await)
                }
                Err(error) => return Err(self.explain(&arn.region, &error).await),
            }
        }
        // A statement with that id is there already: fine, if it says the same.
        match conflict {
            Some(conflict) if !wanted.is_subset(&self.allowed(arn).await?) => Err(conflict),
            _ => Ok(()),
        }
    }

    async fn read(&self, arn: &LayerArn) -> Result<Option<PublishedVersion>, RegistryError> {
        let answer = self
            .client(&arn.region)?
            .get_layer_version()
            .layer_name(self.layer_name(arn).await?)
            .version_number(version_number(arn)?)
            .send()
            .await;
        let output = match answer {
            Ok(output) => output,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(self.explain(&arn.region, &error).await),
        };
        let found = parse_arn(&arn.region, output.layer_version_arn())?;
        if found != *arn {
            return Err(RegistryError::Refused {
                region: arn.region.clone(),
                message: format!("{arn} was asked for, and {found} is what the account has"),
            });
        }
        let content = output.content();
        Ok(Some(PublishedVersion {
            arn: found,
            digest: parse_digest(
                &arn.region,
                content.and_then(|content| content.code_sha256()),
            )?,
            size: content.and_then(|content| u64::try_from(content.code_size()).ok()),
            description: output.description.unwrap_or_default(),
        }))
    }

    async fn set_visibility(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<(), RegistryError> {
        if self.unshare(arn, visibility).await? {
            return Ok(());
        }
        self.share(arn, visibility).await
    }

    async fn layers(&self, region: &Region, prefix: &str) -> Result<Vec<String>, RegistryError> {
        self.layers_in(region, prefix).await
    }

    async fn versions(
        &self,
        region: &Region,
        name: &str,
    ) -> Result<Vec<PublishedVersion>, RegistryError> {
        self.versions_of(region, name).await
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
        let answer = self
            .client(&arn.region)?
            .delete_layer_version()
            .layer_name(self.layer_name(arn).await?)
            .version_number(version_number(arn)?)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(self.explain(&arn.region, &error).await),
        }
    }

    fn at_work_for(&self) -> Duration {
        self.timing.publishing
    }

    async fn unstage(&self, region: &Region, name: &str, digest: &Digest, staging: &StagingBucket) {
        self.take_away(region, name, digest, staging).await;
    }

    fn ask_again(&self) {
        let now = (self.clock)();
        let regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        for place in regions.values() {
            place.gate.circuit.ask_again(now);
        }
        for gates in [&self.buckets, &self.parameters] {
            let gates = gates.lock().unwrap_or_else(PoisonError::into_inner);
            for gate in gates.values() {
                gate.circuit.ask_again(now);
            }
        }
    }
}

pub(super) fn version_number(arn: &LayerArn) -> Result<i64, RegistryError> {
    i64::try_from(arn.version).map_err(|_| RegistryError::Refused {
        region: arn.region.clone(),
        message: format!("{} is not a version number", arn.version),
    })
}

pub(super) fn parse_arn(region: &Region, arn: Option<&str>) -> Result<LayerArn, RegistryError> {
    arn.unwrap_or_default()
        .parse()
        .map_err(|error: crate::model::InvalidValue| odd_answer(region, &error.to_string()))
}

/// Absent where AWS tells none; an error where it tells something else.
fn parse_digest(region: &Region, base64: Option<&str>) -> Result<Option<Digest>, RegistryError> {
    base64
        .map(Digest::from_base64)
        .transpose()
        .map_err(|error| odd_answer(region, &error.to_string()))
}

impl AwsRegistry {
    /// What a call names the layer of a version by: the layer's ARN, so that credentials of another account cannot reach
    /// a layer that happens to have the same name. Where the ARN is longer than AWS takes, it is the bare name, which
    /// means the account of the credentials.
    ///
    /// # Errors
    /// When that is another account, or is not known.
    pub(super) async fn layer_name(&self, arn: &LayerArn) -> Result<String, RegistryError> {
        let LayerArn {
            region,
            account,
            layer,
            ..
        } = arn;
        let partition = region.partition();
        let full = format!("arn:{partition}:lambda:{region}:{account}:layer:{layer}");
        if full.len() <= LAYER_NAME_LIMIT {
            return Ok(full);
        }
        let own = self.partition(region)?.account(self.timing).await?;
        if own == account {
            return Ok(layer.clone());
        }
        Err(RegistryError::Refused {
            region: region.clone(),
            message: format!("{arn} is not of the account {own} that there are credentials for"),
        })
    }

    /// Everybody who may use a version; nobody when it has no policy, or is not there.
    async fn allowed(&self, arn: &LayerArn) -> Result<BTreeSet<Grantee>, RegistryError> {
        let document = self.policy_of(arn).await?;
        grantees(document.as_deref().unwrap_or("{}"))
            .map_err(|_| odd_answer(&arn.region, "its policy is not a JSON document"))
    }
}

//! AWS Lambda in every region of one account.
//!
//! One client per region, made when it is first needed. Nothing here decides: a publish is sent once, and whether it
//! happened after all when the answer got lost is for the caller to [`Registry::find`] out. Deliberately absent: which
//! of the regions the account has enabled, and zips over S3 (a direct upload takes 50 MiB).

mod config;
mod errors;

pub use config::aws_config;

use super::policy::{Grantee, grantees};
use super::{PublishRequest, PublishedVersion, Registry, RegistryError};
use crate::model::{Architecture, Digest, LayerArn, Region, Visibility};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::Builder;
use aws_sdk_lambda::operation::publish_layer_version::PublishLayerVersionOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{self, LayerVersionContentInput};
use backon::{ExponentialBuilder, Retryable as _};
use errors::{explain, is_conflict, is_not_found, odd_answer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A region that takes no connection in this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one attempt of a small call, unless set.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// For a publish: 67 MiB of base64 at 2 Mbit/s, and AWS' own work on it.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(300);
/// Attempts of a small call; the SDK waits in between, longer each time, with jitter.
const CALL_ATTEMPTS: u32 = 5;
/// Attempts of a publish that AWS asks to slow down.
const PUBLISH_ATTEMPTS: usize = 6;
/// MiB that the bodies of running publishes may take. Each holds the zip and its base64, three times the zip at the
/// peak: 34 regions × 50 MiB would be 5 GiB.
const PUBLISH_MEMORY: usize = 768;
/// The longest `LayerName` AWS takes, be it a name or an ARN.
const LAYER_NAME_LIMIT: usize = 140;

/// Layer versions in AWS Lambda.
#[derive(Debug)]
pub struct AwsRegistry {
    config: SdkConfig,
    regions: Vec<Region>,
    clients: Mutex<BTreeMap<Region, Client>>,
    publish_memory: Semaphore,
    call_timeout: Duration,
    first_pause: Duration,
}

impl AwsRegistry {
    /// Publishes with this configuration's credentials, endpoint and HTTP client; its region does not matter, the
    /// named ones are offered.
    #[must_use]
    pub fn new(config: SdkConfig, mut regions: Vec<Region>) -> Self {
        regions.sort();
        regions.dedup();
        Self {
            config,
            regions,
            clients: Mutex::default(),
            publish_memory: Semaphore::new(PUBLISH_MEMORY),
            call_timeout: CALL_TIMEOUT,
            first_pause: Duration::from_secs(1),
        }
    }

    /// The same with another pause before the first retry; later ones double it. One second unless set.
    #[must_use]
    pub fn with_first_pause(mut self, first_pause: Duration) -> Self {
        self.first_pause = first_pause;
        self
    }

    /// The same with another limit for one attempt of a small call; 20 seconds unless set.
    #[must_use]
    pub fn with_call_timeout(mut self, call_timeout: Duration) -> Self {
        self.call_timeout = call_timeout;
        self
    }

    fn client(&self, region: &Region) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(region.clone())
            .or_insert_with(|| {
                let retries = RetryConfig::standard()
                    .with_max_attempts(CALL_ATTEMPTS)
                    .with_initial_backoff(self.first_pause);
                let timeouts = TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(self.call_timeout)
                    .build();
                let config = Builder::from(&self.config)
                    .region(aws_config::Region::new(region.to_string()))
                    .retry_config(retries)
                    .timeout_config(timeouts)
                    .build();
                Client::from_conf(config)
            })
            .clone()
    }

    async fn publish_once(
        &self,
        region: &Region,
        request: &PublishRequest,
    ) -> Result<PublishLayerVersionOutput, RegistryError> {
        let architecture = match request.architecture {
            Architecture::X86_64 => types::Architecture::X8664,
            Architecture::Arm64 => types::Architecture::Arm64,
        };
        let content = LayerVersionContentInput::builder()
            .zip_file(Blob::new(request.zip.to_vec()))
            .build();
        // Not idempotent: the SDK must not send it again after an answer that got lost.
        let once = Builder::new()
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(PUBLISH_TIMEOUT)
                    .build(),
            );
        self.client(region)
            .publish_layer_version()
            .layer_name(&request.name)
            .description(&request.description)
            .set_license_info(request.license.clone())
            .content(content)
            .compatible_runtimes(types::Runtime::from(request.python.runtime().as_str()))
            .compatible_architectures(architecture)
            .customize()
            .config_override(once)
            .send()
            .await
            .map_err(|error| explain(region, &error))
    }

    /// Everybody who may use a version; nobody when it has no policy, or is not there.
    async fn allowed(&self, arn: &LayerArn) -> Result<BTreeSet<Grantee>, RegistryError> {
        let answer = self
            .client(&arn.region)
            .get_layer_version_policy()
            .layer_name(layer_name(arn))
            .version_number(version_number(arn)?)
            .send()
            .await;
        match answer {
            Ok(output) => grantees(output.policy().unwrap_or("{}"))
                .map_err(|_| odd_answer(&arn.region, "its policy is not a JSON document")),
            Err(error) if is_not_found(&error) => Ok(BTreeSet::new()),
            Err(error) => Err(explain(&arn.region, &error)),
        }
    }
}

#[async_trait]
impl Registry for AwsRegistry {
    async fn regions(&self) -> Result<Vec<Region>, RegistryError> {
        Ok(self.regions.clone())
    }

    async fn publish(
        &self,
        region: &Region,
        request: &PublishRequest,
    ) -> Result<PublishedVersion, RegistryError> {
        let mebibytes = request.zip.len().div_ceil(1024 * 1024);
        let cost = (3 * mebibytes).clamp(1, PUBLISH_MEMORY);
        // The semaphore is never closed; were it, publishing without a bound would still be right.
        let _memory = self
            .publish_memory
            .acquire_many(u32::try_from(cost).unwrap_or(u32::MAX))
            .await
            .ok();
        // A request that was throttled did nothing, so it is the one failure that is safe to send again.
        let output = (|| self.publish_once(region, request))
            .retry(
                ExponentialBuilder::new()
                    .with_min_delay(self.first_pause)
                    .with_max_delay(20 * self.first_pause)
                    .with_max_times(PUBLISH_ATTEMPTS - 1)
                    .with_jitter(),
            )
            .when(|error| matches!(error, RegistryError::Throttled { .. }))
            .await?;
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
        let mut pages = self
            .client(region)
            .list_layer_versions()
            .layer_name(name)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) if is_not_found(&error) => return Ok(None),
                Err(error) => return Err(explain(region, &error)),
            };
            // Pages come newest first, so the first page with a match holds the newest.
            let newest = page
                .layer_versions()
                .iter()
                .filter(|item| item.description().is_some_and(|text| text.contains(&mark)))
                .max_by_key(|item| item.version());
            if let Some(item) = newest {
                return Ok(Some(PublishedVersion {
                    arn: parse_arn(region, item.layer_version_arn())?,
                    digest: None,
                    size: None,
                    description: item.description().unwrap_or_default().to_owned(),
                }));
            }
        }
        Ok(None)
    }

    async fn share(&self, arn: &LayerArn, visibility: &Visibility) -> Result<(), RegistryError> {
        let wanted = Grantee::of(visibility);
        let mut conflict = None;
        for grantee in &wanted {
            let answer = self
                .client(&arn.region)
                .add_layer_version_permission()
                .layer_name(layer_name(arn))
                .version_number(version_number(arn)?)
                .statement_id(grantee.statement_id())
                .action("lambda:GetLayerVersion")
                .principal(grantee.principal())
                .set_organization_id(grantee.organization().map(str::to_owned))
                .send()
                .await;
            match answer {
                Ok(_) => {}
                Err(error) if is_conflict(&error) => conflict = Some(explain(&arn.region, &error)),
                Err(error) => return Err(explain(&arn.region, &error)),
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
            .client(&arn.region)
            .get_layer_version()
            .layer_name(layer_name(arn))
            .version_number(version_number(arn)?)
            .send()
            .await;
        let output = match answer {
            Ok(output) => output,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(explain(&arn.region, &error)),
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

    async fn is_shared(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<bool, RegistryError> {
        Ok(self.allowed(arn).await? == Grantee::of(visibility))
    }

    async fn delete(&self, arn: &LayerArn) -> Result<(), RegistryError> {
        let answer = self
            .client(&arn.region)
            .delete_layer_version()
            .layer_name(layer_name(arn))
            .version_number(version_number(arn)?)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(explain(&arn.region, &error)),
        }
    }
}

/// What a call names the layer of a version by: the layer's ARN, so that credentials of another account cannot reach
/// a layer that happens to have the same name; the bare name where the ARN is longer than AWS takes.
fn layer_name(arn: &LayerArn) -> String {
    let LayerArn {
        region,
        account,
        layer,
        ..
    } = arn;
    let partition = region.partition();
    let full = format!("arn:{partition}:lambda:{region}:{account}:layer:{layer}");
    if full.len() <= LAYER_NAME_LIMIT {
        full
    } else {
        layer.clone()
    }
}

fn version_number(arn: &LayerArn) -> Result<i64, RegistryError> {
    i64::try_from(arn.version).map_err(|_| RegistryError::Refused {
        region: arn.region.clone(),
        message: format!("{} is not a version number", arn.version),
    })
}

fn parse_arn(region: &Region, arn: Option<&str>) -> Result<LayerArn, RegistryError> {
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

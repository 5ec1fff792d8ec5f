//! Publishing a layer version: sent once, and again only after AWS said that it did nothing.

use super::body::SendShared;
use super::calls::parse_arn;
use super::errors::{is_unheard, left_alone};
use super::staging::Staging;
use super::{AwsRegistry, CONNECT_TIMEOUT};
use crate::model::{Architecture, Region, ZIPPED_LIMIT};
use crate::registry::{PublishRequest, Registry as _, RegistryError};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::config::Builder;
use aws_sdk_lambda::operation::publish_layer_version::PublishLayerVersionOutput;
use aws_sdk_lambda::types::{self, LayerVersionContentInput};
use backon::{ExponentialBuilder, Retryable as _};
use std::sync::Arc;

/// Attempts of a publish that AWS asks to slow down.
const PUBLISH_ATTEMPTS: usize = 6;

/// Where a publish takes the zip from.
enum From {
    /// The request's body.
    Body(SendShared),
    /// A bucket of the region.
    Bucket { bucket: String, key: String },
}

impl AwsRegistry {
    pub(super) async fn publish_version(
        &self,
        region: &Region,
        request: &PublishRequest,
    ) -> Result<PublishLayerVersionOutput, RegistryError> {
        // Before anything is read: a region that is left alone costs no memory.
        if self.place(region)?.gate.is_left_alone() {
            return Err(left_alone(region));
        }
        if request.size > ZIPPED_LIMIT {
            return self.publish_staged(region, request).await;
        }
        let body = self
            .bodies
            .encoded(request)
            .await
            .map_err(|error| unreadable(region, &error))?;
        let Some(encoded) = body.get() else {
            return Err(unreadable(region, &std::io::ErrorKind::NotFound.into()));
        };
        let from = From::Body(SendShared::new(encoded));
        self.publish_patiently(region, request, &from).await
    }

    /// The body of a direct upload, for as long as it is held; none for a zip that goes through a bucket, for a region that
    /// is left alone, and when the zip cannot be read.
    pub(super) async fn body_of(
        &self,
        region: &Region,
        request: &PublishRequest,
    ) -> Option<Arc<dyn Send + Sync>> {
        let is_direct = request.size <= ZIPPED_LIMIT;
        if !is_direct || self.place(region).ok()?.gate.is_left_alone() {
            return None;
        }
        let body = self.bodies.encoded(request).await.ok()?;
        Some(body)
    }

    /// Through a bucket of the region; what was put there goes again, however it ended.
    async fn publish_staged(
        &self,
        region: &Region,
        request: &PublishRequest,
    ) -> Result<PublishLayerVersionOutput, RegistryError> {
        let Some(pattern) = &request.staging else {
            return Err(RegistryError::Refused {
                region: region.clone(),
                message: format!(
                    "the zip has {} bytes; above {ZIPPED_LIMIT} the policy has to name a bucket with `staging`",
                    request.size
                ),
            });
        };
        let staging = self
            .staging(region, &request.name, &request.digest, pattern)
            .await?;
        let _turn = self.turns.of(staging.place()).lock_owned().await;
        // The turn may have been long in coming.
        if self.place(region)?.gate.is_left_alone() {
            return Err(left_alone(region));
        }
        // What does not get there need not be taken away, and Amazon S3 may be what is away.
        self.stage(&staging, request).await?;
        let from = From::Bucket {
            bucket: staging.bucket.clone(),
            key: staging.key.clone(),
        };
        let published = match self.publish_patiently(region, request, &from).await {
            Ok(output) => self.only_the_right(region, request, &staging, output).await,
            Err(error) => Err(error),
        };
        staging.remove().await;
        published
    }

    /// What was published, should it be the zip that was asked for. Another one, of an object that was altered after it
    /// was put there, is deleted before anybody may use it.
    async fn only_the_right(
        &self,
        region: &Region,
        request: &PublishRequest,
        staging: &Staging,
        output: PublishLayerVersionOutput,
    ) -> Result<PublishLayerVersionOutput, RegistryError> {
        let told = output.content().and_then(|content| content.code_sha256());
        if told.is_none_or(|told| told == request.digest.base64()) {
            return Ok(output);
        }
        let arn = parse_arn(region, output.layer_version_arn())?;
        self.delete(&arn).await?;
        Err(staging.odd(&format!(
            "it held another zip than the built layer, so {arn} was deleted again"
        )))
    }

    /// A request that was throttled did nothing, so it is the one failure that is safe to send again.
    async fn publish_patiently(
        &self,
        region: &Region,
        request: &PublishRequest,
        from: &From,
    ) -> Result<PublishLayerVersionOutput, RegistryError> {
        let first_pause = self.timing.first_pause;
        (|| self.publish_once(region, request, from))
            .retry(
                ExponentialBuilder::new()
                    .with_min_delay(first_pause)
                    .with_max_delay(20 * first_pause)
                    .with_max_times(PUBLISH_ATTEMPTS - 1)
                    .with_jitter(),
            )
            .when(|error| matches!(error, RegistryError::Throttled { .. }))
            .await
    }

    async fn publish_once(
        &self,
        region: &Region,
        request: &PublishRequest,
        from: &From,
    ) -> Result<PublishLayerVersionOutput, RegistryError> {
        let architecture = match request.architecture {
            Architecture::X86_64 => types::Architecture::X8664,
            Architecture::Arm64 => types::Architecture::Arm64,
        };
        // Not idempotent: the SDK must not send it again after an answer that got lost.
        let once = Builder::new()
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .build(),
            );
        let call = self
            .client(region)?
            .publish_layer_version()
            .layer_name(&request.name)
            .description(&request.description)
            .set_license_info(request.license.clone())
            .compatible_runtimes(types::Runtime::from(request.python.runtime().as_str()))
            .compatible_architectures(architecture);
        let content = LayerVersionContentInput::builder();
        let answer = match from {
            From::Body(body) => {
                call.content(content.build())
                    .customize()
                    .config_override(once)
                    .interceptor(body.clone())
                    .send()
                    .await
            }
            From::Bucket { bucket, key } => {
                call.content(content.s3_bucket(bucket).s3_key(key).build())
                    .customize()
                    .config_override(once)
                    .send()
                    .await
            }
        };
        answer.map_err(|error| match self.explain(region, &error) {
            RegistryError::Unreachable { region, message }
            | RegistryError::Failed { region, message }
                if is_unheard(&error) =>
            {
                RegistryError::Unheard {
                    region,
                    message,
                    at_work_for: self.timing.after_the_wait(),
                }
            }
            explained => explained,
        })
    }
}

fn unreadable(region: &Region, error: &std::io::Error) -> RegistryError {
    RegistryError::Refused {
        region: region.clone(),
        message: format!("the built layer cannot be read: {error}"),
    }
}

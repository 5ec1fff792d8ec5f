//! Publishing a layer version: asked for once, and again only where AWS did nothing: it said so, or did not get all of it.

use super::body::{SendShared, Shared};
use super::calls::parse_arn;
use super::errors::{is_mistimed, is_unheard, left_alone};
use super::hold::{Answer, Begun, Hold, KEPT_BACK};
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
use futures::FutureExt as _;
use futures::future::BoxFuture;

/// Attempts of a publish that AWS asks to slow down.
const PUBLISH_ATTEMPTS: usize = 6;

/// What is ready to be published directly.
#[derive(Debug)]
pub(in crate::registry) struct Ready {
    /// For as long as it is held.
    _body: Shared,
    /// Absent where it is not worth it.
    begun: Option<Begun>,
}

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
        ready: Option<Ready>,
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
        let Some(body) = SendShared::new(&body) else {
            return Err(unreadable(region, &std::io::ErrorKind::NotFound.into()));
        };
        let from = From::Body(body);
        let begun = ready.and_then(|ready| ready.begun);
        self.publish_patiently(region, request, &from, begun).await
    }

    /// A direct upload, of which all but the end is sent where that is worth it; none for a zip that goes through a bucket,
    /// for a region that is left alone, and when the zip cannot be read.
    pub(super) async fn ready(&self, region: &Region, request: &PublishRequest) -> Option<Ready> {
        let gate = self.place(region).ok()?.gate;
        if request.size > ZIPPED_LIMIT || gate.is_left_alone() {
            return None;
        }
        let body = self.bodies.encoded(request).await.ok()?;
        let held = SendShared::new(&body)
            .filter(|body| body.is_worth_sending_ahead() && gate.is_unhurried());
        let begun = match held {
            Some(body) => {
                let hold = Hold::new(KEPT_BACK);
                let from = From::Body(body.held(hold.clone()));
                let answer = self.sent(region, request, &from).ok()?;
                Some(Begun::new(hold, answer))
            }
            None => None,
        };
        Some(Ready { _body: body, begun })
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
        let published = match self.publish_patiently(region, request, &from, None).await {
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
        mut begun: Option<Begun>,
    ) -> Result<PublishLayerVersionOutput, RegistryError> {
        let first_pause = self.timing.first_pause;
        (|| self.publish_once(region, request, from, begun.take()))
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
        begun: Option<Begun>,
    ) -> Result<PublishLayerVersionOutput, RegistryError> {
        let made = match begun {
            Some(begun) => begun.make().await,
            None => None,
        };
        let answer = match made {
            // It was signed before the region said what time it is there.
            Some(Err(refused)) if is_mistimed(&refused) => self.sent(region, request, from)?.await,
            Some(answer) => answer,
            None => self.sent(region, request, from)?.await,
        };
        let error = match answer {
            Ok(output) => return Ok(output),
            Err(error) => error,
        };
        Err(match self.explain(region, &error).await {
            RegistryError::Unreachable { region, message }
            | RegistryError::Failed { region, message }
                if is_unheard(&error) =>
            {
                RegistryError::Unheard {
                    region,
                    message,
                    // What broke may have broken as soon as it was sent, and what was waited for may have been sent slowly.
                    at_work_for: self.timing.publishing,
                }
            }
            explained => explained,
        })
    }

    /// Sends a publish as soon as it is polled, once.
    fn sent(
        &self,
        region: &Region,
        request: &PublishRequest,
        from: &From,
    ) -> Result<BoxFuture<'static, Answer>, RegistryError> {
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
        Ok(match from {
            From::Body(body) => call
                .content(content.build())
                .customize()
                .config_override(once)
                .interceptor(body.clone())
                .send()
                .boxed(),
            From::Bucket { bucket, key } => call
                .content(content.s3_bucket(bucket).s3_key(key).build())
                .customize()
                .config_override(once)
                .send()
                .boxed(),
        })
    }
}

fn unreadable(region: &Region, error: &std::io::Error) -> RegistryError {
    RegistryError::Refused {
        region: region.clone(),
        message: format!("the built layer cannot be read: {error}"),
    }
}

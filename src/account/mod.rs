//! What only an AWS account itself can show, for `layersmith doctor --aws`: who the credentials are, how far its clock is
//! away, its limits, and whether what the settings name is there and as it should be.
//!
//! Each question is asked with a short patience and answered as a value or in words for people. Nothing is changed, but for
//! [`probe()`], which takes away what it made. Deliberately absent: publishing (that is `registry`), and which of the
//! answers is good.

mod identity;
mod lambda;
mod places;
mod probe;
mod table;
#[cfg(test)]
mod tests;

pub use identity::{Identity, identity};
pub use lambda::{
    Limits, RESERVED, StackFunction, UNRESERVABLE, functions, invoke, limits, regions_that_answer,
};
pub use places::{bucket_region, state_machine};
pub use probe::{Probe, probe};
pub use table::{TableFacts, differences, table};

use anyhow::anyhow;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use std::time::Duration;

/// How long one try of a question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a question is asked.
const ATTEMPTS: u32 = 2;

/// The same configuration for questions that somebody waits for.
fn patient(config: &SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(PATIENCE)
        .build();
    config
        .to_builder()
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts)
        .build()
}

/// The same configuration in another region.
fn in_region(config: &SdkConfig, region: &str) -> SdkConfig {
    let region = aws_config::Region::new(region.to_owned());
    patient(config).into_builder().region(region).build()
}

/// Why a call did not work, and, where a permission is missing, which.
fn explain<E, R>(action: &str, error: &SdkError<E, R>) -> anyhow::Error
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    if let Some(answer) = error.as_service_error() {
        let code = answer.code().unwrap_or("no code");
        let message = answer.message().unwrap_or("no message");
        return if code.starts_with("AccessDenied") || code == "UnauthorizedOperation" {
            anyhow!("{action}: not allowed ({message}): allow it to whoever runs this")
        } else {
            anyhow!("{action}: {code}: {message}")
        };
    }
    let mut causes: Vec<&(dyn Error + 'static)> = Vec::new();
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    let no_credentials = causes.iter().any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(CredentialsError::CredentialsNotLoaded(_))
        )
    });
    if no_credentials {
        return anyhow!(
            "{action}: no credentials for AWS were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        );
    }
    let words: Vec<String> = causes.iter().map(ToString::to_string).collect();
    anyhow!("{action}: {}", words.join(": "))
}

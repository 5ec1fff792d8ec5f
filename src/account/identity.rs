//! Who the credentials are, and how far this machine's clock is away from AWS'.

use super::{explain, patient};
use aws_config::SdkConfig;
use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Who the credentials are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account's 12 digits.
    pub account: String,
    /// The user or the role's session.
    pub arn: String,
    /// How many seconds AWS' clock is ahead of this machine's, to about a second; `None` when AWS does not say the time.
    pub clock_ahead: Option<i64>,
}

/// Writes down how far ahead the clock of the newest answer was.
#[derive(Debug, Clone, Default)]
struct Clock(Arc<Mutex<Option<i64>>>);

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let told = context.response().headers().get("date");
        let told = told.and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        if let (Some(told), Ok(now)) = (told, now) {
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            let ahead = told.unix_timestamp().saturating_sub(now);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        Ok(())
    }
}

/// Asks STS, which answers everybody whose credentials are good.
///
/// # Errors
/// When it does not answer, or not to these credentials.
pub async fn identity(config: &SdkConfig) -> anyhow::Result<Identity> {
    let clock = Clock::default();
    let config = aws_sdk_sts::config::Builder::from(&patient(config))
        .interceptor(clock.clone())
        .build();
    let answer = aws_sdk_sts::Client::from_conf(config)
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| explain("sts:GetCallerIdentity", &error))?;
    let clock_ahead = *clock.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Identity {
        account: answer.account.unwrap_or_default(),
        arn: answer.arn.unwrap_or_default(),
        clock_ahead,
    })
}

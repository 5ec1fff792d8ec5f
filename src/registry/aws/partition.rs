//! What is known of one partition: its credentials, its endpoint, its account.

use super::credentials::Renewing;
use super::enabled::Enabled;
use super::errors::explain;
use super::{CONNECT_TIMEOUT, Timing};
use crate::model::Region;
use crate::registry::RegistryError;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_lambda::config::{IdentityCache, SharedHttpClient};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Attempts of a question about the account; there are other ways to the answer, or another time.
const ATTEMPTS: u32 = 2;

/// One partition of AWS, and the account that is published from there.
pub(super) struct Partition {
    pub(super) config: SdkConfig,
    pub(super) http_client: SharedHttpClient,
    /// Where questions about the account are asked.
    pub(super) home: Region,
    pub(super) enabled: Enabled,
    pub(super) credentials: Option<Renewing>,
    account: OnceCell<String>,
}

impl Partition {
    /// `None` when the configuration names no known region.
    pub(super) fn new(config: SdkConfig) -> Option<Self> {
        let home: Region = config.region()?.as_ref().parse().ok()?;
        let http_client = config
            .http_client()
            .unwrap_or_else(super::config::http_client);
        let credentials = config.credentials_provider().map(Renewing::new);
        let config = match &credentials {
            Some(renewing) => config
                .into_builder()
                .credentials_provider(SharedCredentialsProvider::new(renewing.clone()))
                .identity_cache(IdentityCache::no_cache())
                .build(),
            None => config,
        };
        Some(Self {
            config,
            http_client,
            home,
            enabled: Enabled::default(),
            credentials,
            account: OnceCell::new(),
        })
    }

    /// The regions of the partition that offer AWS Lambda, sorted.
    pub(super) fn regions(&self) -> Vec<Region> {
        Region::of_partition(self.home.partition())
    }

    /// How questions about the account are asked.
    pub(super) fn patience(call_timeout: Duration) -> (RetryConfig, TimeoutConfig) {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(call_timeout)
            .build();
        (
            RetryConfig::standard().with_max_attempts(ATTEMPTS),
            timeouts,
        )
    }

    /// The account's 12 digits; asked for once.
    ///
    /// # Errors
    /// When AWS does not tell.
    pub(super) async fn account(&self, timing: Timing) -> Result<&str, RegistryError> {
        let ask = || async {
            let (retries, timeouts) = Self::patience(timing.call_timeout);
            let config = aws_sdk_sts::config::Builder::from(&self.config)
                .http_client(self.http_client.clone())
                .retry_config(retries)
                .timeout_config(timeouts)
                .build();
            let answer = aws_sdk_sts::Client::from_conf(config)
                .get_caller_identity()
                .send()
                .await
                .map_err(|error| explain(&self.home, &error))?;
            let digits = |account: &&str| {
                account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
            };
            answer
                .account()
                .filter(digits)
                .map(str::to_owned)
                .ok_or_else(|| super::errors::odd_answer(&self.home, "it names no account"))
        };
        self.account.get_or_try_init(ask).await.map(String::as_str)
    }
}

//! Tells others: publishes a message to an SNS topic, or posts it to a web server.
//!
//! One try for each call, bounded in time. Deliberately absent: what is told, when it is tried again, and remembering;
//! that is `pipeline` and `store`.

mod sns;
#[cfg(test)]
mod tests;
mod webhook;

use crate::model::{Destination, Notification};
use aws_config::SdkConfig;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OnceCell};

/// The longest that one try may take, from the first byte to the answer.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Why a message was not taken, without secrets: of a web server's address only the host is named.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotifyError(String);

/// Delivers messages.
#[derive(Clone)]
pub struct Notifier {
    aws: Arc<dyn Fn() -> BoxFuture<'static, Vec<SdkConfig>> + Send + Sync>,
    aws_configs: Arc<OnceCell<Vec<SdkConfig>>>,
    /// Made when the first message is posted: reading the machine's certificates takes longer than most commands.
    http: Arc<OnceCell<reqwest::Client>>,
    signing_key: Option<SecretString>,
    time_limit: Duration,
    waiting: Arc<Notify>,
}

impl Notifier {
    /// `aws` makes the SDK's configurations, each for the partition of its region, the last one where there are several;
    /// it is called when the first message goes to a topic, and only once. With a signing key, what is posted to web
    /// servers is signed with it.
    pub fn new<Config>(
        aws: impl Fn() -> Config + Send + Sync + 'static,
        signing_key: Option<SecretString>,
    ) -> Self
    where
        Config: Future<Output = Vec<SdkConfig>> + Send + 'static,
    {
        Self {
            aws: Arc::new(move || aws().boxed()),
            aws_configs: Arc::default(),
            http: Arc::default(),
            signing_key,
            time_limit: TIME_LIMIT,
            waiting: Arc::default(),
        }
    }

    /// Makes one try.
    ///
    /// # Errors
    /// When it was not taken, or nobody knows: the message may have arrived all the same.
    pub async fn send(&self, notification: &Notification) -> Result<(), NotifyError> {
        let sent = async {
            match &notification.destination {
                Destination::Sns(arn) => {
                    let configs = self.aws_configs.get_or_init(|| (self.aws)()).await;
                    sns::publish(configs, arn, notification).await
                }
                Destination::Webhook(address) => {
                    let client = async { webhook::client(TIME_LIMIT) };
                    let client = self.http.get_or_try_init(|| client).await?;
                    webhook::post(client, address, self.signing_key.as_ref(), notification).await
                }
            }
        };
        let limit = self.time_limit;
        tokio::time::timeout(limit, sent).await.unwrap_or_else(|_| {
            Err(NotifyError(format!(
                "no answer within {} s",
                limit.as_secs()
            )))
        })
    }

    /// Says that there are messages to deliver.
    pub fn wake(&self) {
        self.waiting.notify_one();
    }

    /// Waits until there are.
    pub async fn woken(&self) {
        self.waiting.notified().await;
    }
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

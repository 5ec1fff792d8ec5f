//! Reads the secrets that settings point at (environment variables, files, AWS Systems Manager, AWS Secrets Manager), and
//! keeps new ones there for `setup`.
//!
//! Every error names the reference and says how to mend it, and none holds a value. Deliberately absent: a cache (the
//! caller reads once and keeps what it needs), making secrets, and the environment itself, which is handed in.

mod aws;
mod error;
mod file;
mod keep;
#[cfg(test)]
mod tests;

pub use error::SecretError;
pub use keep::Replace;

use crate::model::SecretReference;
use aws_config::SdkConfig;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Looks up an environment variable; `settings` is the only reader of the real environment.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Reads secrets.
#[derive(Clone)]
pub struct SecretSource {
    aws: Arc<dyn Fn() -> BoxFuture<'static, SdkConfig> + Send + Sync>,
    aws_config: Arc<OnceCell<SdkConfig>>,
    environment: Environment,
}

impl SecretSource {
    /// `aws` makes the SDK's configuration; it is called when the first reference into AWS is read, and only once.
    pub fn new<Config>(
        aws: impl Fn() -> Config + Send + Sync + 'static,
        environment: Environment,
    ) -> Self
    where
        Config: Future<Output = SdkConfig> + Send + 'static,
    {
        Self {
            aws: Arc::new(move || aws().boxed()),
            aws_config: Arc::default(),
            environment,
        }
    }

    /// The secret, less one line end at its end.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn read(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        let secret = match reference {
            SecretReference::Plain(secret) => secret.clone(),
            SecretReference::Environment(name) => (self.environment)(name)
                .map(SecretString::from)
                .ok_or_else(|| SecretError::NoVariable(name.clone()))?,
            SecretReference::File(path) => file::read(path).await?,
            SecretReference::Ssm(name) => aws::parameter(self.config().await, name).await?,
            SecretReference::SecretsManager { id, key } => {
                aws::secret(self.config().await, id, key.as_deref()).await?
            }
        };
        let value = secret.expose_secret();
        let trimmed = value.strip_suffix('\n').unwrap_or(value);
        let trimmed = trimmed.strip_suffix('\r').unwrap_or(trimmed);
        if trimmed.is_empty() {
            return Err(SecretError::Empty(reference.to_string()));
        }
        Ok(trimmed.into())
    }

    async fn config(&self) -> &SdkConfig {
        self.aws_config.get_or_init(|| (self.aws)()).await
    }
}

impl std::fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretSource").finish_non_exhaustive()
    }
}

//! A folder in a bucket of Amazon S3: what is put there is checked on the way, what is read is handed on piece by piece.
//!
//! Whoever needs a small part of it asks for nothing else: a build function may read tasks and write results and artifacts.
//! Nothing is ever listed. Deliberately absent: whole zips in memory, and names of buckets in what people read.

use super::object_key::ObjectKey;
use crate::model::Digest;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use futures::future::BoxFuture;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// A bucket that takes no connection in this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts of a call; the SDK waits in between, longer each time, with jitter.
const ATTEMPTS: u32 = 5;
/// Bytes a second that a transfer brings at least; a slower one is given up.
const SLOWEST: u64 = 512 * 1024;
/// Codes of refusals that another try gets past: bytes were spoiled on the way, or credentials have to be renewed.
const PASSING: [&str; 7] = [
    "BadDigest",
    "ExpiredToken",
    "RequestTimeout",
    "SlowDown",
    "TokenRefreshRequired",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
];

/// Makes the SDK's configuration when it is needed.
pub type LazyConfig = Arc<dyn Fn() -> BoxFuture<'static, SdkConfig> + Send + Sync>;

/// Why something could not be put into a bucket or read from it. Texts name no bucket and no key.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// There is no such object.
    #[error("it is not in the bucket")]
    Missing,
    /// The object is not what was put there, or not such as anybody puts there.
    #[error("what is in the bucket is not what was put there")]
    Altered,
    /// The bucket did not answer, or asks to come again.
    #[error("the bucket cannot be reached ({0})")]
    Unreachable(String),
    /// The bucket does not do it.
    #[error("the bucket refuses it ({0})")]
    Refused(String),
    /// The machine could not read or write its own files.
    #[error("a file cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

impl BucketError {
    /// Whether the same may succeed later with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Io(_))
    }
}

/// A bucket and the folder in it, by its prefix. Cheap to clone; the client is made when it is first needed.
#[derive(Clone)]
pub struct Bucket {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    prefix: String,
    config: LazyConfig,
    timeout: Duration,
    client: OnceCell<Client>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.inner.name)
            .field("prefix", &self.inner.prefix)
            .finish_non_exhaustive()
    }
}

impl Bucket {
    /// A folder in the bucket `name` of the configuration's region; `prefix` has no slash at either end and may be empty.
    /// `timeout` is what one small call may take.
    #[must_use]
    pub fn new(name: String, prefix: String, config: LazyConfig, timeout: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                name,
                prefix,
                config,
                timeout,
                client: OnceCell::new(),
            }),
        }
    }

    async fn client(&self) -> &Client {
        let made = self.inner.client.get_or_init(|| async {
            let config = (self.inner.config)().await;
            let builder = aws_sdk_s3::config::Builder::from(&config)
                // Another endpoint than AWS' has no names for buckets.
                .force_path_style(config.endpoint_url().is_some())
                .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
                .timeout_config(
                    TimeoutConfig::builder()
                        .connect_timeout(CONNECT_TIMEOUT)
                        .build(),
                )
                // What is put comes with its SHA-256, and what is read is hashed by whoever knows what it should be.
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
            Client::from_conf(builder.build())
        });
        made.await
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The whole key of an object, prefix included.
    #[must_use]
    pub fn key(&self, key: &ObjectKey) -> String {
        match self.inner.prefix.as_str() {
            "" => key.to_string(),
            prefix => format!("{prefix}/{key}"),
        }
    }

    /// Puts a file of `size` bytes with this SHA-256; Amazon S3 takes nothing else under that digest. In one piece, so that
    /// the digest it checks and tells afterwards is that of the whole; it takes 5 GB so, and a layer has 250 MB.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn put_file(
        &self,
        key: &ObjectKey,
        path: &Path,
        digest: &Digest,
        size: u64,
    ) -> Result<(), BucketError> {
        let body = ByteStream::from_path(path).await;
        let body = body.map_err(|error| BucketError::Io(io::Error::other(error)))?;
        self.put_body(key, body, digest, size).await
    }

    /// Puts bytes.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn put(&self, key: &ObjectKey, bytes: Vec<u8>) -> Result<(), BucketError> {
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.put_body(key, bytes.into(), &digest, size).await
    }

    async fn put_body(
        &self,
        key: &ObjectKey,
        body: ByteStream,
        digest: &Digest,
        size: u64,
    ) -> Result<(), BucketError> {
        let call = self
            .client()
            .await
            .put_object()
            .bucket(&self.inner.name)
            .key(self.key(key))
            .content_type(key.content_type())
            .content_length(i64::try_from(size).unwrap_or(i64::MAX))
            .checksum_sha256(digest.base64())
            .body(body)
            .send();
        self.answer(key, size, call).await.map(drop)
    }

    /// Whether an object is there, of this size and with this SHA-256.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn holds(
        &self,
        key: &ObjectKey,
        digest: &Digest,
        size: u64,
    ) -> Result<bool, BucketError> {
        let call = self
            .client()
            .await
            .head_object()
            .bucket(&self.inner.name)
            .key(self.key(key))
            .checksum_mode(ChecksumMode::Enabled)
            .send();
        match self.answer(key, 0, call).await {
            Ok(head) => Ok(head.content_length() == i64::try_from(size).ok()
                && head.checksum_sha256() == Some(digest.base64().as_str())),
            // What is missing is refused to those who may not list the bucket. Putting it finds out what else is wrong.
            Err(BucketError::Missing | BucketError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// An object, piece by piece to `take`; at most `limit` bytes. What was taken until an error counts for nothing.
    ///
    /// # Errors
    /// See [`BucketError`]; what `take` says.
    pub async fn read(
        &self,
        key: &ObjectKey,
        limit: u64,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), BucketError> {
        let call = self
            .client()
            .await
            .get_object()
            .bucket(&self.inner.name)
            .key(self.key(key))
            .send();
        let object: GetObjectOutput = self.answer(key, 0, call).await?;
        let announced = u64::try_from(object.content_length().unwrap_or_default()).unwrap_or(0);
        if announced > limit {
            return Err(BucketError::Altered);
        }
        let mut body = object.body;
        let pieces = async {
            let mut read = 0;
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(|error| {
                    tracing::warn!(bucket = self.inner.name, %key, "reading an object: {error}");
                    BucketError::Unreachable("it stopped in the middle".to_owned())
                })?;
                read += piece.len() as u64;
                if read > limit {
                    return Err(BucketError::Altered);
                }
                // Some kilobytes into the page cache: shorter than handing them to another thread.
                take(&piece)?;
            }
            Ok(())
        };
        let patience = self.patience(announced);
        tokio::time::timeout(patience, pieces)
            .await
            .unwrap_or_else(|_| Err(too_slow(patience)))
    }

    /// A small object as a whole.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn get(&self, key: &ObjectKey, limit: u64) -> Result<Vec<u8>, BucketError> {
        let mut bytes = Vec::new();
        let take = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        self.read(key, limit, take).await?;
        Ok(bytes)
    }

    /// How long a call that carries so many bytes is waited for, its retries included.
    fn patience(&self, size: u64) -> Duration {
        self.inner.timeout * 3 + Duration::from_secs(size / SLOWEST)
    }

    async fn answer<T, E>(
        &self,
        key: &ObjectKey,
        size: u64,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, BucketError>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let patience = self.patience(size);
        // The SDK's futures are nested deeply.
        match tokio::time::timeout(patience, Box::pin(call)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let explained = explain(&error);
                if !matches!(explained, BucketError::Missing) {
                    tracing::warn!(bucket = self.inner.name, %key, "a call to Amazon S3 failed: {}", DisplayErrorContext(&error));
                }
                Err(explained)
            }
            Err(_) => Err(too_slow(patience)),
        }
    }
}

fn too_slow(patience: Duration) -> BucketError {
    BucketError::Unreachable(format!(
        "it took longer than {} seconds",
        patience.as_secs()
    ))
}

/// What a failed call means, by its code and status. Its message may name the bucket and the account.
fn explain<E>(error: &SdkError<E, HttpResponse>) -> BucketError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let SdkError::ServiceError(answer) = error else {
        return match error {
            SdkError::ConstructionFailure(_) => {
                BucketError::Refused("the call could not be made".to_owned())
            }
            _ => BucketError::Unreachable("it does not answer".to_owned()),
        };
    };
    let (status, code) = (answer.raw().status().as_u16(), answer.err().code());
    let code = code.unwrap_or_default();
    let said = match code {
        "" => format!("status {status}"),
        code => format!("{code}, status {status}"),
    };
    if code == "NoSuchKey" || (status == 404 && code != "NoSuchBucket") {
        BucketError::Missing
    } else if status >= 500 || status == 429 || PASSING.contains(&code) {
        BucketError::Unreachable(said)
    } else {
        BucketError::Refused(said)
    }
}

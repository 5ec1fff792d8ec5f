//! Zips above the limit of a direct upload: put into a bucket of the region, published from there, and removed.
//!
//! The key is the zip's digest, so an upload that is there already is used, and what a crash left behind is found again.
//! Parts are streamed from the file; Amazon S3 checks the SHA-256 of each, and the SHA-256 of those is checked here.

use super::errors::explain;
use super::gate::SLOWEST_UPLOAD;
use super::parts::{PART, checksum_of, parts_of};
use super::{AwsRegistry, CALL_ATTEMPTS, CONNECT_TIMEOUT};
use crate::model::{Digest, Region, StagingBucket};
use crate::registry::{PublishRequest, RegistryError};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::io::{self};
use std::path::PathBuf;
use std::time::Duration;

/// Parts of one zip that go to one region at once.
const CONCURRENT_PARTS: usize = 2;

/// Codes of answers that say that the bytes were spoiled on the way, and that nothing was kept.
const SPOILED: [&str; 4] = [
    "BadDigest",
    "InvalidDigest",
    "RequestTimeout",
    "XAmzContentChecksumMismatch",
];

/// Where a zip goes in one region.
pub(super) struct Staging {
    client: Client,
    region: Region,
    pub(super) bucket: String,
    pub(super) key: String,
    zip: PathBuf,
    size: u64,
}

impl AwsRegistry {
    /// The place for a request's zip in a region.
    ///
    /// # Errors
    /// When the account cannot be found out, or there are no credentials.
    pub(super) async fn staging(
        &self,
        region: &Region,
        request: &PublishRequest,
        pattern: &StagingBucket,
    ) -> Result<Staging, RegistryError> {
        let partition = self.partition(region)?;
        let account = if pattern.names_account() {
            partition.account(self.timing).await?
        } else {
            ""
        };
        let time_for_a_part = Duration::from_secs(PART * CONCURRENT_PARTS as u64 / SLOWEST_UPLOAD);
        let config = aws_sdk_s3::config::Builder::from(&partition.config)
            .region(aws_config::Region::new(region.to_string()))
            .http_client(partition.http_client.clone())
            // Another endpoint than AWS' has no names for buckets.
            .force_path_style(partition.config.endpoint_url().is_some())
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(CALL_ATTEMPTS)
                    .with_initial_backoff(self.timing.first_pause),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(self.timing.call_timeout + time_for_a_part)
                    .build(),
            )
            .build();
        Ok(Staging {
            client: Client::from_conf(config),
            region: region.clone(),
            bucket: pattern.bucket(account, region),
            key: format!("layersmith/{}.zip", request.digest),
            zip: request.zip.clone(),
            size: request.size,
        })
    }

    /// Puts the zip into its place, unless it is there.
    pub(super) async fn stage(
        &self,
        staging: &Staging,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        let parts = self.parts.of(digest);
        let zip = staging.zip.clone();
        let parts = parts
            .get_or_try_init(|| async {
                let whole = *digest;
                tokio::task::spawn_blocking(move || parts_of(&zip, &whole))
                    .await
                    .map_err(io::Error::other)?
            })
            .await
            .map_err(|error| staging.refused(format!("the built layer cannot be read: {error}")))?;
        staging.put(parts).await
    }
}

impl Staging {
    async fn put(&self, parts: &[Digest]) -> Result<(), RegistryError> {
        if self.is_there(parts).await? {
            return Ok(());
        }
        self.abort_leftovers().await;
        let upload = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(&self.key)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .content_type("application/zip")
            .send()
            .await
            .map_err(|error| self.explain(&error))?;
        let Some(id) = upload.upload_id() else {
            return Err(self.odd("the upload has no id"));
        };
        let done = self.upload(id, parts).await;
        if done.is_err() {
            self.abort(id).await;
        }
        done
    }

    /// Whether the object is there, with the right bytes.
    async fn is_there(&self, parts: &[Digest]) -> Result<bool, RegistryError> {
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        match head {
            Ok(head) => Ok(head.content_length() == i64::try_from(self.size).ok()
                && head.checksum_sha256() == Some(checksum_of(parts).as_str())),
            // A missing object is 404, or 403 for those who may not list the bucket; the upload finds out what else is wrong.
            Err(error)
                if error
                    .raw_response()
                    .is_some_and(|raw| raw.status().as_u16() < 500) =>
            {
                Ok(false)
            }
            Err(error) => Err(self.explain(&error)),
        }
    }

    async fn upload(&self, id: &str, parts: &[Digest]) -> Result<(), RegistryError> {
        let work: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(index, digest)| self.upload_part(id, index, digest))
            .collect();
        let uploaded: Vec<CompletedPart> = stream::iter(work)
            .buffered(CONCURRENT_PARTS)
            .try_collect()
            .await?;
        let completed = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(uploaded))
                    .build(),
            )
            .send()
            .await
            .map_err(|error| self.explain(&error))?;
        match completed.checksum_sha256() {
            Some(checksum) if checksum != checksum_of(parts) => {
                Err(self.odd("the upload has another checksum than the built layer"))
            }
            // Where it is not told, each part was checked, and AWS Lambda tells the digest of what it unpacked.
            _ => Ok(()),
        }
    }

    async fn upload_part(
        &self,
        id: &str,
        index: usize,
        digest: &Digest,
    ) -> Result<CompletedPart, RegistryError> {
        let offset = index as u64 * PART;
        let body = ByteStream::read_from()
            .path(&self.zip)
            .offset(offset)
            .length(Length::Exact(PART.min(self.size - offset)))
            .build()
            .await
            .map_err(|error| self.refused(format!("the built layer cannot be read: {error}")))?;
        let number = i32::try_from(index + 1).unwrap_or(i32::MAX);
        let answer = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(id)
            .part_number(number)
            .checksum_sha256(digest.base64())
            .body(body)
            .send()
            .await
            .map_err(|error| self.explain(&error))?;
        if answer
            .checksum_sha256()
            .is_some_and(|told| told != digest.base64())
        {
            return Err(self.odd("a part has another checksum than what was sent"));
        }
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .checksum_sha256(digest.base64())
            .build())
    }

    /// Ends uploads of the same zip that a crash left unfinished: their parts are paid for until somebody does.
    async fn abort_leftovers(&self) {
        let answer = self
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .prefix(&self.key)
            .send()
            .await;
        for upload in answer.iter().flat_map(|listed| listed.uploads()) {
            if let (Some(key), Some(id)) = (upload.key(), upload.upload_id())
                && key == self.key
            {
                self.abort(id).await;
            }
        }
    }

    async fn abort(&self, id: &str) {
        let answer = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(id)
            .send()
            .await;
        if let Err(error) = answer {
            let error = self.explain(&error);
            tracing::warn!(region = %self.region, "an unfinished upload stays in the bucket `{}`: {error}", self.bucket);
        }
    }

    /// Takes the zip away again. That it stays is no harm but for its price, so that is no failure.
    pub(super) async fn remove(&self) {
        let answer = self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .send()
            .await;
        if let Err(error) = answer {
            let error = self.explain(&error);
            tracing::warn!(region = %self.region, "`{}` stays in the bucket `{}`: {error}", self.key, self.bucket);
        }
    }

    fn refused(&self, message: String) -> RegistryError {
        RegistryError::Refused {
            region: self.region.clone(),
            message,
        }
    }

    /// What is sent was not what was asked for; worth another try.
    fn odd(&self, what: &str) -> RegistryError {
        RegistryError::Unreachable {
            region: self.region.clone(),
            message: format!("the staging bucket `{}`: {what}", self.bucket),
        }
    }

    fn explain<E>(&self, error: &SdkError<E, HttpResponse>) -> RegistryError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (bucket, place) = (&self.bucket, &self.region);
        let code = error.as_service_error().and_then(|error| error.code());
        let code = code.unwrap_or_default();
        match code {
            "NoSuchBucket" => {
                return self.refused(format!("the staging bucket `{bucket}` does not exist: create it in {place}, or correct `staging` in the policy"));
            }
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
                return self.refused(format!("the staging bucket `{bucket}` is not in {place}: AWS Lambda takes layers from a bucket of the same region only"));
            }
            _ => {}
        }
        let about = |message: String| format!("the staging bucket `{bucket}`: {message}");
        match explain(place, error) {
            RegistryError::Throttled { region, message } => RegistryError::Throttled {
                region,
                message: about(message),
            },
            RegistryError::Refused { region, message } if !SPOILED.contains(&code) => {
                RegistryError::Refused {
                    region,
                    message: about(message),
                }
            }
            RegistryError::Unreachable { region, message }
            | RegistryError::Refused { region, message } => RegistryError::Unreachable {
                region,
                message: about(message),
            },
            other @ RegistryError::NotEnabled { .. } => other,
        }
    }
}

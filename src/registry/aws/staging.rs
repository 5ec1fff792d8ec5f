//! Zips above the limit of a direct upload: put into a bucket of the region, published from there, and removed.
//!
//! The key is the published name and the zip's digest, so an upload that is there already is used, and what a crash left
//! behind is found again: by the publication that goes on with it, or by the adoption of what it made. Whoever is done takes
//! the object away, and layers with the same zip may be published by several processes at once: each has an object of its
//! own.
//!
//! Parts are streamed from the file; Amazon S3 checks the SHA-256 of each, and the SHA-256 of those is checked here.

use super::errors::explain;
use super::gate::{Gate, Gated};
use super::parts::{PART, checksum_of, parts_of};
use super::{AwsRegistry, CALL_ATTEMPTS, CONNECT_TIMEOUT};
use crate::model::{Digest, Region, StagingBucket};
use crate::registry::{PublishRequest, RegistryError};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::io::{self};
use std::path::Path;
use std::sync::{Arc, PoisonError};

/// Parts of one zip that go to one region at once.
const CONCURRENT_PARTS: usize = 2;

/// Codes of refusals that another try gets past, as it begins anew: the bytes were spoiled on the way and nothing was
/// kept, or somebody else ended the upload.
const PASSING: [&str; 5] = [
    "BadDigest",
    "InvalidDigest",
    "NoSuchUpload",
    "RequestTimeout",
    "XAmzContentChecksumMismatch",
];

/// Where a zip goes in one region.
pub(super) struct Staging {
    client: Client,
    region: Region,
    pub(super) bucket: String,
    pub(super) key: String,
}

/// What goes there.
struct Upload<'a> {
    zip: &'a Path,
    size: u64,
    /// SHA-256 of each part.
    parts: &'a [Digest],
}

impl AwsRegistry {
    /// The place for the zip of a published layer in a region.
    ///
    /// # Errors
    /// When the account cannot be found out, or there are no credentials.
    pub(super) async fn staging(
        &self,
        region: &Region,
        name: &str,
        digest: &Digest,
        pattern: &StagingBucket,
    ) -> Result<Staging, RegistryError> {
        let partition = self.partition(region)?;
        let account = if pattern.names_account() {
            partition.account(self.timing).await?
        } else {
            ""
        };
        let config = aws_sdk_s3::config::Builder::from(&partition.config)
            .region(aws_config::Region::new(region.to_string()))
            .http_client(Gated {
                gate: self.gate_to_bucket(region),
                client: partition.http_client.clone(),
            })
            // Another endpoint than AWS' has no names for buckets.
            .force_path_style(partition.config.endpoint_url().is_some())
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(CALL_ATTEMPTS)
                    .with_initial_backoff(self.timing.first_pause),
            )
            // The limit for one attempt is the gate's, which knows how much is sent.
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .build(),
            )
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Ok(Staging {
            client: Client::from_conf(config),
            region: region.clone(),
            bucket: pattern.bucket(account, region),
            key: format!("layersmith/{name}/{digest}.zip"),
        })
    }

    fn gate_to_bucket(&self, region: &Region) -> Arc<Gate> {
        let mut gates = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(region.clone()).or_insert_with(|| {
            Arc::new(Gate::to_bucket(
                region,
                self.timing,
                Arc::clone(&self.clock),
                Arc::clone(&self.bucket_line),
                CONCURRENT_PARTS as u64,
            ))
        });
        Arc::clone(gate)
    }

    /// Puts the zip into its place, unless it is there.
    pub(super) async fn stage(
        &self,
        staging: &Staging,
        request: &PublishRequest,
    ) -> Result<(), RegistryError> {
        let parts = self.parts.of(request.digest);
        let parts = parts
            .get_or_try_init(|| async {
                let (zip, whole) = (request.zip.clone(), request.digest);
                tokio::task::spawn_blocking(move || parts_of(&zip, &whole))
                    .await
                    .map_err(io::Error::other)?
            })
            .await
            .map_err(|error| staging.unreadable(&error))?;
        let upload = Upload {
            zip: &request.zip,
            size: request.size,
            parts,
        };
        staging.put(&upload).await
    }

    /// Removes a zip and unfinished uploads of it from its place, unless somebody is there: whoever is takes it away.
    pub(super) async fn take_away(
        &self,
        region: &Region,
        name: &str,
        digest: &Digest,
        pattern: &StagingBucket,
    ) {
        let staging = match self.staging(region, name, digest, pattern).await {
            Ok(staging) => staging,
            Err(error) => {
                tracing::warn!(%region, "a staged zip may stay in its bucket: {error}");
                return;
            }
        };
        if let Ok(_turn) = self.turns.of(staging.place()).try_lock() {
            staging.abort_leftovers().await;
            staging.remove().await;
        }
    }
}

impl Staging {
    /// Bucket and key.
    pub(super) fn place(&self) -> (String, String) {
        (self.bucket.clone(), self.key.clone())
    }

    async fn put(&self, upload: &Upload<'_>) -> Result<(), RegistryError> {
        if self.is_there(upload).await? {
            return Ok(());
        }
        self.abort_leftovers().await;
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(&self.key)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .content_type("application/zip")
            .send()
            .await
            .map_err(|error| self.explain(&error))?;
        let Some(id) = begun.upload_id() else {
            return Err(self.odd("the upload has no id"));
        };
        let done = self.upload(id, upload).await;
        if done.is_err() {
            self.abort(id).await;
        }
        done
    }

    /// Whether the object is there, with the right bytes.
    async fn is_there(&self, upload: &Upload<'_>) -> Result<bool, RegistryError> {
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        match head {
            Ok(head) => Ok(head.content_length() == i64::try_from(upload.size).ok()
                && head.checksum_sha256() == Some(checksum_of(upload.parts).as_str())),
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

    async fn upload(&self, id: &str, upload: &Upload<'_>) -> Result<(), RegistryError> {
        let work: Vec<_> = (0..upload.parts.len())
            .map(|index| self.upload_part(id, upload, index))
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
            Some(checksum) if checksum != checksum_of(upload.parts) => {
                self.remove().await;
                Err(self.odd("the upload has another checksum than the built layer"))
            }
            // Where it is not told, each part was checked, and AWS Lambda tells the digest of what it unpacked.
            _ => Ok(()),
        }
    }

    async fn upload_part(
        &self,
        id: &str,
        upload: &Upload<'_>,
        index: usize,
    ) -> Result<CompletedPart, RegistryError> {
        let digest = upload.parts[index].base64();
        let offset = index as u64 * PART;
        let body = ByteStream::read_from()
            .path(upload.zip)
            .offset(offset)
            .length(Length::Exact(PART.min(upload.size - offset)))
            .build()
            .await
            .map_err(|error| self.unreadable(&error))?;
        let number = i32::try_from(index + 1).unwrap_or(i32::MAX);
        let answer = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(id)
            .part_number(number)
            .checksum_sha256(&digest)
            .body(body)
            .send()
            .await
            .map_err(|error| self.explain(&error))?;
        if answer.checksum_sha256().is_some_and(|told| told != digest) {
            return Err(self.odd("a part has another checksum than what was sent"));
        }
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .checksum_sha256(digest)
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
        if let Err(error) = answer
            && error.as_service_error().and_then(|error| error.code()) != Some("NoSuchUpload")
        {
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

    fn unreadable(&self, error: &dyn std::error::Error) -> RegistryError {
        self.refused(format!("the built layer cannot be read: {error}"))
    }

    /// What is there is not what was asked for; worth another try.
    pub(super) fn odd(&self, what: &str) -> RegistryError {
        RegistryError::Failed {
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
            RegistryError::Refused { region, message } if !PASSING.contains(&code) => {
                RegistryError::Refused {
                    region,
                    message: about(message),
                }
            }
            RegistryError::Unreachable { region, message } => RegistryError::Unreachable {
                region,
                message: about(message),
            },
            RegistryError::Failed { region, message }
            | RegistryError::Refused { region, message } => RegistryError::Failed {
                region,
                message: about(message),
            },
            other => other,
        }
    }
}

//! Large values: deflated into their item, or, where that is too large still, in a bucket of Amazon S3.

use super::item::Item;
use crate::model::Digest;
use crate::store::Result;
use anyhow::{Context as _, bail, ensure};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::io::{Read as _, Write as _};

/// What an item may hold of a body. An item has at most 400 KB, names and other values included.
const INLINE_LIMIT: usize = 300 * 1024;
/// What a body may come to; the largest that the bot writes is a delivery, of which GitHub sends 25 MB at most.
const BODY_LIMIT: u64 = 256 * 1024 * 1024;

/// Where large bodies are kept: `s3://BUCKET/PREFIX/bodies/DIGEST`, the digest being that of the bytes there.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    place: Option<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    client: Client,
    bucket: String,
    prefix: String,
}

impl Bodies {
    /// Without a bucket (and a prefix in it), what is too large for an item is refused.
    pub(super) fn new(config: &SdkConfig, bucket: Option<(String, String)>) -> Self {
        let place = bucket.map(|(bucket, prefix)| {
            let config = aws_sdk_s3::config::Builder::from(config)
                // Another endpoint than AWS' has no names for buckets.
                .force_path_style(config.endpoint_url().is_some())
                .build();
            Place {
                client: Client::from_conf(config),
                bucket,
                prefix,
            }
        });
        Self { place }
    }

    /// The item with a body.
    pub(super) async fn pack(&self, item: Item, body: &str) -> Result<Item> {
        let deflated = deflate(body)?;
        if deflated.len() <= INLINE_LIMIT {
            return Ok(item.bytes("body", deflated));
        }
        let Some(place) = &self.place else {
            bail!(
                "{} bytes are too large for DynamoDB: name a bucket for them in LAYERSMITH_ARTIFACTS",
                deflated.len()
            );
        };
        let digest = Digest::of(&deflated);
        place.put(&digest, deflated).await?;
        Ok(item.text("body_at", digest))
    }

    /// The body of an item.
    pub(super) async fn unpack(&self, item: &Item) -> Result<String> {
        if let Some(bytes) = item.blob("body") {
            return inflate(bytes);
        }
        let digest: Digest = item.parse("body_at")?;
        let Some(place) = &self.place else {
            bail!(
                "the body {digest} is in a bucket: name the one it was written to in LAYERSMITH_ARTIFACTS"
            );
        };
        let bytes = place.get(&digest).await?;
        ensure!(
            Digest::of(&bytes) == digest,
            "{} is not what was put there",
            place.shown(&digest)
        );
        inflate(&bytes)
    }
}

impl Place {
    fn key(&self, digest: &Digest) -> String {
        match self.prefix.trim_matches('/') {
            "" => format!("bodies/{digest}"),
            prefix => format!("{prefix}/bodies/{digest}"),
        }
    }

    fn shown(&self, digest: &Digest) -> String {
        format!("s3://{}/{}", self.bucket, self.key(digest))
    }

    async fn put(&self, digest: &Digest, bytes: Vec<u8>) -> Result<()> {
        let sent = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(digest))
            .body(ByteStream::from(bytes))
            .send()
            .await;
        sent.map_err(|error| {
            let place = self.shown(digest);
            anyhow::anyhow!("{place} cannot be written: {}", DisplayErrorContext(&error))
        })?;
        Ok(())
    }

    async fn get(&self, digest: &Digest) -> Result<Vec<u8>> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.key(digest))
            .send()
            .await
            .map_err(|error| {
                let place = self.shown(digest);
                anyhow::anyhow!("{place} cannot be read: {}", DisplayErrorContext(&error))
            })?;
        let bytes = answer.body.collect().await;
        let bytes = bytes.with_context(|| format!("{} breaks off", self.shown(digest)))?;
        Ok(bytes.to_vec())
    }
}

fn deflate(body: &str) -> Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_bytes())?;
    Ok(encoder.finish()?)
}

fn inflate(bytes: &[u8]) -> Result<String> {
    let mut body = String::new();
    DeflateDecoder::new(bytes)
        .take(BODY_LIMIT)
        .read_to_string(&mut body)
        .context("a body in the store cannot be read")?;
    Ok(body)
}

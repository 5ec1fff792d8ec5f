//! Reading the body of a publish: its zip is hashed, or recognized, and not kept.

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::{Body, Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use serde_json::Value;

/// What stands before the zip in a publish, and perhaps a space and a quote.
const KEY: &[u8] = b"\"ZipFile\":";
/// Bytes of base64 at either end by which a zip that was announced is recognized.
const SAMPLE: usize = 4096;
/// Bytes kept of the end of a body: the sample, and all that may stand after the zip.
const TAIL: usize = SAMPLE + 16 * 1024;

/// A zip that was announced.
#[derive(Clone)]
pub(super) struct KnownZip {
    begins: Bytes,
    ends: Bytes,
    encoded: usize,
    size: usize,
    digest: String,
}

/// The body of a call.
#[derive(Default)]
pub(super) struct Received {
    /// The JSON, without the zip.
    pub(super) json: Value,
    /// The zip, should there be one.
    pub(super) zip: Option<ReceivedZip>,
}

pub(super) struct ReceivedZip {
    /// Base64 of its SHA-256.
    pub(super) digest: String,
    pub(super) size: usize,
}

impl KnownZip {
    pub(super) fn new(zip: &[u8]) -> Self {
        let encoded = Bytes::from(STANDARD.encode(zip));
        let sample = SAMPLE.min(encoded.len());
        Self {
            begins: Bytes::copy_from_slice(&encoded[..sample]),
            ends: Bytes::copy_from_slice(&encoded[encoded.len() - sample..]),
            encoded: encoded.len(),
            size: zip.len(),
            digest: base64_digest(zip),
        }
    }
}

impl Received {
    /// Reads a body to its end.
    ///
    /// # Panics
    /// When the connection breaks, or a zip is not base64: what the double answers then is not what a test is about.
    pub(super) async fn read(body: Body, known: &[KnownZip]) -> Self {
        let mut stream = body.into_data_stream();
        let mut start = Vec::new();
        while let Some(chunk) = stream.next().await {
            start.extend_from_slice(&chunk.expect("the body arrives"));
            if let Some(zip) = recognized(&start, known) {
                return Self::rest(start, stream, zip).await;
            }
        }
        let Some(begin) = begin(&start) else {
            return Self {
                json: serde_json::from_slice(&start).unwrap_or_default(),
                zip: None,
            };
        };
        let quote = start[begin..].iter().position(|byte| *byte == b'"');
        let end = begin + quote.expect("a text ends");
        let zip = STANDARD.decode(&start[begin..end]);
        let zip = zip.expect("a zip is sent as base64");
        Self {
            zip: Some(ReceivedZip {
                digest: base64_digest(&zip),
                size: zip.len(),
            }),
            json: without_zip(&start[..begin], &start[end..]),
        }
    }

    /// The rest of a body whose zip is known: only its length and end are looked at.
    async fn rest(start: Vec<u8>, mut stream: axum::body::BodyDataStream, zip: &KnownZip) -> Self {
        let begin = begin(&start).expect("it was found before");
        let mut length = start.len();
        let mut tail = start.clone();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.expect("the body arrives");
            length += chunk.len();
            let keep = tail.len().min(TAIL.saturating_sub(chunk.len()));
            tail.drain(..tail.len() - keep);
            tail.extend_from_slice(&chunk[chunk.len() - chunk.len().min(TAIL)..]);
        }
        let end = begin + zip.encoded;
        let after = &tail[tail.len() - (length - end)..];
        let before = &tail[..tail.len() - after.len()];
        assert!(
            after.starts_with(b"\"") && before.ends_with(&zip.ends),
            "the zip that was sent is not the one that was announced"
        );
        Self {
            zip: Some(ReceivedZip {
                digest: zip.digest.clone(),
                size: zip.size,
            }),
            json: without_zip(&start[..begin], after),
        }
    }
}

fn recognized<'a>(start: &[u8], known: &'a [KnownZip]) -> Option<&'a KnownZip> {
    if known.is_empty() {
        return None;
    }
    let begin = begin(&start[..start.len().min(TAIL)])?;
    let sample = start.get(begin..begin + SAMPLE)?;
    known.iter().find(|zip| *zip.begins == *sample)
}

fn without_zip(before: &[u8], after: &[u8]) -> Value {
    serde_json::from_slice(&[before, after].concat()).expect("a publish is JSON")
}

/// Where the zip begins.
fn begin(bytes: &[u8]) -> Option<usize> {
    let key = bytes.windows(KEY.len()).position(|part| part == KEY)?;
    let value = key + KEY.len();
    let quote = bytes[value..].iter().position(|byte| *byte == b'"')?;
    Some(value + quote + 1)
}

fn base64_digest(bytes: &[u8]) -> String {
    STANDARD.encode(digest(&SHA256, bytes))
}

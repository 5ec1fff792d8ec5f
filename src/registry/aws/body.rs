//! The body of a direct upload: encoded and hashed once for an artifact, and shared by the requests to all regions.
//!
//! The body says nothing of the region (the layer's name is in the address), so the same bytes go everywhere. They are
//! sent in small pieces that point into the one buffer: an HTTP client may copy what it is handed.

use super::hold::Hold;
use super::in_use::InUse;
use crate::model::{Digest, Hasher};
use crate::registry::PublishRequest;
use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_lambda::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_lambda::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_lambda::error::BoxError;
use aws_sdk_lambda::primitives::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::FutureExt as _;
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

/// KiB that all bodies together may take. The largest, of a zip of 50 MiB, takes 67 MiB.
const BUDGET: usize = 128 * 1024;
/// Bytes of a zip that are encoded at once: a multiple of 3, so that base64 goes on without a gap.
const CHUNK: usize = 3 * 1024 * 1024;
/// Bytes of a body that are handed to a connection at once.
const FRAME: usize = 64 * 1024;
/// Bytes of a body that are kept back: no more than a connection sends at once after it was idle.
const END: usize = 8 * 1024;
/// Bytes of the smallest body that is sent ahead, all but its end.
const SENT_AHEAD: usize = 2 * FRAME;
/// Stands where the zip goes; base64 has no such character, and JSON needs no escape for it.
const PLACE: &str = "~zip~";

/// A body that is ready to be sent.
#[derive(Debug)]
pub(super) struct Encoded {
    bytes: Bytes,
    /// Lowercase hexadecimal, as a signature wants it.
    sha256: String,
    _memory: Option<OwnedSemaphorePermit>,
}

/// One artifact's body, encoded by the first who needs it; gone when nobody needs it any more.
pub(super) type Shared = Arc<OnceCell<Encoded>>;

/// What a body is made of besides the zip, and the zip's digest.
type Key = (Digest, String, String);

/// The bodies in use.
#[derive(Debug)]
pub(super) struct Bodies {
    budget: Arc<Semaphore>,
    made: InUse<Key, OnceCell<Encoded>>,
}

impl Bodies {
    pub(super) fn new() -> Self {
        Self {
            budget: Arc::new(Semaphore::new(BUDGET)),
            made: InUse::default(),
        }
    }

    /// The body of a request; waits while others have used up the budget.
    ///
    /// # Errors
    /// When the zip cannot be read, or is not the one that the request names.
    pub(super) async fn encoded(&self, request: &PublishRequest) -> io::Result<Shared> {
        let (head, tail) = around_the_zip(request);
        let shared = self.made.of((request.digest, head.clone(), tail.clone()));
        shared
            .get_or_try_init(|| async {
                let size = usize::try_from(request.size).map_err(io::Error::other)?;
                let length = head.len() + size.div_ceil(3) * 4 + tail.len();
                let cost = length.div_ceil(1024).min(BUDGET);
                // The semaphore is never closed; were it, encoding without a bound would still be right.
                let permits = u32::try_from(cost).unwrap_or(u32::MAX);
                let memory = Arc::clone(&self.budget)
                    .acquire_many_owned(permits)
                    .await
                    .ok();
                let (path, digest) = (request.zip.clone(), request.digest);
                let work = move || encode(&path, &digest, length, &head, &tail);
                let (bytes, sha256) = tokio::task::spawn_blocking(work)
                    .await
                    .map_err(io::Error::other)??;
                Ok::<_, io::Error>(Encoded {
                    bytes,
                    sha256,
                    _memory: memory,
                })
            })
            .await?;
        Ok(shared)
    }
}

/// The JSON of a request before and after the zip.
///
/// Source: AWS Lambda API reference, `PublishLayerVersion`, request body.
fn around_the_zip(request: &PublishRequest) -> (String, String) {
    let mut body = json!({
        "Content": { "ZipFile": PLACE },
        "CompatibleRuntimes": [request.python.runtime()],
        "CompatibleArchitectures": [request.architecture.as_str()],
        "Description": request.description,
    });
    if let Some(license) = &request.license {
        body["LicenseInfo"] = json!(license);
    }
    let text = body.to_string();
    let place = format!("\"ZipFile\":\"{PLACE}\"");
    let (head, tail) = text.split_once(&place).unwrap_or((&text, ""));
    (format!("{head}\"ZipFile\":\""), format!("\"{tail}"))
}

/// Reads the zip piece by piece into the finished body; gives it with its SHA-256. The zip is hashed beside the body.
fn encode(
    zip: &Path,
    digest: &Digest,
    length: usize,
    head: &str,
    tail: &str,
) -> io::Result<(Bytes, String)> {
    let altered = || io::Error::new(io::ErrorKind::InvalidData, "the built layer was altered");
    let mut body = vec![0; length];
    let mut file = File::open(zip)?;
    let (mut of_zip, mut of_body) = (Hasher::default(), Hasher::default());
    let mut chunk = vec![0; CHUNK];
    let (before, rest) = body.split_at_mut_checked(head.len()).ok_or_else(altered)?;
    before.copy_from_slice(head.as_bytes());
    of_body.update(before);
    let at_tail = rest.len().checked_sub(tail.len()).ok_or_else(altered)?;
    let (mut place, after) = rest.split_at_mut(at_tail);
    loop {
        let read = fill(&mut file, &mut chunk)?;
        if read == 0 {
            break;
        }
        let piece = &chunk[..read];
        place = std::thread::scope(|scope| {
            scope.spawn(|| of_zip.update(piece));
            let written = STANDARD.encode_slice(piece, place).ok()?;
            let (text, rest) = std::mem::take(&mut place).split_at_mut(written);
            of_body.update(text);
            Some(rest)
        })
        .ok_or_else(altered)?;
    }
    after.copy_from_slice(tail.as_bytes());
    of_body.update(after);
    if of_zip.finish() != *digest || !place.is_empty() {
        return Err(altered());
    }
    Ok((Bytes::from(body), of_body.finish().to_string()))
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Sends a shared body in place of the one that the SDK would make, and has it signed by the hash that is known.
#[derive(Debug, Clone)]
pub(super) struct SendShared {
    bytes: Bytes,
    sha256: String,
    hold: Option<Hold>,
    /// As long as the bytes are here, they are counted.
    counted: Shared,
}

impl SendShared {
    /// Nothing when the body is not encoded.
    pub(super) fn new(body: &Shared) -> Option<Self> {
        let encoded = body.get()?;
        Some(Self {
            bytes: encoded.bytes.clone(),
            sha256: encoded.sha256.clone(),
            hold: None,
            counted: Arc::clone(body),
        })
    }

    /// Whether it takes more than a moment to send: over a new connection three round trips and more.
    ///
    /// Source: RFC 6928: a connection begins with ten segments, some 14 KiB, and RFC 5681 doubles that with every round trip.
    pub(super) fn is_worth_sending_ahead(&self) -> bool {
        self.bytes.len() >= SENT_AHEAD
    }

    /// Keeps back the end of the body.
    pub(super) fn held(self, hold: Hold) -> Self {
        Self {
            hold: Some(hold),
            ..self
        }
    }
}

impl Intercept for SendShared {
    fn name(&self) -> &'static str {
        "SendShared"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let length = self.bytes.len().to_string();
        request.headers_mut().insert("content-length", length);
        if let Some(hold) = &self.hold {
            request.add_extension(hold.clone());
        }
        let this = self.clone();
        *request.body_mut() = SdkBody::retryable(move || {
            SdkBody::from_body_1_x(Frames {
                rest: this.bytes.clone(),
                hold: this.hold.clone(),
                end: None,
                _counted: Arc::clone(&this.counted),
            })
        });
        let hash = PayloadSigningOverride::Precomputed(self.sha256.clone());
        config.interceptor_state().store_put(hash);
        Ok(())
    }
}

/// A body as pieces of one buffer.
struct Frames {
    rest: Bytes,
    /// Who says when the last piece may go.
    hold: Option<Hold>,
    /// Waits for that.
    end: Option<Pin<Box<dyn Future<Output = bool> + Send + Sync>>>,
    _counted: Shared,
}

/// The body ends before its end.
#[derive(Debug, thiserror::Error)]
#[error("the request was broken off")]
struct BrokenOff;

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.rest.len() <= END
            && let Some(hold) = self.hold.take()
        {
            self.end = Some(Box::pin(hold.may_end()));
        }
        if let Some(end) = &mut self.end {
            let may_end = ready!(end.poll_unpin(context));
            self.end = None;
            if !may_end {
                self.rest.clear();
                return Poll::Ready(Some(Err(BrokenOff)));
            }
        }
        let kept_back = if self.hold.is_some() { END } else { 0 };
        let length = FRAME.min(self.rest.len() - kept_back);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

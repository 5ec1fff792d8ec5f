//! Fetching one file over HTTP, its digest checked while it arrives.

use super::cache::WheelCache;
use super::checksum::{Checksum, Checksummer};
use super::error::BuildError;
use crate::model::{Digest, Hasher, WheelFile};
use backon::{ExponentialBuilder, Retryable};
use reqwest::{Client, StatusCode};
use std::io::{self, Write};
use std::time::Duration;
use tempfile::NamedTempFile;

/// The largest wheel fetched: one that is larger packed than a layer may be unpacked cannot go into any.
const WHEEL_LIMIT: u64 = crate::model::UNZIPPED_LIMIT;

/// A file that was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) file: NamedTempFile,
    /// Bytes.
    pub(crate) size: u64,
    /// Of the very bytes that were held to the digest.
    pub(crate) checksum: Checksum,
}

/// How wheels are fetched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchLimits {
    pub(crate) retries: usize,
    pub(crate) retry_delay: Duration,
}

/// Refuses a wheel that the index says is too large, before anything is fetched.
pub(crate) fn check_announced_size(wheel: &WheelFile) -> Result<(), BuildError> {
    match wheel.size {
        Some(size) if size > WHEEL_LIMIT => Err(too_large(wheel)),
        _ => Ok(()),
    }
}

fn too_large(wheel: &WheelFile) -> BuildError {
    BuildError::bad_wheel(
        &wheel.filename,
        format!(
            "it is larger than {} MiB, which is all that a layer may have unpacked",
            WHEEL_LIMIT / (1024 * 1024)
        ),
    )
}

/// Fetches a file of the index, a wheel or a source distribution, whose bytes are those of its digest; nobody looked
/// inside. `on_bytes` is told how many bytes came each time some did.
///
/// # Errors
/// [`BuildError::Fetch`] after the last try, [`BuildError::HashMismatch`] at once, [`BuildError::BadWheel`] when it is
/// too large, [`BuildError::Io`].
pub(crate) async fn fetch_file(
    client: &Client,
    cache: &WheelCache,
    wheel: &WheelFile,
    limits: FetchLimits,
    on_bytes: &(dyn Fn(u64) + Send + Sync),
) -> Result<Fetched, BuildError> {
    let policy = ExponentialBuilder::default()
        .with_min_delay(limits.retry_delay)
        .with_max_times(limits.retries);
    (|| download(client, cache, wheel, on_bytes))
        .retry(policy)
        .when(BuildError::is_transient)
        .notify(|error, delay| {
            tracing::info!(wheel = wheel.filename, "{error}; trying again in {delay:?}");
        })
        .await
}

async fn download(
    client: &Client,
    cache: &WheelCache,
    wheel: &WheelFile,
    on_bytes: &(dyn Fn(u64) + Send + Sync),
) -> Result<Fetched, BuildError> {
    let failed = |error: reqwest::Error| failed(wheel, error);
    let response = client.get(&wheel.url).send().await.map_err(failed)?;
    let status = response.status();
    if !status.is_success() {
        return Err(BuildError::Fetch {
            wheel: wheel.filename.clone(),
            message: format!("the server answered {status}"),
            transient: status.is_server_error()
                || status == StatusCode::TOO_MANY_REQUESTS
                || status == StatusCode::REQUEST_TIMEOUT,
        });
    }
    if response
        .content_length()
        .is_some_and(|size| size > WHEEL_LIMIT)
    {
        return Err(too_large(wheel));
    }
    let mut file = cache
        .create()
        .map_err(BuildError::io("making a file for a wheel"))?;
    let (mut hasher, mut checksum) = (Hasher::default(), Checksummer::default());
    let mut size: u64 = 0;
    let mut response = response;
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        size += chunk.len() as u64;
        if size > WHEEL_LIMIT {
            return Err(too_large(wheel));
        }
        hasher.update(&chunk);
        checksum.update(&chunk);
        // A piece of some kilobytes into the page cache: shorter than handing it to another thread.
        write(&mut file, &chunk).map_err(BuildError::io("writing a wheel"))?;
        on_bytes(chunk.len() as u64);
    }
    check(wheel, hasher.finish(), size)?;
    Ok(Fetched {
        file,
        size,
        checksum: checksum.finish(),
    })
}

fn write(file: &mut NamedTempFile, chunk: &[u8]) -> io::Result<()> {
    file.as_file_mut().write_all(chunk)
}

fn check(wheel: &WheelFile, actual: Digest, size: u64) -> Result<(), BuildError> {
    if actual == wheel.sha256 {
        return Ok(());
    }
    // Cut off on the way rather than altered: a server need not say how much it will send.
    if wheel.size.is_some_and(|expected| size < expected) {
        return Err(BuildError::Fetch {
            wheel: wheel.filename.clone(),
            message: format!("the server sent {size} bytes of it"),
            transient: true,
        });
    }
    Err(BuildError::HashMismatch {
        wheel: wheel.filename.clone(),
        expected: wheel.sha256,
        actual,
    })
}

/// The failure without the URL, which may hold credentials.
fn failed(wheel: &WheelFile, error: reqwest::Error) -> BuildError {
    let transient = !(error.is_builder() || error.is_redirect());
    let error = error.without_url();
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    BuildError::Fetch {
        wheel: wheel.filename.clone(),
        message,
        transient,
    }
}

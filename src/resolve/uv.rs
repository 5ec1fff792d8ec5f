//! Running `uv` as a child process: found, given a closed environment, bounded in time and output.

use super::error::ResolveError;
use super::explain::clean;
use super::index::{self, Index};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// The most of uv's words that is kept; the rest is read and dropped, so that uv never waits.
const OUTPUT_LIMIT: usize = 256 * 1024;

/// Variables uv gets besides those set here: how to reach the network and the index, where the home folder is.
/// Everything else, the bot's own secrets first, stays out of its sight.
const PASSED_ON: [&str; 26] = [
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "LANG",
    "NETRC",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSL_CLIENT_CERT",
    "UV_CONFIG_FILE",
    "UV_CREDENTIALS_DIR",
    "UV_HTTP_RETRIES",
    "UV_HTTP_TIMEOUT",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_OFFLINE",
    "UV_REQUEST_TIMEOUT",
    "UV_SYSTEM_CERTS",
];

/// What a run of uv left behind.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The `uv` to run: the one set, else the first on the search path.
///
/// # Errors
/// [`ResolveError::UvMissing`].
pub(crate) fn find(
    set: Option<&Path>,
    search_path: Option<&OsStr>,
) -> Result<PathBuf, ResolveError> {
    if let Some(path) = set {
        return if path.is_file() {
            Ok(path.to_owned())
        } else {
            Err(ResolveError::UvMissing)
        };
    }
    search_path
        .into_iter()
        .flat_map(std::env::split_paths)
        // An empty or relative entry would mean the folder the bot happens to run in.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("uv"))
        .find(|path| path.is_file())
        .ok_or(ResolveError::UvMissing)
}

/// The part of the bot's environment that uv may see.
pub(crate) fn closed_environment(
    environment: &[(OsString, OsString)],
    index: Index<'_>,
) -> Vec<(OsString, OsString)> {
    let from_environment = matches!(index, Index::Environment);
    let mut closed: Vec<(OsString, OsString)> = environment
        .iter()
        .filter(|(name, _)| {
            name.to_str().is_some_and(|name| {
                PASSED_ON.contains(&name) || (from_environment && index::is_variable(name))
            })
        })
        .cloned()
        .collect();
    let is_named = closed
        .iter()
        .any(|(name, _)| name == "UV_DEFAULT_INDEX" || name == "UV_INDEX_URL");
    match index {
        // In the environment rather than in the arguments, which every user of a machine can list.
        Index::Only(url) => closed.push(("UV_DEFAULT_INDEX".into(), url.into())),
        Index::Environment if !is_named => {
            // uv does not look at pip's variable; a machine set up for pip alone should still work.
            let pip = environment.iter().find(|(name, _)| name == "PIP_INDEX_URL");
            if let Some((_, url)) = pip {
                closed.push(("UV_DEFAULT_INDEX".into(), url.clone()));
            }
        }
        Index::Environment | Index::Configured => {}
    }
    closed.push(("UV_PYTHON_DOWNLOADS".into(), "never".into()));
    closed.push(("UV_NO_PROGRESS".into(), "1".into()));
    closed.push(("NO_COLOR".into(), "1".into()));
    closed
}

/// Runs a command to its end, or kills it when the time is up or the future is dropped.
///
/// # Errors
/// [`ResolveError::UvMissing`], [`ResolveError::TimedOut`] or [`ResolveError::Unexpected`]; a status of failure is
/// not an error here.
pub(crate) async fn run(
    mut command: Command,
    input: &str,
    time_limit: Duration,
) -> Result<Finished, ResolveError> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let unexpected =
        |error: io::Error| ResolveError::Unexpected(format!("uv could not be run: {error}"));
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ResolveError::UvMissing,
        _ => unexpected(error),
    })?;
    let stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let finish = async {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // uv may end before it has read everything; its status then says why.
                match stdin.write_all(input.as_bytes()).await {
                    Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        };
        let (fed, stdout, stderr) = tokio::join!(feed, bounded(stdout), bounded(stderr));
        fed?;
        let (stdout, stderr) = (stdout?, stderr?);
        let status = child.wait().await?;
        Ok::<_, io::Error>(Finished {
            status,
            stdout,
            stderr,
        })
    };
    match tokio::time::timeout(time_limit, finish).await {
        Ok(finished) => finished.map_err(unexpected),
        Err(_) => Err(ResolveError::TimedOut(time_limit)),
    }
}

/// Reads a stream to its end and keeps the beginning.
async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let Some(mut stream) = stream else {
        return Ok(String::new());
    };
    let mut kept = Vec::new();
    let mut buffer = vec![0; 8192];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        let room = OUTPUT_LIMIT - kept.len();
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
}

/// A failure of uv that is not about the requirements, told by its words: uv has one exit code for all of these.
pub(crate) fn other_failure(stderr: &str) -> ResolveError {
    // Seen in uv 0.4 to 0.13: a request that failed is reported under one of these.
    const ON_THE_WAY: [&str; 4] = [
        "Failed to fetch",
        "error sending request",
        "Request failed after",
        "Could not connect",
    ];
    let message = clean(stderr);
    if ON_THE_WAY.iter().any(|words| stderr.contains(words)) {
        ResolveError::Unreachable { message }
    } else {
        ResolveError::Unexpected(message)
    }
}

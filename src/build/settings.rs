//! How building is done, and how far a build is.

use super::artifact_store::Artifacts;
use super::bytecode::InterpreterSettings;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What the cache holds at most unless the settings say otherwise: 10 GiB.
const CACHE_LIMIT: u64 = 10 * 1024 * 1024 * 1024;

/// How building is done.
#[derive(Debug, Clone)]
pub struct BuilderSettings {
    /// A folder for fetched wheels; made when it is not there. May be shared between processes and may be emptied.
    pub cache_dir: PathBuf,
    /// Where finished zips go.
    pub artifacts: Artifacts,
    /// The most bytes that the folder of fetched wheels, and of what is derived from them, holds.
    pub cache_limit: u64,
    /// Where interpreters that compile are looked for.
    pub interpreters: InterpreterSettings,
    /// Processes that compile at once, over all builds; at least 1.
    pub compilers: usize,
    /// The program that isolates a stranger's code (bubblewrap): its path, `function` or `off`; `None` looks for it on
    /// `search_path`.
    pub bwrap: Option<PathBuf>,
    /// Folders of programs, as in the variable `PATH`.
    pub search_path: Option<OsString>,
    /// Wheels fetched at once, over all builds; at least 1.
    pub concurrency: usize,
    /// The longest a connection may take to come about.
    pub connect_timeout: Duration,
    /// The longest a server may be silent.
    pub read_timeout: Duration,
    /// Tries after the first that failed on the way.
    pub retries: usize,
    /// The wait before the first of them; it doubles each time.
    pub retry_delay: Duration,
}

impl BuilderSettings {
    /// Settings that suit most machines; no interpreter is looked for, and nothing isolates.
    #[must_use]
    pub fn new(cache_dir: PathBuf, artifacts: impl Into<Artifacts>) -> Self {
        Self {
            cache_dir,
            artifacts: artifacts.into(),
            cache_limit: CACHE_LIMIT,
            interpreters: InterpreterSettings::default(),
            compilers: 1,
            bwrap: Some("off".into()),
            search_path: None,
            concurrency: 8,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            retries: 3,
            retry_delay: Duration::from_millis(500),
        }
    }
}

/// How far a build is, for a progress bar.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildProgress {
    /// Wheels are being looked for in the cache and fetched.
    Fetching {
        /// How many wheels.
        wheels: usize,
        /// Their size together in bytes, where the index says it of all.
        bytes: Option<u64>,
    },
    /// Some bytes came over the network.
    Received {
        /// How many.
        bytes: u64,
    },
    /// A wheel is there and verified.
    WheelReady {
        /// Its file name.
        wheel: String,
        /// Whether it was in the cache.
        cached: bool,
    },
    /// All wheels are there; the zip is being written.
    Assembling,
    /// The layer is written; its packages are being imported.
    Importing,
}

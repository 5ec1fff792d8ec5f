//! The resolver: a request in, a lock out.

use super::compile::{Compilation, Compiled, Kind};
use super::error::ResolveError;
use super::explain::clean;
use super::index::Index;
use super::lock_cache::{self, LockCache};
use super::source::SourceDistribution;
use super::turns::Turns;
use super::uv_cache::UvCache;
use super::{pylock, requirements, uv};
use crate::model::{Digest, Hasher, Lock, Requirement, Target, Timestamp, libraries_of};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

/// Processes of uv for each processor: most of what one does is waiting for the index.
const PROCESSES_PER_PROCESSOR: usize = 3;
/// The folder of uv's cache in the resolver's.
const UV_CACHE: &str = "uv";

/// How resolving is done; everything comes from the settings, nothing is read from the environment here.
#[derive(Debug, Clone)]
pub struct ResolverSettings {
    /// The `uv` to run; `None` looks for it on `search_path`.
    pub uv: Option<PathBuf>,
    /// The value of `PATH`.
    pub search_path: Option<OsString>,
    /// The bot's environment. uv gets only what it needs of it: home, proxies, certificates and indexes.
    pub environment: Vec<(OsString, OsString)>,
    /// A folder for locks, uv's cache and working files; made when it is not there.
    pub cache_dir: PathBuf,
    /// The longest any run may take.
    pub time_limit: Duration,
    /// A Python interpreter of any version from 3.8; `None` looks for one on `search_path`, else leaves it to uv.
    pub python: Option<PathBuf>,
    /// For how long a lock answers the same request again; zero for never.
    pub max_age: Duration,
    /// The most bytes that uv's cache holds.
    pub cache_limit: u64,
}

/// A wheel that was built from a source distribution, and may be used besides those of the index.
#[derive(Debug, Clone, Copy)]
pub struct BuiltWheel<'a> {
    /// Its file name (PEP 427).
    pub filename: &'a str,
    /// The file; it may have another name.
    pub path: &'a Path,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Size in bytes.
    pub size: u64,
    /// What it was built from.
    pub source: &'a SourceDistribution,
}

/// What to resolve.
#[derive(Debug, Clone, Copy)]
pub struct ResolveRequest<'a> {
    /// What is asked for, resolved together; the order does not matter.
    pub packages: &'a [Requirement],
    /// What it must run on.
    pub target: Target,
    /// The other targets of the same request: should there be no wheel for this one, they are looked at first.
    pub other_targets: &'a [Target],
    /// The only index to use; `None` leaves it to uv and the machine's set-up.
    pub index_url: Option<&'a str>,
    /// The present moment.
    pub now: Timestamp,
    /// Releases younger than this many days are not considered; 0 considers all.
    pub cooldown_days: u32,
    /// Wheels to consider besides the index's.
    pub built: &'a [BuiltWheel<'a>],
    /// Packages (normalised names) that may be built from source: should one have no wheel, nothing else is looked for.
    pub allow_build: &'a [String],
    /// The longest a run of uv may take; the settings' limit holds as well.
    pub time_limit: Duration,
}

impl<'a> ResolveRequest<'a> {
    /// The question to uv that this request comes to, for any requirements and target.
    pub(crate) fn compilation(
        &self,
        input: &'a str,
        kind: Kind<'a>,
        target: Target,
    ) -> Compilation<'a> {
        Compilation {
            input,
            kind,
            target,
            index_url: self.index_url,
            exclude_newer: (self.cooldown_days > 0)
                .then(|| self.now.minus_days(self.cooldown_days)),
            is_alone: self.other_targets.is_empty(),
            built: self.built,
            time_limit: self.time_limit,
        }
    }
}

/// Resolves requirements by running uv. Cheap to clone; calls may run at once and share uv's cache and the locks.
#[derive(Debug, Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: ResolverSettings,
    processes: Semaphore,
    python: OnceCell<Option<PathBuf>>,
    default_index: OnceCell<Option<Url>>,
    turns: Turns,
    locks: LockCache,
    uv_cache: UvCache,
    has_compiled: AtomicBool,
}

impl Resolver {
    /// A resolver; nothing is run or checked yet.
    #[must_use]
    pub fn new(settings: ResolverSettings) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            shared: Arc::new(Shared {
                processes: Semaphore::new(processors * PROCESSES_PER_PROCESSOR),
                python: OnceCell::new(),
                default_index: OnceCell::new(),
                turns: Turns::default(),
                locks: LockCache::new(settings.cache_dir.join("locks")),
                uv_cache: UvCache::new(settings.cache_dir.join(UV_CACHE), settings.cache_limit),
                has_compiled: AtomicBool::new(false),
                settings,
            }),
        }
    }

    /// Finds exact versions and the best wheels for a target, or gives the lock that the same request came to before,
    /// while that is fresh.
    ///
    /// Configuration files that uv would discover are not looked at, so that a lock depends on what is handed in;
    /// one named by `UV_CONFIG_FILE` is.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve(&self, request: &ResolveRequest<'_>) -> Result<Lock, ResolveError> {
        let lines = requirements::lines(request.packages)?;
        let input = requirements::joined(&lines);
        let max_age = self.settings().max_age;
        if max_age.is_zero() {
            return self.resolve_anew(request, &lines, &input).await;
        }
        let (key, whoever_asks) = self.keys(request, &input)?;
        let _turn = self.shared.turns.wait(key).await;
        if let Some(lock) = self.kept(key, request.now).await {
            return Ok(lock);
        }
        // The first target of a layer fetches pages that the others find in uv's cache.
        let first = self.shared.turns.lead(whoever_asks).await;
        let result = self.resolve_anew(request, &lines, &input).await;
        drop(first);
        let lock = result?;
        self.keep(key, lock.clone(), request.now).await;
        Ok(lock)
    }

    async fn resolve_anew(
        &self,
        request: &ResolveRequest<'_>,
        lines: &[String],
        input: &str,
    ) -> Result<Lock, ResolveError> {
        let compilation = request.compilation(input, Kind::Wheels, request.target);
        match self.compile(&compilation).await? {
            Compiled::Lock { text, stderr } => {
                match pylock::read(&text, request.target, request.built) {
                    Ok(mut lock) => {
                        super::yanked::note(&mut lock, &stderr);
                        tracing::debug!(
                            target_platform = %request.target,
                            packages = lock.packages.len(),
                            "resolved {} packages for {}",
                            lock.packages.len(),
                            request.target
                        );
                        Ok(lock)
                    }
                    Err(error) => Err(self.with_advice(request, lines, error).await),
                }
            }
            Compiled::NoSolution(stderr) => Err(self.explain(request, lines, stderr).await),
        }
    }

    async fn kept(&self, key: Digest, now: Timestamp) -> Option<Lock> {
        let resolver = self.clone();
        let get = move || {
            let shared = &resolver.shared;
            shared.locks.get(&key, now, shared.settings.max_age)
        };
        tokio::task::spawn_blocking(get).await.ok().flatten()
    }

    async fn keep(&self, key: Digest, lock: Lock, now: Timestamp) {
        let resolver = self.clone();
        let put = move || resolver.shared.locks.put(key, &lock, now);
        match tokio::task::spawn_blocking(put).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("a lock cannot be kept: {error}"),
            Err(error) => tracing::warn!("a lock cannot be kept: {error}"),
        }
    }

    /// Digests over everything that decides a lock: for one target, and for any. Values of the environment, which may be
    /// secret, go into them and nowhere else.
    fn keys(
        &self,
        request: &ResolveRequest<'_>,
        input: &str,
    ) -> Result<(Digest, Digest), ResolveError> {
        let settings = self.settings();
        let mut hasher = Hasher::default();
        let mut field = |name: &str, value: &[u8]| {
            hasher.update(format!("{name}:{}:", value.len()).as_bytes());
            hasher.update(value);
        };
        field("revision", lock_cache::REVISION.as_bytes());
        field("requirements", input.as_bytes());
        field("index", request.index_url.unwrap_or_default().as_bytes());
        field("cooldown", request.cooldown_days.to_string().as_bytes());
        let uv = self.uv()?;
        field("uv", uv.as_os_str().as_bytes());
        let file = uv.metadata().map_err(unexpected_io)?;
        let state = format!("{} {} {}", file.size(), file.mtime(), file.mtime_nsec());
        field("uv state", state.as_bytes());
        if let Some(python) = &settings.python {
            field("python", python.as_os_str().as_bytes());
        }
        let mut environment =
            uv::closed_environment(&settings.environment, Index::for_url(request.index_url));
        environment.sort();
        for (name, value) in &environment {
            field("variable", name.as_bytes());
            field("value", value.as_bytes());
            if name == "UV_CONFIG_FILE" {
                // What cannot be read, uv will complain about.
                field("configuration", &std::fs::read(value).unwrap_or_default());
            }
        }
        for wheel in request.built {
            field("built", wheel.filename.as_bytes());
            field("digest", wheel.sha256.to_string().as_bytes());
            field("source", wheel.source.url.as_bytes());
        }
        let whoever_asks = hasher.finish();
        let key = format!("{whoever_asks} {}", request.target);
        Ok((Digest::of(key.as_bytes()), whoever_asks))
    }

    /// The version of the uv in use, such as `0.9.1`.
    ///
    /// # Errors
    /// [`ResolveError::UvMissing`] and those of running it.
    pub async fn uv_version(&self) -> Result<String, ResolveError> {
        let uv = self.uv()?;
        let folder = self.working_folder().await.map_err(unexpected_io)?;
        let mut command = self.command(&uv, folder.path(), Index::Environment);
        command.arg("--version");
        let finished = uv::run(command, "", self.settings().time_limit).await?;
        let mut words = finished.stdout.split_whitespace();
        match (finished.status.success(), words.next(), words.next()) {
            (true, Some("uv"), Some(version)) => Ok(version.to_owned()),
            _ => Err(ResolveError::Unexpected(format!(
                "`uv --version` did not answer with a version: {}",
                clean(&finished.stderr)
            ))),
        }
    }

    pub(crate) fn settings(&self) -> &ResolverSettings {
        &self.shared.settings
    }

    /// A permit for each uv that may run at once.
    pub(crate) fn processes(&self) -> &Semaphore {
        &self.shared.processes
    }

    /// Whether uv was not asked for anything yet; it is taken for asked from then on.
    pub(crate) fn is_first_compilation(&self) -> bool {
        !self.shared.has_compiled.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn uv_cache(&self) -> &UvCache {
        &self.shared.uv_cache
    }

    pub(crate) fn found_python(&self) -> &OnceCell<Option<PathBuf>> {
        &self.shared.python
    }

    pub(crate) fn default_index(&self) -> &OnceCell<Option<Url>> {
        &self.shared.default_index
    }

    pub(crate) fn uv(&self) -> Result<PathBuf, ResolveError> {
        uv::find(
            self.settings().uv.as_deref(),
            self.settings().search_path.as_deref(),
        )
    }

    pub(crate) async fn working_folder(&self) -> io::Result<tempfile::TempDir> {
        let parent = self.settings().cache_dir.join("tmp");
        tokio::fs::create_dir_all(&parent).await?;
        // uv runs inside the folder, so that a relative path would not lead back to it.
        let parent = tokio::fs::canonicalize(&parent).await?;
        tempfile::Builder::new()
            .prefix("resolve-")
            .tempdir_in(parent)
    }

    pub(crate) fn command(&self, uv: &Path, folder: &Path, index: Index<'_>) -> Command {
        let mut command = Command::new(uv);
        command
            .env_clear()
            .envs(uv::closed_environment(&self.settings().environment, index))
            .env("TMPDIR", folder)
            .env("UV_CACHE_DIR", folder.join("../..").join(UV_CACHE))
            .current_dir(folder);
        if let Some(path) = &self.settings().search_path {
            command.env("PATH", path);
        }
        // For the interpreter, which uv asks what it is.
        let folders = self.settings().search_path.iter();
        let mut places = folders
            .flat_map(std::env::split_paths)
            .chain(self.settings().python.clone());
        if let Some(path) = places.find_map(|place| libraries_of(&place)) {
            command.env("LD_LIBRARY_PATH", path);
        }
        command
    }
}

/// Without the path, which the error of the system does not name anyway.
#[expect(clippy::needless_pass_by_value, reason = "the shape `map_err` takes")]
pub(crate) fn unexpected_io(error: io::Error) -> ResolveError {
    ResolveError::Unexpected(format!("working files could not be used: {error}"))
}

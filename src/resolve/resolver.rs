//! The resolver: a request in, a lock out.

use super::error::ResolveError;
use super::explain::{clean, first_named};
use super::{pylock, uv};
use crate::model::{Lock, Requirement, Target, Timestamp};
use pep508_rs::{VerbatimUrl, VersionOrUrl};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// The largest lock file that is read: a thousand packages with a hundred wheels each stay well below it.
const LOCK_LIMIT: u64 = 32 * 1024 * 1024;
/// The exit code of uv for requirements that cannot be met (uv's reference, "Exit codes": 1 is a user's mistake, 2 an error).
const EXIT_NO_SOLUTION: i32 = 1;

/// How resolving is done; everything comes from the settings, nothing is read from the environment here.
#[derive(Debug, Clone)]
pub struct ResolverSettings {
    /// The `uv` to run; `None` looks for it on `search_path`.
    pub uv: Option<PathBuf>,
    /// The value of `PATH`.
    pub search_path: Option<OsString>,
    /// The bot's environment. uv gets only what it needs of it: home, proxies, certificates and indexes.
    pub environment: Vec<(OsString, OsString)>,
    /// A folder for uv's cache and for working files; made when it is not there.
    pub cache_dir: PathBuf,
    /// The longest any run may take.
    pub time_limit: Duration,
    /// A Python interpreter of any version from 3.8; `None` lets uv find one, which can take most of a second.
    pub python: Option<PathBuf>,
}

/// What to resolve.
#[derive(Debug, Clone, Copy)]
pub struct ResolveRequest<'a> {
    /// What is asked for, resolved together.
    pub packages: &'a [Requirement],
    /// What it must run on.
    pub target: Target,
    /// The only index to use; `None` leaves it to uv and the machine's set-up.
    pub index_url: Option<&'a str>,
    /// Releases after this moment are not considered.
    pub exclude_newer: Option<Timestamp>,
    /// The longest it may take; the settings' limit holds as well.
    pub time_limit: Duration,
}

/// Resolves requirements by running uv. Cheap to clone; calls may run at once and share uv's cache.
#[derive(Debug, Clone)]
pub struct Resolver {
    settings: Arc<ResolverSettings>,
}

impl Resolver {
    /// A resolver; nothing is run or checked yet.
    #[must_use]
    pub fn new(settings: ResolverSettings) -> Self {
        Self {
            settings: Arc::new(settings),
        }
    }

    /// Finds exact versions and the best wheels for a target.
    ///
    /// Configuration files that uv would discover are not looked at, so that a lock depends on what is handed in;
    /// one named by `UV_CONFIG_FILE` is.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve(&self, request: &ResolveRequest<'_>) -> Result<Lock, ResolveError> {
        let input = requirements(request.packages)?;
        let uv = self.uv()?;
        let folder = self.working_folder().await.map_err(unexpected_io)?;
        let output = folder.path().join("pylock.toml");
        let mut command = self.command(&uv, folder.path(), request.index_url);
        command.args(["pip", "compile", "-", "--quiet", "--no-config"]);
        command.args(["--only-binary", ":all:", "--format", "pylock.toml"]);
        command.arg("--output-file").arg(&output);
        command.args(["--python-version", &request.target.python.to_string()]);
        command.args(["--python-platform", &platform(request.target)]);
        if let Some(python) = &self.settings.python {
            command.arg("--python").arg(python);
        }
        if let Some(moment) = request.exclude_newer {
            command.args(["--exclude-newer", &moment.to_string()]);
        }
        let limit = request.time_limit.min(self.settings.time_limit);
        let finished = uv::run(command, &input, limit).await?;
        if finished.status.code() == Some(EXIT_NO_SOLUTION) {
            let explanation = clean(&finished.stderr);
            return Err(ResolveError::NoSolution {
                package: first_named(&explanation, request.packages),
                explanation,
            });
        }
        if !finished.status.success() {
            return Err(uv::other_failure(&finished.stderr));
        }
        let text = read_bounded(&output).await.map_err(unexpected_io)?;
        let lock = pylock::read(&text, request.target)?;
        tracing::debug!(
            target_platform = %request.target,
            packages = lock.packages.len(),
            "resolved {} packages for {}",
            lock.packages.len(),
            request.target
        );
        Ok(lock)
    }

    /// The version of the uv in use, such as `0.9.1`.
    ///
    /// # Errors
    /// [`ResolveError::UvMissing`] and those of running it.
    pub async fn uv_version(&self) -> Result<String, ResolveError> {
        let uv = self.uv()?;
        let folder = self.working_folder().await.map_err(unexpected_io)?;
        let mut command = self.command(&uv, folder.path(), None);
        command.arg("--version");
        let finished = uv::run(command, "", self.settings.time_limit).await?;
        let mut words = finished.stdout.split_whitespace();
        match (finished.status.success(), words.next(), words.next()) {
            (true, Some("uv"), Some(version)) => Ok(version.to_owned()),
            _ => Err(ResolveError::Unexpected(format!(
                "`uv --version` did not answer with a version: {}",
                clean(&finished.stderr)
            ))),
        }
    }

    fn uv(&self) -> Result<PathBuf, ResolveError> {
        uv::find(
            self.settings.uv.as_deref(),
            self.settings.search_path.as_deref(),
        )
    }

    async fn working_folder(&self) -> io::Result<tempfile::TempDir> {
        let parent = self.settings.cache_dir.join("tmp");
        tokio::fs::create_dir_all(&parent).await?;
        // uv runs inside the folder, so that a relative path would not lead back to it.
        let parent = tokio::fs::canonicalize(&parent).await?;
        tempfile::Builder::new()
            .prefix("resolve-")
            .tempdir_in(parent)
    }

    fn command(&self, uv: &Path, folder: &Path, index_url: Option<&str>) -> Command {
        let mut command = Command::new(uv);
        command
            .env_clear()
            .envs(uv::closed_environment(
                &self.settings.environment,
                index_url,
            ))
            .env("TMPDIR", folder)
            .env("UV_CACHE_DIR", folder.join("../../uv"))
            .current_dir(folder);
        if let Some(path) = &self.settings.search_path {
            command.env("PATH", path);
        }
        command
    }
}

/// uv's name for the newest C library it knows that the target has. It does not know glibc 2.26 of Amazon Linux 2:
/// manylinux2014 (glibc 2.17) is the newest below it.
fn platform(target: Target) -> String {
    let machine = target.architecture.machine();
    match target.python.glibc() {
        (2, minor) if minor < 28 => format!("{machine}-manylinux2014"),
        (major, minor) => format!("{machine}-manylinux_{major}_{minor}"),
    }
}

/// The requirements as uv reads them, a line each. Only names with versions get through: the format also knows
/// options, paths and URLs, which would let a request reach into the machine.
fn requirements(packages: &[Requirement]) -> Result<String, ResolveError> {
    let mut text = String::new();
    for package in packages {
        let unusable = |reason: &str| ResolveError::Unusable {
            package: package.name.clone(),
            reason: reason.to_owned(),
        };
        let parsed = pep508_rs::Requirement::<VerbatimUrl>::from_str(&package.text)
            .map_err(|_| unusable("it is not a requirement as PEP 508 writes them"))?;
        if matches!(parsed.version_or_url, Some(VersionOrUrl::Url(_))) {
            return Err(unusable("packages are taken from the index, not from URLs"));
        }
        if package.text.chars().any(char::is_control) {
            return Err(unusable("it has a control character in it"));
        }
        text.push_str(&parsed.to_string());
        text.push('\n');
    }
    Ok(text)
}

async fn read_bounded(path: &Path) -> io::Result<String> {
    let file = tokio::fs::File::open(path).await?;
    let mut text = String::new();
    file.take(LOCK_LIMIT).read_to_string(&mut text).await?;
    Ok(text)
}

/// Without the path, which the error of the system does not name anyway.
#[expect(clippy::needless_pass_by_value, reason = "the shape `map_err` takes")]
fn unexpected_io(error: io::Error) -> ResolveError {
    ResolveError::Unexpected(format!("working files could not be used: {error}"))
}

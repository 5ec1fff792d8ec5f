//! One run of `uv pip compile`.

use super::error::ResolveError;
use super::index::{self, Index};
use super::resolver::{BuiltWheel, Resolver, unexpected_io};
use super::wheel_filename::WheelFilename;
use super::{interpreter, uv};
use crate::model::{Target, Timestamp};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use url::Url;

/// The largest lock file that is read: a thousand packages with a hundred wheels each stay well below it.
const LOCK_LIMIT: u64 = 32 * 1024 * 1024;
/// The exit code of uv for requirements that cannot be met (uv's reference, "Exit codes": 1 is a user's mistake, 2 an error).
const EXIT_NO_SOLUTION: i32 = 1;
/// The longest that a page of the index counts as fresh: as long as it takes to resolve a large catalog.
const PAGE_AGE: Duration = Duration::from_secs(120);
/// The name of uv's configuration in a working folder.
const CONFIGURATION: &str = "uv.toml";
/// The folder in a working folder that holds wheels built by us.
const BUILT: &str = "built";

/// What uv is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind<'a> {
    /// Everything that is needed, in wheels.
    Wheels,
    /// The source distribution of one package (normalised name). Dependencies are not looked at, so its metadata is not
    /// either, for which uv would have to run its build.
    Source(&'a str),
}

/// One question to uv.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compilation<'a> {
    /// Requirements, one a line.
    pub(crate) input: &'a str,
    pub(crate) kind: Kind<'a>,
    pub(crate) target: Target,
    pub(crate) index_url: Option<&'a str>,
    pub(crate) exclude_newer: Option<Timestamp>,
    /// Whether the same is asked for one target only.
    pub(crate) is_alone: bool,
    pub(crate) built: &'a [BuiltWheel<'a>],
    pub(crate) time_limit: Duration,
}

/// What uv answered.
#[derive(Debug)]
pub(crate) enum Compiled {
    /// A `pylock.toml`, and what uv said besides.
    Lock { text: String, stderr: String },
    /// It cannot be met, in uv's words.
    NoSolution(String),
}

impl Resolver {
    /// Runs uv once. Waits until few enough others are running.
    ///
    /// # Errors
    /// Anything but [`ResolveError::NoSolution`], which is an answer here.
    pub(crate) async fn compile(
        &self,
        compilation: &Compilation<'_>,
    ) -> Result<Compiled, ResolveError> {
        let uv = self.uv()?;
        let python = self.python().await;
        let configured = self.index_to_configure(compilation).await;
        let _one_of_a_few = self.processes().acquire().await;
        let folder = self.working_folder().await.map_err(unexpected_io)?;
        let output = folder.path().join("pylock.toml");
        let index = match configured {
            Some(_) => Index::Configured,
            None => Index::for_url(compilation.index_url),
        };
        let mut command = self.command(&uv, folder.path(), index);
        command.args(["pip", "compile", "-"]);
        if let Some(url) = &configured {
            let path = folder.path().join(CONFIGURATION);
            let text = index::configuration(url, self.page_age());
            tokio::fs::write(&path, text).await.map_err(unexpected_io)?;
            command.arg("--config-file").arg(path);
        } else {
            command.arg("--no-config");
        }
        match compilation.kind {
            Kind::Wheels => command.args(["--only-binary", ":all:"]),
            Kind::Source(package) => command.args(["--no-deps", "--no-binary", package]),
        };
        if !compilation.built.is_empty() {
            let built = folder.path().join(BUILT);
            link(&built, compilation.built)
                .await
                .map_err(unexpected_io)?;
            command.arg("--find-links").arg(built);
        }
        command.args(["--format", "pylock.toml", "--output-file"]);
        command.arg(&output);
        command.args(["--python-version", &compilation.target.python.to_string()]);
        command.args(["--python-platform", &platform(compilation.target)]);
        if let Some(python) = python {
            command.arg("--python").arg(python);
        }
        if let Some(moment) = compilation.exclude_newer {
            command.args(["--exclude-newer", &moment.to_string()]);
        }
        let limit = compilation.time_limit.min(self.settings().time_limit);
        let finished = uv::run(command, compilation.input, limit).await?;
        Box::pin(self.bound_uv_cache()).await;
        if finished.status.code() == Some(EXIT_NO_SOLUTION) {
            return Ok(Compiled::NoSolution(finished.stderr));
        }
        if !finished.status.success() {
            return Err(uv::other_failure(&finished.stderr));
        }
        Ok(Compiled::Lock {
            text: read_bounded(&output).await.map_err(unexpected_io)?,
            stderr: finished.stderr,
        })
    }

    /// For how long the index's pages count as fresh; never longer than a lock made of them.
    pub(crate) fn page_age(&self) -> Duration {
        PAGE_AGE.min(self.settings().max_age)
    }

    /// The index to write into a configuration file, where that can be done and is of use.
    async fn index_to_configure(&self, compilation: &Compilation<'_>) -> Option<Url> {
        if self.page_age().is_zero() {
            return None;
        }
        let is_first = self.is_first_compilation();
        match index::source(&self.settings().environment, compilation.index_url) {
            index::Source::Known(url) => Some(url),
            // To ask uv takes a run of it, which a single layer for a single target does not get back.
            index::Source::Default if is_first && compilation.is_alone => None,
            index::Source::Default => self
                .default_index()
                .get_or_init(|| self.ask_for_default_index())
                .await
                .clone(),
            index::Source::Other => None,
        }
    }

    /// uv's own default index, from uv itself.
    async fn ask_for_default_index(&self) -> Option<Url> {
        let uv = self.uv().ok()?;
        let python = self.python().await;
        let folder = self.working_folder().await.ok()?;
        let mut command = self.command(&uv, folder.path(), Index::Environment);
        command.args(["pip", "compile", "-", "--no-config", "--quiet", "--offline"]);
        command.args(["--no-header", "--emit-index-url"]);
        if let Some(python) = python {
            command.arg("--python").arg(python);
        }
        let finished = uv::run(command, "", self.settings().time_limit)
            .await
            .ok()?;
        let mut lines = finished.stdout.lines();
        lines
            .find_map(|line| line.strip_prefix("--index-url "))
            .and_then(index::without_secrets)
    }

    /// The interpreter for uv: the one set, else one that is looked for once.
    pub(crate) async fn python(&self) -> Option<PathBuf> {
        let settings = self.settings();
        if let Some(python) = &settings.python {
            return Some(python.clone());
        }
        self.found_python()
            .get_or_init(|| interpreter::find(settings.search_path.as_deref()))
            .await
            .clone()
    }
}

/// Makes a folder of links to wheels, and to nothing else that lies beside them.
async fn link(folder: &Path, built: &[BuiltWheel<'_>]) -> io::Result<()> {
    tokio::fs::create_dir(folder).await?;
    for wheel in built {
        let name: Result<WheelFilename, _> = wheel.filename.parse();
        name.map_err(io::Error::other)?;
        let path = tokio::fs::canonicalize(wheel.path).await?;
        tokio::fs::symlink(path, folder.join(wheel.filename)).await?;
    }
    Ok(())
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

async fn read_bounded(path: &Path) -> io::Result<String> {
    let file = tokio::fs::File::open(path).await?;
    let mut text = String::new();
    file.take(LOCK_LIMIT).read_to_string(&mut text).await?;
    Ok(text)
}

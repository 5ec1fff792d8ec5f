//! Builds a wheel from a source distribution: its own code, run isolated, with the wheels it needs and no network.

use super::Interpreter;
use super::build_system::{BuildSystem, check_requirements};
use super::isolation::{Confined, Sandbox};
use super::run::{Ended, Ending, Limits};
use super::words;
use crate::model::{Digest, Hasher, UNZIPPED_LIMIT, libraries_of, normalize_package_name};
use pep440_rs::Version;
use serde::Deserialize;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

const DRIVER: &str = include_str!("source_build.py");
/// Where `uv` and the wheels for a build are inside.
const UV: &str = "/build/uv";
const WHEELS: &str = "/build/wheels";
/// What a build may take: the larger C extensions compile for some minutes on two processors.
const TIME_LIMIT: Duration = Duration::from_secs(900);
/// What unpacking and looking may take.
const LOOK_LIMIT: Duration = Duration::from_secs(60);
/// The longest line of an answer: a `pyproject.toml` of 1 MiB with everything escaped.
const LINE_LIMIT: u64 = 8 * 1024 * 1024;
/// Lines of a build's words shown.
const WORDS_LINES: usize = 20;
/// 1 January 1980, the earliest time a zip can hold: what tools that honour it write for every file
/// (reproducible-builds.org, `SOURCE_DATE_EPOCH`).
const SOURCE_DATE_EPOCH: &str = "315532800";

/// A source distribution, fetched and verified.
#[derive(Debug, Clone, Copy)]
pub struct SourceDistribution<'a> {
    /// Normalised name of the package.
    pub package: &'a str,
    /// Its version (PEP 440).
    pub version: &'a str,
    /// The file, `.tar.gz` or `.zip`.
    pub path: &'a Path,
}

/// A wheel that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltWheel {
    /// Its name, in the form of PEP 427 and of the package and version asked for; its tags are not judged.
    pub filename: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// Why there is no wheel.
#[derive(Debug, thiserror::Error)]
pub enum SourceBuildError {
    /// The build stopped by itself, or was stopped.
    #[error("{package} could not be built: {reason}")]
    Failed {
        /// The package.
        package: String,
        /// What happened, as a sentence without its subject.
        reason: String,
        /// The last lines of what the build printed; may be empty.
        words: String,
    },
    /// Building asks for packages that were not given; with them, the same build can go on.
    #[error("{package} needs more to be built: {}", requirements.join(", "))]
    Needs {
        /// The package.
        package: String,
        /// As PEP 508 writes them, without addresses.
        requirements: Vec<String>,
    },
    /// This machine could not do its part.
    #[error("building from source: {0}")]
    Io(#[from] io::Error),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    pyproject: Option<String>,
    wheel: Option<String>,
    size: u64,
    needs: Option<Vec<String>>,
    failed: Option<String>,
}

/// Reads what a source distribution needs to be built. It is unpacked inside; nothing of it is run.
///
/// # Errors
/// See [`SourceBuildError`].
pub async fn build_system(
    sandbox: &Sandbox,
    interpreter: &Interpreter,
    source: SourceDistribution<'_>,
) -> Result<BuildSystem, SourceBuildError> {
    let place = inside(source.path)?;
    let seen = sandbox.place(source.path, &place)?;
    let ended = sandbox
        .run(Confined {
            interpreter,
            driver: DRIVER,
            arguments: vec!["look".into(), seen.into(), "-".into(), "[]".into()],
            environment: environment(interpreter),
            readable: vec![(source.path.to_owned(), place)],
            folders: &[],
            working_folder: "/tmp",
            for_building: false,
            limits: Limits {
                file_size: UNZIPPED_LIMIT,
                temporary_files: 4 * UNZIPPED_LIMIT,
                ..limits(LOOK_LIMIT)
            },
        })
        .await?;
    let words = words::last_lines(&ended.words, &[&interpreter.prefix], WORDS_LINES);
    let (answer, _) = read_answer(source, ended, words)?;
    BuildSystem::read(answer.pyproject.as_deref())
        .map_err(|reason| failed(source, reason, String::new()))
}

/// Builds a wheel into the folder `output`, which must be there.
///
/// `system` is the answer of [`build_system`], with what [`SourceBuildError::Needs`] asked for added to its
/// `requires`; `wheels` is a folder with wheels for all of that and what it depends on; `uv` installs them.
///
/// # Errors
/// See [`SourceBuildError`].
pub async fn build_wheel(
    sandbox: &Sandbox,
    interpreter: &Interpreter,
    uv: &Path,
    source: SourceDistribution<'_>,
    system: &BuildSystem,
    wheels: &Path,
    output: &Path,
) -> Result<BuiltWheel, SourceBuildError> {
    build_wheel_within(
        sandbox,
        interpreter,
        uv,
        source,
        system,
        wheels,
        output,
        TIME_LIMIT,
    )
    .await
}

/// The same with another limit of time.
#[expect(
    clippy::too_many_arguments,
    reason = "each is another thing, and there is one caller besides the tests"
)]
pub(crate) async fn build_wheel_within(
    sandbox: &Sandbox,
    interpreter: &Interpreter,
    uv: &Path,
    source: SourceDistribution<'_>,
    system: &BuildSystem,
    wheels: &Path,
    output: &Path,
    time_limit: Duration,
) -> Result<BuiltWheel, SourceBuildError> {
    let place = inside(source.path)?;
    let backend_path = serde_json::to_string(&system.backend_path).map_err(io::Error::from)?;
    let mut arguments: Vec<OsString> = vec![
        "build".into(),
        sandbox.place(source.path, &place)?.into(),
        system.backend.clone().into(),
        backend_path.into(),
        sandbox.place(uv, Path::new(UV))?.into(),
        sandbox.place(wheels, Path::new(WHEELS))?.into(),
    ];
    arguments.extend(system.requires.iter().map(Into::into));
    let ended = sandbox
        .run(Confined {
            interpreter,
            driver: DRIVER,
            arguments,
            environment: environment(interpreter),
            readable: vec![
                (uv.canonicalize()?, UV.into()),
                (wheels.to_owned(), WHEELS.into()),
                (source.path.to_owned(), place),
            ],
            folders: &[],
            working_folder: "/tmp",
            for_building: true,
            limits: limits(time_limit),
        })
        .await?;
    let words = words::last_lines(&ended.words, &[&interpreter.prefix], WORDS_LINES);
    let (answer, mut rest) = read_answer(source, ended, words)?;
    if let Some(requirements) = answer.needs {
        check_requirements(&requirements)
            .map_err(|reason| failed(source, reason, String::new()))?;
        return Err(SourceBuildError::Needs {
            package: source.package.to_owned(),
            requirements,
        });
    }
    let filename = answer.wheel.unwrap_or_default();
    check_filename(source, &filename).map_err(|reason| failed(source, reason, String::new()))?;
    store(source, filename, answer.size, &mut rest, output)
}

fn limits(time: Duration) -> Limits {
    const MIB: u64 = 1024 * 1024;
    Limits {
        time,
        processor_seconds: time.as_secs().max(1),
        memory: 4096 * MIB,
        address_space: 16_384 * MIB,
        threads: 512,
        open_files: 4096,
        file_size: 1024 * MIB,
        temporary_files: 2048 * MIB,
        answer: UNZIPPED_LIMIT + LINE_LIMIT,
    }
}

/// Nothing of time, place or chance, so that a build gives the same bytes again if the package lets it.
fn environment(interpreter: &Interpreter) -> Vec<(&'static str, String)> {
    [
        ("HOME", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("NO_COLOR", "1"),
        ("PATH", "/tmp/environment/bin:/usr/local/bin:/usr/bin:/bin"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONNOUSERSITE", "1"),
        ("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH),
        ("TMPDIR", "/tmp"),
        ("TZ", "UTC"),
        ("UV_CACHE_DIR", "/tmp/uv-cache"),
        ("UV_LINK_MODE", "copy"),
        ("UV_NO_CONFIG", "1"),
        ("UV_NO_PROGRESS", "1"),
        ("UV_OFFLINE", "1"),
        ("UV_PYTHON_DOWNLOADS", "never"),
    ]
    .into_iter()
    .chain(libraries_of(&interpreter.path).map(|path| ("LD_LIBRARY_PATH", path)))
    .map(|(name, value)| (name, value.to_owned()))
    .collect()
}

/// Where the archive is inside: under its own name, by whose end tools tell its kind.
fn inside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(Path::new("/build/sdist").join(name))
}

fn failed(
    source: SourceDistribution<'_>,
    reason: impl Into<String>,
    words: String,
) -> SourceBuildError {
    SourceBuildError::Failed {
        package: source.package.to_owned(),
        reason: reason.into(),
        words,
    }
}

/// The line at the start of the answer, and what follows it.
fn read_answer(
    source: SourceDistribution<'_>,
    ended: Ended,
    words: String,
) -> Result<(Answer, BufReader<File>), SourceBuildError> {
    let mut reader = BufReader::new(ended.answer);
    let mut line = Vec::new();
    reader
        .by_ref()
        .take(LINE_LIMIT)
        .read_until(b'\n', &mut line)?;
    let answer: Option<Answer> = serde_json::from_slice(&line).ok();
    match (answer, ended.ending) {
        (Some(answer), Ending::Exited(0)) => match answer.failed {
            Some(reason) => {
                let reason = words::last_lines(&reason, &[], 3);
                Err(failed(source, reason, words))
            }
            None => Ok((answer, reader)),
        },
        (_, ending) => Err(failed(source, ending.to_string(), words)),
    }
}

/// Five or six parts between dashes (PEP 427), the first two of which are the package and the version asked for.
fn check_filename(source: SourceDistribution<'_>, filename: &str) -> Result<(), String> {
    let shown: String = filename.chars().take(200).collect();
    let wrong = |what: &str| Err(format!("its build gave `{}`, {what}", shown.escape_debug()));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '!');
    let Some(stem) = filename
        .strip_suffix(".whl")
        .filter(|_| filename.len() <= 255 && filename.chars().all(is_plain))
    else {
        return wrong("which is not the file name of a wheel");
    };
    let parts: Vec<&str> = stem.split('-').collect();
    if !matches!(parts.len(), 5 | 6) || parts.iter().any(|part| part.is_empty()) {
        return wrong("which is not the file name of a wheel");
    }
    let version =
        Version::from_str(&parts[1].replace('_', "-")).or_else(|_| Version::from_str(parts[1]));
    let is_asked_for = normalize_package_name(parts[0]) == source.package
        && version
            .ok()
            .is_some_and(|version| Version::from_str(source.version) == Ok(version));
    if is_asked_for {
        Ok(())
    } else {
        wrong("which is another package or version")
    }
}

fn store(
    source: SourceDistribution<'_>,
    filename: String,
    size: u64,
    rest: &mut impl io::Read,
    output: &Path,
) -> Result<BuiltWheel, SourceBuildError> {
    let mut file = tempfile::NamedTempFile::new_in(output)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut copied: u64 = 0;
    loop {
        let read = rest.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        copied += read as u64;
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read])?;
    }
    if copied != size || size > UNZIPPED_LIMIT {
        return Err(failed(
            source,
            format!("its build announced {size} bytes of `{filename}` and gave {copied}"),
            String::new(),
        ));
    }
    let path = output.join(&filename);
    file.persist(&path).map_err(|error| error.error)?;
    Ok(BuiltWheel {
        filename,
        path,
        size,
        sha256: hasher.finish(),
    })
}

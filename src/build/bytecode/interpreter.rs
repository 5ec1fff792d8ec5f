//! The CPython that compiles for a Python version: one of the same minor version, found on this machine.

use crate::build::derived::DerivedCache;
use crate::model::{Digest, PythonVersion, libraries_of};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// The longest that one candidate may take to say what it is.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// The longest that a search may take.
const SEARCH_TIME: Duration = Duration::from_secs(40);
/// The most of an answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 16 * 1024;
/// For how long it is taken for granted that there is none: somebody may be installing one.
const ABSENT_FOR: Duration = Duration::from_secs(10 * 60);
/// Where interpreters are besides the search path; the last is that of AWS Lambda's runtimes.
const FOLDERS: [&str; 4] = [
    "/usr/bin",
    "/usr/local/bin",
    "/opt/python/bin",
    "/var/lang/bin",
];
/// What a candidate is asked. It must have all that the compiler needs, and be a release: bytecode of others may be of
/// another format.
const QUESTION: &str = "import sys, os, marshal, resource, importlib.util
i, v = sys.implementation, sys.version_info
print(i.name, i.cache_tag, v.releaselevel, '%d.%d.%d' % v[:3], sys.abiflags or '-', sep='\\n')
print(os.path.realpath(sys.executable), sys.base_prefix, sep='\\n', end='')";

/// An interpreter that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The executable, links resolved.
    pub path: PathBuf,
    /// The folder that its standard library is installed below.
    pub prefix: PathBuf,
    /// Such as `3.13.0`.
    pub version: String,
    /// Its minor version.
    pub python: PythonVersion,
}

impl Interpreter {
    /// What the names of its compiled modules carry (PEP 3147): `cpython-313`.
    pub(crate) fn cache_tag(&self) -> String {
        cache_tag(self.python)
    }
}

fn cache_tag(python: PythonVersion) -> String {
    format!("cpython-3{}", python.minor())
}

/// Where interpreters are looked for.
#[derive(Debug, Clone, Default)]
pub struct InterpreterSettings {
    /// Interpreters to try before all others, of any minor version.
    pub named: Vec<PathBuf>,
    /// Folders, as in the variable `PATH`.
    pub search_path: Option<OsString>,
    /// The home folder, for the interpreters that pyenv and uv manage.
    pub home: Option<PathBuf>,
    /// The only folders to look in, as in the variable `PATH`; absent, all of the above and the usual ones.
    pub only: Option<OsString>,
}

/// Finds interpreters. What was found is kept as long as its file is there, and for some minutes that there is none. What
/// one answered is kept longer than this lives, as long as its file stays as it is: asking takes more time than a small
/// layer.
#[derive(Debug)]
pub(crate) struct Interpreters {
    settings: InterpreterSettings,
    cache: DerivedCache,
    /// Locked while a search goes on: one at a time.
    found: tokio::sync::Mutex<BTreeMap<PythonVersion, Searched>>,
}

/// What a search came to.
#[derive(Debug)]
struct Searched {
    found: Option<Interpreter>,
    at: Instant,
}

impl Searched {
    /// Whether it need not be searched again.
    fn holds(&self, now: Instant) -> bool {
        match &self.found {
            Some(interpreter) => interpreter.path.is_file(),
            None => now.duration_since(self.at) < ABSENT_FOR,
        }
    }
}

impl Interpreters {
    /// Looks where the settings say; answers are kept in `cache`.
    pub(crate) fn new(settings: InterpreterSettings, cache: DerivedCache) -> Self {
        Self {
            settings,
            cache,
            found: tokio::sync::Mutex::default(),
        }
    }

    /// A CPython of the minor version that works, with the global interpreter lock and without debugging; `None` when
    /// there is none.
    pub(crate) async fn find(&self, python: PythonVersion) -> Option<Interpreter> {
        self.find_at(python, Instant::now()).await
    }

    /// As [`Self::find`], at a moment.
    pub(super) async fn find_at(&self, python: PythonVersion, now: Instant) -> Option<Interpreter> {
        let mut found = self.found.lock().await;
        if let Some(known) = found.get(&python).filter(|known| known.holds(now)) {
            return known.found.clone();
        }
        let search = async {
            for candidate in candidates(&self.settings, python) {
                if let Some(interpreter) = self.known_or_asked(&candidate, python).await {
                    return Some(interpreter);
                }
            }
            None
        };
        let interpreter = tokio::time::timeout(SEARCH_TIME, search)
            .await
            .unwrap_or_default();
        match &interpreter {
            Some(found) => tracing::debug!(
                "Python {python} is compiled by {} ({})",
                found.path.display(),
                found.version
            ),
            None => tracing::info!("there is no CPython {python} here to compile with"),
        }
        let searched = Searched {
            found: interpreter.clone(),
            at: now,
        };
        found.insert(python, searched);
        interpreter
    }

    /// What a candidate is; `None` when it is not what is looked for. A cache that cannot be read or written costs time only.
    async fn known_or_asked(&self, candidate: &Path, python: PythonVersion) -> Option<Interpreter> {
        let key = key(candidate);
        let known = key.and_then(|key| self.cache.get(&key).ok().flatten());
        if let Some(known) = known {
            return understood(&known.note, python);
        }
        let answer = ask(candidate).await?;
        let interpreter = understood(&answer, python)?;
        if let Some(key) = key {
            self.cache.put(&key, &answer, None).ok();
        }
        Some(interpreter)
    }
}

/// Under which key the answer of an executable is kept: its file, as the system tells it apart from any other and from
/// itself before a change. `None` for a script, such as pyenv's: what it runs is decided elsewhere.
fn key(candidate: &Path) -> Option<Digest> {
    let mut file = std::fs::File::open(candidate).ok()?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic).ok()?;
    if magic != object::elf::ELFMAG {
        return None;
    }
    let about = file.metadata().ok()?;
    let numbers = [
        i64::try_from(about.dev()).ok()?,
        i64::try_from(about.ino()).ok()?,
        i64::try_from(about.size()).ok()?,
        about.mtime(),
        about.mtime_nsec(),
        about.ctime(),
        about.ctime_nsec(),
    ];
    let numbers = numbers.map(|number| number.to_string()).join(" ");
    let path = candidate.to_str()?;
    Some(DerivedCache::key(&[
        "interpreter",
        QUESTION,
        path,
        &numbers,
    ]))
}

/// Existing files that may be the interpreter, the most likely first, each once.
fn candidates(settings: &InterpreterSettings, python: PythonVersion) -> Vec<PathBuf> {
    let name = python.runtime();
    if let Some(only) = &settings.only {
        let paths = std::env::split_paths(only).map(|folder| folder.join(&name));
        return paths
            .filter(|path| path.is_absolute() && path.is_file())
            .collect();
    }
    // An empty or relative entry would mean the folder the bot happens to run in.
    let folders: Vec<PathBuf> = settings
        .search_path
        .iter()
        .flat_map(std::env::split_paths)
        .filter(|folder| folder.is_absolute())
        .collect();
    // pyenv's shims are scripts that choose an interpreter, or say that none is chosen: they come last.
    let (shims, folders): (Vec<_>, Vec<_>) = folders
        .into_iter()
        .partition(|folder| folder.file_name().is_some_and(|name| name == "shims"));
    let mut managed: Vec<PathBuf> = shims
        .iter()
        .filter_map(|shims| shims.parent())
        .map(|pyenv| pyenv.join("versions"))
        .collect();
    if let Some(home) = settings.home.as_ref().filter(|home| home.is_absolute()) {
        managed.push(home.join(".pyenv/versions"));
        managed.push(home.join(".local/share/uv/python"));
    }
    let managed = managed.iter().flat_map(|folder| installed(folder, python));
    let mut all: Vec<PathBuf> = settings.named.clone();
    let below = folders
        .into_iter()
        .chain(managed)
        .chain(FOLDERS.map(PathBuf::from))
        .chain(shims);
    for path in below.map(|folder| folder.join(&name)) {
        if path.is_file() && !all.contains(&path) {
            all.push(path);
        }
    }
    all
}

/// The `bin` folders of the installed versions of a minor version, the latest first: `3.13.2` as pyenv names them,
/// `cpython-3.13.2-linux-…` as uv does.
fn installed(folder: &Path, python: PythonVersion) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let prefix = format!("{python}.");
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix("cpython-").unwrap_or(&name);
            let version = version.split('-').next()?;
            let micro = version.strip_prefix(&prefix)?.parse().ok()?;
            Some((micro, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|one, other| other.cmp(one));
    versions.into_iter().map(|(_, path)| path).collect()
}

/// Asks a candidate what it is; `None` when it does not answer.
async fn ask(candidate: &Path) -> Option<String> {
    let mut child = Command::new(candidate)
        .args(["-I", "-S", "-B", "-c", QUESTION])
        .env_clear()
        .envs(libraries_of(candidate).map(|path| ("LD_LIBRARY_PATH", path)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let stdout = child.stdout.take()?;
    let mut answer = String::new();
    let answered = async {
        stdout
            .take(ANSWER_LIMIT)
            .read_to_string(&mut answer)
            .await
            .ok()?;
        child.wait().await.ok()
    };
    let status = tokio::time::timeout(ANSWER_TIME, answered).await.ok()??;
    status.success().then_some(answer)
}

/// The interpreter that answered so; `None` when it is not what is looked for.
fn understood(answer: &str, python: PythonVersion) -> Option<Interpreter> {
    let lines: Vec<&str> = answer.split('\n').collect();
    let [name, tag, level, version, flags, path, prefix] = lines[..] else {
        return None;
    };
    let is_wanted = name == "cpython"
        && tag == cache_tag(python)
        && level == "final"
        // `t` is for free-threaded and `d` for debugging (PEP 703, PEP 3149).
        && flags == "-"
        && version.starts_with(&format!("{python}."));
    let path = PathBuf::from(path);
    (is_wanted && path.is_absolute()).then(|| Interpreter {
        path,
        prefix: prefix.into(),
        version: version.to_owned(),
        python,
    })
}

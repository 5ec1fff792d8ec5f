//! What is there inside, and what is not: the arguments for bubblewrap.

use super::Interpreter;
use super::function::{Launcher, ReadOnly, WORD};
use super::run::{self, Ended, Extent, Limits};
use super::words;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// The longest the probe may take; it starts one small program.
pub(super) const PROBE_LIMIT: Duration = Duration::from_secs(20);
/// Where our own files are inside.
pub(super) const OWN: &str = "/layersmith";
/// Whoever runs inside. The number means nothing outside: it is an alias of the bot's own user in a new namespace.
const PASSWD: &str = "layersmith:x:1000:1000::/tmp:/bin/sh\n";
const GROUP: &str = "layersmith:x:1000:\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";
const CONFINE: &str = include_str!("confine.py");

/// Why there is no isolation here.
#[derive(Debug, thiserror::Error)]
pub enum NoSandbox {
    /// The settings say so.
    #[error("isolation is turned off where Layersmith runs: LAYERSMITH_BWRAP is `off`")]
    Off,
    /// There is no `bwrap`.
    #[error(
        "bubblewrap is not installed where Layersmith runs: `apt-get install bubblewrap`, or set LAYERSMITH_BWRAP to its path"
    )]
    Missing,
    /// It is there and cannot do its work.
    #[error("bubblewrap cannot isolate programs where Layersmith runs: {0}")]
    Refused(String),
    /// The function cannot confine what runs in it.
    #[error("programs cannot be confined within the function that Layersmith runs as: {0}")]
    NotWithinFunction(String),
}

/// A way to run programs isolated, tried once and found to work. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    /// By the program of that name.
    Bubblewrap(PathBuf),
    /// Within the function that this is.
    Function(Launcher),
}

/// One program to run inside: a driver of ours in Python.
#[derive(Debug)]
pub(crate) struct Confined<'a> {
    pub(crate) interpreter: &'a Interpreter,
    /// The driver's source.
    pub(crate) driver: &'a str,
    pub(crate) arguments: Vec<OsString>,
    /// All that its environment holds.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Files and folders of this machine, each with its place inside; read-only there.
    pub(crate) readable: Vec<(PathBuf, PathBuf)>,
    /// Empty folders inside.
    pub(crate) folders: &'a [&'static str],
    /// The working folder inside.
    pub(crate) working_folder: &'static str,
    /// Whether a C compiler and `/dev/shm` are of use.
    pub(crate) for_building: bool,
    pub(crate) limits: Limits,
}

impl Sandbox {
    /// Finds `bwrap` and tries it. `set` is the setting `LAYERSMITH_BWRAP`, a path, `function` or `off`; without it, `bwrap`
    /// is looked for in the folders of `search_path`, the `PATH` of the bot.
    ///
    /// # Errors
    /// Why nothing can be isolated, fit to be shown to people.
    pub async fn find(set: Option<&Path>, search_path: Option<&OsStr>) -> Result<Self, NoSandbox> {
        let bwrap = locate(set, search_path)?;
        if bwrap == Path::new(WORD) {
            let own = std::env::current_exe();
            let own = own.map_err(|error| NoSandbox::NotWithinFunction(error.to_string()))?;
            return Self::within_function(own).await;
        }
        let mut command = Command::new(&bwrap);
        command
            .args(system_arguments(false, 1024 * 1024))
            .args(["--remount-ro", "/", "--", "/usr/bin/true"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PROBE_LIMIT, command.output())
            .await
            .map_err(|_| NoSandbox::Refused("it did not answer".to_owned()))?
            .map_err(|error| NoSandbox::Refused(error.to_string()))?;
        if output.status.success() {
            let way = Way::Bubblewrap(bwrap);
            return Ok(Self { way });
        }
        let said = words::last_lines(&String::from_utf8_lossy(&output.stderr), &[], 3);
        if said.contains("nknown option") {
            return Err(NoSandbox::Refused(
                "it is older than version 0.8".to_owned(),
            ));
        }
        Err(NoSandbox::Refused(said))
    }

    /// Confines within this process's own surroundings, by way of `launcher`, which is Layersmith's executable.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) async fn within_function(launcher: PathBuf) -> Result<Self, NoSandbox> {
        let launcher = Launcher::find(launcher).await?;
        Ok(Self {
            way: Way::Function(launcher),
        })
    }

    /// Whether what runs inside gets at no files but those it is given.
    pub(crate) fn keeps_to_files(&self) -> bool {
        match &self.way {
            Way::Bubblewrap(_) => true,
            Way::Function(launcher) => launcher.keeps_to_files(),
        }
    }

    /// The program that [`Self::find`] would try, or what else it would do; `None` when there is nothing.
    pub(crate) fn program(set: Option<&Path>, search_path: Option<&OsStr>) -> Option<PathBuf> {
        locate(set, search_path).ok()
    }

    /// Where something of this machine that is [readable](Confined::readable) is found by what runs inside: at the place
    /// given for it, or where it is.
    pub(crate) fn place(&self, outside: &Path, inside: &Path) -> io::Result<PathBuf> {
        match &self.way {
            Way::Bubblewrap(_) => Ok(inside.to_owned()),
            Way::Function(_) => outside.canonicalize(),
        }
    }

    /// Keeps what runs inside from writing to a folder that it may read.
    pub(crate) fn read_only(&self, folder: &Path) -> io::Result<Option<ReadOnly>> {
        match &self.way {
            Way::Bubblewrap(_) => Ok(None),
            Way::Function(_) => ReadOnly::new(folder).map(Some),
        }
    }

    /// Runs a driver to its end, or to the end of a limit. Dropping the future kills all that runs inside.
    ///
    /// # Errors
    /// When nothing could be started, or this machine's own files could not be read or written.
    pub(crate) async fn run(&self, confined: Confined<'_>) -> io::Result<Ended> {
        let bwrap = match &self.way {
            Way::Bubblewrap(bwrap) => bwrap,
            Way::Function(launcher) => return launcher.run(&confined).await,
        };
        let own = own_files(confined.driver)?;
        let mut command = Command::new(bwrap);
        command.args(system_arguments(
            confined.for_building,
            confined.limits.temporary_files,
        ));
        for path in interpreter_places(confined.interpreter)? {
            command.arg("--ro-bind").arg(&path).arg(&path);
        }
        for folder in confined.folders {
            command.args(["--dir", folder]);
        }
        for (outside, inside) in &confined.readable {
            command.arg("--ro-bind").arg(outside).arg(inside);
        }
        command.arg("--ro-bind").arg(own.path()).arg(OWN);
        for name in ["passwd", "group", "hosts"] {
            command
                .arg("--ro-bind")
                .arg(own.path().join(name))
                .arg(format!("/etc/{name}"));
        }
        for (name, value) in &confined.environment {
            command.args(["--setenv", name, value]);
        }
        // The root folder last: until then, bubblewrap makes the folders for what is mounted in it.
        command
            .args(["--chdir", confined.working_folder, "--remount-ro", "/"])
            .arg("--")
            .arg(confined.interpreter.path.canonicalize()?)
            .args(python_words(Path::new(OWN), &confined))
            // Of bubblewrap itself, whose environment can be read inside.
            .env_clear();
        run::supervise(command, &confined.limits, Extent::Namespace).await
    }
}

/// The interpreter's arguments: our own files in the folder `own`, the limits, and what the driver is given.
///
/// As `-I`, but for the hash seed, which `-I` would leave to chance: the environment is ours altogether, and
/// `confine.py` takes its own folder off the path. No site-packages of this machine, no bytecode written.
pub(super) fn python_words(own: &Path, confined: &Confined<'_>) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["-s", "-S", "-B"].map(OsString::from).to_vec();
    words.push(own.join("confine.py").into());
    words.extend(confined.limits.as_words().into_iter().map(OsString::from));
    words.push("--".into());
    words.push(own.join("driver.py").into());
    words.extend(confined.arguments.iter().cloned());
    words
}

fn locate(set: Option<&Path>, search_path: Option<&OsStr>) -> Result<PathBuf, NoSandbox> {
    match set {
        Some(path) if path == Path::new("off") => Err(NoSandbox::Off),
        Some(path) if path == Path::new(WORD) => Ok(path.to_owned()),
        Some(path) if path.is_file() => Ok(path.to_owned()),
        Some(_) => Err(NoSandbox::Missing),
        None => search_path
            .into_iter()
            .flat_map(std::env::split_paths)
            // An empty or relative entry would mean the folder the bot happens to run in.
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join("bwrap"))
            .find(|path| path.is_file())
            .ok_or(NoSandbox::Missing),
    }
}

/// The namespaces and the part of the file tree that every run has.
fn system_arguments(for_building: bool, temporary_files: u64) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [
        "--unshare-user",
        "--unshare-all",
        // No namespace can be made inside, with which more of the kernel could be reached.
        "--disable-userns",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--hostname",
        "layersmith",
        // No access to the terminal the bot may have been started from.
        "--new-session",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
        "--clearenv",
        "--ro-bind",
        "/usr",
        "/usr",
    ]
    .map(OsString::from)
    .to_vec();
    let mut add = |words: &[&OsStr]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    for name in ["/bin", "/sbin", "/lib", "/lib32", "/lib64"] {
        let path = Path::new(name);
        if let Ok(target) = std::fs::read_link(path) {
            add(&["--symlink".as_ref(), target.as_ref(), name.as_ref()]);
        } else if path.is_dir() {
            add(&["--ro-bind".as_ref(), name.as_ref(), name.as_ref()]);
        }
    }
    let words = |text: &'static str| text.split(' ').map(OsStr::new).collect::<Vec<_>>();
    add(&words("--ro-bind-try /etc/ld.so.cache /etc/ld.so.cache"));
    // Read-only as a whole: run by root, the files that change the kernel's settings ask for root's number, not for
    // a capability.
    add(&words("--proc /proc --remount-ro /proc --dev /dev"));
    if for_building {
        // `cc` is a link by way of this folder on Debian; it holds nothing but links.
        add(&words(
            "--ro-bind-try /etc/alternatives /etc/alternatives --size 67108864 --tmpfs /dev/shm",
        ));
    }
    // AWS Lambda has no `/dev/shm` to write to either. Unbounded, it would be memory without a limit.
    add(&words("--remount-ro /dev --perms 1777 --size"));
    add(&[temporary_files.to_string().as_ref()]);
    add(&words("--tmpfs /tmp"));
    arguments
}

/// The interpreter's own files, where they are not below `/usr`: of the folder it is installed in (which may be a home
/// folder) the executable, its libraries and its headers, and nothing else.
pub(super) fn interpreter_places(interpreter: &Interpreter) -> io::Result<Vec<PathBuf>> {
    let executable = interpreter.path.canonicalize()?;
    let prefix = interpreter.prefix.canonicalize()?;
    let mut places = Vec::new();
    let mut bind = |path: &Path| {
        if !path.starts_with("/usr") {
            places.push(path.to_owned());
        }
    };
    bind(&executable);
    if prefix.parent().is_some() {
        for name in ["lib", "lib64", "include"] {
            let path = prefix.join(name);
            if path.is_dir() {
                bind(&path);
            }
        }
    }
    Ok(places)
}

pub(super) fn own_files(driver: &str) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("layersmith-sandbox-")
        .tempdir()?;
    for (name, text) in [
        ("confine.py", CONFINE),
        ("driver.py", driver),
        ("passwd", PASSWD),
        ("group", GROUP),
        ("hosts", HOSTS),
    ] {
        std::fs::write(folder.path().join(name), text)?;
    }
    Ok(folder)
}

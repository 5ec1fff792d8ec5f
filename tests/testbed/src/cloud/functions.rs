//! The functions: a crate with a program for each, which `cargo lambda watch` runs, and which start the real executable.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Server, cache_directory, free_port, run, write_whole};
use crate::tools;

/// How long `cargo lambda watch` may take until it listens.
const STARTUP: Duration = Duration::from_secs(60);
/// How long it may take to end, its children with it.
const GOODBYE: Duration = Duration::from_secs(5);
/// Environments of one function at a time; the machine has few cores.
const CONCURRENCY: &str = "4";
const LAUNCHER: &str = include_str!("launcher/main.rs");

/// What a function is started with.
#[derive(Clone, Debug)]
pub struct Function {
    pub executable: PathBuf,
    pub variables: Vec<(String, OsString)>,
}

/// `cargo lambda watch` with all functions. It is ended, with all processes it started, on drop.
pub(super) struct Functions {
    folder: PathBuf,
    port: u16,
    server: Server,
}

impl Functions {
    /// Starts it; every function gets the variables given for it and no others.
    ///
    /// # Panics
    /// When `cargo-lambda` is missing (the text says how to get it) or does not listen.
    pub(super) fn start(folder: &Path, functions: &BTreeMap<String, Function>, door: &str) -> Self {
        let names: BTreeSet<&str> = functions.keys().map(String::as_str).collect();
        let project = project(&names);
        for name in ["functions", "processes", "rooms", "logs"] {
            fs::create_dir_all(folder.join(name)).expect("the temporary folder is writable");
        }
        for (name, function) in functions {
            write_variables(&folder.join("functions").join(name), function);
        }
        let program = tools::cargo_lambda().unwrap_or_else(|missing| panic!("{missing}"));
        let port = free_port();
        let log = fs::File::create(folder.join("cargo-lambda.log"))
            .expect("the temporary folder is writable");
        let mut command = Command::new(program);
        // Never with a time limit: it would end the wait for the next invocation, too.
        command
            .args(["lambda", "watch", "--ignore-changes", "-A", "127.0.0.1"])
            .args(["-P", &port.to_string(), "--concurrency", CONCURRENCY])
            .current_dir(&project)
            .env("CARGO_TARGET_DIR", project.join("target"))
            .env("CARGO_NET_OFFLINE", "true")
            .env("TESTBED_FUNCTIONS", folder)
            .env("TESTBED_DOOR", door)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be had twice"))
            .stderr(log);
        let server = Server::spawn(&mut command);
        let mut started = Self {
            folder: folder.to_owned(),
            port,
            server,
        };
        started.wait_until_it_listens();
        started
    }

    /// Where it is asked for functions: `http://127.0.0.1:PORT`.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn wait_until_it_listens(&mut self) {
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let log = fs::read_to_string(self.folder.join("cargo-lambda.log")).unwrap_or_default();
            assert!(
                !self.server.ended() && started.elapsed() < STARTUP,
                "cargo lambda watch does not listen:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        self.server.terminate(GOODBYE);
        // The launchers end their processes when nobody is above them; what is left is ended here.
        let processes = fs::read_dir(self.folder.join("processes"));
        for file in processes.into_iter().flatten().flatten() {
            kill(&file.path());
        }
    }
}

/// Ends the process of an environment, by the id in this file; whether there was one.
pub(super) fn kill(file: &Path) -> bool {
    let id = fs::read_to_string(file).ok();
    let id = id.and_then(|id| Pid::from_raw(id.trim().parse().ok()?));
    id.is_some_and(|id| kill_process(id, Signal::KILL).is_ok())
}

/// The file begins with the executable; every entry ends with a zero byte.
fn write_variables(path: &Path, function: &Function) {
    let mut bytes = function.executable.as_os_str().as_bytes().to_vec();
    for (name, value) in &function.variables {
        bytes.push(0);
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'=');
        bytes.extend_from_slice(value.as_bytes());
    }
    fs::write(path, bytes).expect("the temporary folder is writable");
}

/// The crate with a program for each function, compiled; made anew when other functions are asked for.
fn project(names: &BTreeSet<&str>) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let making = MAKING.lock();
    let list: Vec<&str> = names.iter().copied().collect();
    let project = cache_directory().join("functions").join(list.join("+"));
    fs::create_dir_all(project.join("src")).expect("target/testbed is writable");
    let mut manifest = String::from(
        "[package]\nname = \"functions\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\nautobins = false\n\n[workspace]\n",
    );
    for name in names {
        manifest.push_str(&format!(
            "\n[[bin]]\nname = \"{name}\"\npath = \"src/main.rs\"\n"
        ));
    }
    for (file, text) in [("Cargo.toml", manifest.as_str()), ("src/main.rs", LAUNCHER)] {
        let path = project.join(file);
        if fs::read_to_string(&path).is_ok_and(|known| known == text) {
            continue;
        }
        write_whole(&path, text.as_bytes());
    }
    run(Command::new("cargo")
        .args(["build", "--quiet", "--offline", "--bins"])
        .current_dir(&project)
        .env("CARGO_TARGET_DIR", project.join("target")));
    drop(making);
    project
}

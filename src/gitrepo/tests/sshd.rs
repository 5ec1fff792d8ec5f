//! A real OpenSSH server on a free port, run as the current user, that serves bare repositories from a folder.
//!
//! The keys it accepts are bound to a script that maps `/owner/name.git` to the folder and lets one key write and the
//! other only read, in the way GitHub's deploy keys do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const FORCED_COMMAND: &str = r#"#!/bin/sh
# $1: rw or ro; $2: the folder of the repositories.
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
export GIT_CONFIG_KEY_1=uploadpack.allowReachableSHA1InWant GIT_CONFIG_VALUE_1=true
mode=$1 root=$2
eval "set -- $SSH_ORIGINAL_COMMAND"
repository="$root/${2#/}"
case "$2" in *..*) exit 1 ;; esac
[ -d "$repository" ] || { echo "ERROR: Repository not found." >&2; exit 1; }
case "$1-$mode" in
  git-upload-pack-*) exec git upload-pack "$repository" ;;
  git-receive-pack-rw) exec git receive-pack "$repository" ;;
  *) echo "ERROR: The key you are authenticating with has been marked as read only." >&2; exit 1 ;;
esac
"#;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    /// The server does not know the key.
    None,
    /// As `Write`, with the passphrase `open sesame`.
    WriteWithPassphrase,
}

impl Access {
    const ALL: [Self; 4] = [
        Self::Read,
        Self::Write,
        Self::None,
        Self::WriteWithPassphrase,
    ];
}

/// A running server; ends, and is deleted with everything in its folder, when dropped.
pub(super) struct Sshd {
    folder: TempDir,
    process: Child,
    port: u16,
}

impl Sshd {
    /// Starts a server with one repository `o/r.git` that has a commit with a README and a layer request.
    pub(super) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path();
        keygen(&root.join("host"), "ed25519", "");
        let script = root.join("forced-command");
        fs::write(&script, FORCED_COMMAND).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let mut authorized = String::new();
        for access in Access::ALL {
            let path = root.join(format!("{access:?}"));
            let (kind, passphrase, mode) = match access {
                Access::Read => ("ecdsa", "", "ro"),
                Access::Write => ("ed25519", "", "rw"),
                Access::WriteWithPassphrase => ("ed25519", "open sesame", "rw"),
                Access::None => ("ed25519", "", ""),
            };
            keygen(&path, kind, passphrase);
            if access != Access::None {
                let public = fs::read_to_string(path.with_extension("pub")).unwrap();
                let command = format!(
                    "{} {mode} {}",
                    script.display(),
                    root.join("repos").display()
                );
                authorized.push_str(&format!("restrict,command=\"{command}\" {public}"));
            }
        }
        fs::write(root.join("authorized_keys"), authorized).unwrap();
        let (process, port) = start_process(root);
        let server = Self {
            folder,
            process,
            port,
        };
        server.create("o/r.git");
        server.push_as_somebody(
            "o/r.git",
            &[
                ("README.md", "# Layers\n"),
                ("layers/pandas.yaml", "packages: [pandas]\n"),
            ],
        );
        server
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn url(&self, repository: &str) -> String {
        format!("ssh://{}@127.0.0.1:{}/{repository}", user(), self.port)
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn repository(&self, name: &str) -> PathBuf {
        self.folder("repos").join(name)
    }

    /// A private key with some access, as text.
    pub(super) fn key(&self, access: Access) -> String {
        fs::read_to_string(self.folder(&format!("{access:?}"))).unwrap()
    }

    /// The host's public key: type and base64.
    pub(super) fn host_key(&self) -> String {
        let public = fs::read_to_string(self.folder("host.pub")).unwrap();
        let words: Vec<&str> = public.split_whitespace().take(2).collect();
        words.join(" ")
    }

    pub(super) fn known_hosts(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port, self.host_key())
    }

    /// Makes an empty bare repository.
    pub(super) fn create(&self, name: &str) {
        let path = self.repository(name);
        fs::create_dir_all(&path).unwrap();
        git(
            &path,
            &["init", "--quiet", "--bare", "--initial-branch=main", "."],
        );
    }

    /// Commits files from another clone, as a person would, and pushes them.
    pub(super) fn push_as_somebody(&self, name: &str, files: &[(&str, &str)]) {
        somebody_pushes(&self.repository(name), files);
    }

    /// Runs `git` in a repository of the server.
    pub(super) fn git(&self, name: &str, arguments: &[&str]) -> String {
        git(&self.repository(name), arguments)
    }

    /// Puts a hook into a repository.
    pub(super) fn hook(&self, name: &str, hook: &str, script: &str) {
        let path = self.repository(name).join("hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Commits files on `main` of a bare repository from a clone of its own.
pub(super) fn somebody_pushes(repository: &Path, files: &[(&str, &str)]) {
    let folder = TempDir::new().unwrap();
    let path = repository.display().to_string();
    git(folder.path(), &["clone", "--quiet", &path, "."]);
    git(folder.path(), &["symbolic-ref", "HEAD", "refs/heads/main"]);
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    git(folder.path(), &["add", "--all"]);
    git(
        folder.path(),
        &["commit", "--quiet", "--allow-empty", "--message", "by hand"],
    );
    git(
        folder.path(),
        &["push", "--quiet", "origin", "HEAD:refs/heads/main"],
    );
}

/// Runs `git`, untouched by anybody's configuration, and returns what it prints.
pub(super) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "-c",
            "user.name=Somebody",
            "-c",
            "user.email=s@example.com",
        ])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

pub(super) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Tries free ports until a server listens on one: another process may take a port that was just free.
fn start_process(root: &Path) -> (Child, u16) {
    if user() == "root" {
        // Only a server of root insists on this folder, for its unprivileged half.
        fs::create_dir_all("/run/sshd").unwrap();
    }
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let path = |name: &str| root.join(name).display().to_string();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel ERROR\n",
            path("host"),
            path("authorized_keys")
        );
        fs::write(root.join("sshd_config"), config).unwrap();
        let mut process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-E", &path("sshd.log"), "-f", &path("sshd_config")])
            .stdin(Stdio::null())
            .spawn()
            .expect("/usr/sbin/sshd is needed: install openssh-server");
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if let Some(status) = process.try_wait().unwrap() {
                let log = fs::read_to_string(root.join("sshd.log")).unwrap_or_default();
                assert!(log.contains("in use"), "sshd ended with {status}: {log}");
                break;
            }
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (process, port);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        process.kill().ok();
        process.wait().unwrap();
    }
    panic!("no free port was found for sshd");
}

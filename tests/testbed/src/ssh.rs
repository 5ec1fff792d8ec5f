//! A real OpenSSH server over the double's bare repositories, with GitHub's manners: deploy keys that may write or only
//! read, and no shell.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::power_cut::{Line, Moment, Point};
use crate::support::{Server, free_port, run};

/// How long the server may take until it listens.
const STARTUP: Duration = Duration::from_secs(10);

/// What runs instead of a shell: finds the repository below the root and refuses everything that is not git.
const FORCED_COMMAND: &str = r#"#!/bin/sh
# usage: serve-git ROOT rw|ro, with git's own command in SSH_ORIGINAL_COMMAND
root=$1
mode=$2
export PATH="/usr/local/bin:/usr/bin:/bin"
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
refuse() { echo "ERROR: $1" >&2; exit 1; }

service=${SSH_ORIGINAL_COMMAND%% *}
repository=${SSH_ORIGINAL_COMMAND#* }
repository=$(printf '%s' "$repository" | tr -d "'\"")
repository=${repository#/}
case "$repository" in
  *..*|*[!A-Za-z0-9._/-]*) refuse "Repository not found." ;;
  *.git) ;;
  *) repository="$repository.git" ;;
esac
[ -d "$root/$repository" ] || refuse "Repository not found."

# A power cut: the client's process dies at the call of this number, before anything is done or after it took effect.
supply="$(dirname "$0")/power"
if [ -d "$supply" ]; then
  echo "$service" >> "$supply/calls"
  number=$(wc -l < "$supply/calls")
  cut() { kill -9 "$(cat "$supply/process")"; }
  [ "$(cat "$supply/before")" = "$number" ] && { cut; exit 1; }
  if [ "$(cat "$supply/after")" = "$number" ]; then
    # Where the repository's hook on changed references finds it: it runs before the client is told of the push.
    POWER_CUT_PROCESS=$(cat "$supply/process")
    export POWER_CUT_PROCESS
    [ "$service" = git-upload-pack ] && { git-upload-pack "$root/$repository"; cut; exit 1; }
  fi
fi

case "$service" in
  git-upload-pack) exec git-upload-pack "$root/$repository" ;;
  git-receive-pack)
    [ "$mode" = rw ] || refuse "The key you are authenticating with has been marked as read only."
    exec git-receive-pack "$root/$repository" ;;
  *) refuse "Only git is served here." ;;
esac
"#;

/// Hook of a repository, called when references have changed: the power of whoever pushed goes, should it be time.
const POWER_CUT_HOOK: &str = r#"#!/bin/sh
[ "$1" = committed ] && [ -n "$POWER_CUT_PROCESS" ] && kill -9 "$POWER_CUT_PROCESS"
exit 0
"#;

/// A running SSH server for git. It is stopped, by its process id, when dropped.
pub struct GitServer {
    folder: TempDir,
    root: PathBuf,
    port: u16,
    user: String,
    server: Option<Server>,
}

impl GitServer {
    /// Serves the repositories at `root/owner/name.git`.
    ///
    /// # Panics
    /// When `sshd` or `ssh-keygen` is missing (the text says how to get it), or the server does not start.
    pub async fn start(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        tokio::task::spawn_blocking(move || Self::start_now(&root))
            .await
            .expect("the SSH server starts")
    }

    fn start_now(root: &Path) -> Self {
        let folder = TempDir::new().expect("the temporary folder is writable");
        let user = String::from_utf8_lossy(&run(Command::new("id").arg("-un")).stdout)
            .trim()
            .to_owned();
        if user == "root" {
            // sshd started by root gives up its rights in this folder and insists on it.
            fs::create_dir_all("/run/sshd").expect("root can create /run/sshd");
        }
        for name in ["host_key", "writing_key", "reading_key", "unknown_key"] {
            make_key(&folder.path().join(name));
        }
        let script = folder.path().join("serve-git");
        fs::write(&script, FORCED_COMMAND).expect("the temporary folder is writable");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
            .expect("the script is ours");
        let allowed: String = [("writing_key", "rw"), ("reading_key", "ro")]
            .map(|(name, mode)| {
                let key = public_key(&folder.path().join(name));
                format!(
                    "restrict,command=\"{} '{}' {mode}\" {key}\n",
                    script.display(),
                    root.display()
                )
            })
            .concat();
        fs::write(folder.path().join("authorized_keys"), allowed)
            .expect("the temporary folder is writable");
        let mut server = Self {
            folder,
            root: root.to_owned(),
            port: free_port(),
            user,
            server: None,
        };
        server.write_configuration();
        server.listen();
        server
    }

    /// The address of a repository: `ssh://user@127.0.0.1:port/owner/name.git`.
    pub fn url(&self, full_name: &str) -> String {
        format!("{}/{full_name}.git", self.base_url())
    }

    /// What every address starts with: `ssh://user@127.0.0.1:port`.
    pub fn base_url(&self) -> String {
        format!("ssh://{}@127.0.0.1:{}", self.user, self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server that listens.
    pub fn process_id(&self) -> u32 {
        self.server
            .as_ref()
            .expect("the server runs from start to drop")
            .id()
    }

    /// The private key of a deploy key that may push, in OpenSSH's form.
    pub fn writing_key(&self) -> String {
        self.text("writing_key")
    }

    /// The private key of a deploy key that may only fetch.
    pub fn reading_key(&self) -> String {
        self.text("reading_key")
    }

    /// A private key the server has never heard of.
    pub fn unknown_key(&self) -> String {
        self.text("unknown_key")
    }

    /// The host's public key, without a comment: `ssh-ed25519 AAAA…`, as `GET /meta` of GitHub lists it.
    pub fn host_key(&self) -> String {
        public_key(&self.folder.path().join("host_key"))
    }

    /// The line of `known_hosts` that pins this server.
    pub fn known_hosts(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port, self.host_key())
    }

    /// What git needs in `GIT_SSH_COMMAND` to come in with the writing key.
    pub fn git_ssh_command(&self) -> String {
        self.git_ssh_command_with("writing_key")
    }

    /// As [`git_ssh_command`](Self::git_ssh_command), with the reading key.
    pub fn read_only_git_ssh_command(&self) -> String {
        self.git_ssh_command_with("reading_key")
    }

    fn git_ssh_command_with(&self, key: &str) -> String {
        let known = self.folder.path().join("known_hosts");
        fs::write(&known, self.known_hosts()).expect("the temporary folder is writable");
        format!(
            "ssh -F /dev/null -i '{}' -o IdentitiesOnly=yes -o UserKnownHostsFile='{}' -o StrictHostKeyChecking=yes -o BatchMode=yes",
            self.folder.path().join(key).display(),
            known.display()
        )
    }

    /// Lets one more key in, by its public half, as GitHub does with a deploy key from then on.
    pub fn allow_key(&self, public: &str, read_only: bool) {
        let mode = if read_only { "ro" } else { "rw" };
        let line = format!(
            "restrict,command=\"{} '{}' {mode}\" {public}\n",
            self.folder.path().join("serve-git").display(),
            self.root.display()
        );
        let path = self.folder.path().join("authorized_keys");
        let mut allowed = self.text("authorized_keys");
        allowed.push_str(&line);
        fs::write(path, allowed).expect("the temporary folder is writable");
    }

    /// Restarts the server, on the same port, as a host with another key: what an attacker in the middle looks like.
    pub async fn replace_host_key(&mut self) {
        self.server = None;
        let key = self.folder.path().join("host_key");
        fs::remove_file(&key).expect("the host has a key");
        fs::remove_file(key.with_extension("pub")).expect("the host has a public key");
        make_key(&key);
        self.listen();
    }

    /// Stops the server: connections are refused from now on.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Listens again, on the same port and with the same keys, after [`stop`](Self::stop).
    pub fn start_again(&mut self) {
        self.listen();
    }

    /// Counts calls to git from now on, and cuts the power of the process that makes them at `armed`, should that be a
    /// point of git's; `repository` is the bare one that is pushed to.
    pub fn cut_power(&self, repository: &Path, process: u32, armed: Option<Point>) {
        let armed = armed.filter(|point| point.line == Line::Git);
        let number = |moment| {
            let armed = armed.filter(|point| point.moment == moment);
            armed.map_or(0, |point| point.number).to_string()
        };
        let hook = repository.join("hooks/reference-transaction");
        fs::create_dir_all(repository.join("hooks")).expect("the repository is ours");
        fs::write(&hook, POWER_CUT_HOOK).expect("the repository is ours");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("the hook is ours");
        let supply = self.folder.path().join("power");
        fs::create_dir_all(&supply).expect("the temporary folder is writable");
        for (name, text) in [
            ("calls", String::new()),
            ("process", process.to_string()),
            ("before", number(Moment::Before)),
            ("after", number(Moment::After)),
        ] {
            fs::write(supply.join(name), text).expect("the temporary folder is writable");
        }
    }

    /// How many calls to git came since [`cut_power`](Self::cut_power).
    pub fn calls(&self) -> usize {
        let calls = self.folder.path().join("power/calls");
        fs::read_to_string(calls).map_or(0, |calls| calls.lines().count())
    }

    fn listen(&mut self) {
        let sshd = crate::tools::sshd().unwrap_or_else(|missing| panic!("{missing}"));
        let log = fs::File::create(self.folder.path().join("log"))
            .expect("the temporary folder is writable");
        let mut command = Command::new(sshd);
        command
            .args(["-D", "-e", "-f"])
            .arg(self.folder.path().join("sshd_config"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let server = Server::spawn(&mut command);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                !server.ended() && started.elapsed() < STARTUP,
                "sshd does not listen:\n{}",
                self.text("log")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        self.server = Some(server);
    }

    fn write_configuration(&self) {
        let folder = self.folder.path().display();
        let configuration = format!(
            "ListenAddress 127.0.0.1\nPort {}\nHostKey {folder}/host_key\nPidFile none\nAuthorizedKeysFile {folder}/authorized_keys\n\
             PubkeyAuthentication yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nUsePAM no\n\
             StrictModes no\nAllowTcpForwarding no\nX11Forwarding no\nPermitTTY no\nMaxStartups 100\nLogLevel VERBOSE\n",
            self.port
        );
        fs::write(self.folder.path().join("sshd_config"), configuration)
            .expect("the temporary folder is writable");
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name))
            .unwrap_or_else(|error| panic!("the SSH server has no {name}: {error}"))
    }
}

fn make_key(path: &Path) {
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path));
}

fn public_key(private: &Path) -> String {
    let text =
        fs::read_to_string(private.with_extension("pub")).expect("ssh-keygen wrote a public key");
    text.split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

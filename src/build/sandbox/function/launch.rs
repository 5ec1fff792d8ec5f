//! Starting a program by way of the launcher, and what it finds.

use super::modes::unlock;
use crate::build::sandbox::isolation::{
    Confined, NoSandbox, OWN, PROBE_LIMIT, interpreter_places, own_files, python_words,
};
use crate::build::sandbox::run::{self, Ended, Extent};
use crate::build::sandbox::words;
use rustix::process::DumpableBehavior;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;

/// What the settings call this way of isolating.
pub(in crate::build::sandbox) const WORD: &str = "function";
/// Our command that confines itself and becomes a program.
const COMMAND: &str = "confine";
/// Where bubblewrap puts what may be written; here that is a folder of each run's own.
const TEMPORARY: &str = "/tmp";

/// Our own executable, found to be able to confine.
#[derive(Debug, Clone)]
pub(in crate::build::sandbox) struct Launcher {
    program: PathBuf,
    keeps_to_files: bool,
}

/// What the launcher says when it is tried.
#[derive(Deserialize)]
struct Tried {
    keeps_to_files: bool,
}

/// What of the system's files is of use: programs and libraries, AWS Lambda's among them, and what the C library looks at.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/var/lang",
    "/var/runtime",
    "/etc/alternatives",
    "/etc/crypto-policies",
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki/tls",
    "/etc/ssl",
    "/proc",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];

/// A folder for one run, removed when dropped, whatever modes the program gave what is in it.
struct Scratch(TempDir);

impl Launcher {
    /// Hides this process, and tries the launcher.
    ///
    /// # Errors
    /// Why nothing can be isolated.
    pub(in crate::build::sandbox) async fn find(program: PathBuf) -> Result<Self, NoSandbox> {
        let refused = |reason: String| NoSandbox::NotWithinFunction(reason);
        hide().map_err(|error| refused(error.to_string()))?;
        let mut command = Command::new(&program);
        // What the try itself looks at is in reach, so that it is not the files' rules that refuse it.
        command
            .args(["--json", COMMAND, "--read", "/usr", "--read", "/proc"])
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PROBE_LIMIT, command.output())
            .await
            .map_err(|_| refused("the launcher did not answer".to_owned()))?
            .map_err(|error| refused(error.to_string()))?;
        if output.status.success() {
            let Tried { keeps_to_files } = serde_json::from_slice(&output.stdout)
                .map_err(|_| refused("the launcher is not Layersmith's executable".to_owned()))?;
            return Ok(Self {
                program,
                keeps_to_files,
            });
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(refused(words::last_lines(&said, &[], 3)))
    }

    /// Whether the kernel keeps what runs to the files that it needs.
    pub(in crate::build::sandbox) fn keeps_to_files(&self) -> bool {
        self.keeps_to_files
    }

    /// Runs a driver to its end, or to the end of a limit. Dropping the future kills all that it started.
    ///
    /// # Errors
    /// When nothing could be started, or this machine's own files could not be read or written.
    pub(in crate::build::sandbox) async fn run(
        &self,
        confined: &Confined<'_>,
    ) -> io::Result<Ended> {
        let own = own_files(confined.driver)?;
        let scratch = Scratch(
            tempfile::Builder::new()
                .prefix("layersmith-scratch-")
                .tempdir()?,
        );
        let place = scratch.0.path().canonicalize()?;
        let mut command = Command::new(&self.program);
        command.arg(COMMAND);
        if !confined.for_building {
            // A build sets modes. What is imported is unpacked already, and stays read-only.
            command.arg("--keep-modes");
        }
        let (read, write) = reach(confined, own.path(), &place)?;
        for path in read {
            command.arg("--read").arg(path);
        }
        for path in write {
            command.arg("--write").arg(path);
        }
        command
            .arg("--")
            .arg(confined.interpreter.path.canonicalize()?)
            .args(python_words(own.path(), confined))
            .current_dir(&place)
            .env_clear();
        for (name, value) in &confined.environment {
            command.env(name, at_scratch(value, &place));
        }
        command.env("TMPDIR", &place);
        let mut ended = run::supervise(command, &confined.limits, Extent::Group).await?;
        ended.words = ended
            .words
            .replace(&*place.to_string_lossy(), TEMPORARY)
            .replace(&*own.path().to_string_lossy(), OWN);
        Ok(ended)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        unlock(self.0.path());
    }
}

/// Hides this process from all others of its user: its environment, memory and descriptors are root's to read from now on
/// (proc(5), `/proc/pid`). What is started afterwards is not hidden.
fn hide() -> io::Result<()> {
    let hidden = DumpableBehavior::NotDumpable;
    Ok(rustix::process::set_dumpable_behavior(hidden)?)
}

/// The files that a run may read, and those that it may write as well.
fn reach(
    confined: &Confined<'_>,
    own: &Path,
    scratch: &Path,
) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    read.extend(interpreter_places(confined.interpreter)?);
    let given = confined.readable.iter();
    read.extend(given.map(|(outside, _)| outside.clone()));
    read.push(own.to_owned());
    let write = vec![scratch.to_owned(), "/dev/null".into()];
    Ok((read, write))
}

/// A value of the environment with the folder of the run in place of `/tmp`.
fn at_scratch(value: &str, scratch: &Path) -> String {
    let parts = value.split(':').map(|part| {
        let inside = part
            .strip_prefix(TEMPORARY)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        inside.map_or_else(
            || part.to_owned(),
            |rest| format!("{}{rest}", scratch.display()),
        )
    });
    parts.collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_its_own_temporary_folder() {
        let place = Path::new("/tmp/layersmith-scratch-1");
        for (value, expected) in [
            ("/tmp", "/tmp/layersmith-scratch-1"),
            (
                "/tmp/environment/bin:/usr/bin",
                "/tmp/layersmith-scratch-1/environment/bin:/usr/bin",
            ),
            ("/tmpfs:/var/tmp", "/tmpfs:/var/tmp"),
            ("C.UTF-8", "C.UTF-8"),
        ] {
            assert_eq!(at_scratch(value, place), expected);
        }
    }
}

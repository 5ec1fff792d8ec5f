//! Running a program to its end: timed, with its memory watched, and never left behind.

use anyhow::{Context as _, bail};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// How often memory is looked at: a build of some ten milliseconds is still seen many times.
const SAMPLING: Duration = Duration::from_micros(500);
/// The end of what a program said that is shown when it failed.
const SHOWN: usize = 2_000;

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    /// From before it was started until it had ended, in seconds.
    pub(crate) seconds: f64,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The most anonymous memory the process itself was seen with, in bytes; its children are not counted.
    pub(crate) peak_anonymous: u64,
}

impl Finished {
    /// The same, if it succeeded.
    pub(crate) fn succeeded(self, what: &str) -> anyhow::Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        let said = format!("{}{}", self.stdout, self.stderr);
        let start = said.len().saturating_sub(SHOWN);
        let start = (start..said.len())
            .find(|at| said.is_char_boundary(*at))
            .unwrap_or(said.len());
        bail!("{what} failed ({}):\n{}", self.status, &said[start..])
    }
}

/// Runs a program to its end, whatever its status. When the future is dropped, the program and all it started are
/// killed, by their process group.
pub(crate) async fn run(command: &mut Command) -> anyhow::Result<Finished> {
    run_watched(command, false).await
}

/// The same, with its memory looked at all the time.
pub(crate) async fn run_watched(command: &mut Command, watched: bool) -> anyhow::Result<Finished> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let started = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("{program} could not be started"))?;
    let id = child.id().context("a process that was started has an id")?;
    let mut group = Group(Some(id));
    let watcher = watched.then(|| Watcher::start(id));
    let output = child.wait_with_output().await?;
    let seconds = started.elapsed().as_secs_f64();
    group.0 = None;
    Ok(Finished {
        seconds,
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        peak_anonymous: watcher.map_or(0, Watcher::peak),
    })
}

/// Waits until everything written so far is on the disk, so that no measurement pays for what another wrote.
pub(crate) async fn settle_disk() -> anyhow::Result<()> {
    run(&mut Command::new("sync")).await?.succeeded("sync")?;
    Ok(())
}

/// A process group, killed by its id when dropped before its leader has ended.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            let mut kill = std::process::Command::new("kill");
            // It fails only when the group is already gone.
            kill.args(["-KILL", "--", &format!("-{id}")])
                .stderr(Stdio::null());
            drop(kill.status());
        }
    }
}

/// Looks at the anonymous memory of a process until it has ended.
struct Watcher {
    ended: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<u64>,
}

impl Watcher {
    fn start(id: u32) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        let path = format!("/proc/{id}/status");
        let thread = std::thread::spawn(move || {
            let mut peak = 0;
            while !stop.load(Ordering::Acquire) {
                let status = std::fs::read_to_string(&path).unwrap_or_default();
                peak = peak.max(anonymous(&status).unwrap_or_default());
                std::thread::sleep(SAMPLING);
            }
            peak
        });
        Self { ended, thread }
    }

    fn peak(self) -> u64 {
        self.ended.store(true, Ordering::Release);
        self.thread.join().unwrap_or_default()
    }
}

/// `RssAnon` of a `/proc/PID/status` (`proc_pid_status(5)`), in bytes.
fn anonymous(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_memory_is_read() {
        let status = "Name:\tx\nVmHWM:\t  900 kB\nRssAnon:\t     132 kB\nRssFile:\t 5 kB\n";
        assert_eq!(anonymous(status), Some(132 * 1024));
        assert_eq!(anonymous("Name:\tx\n"), None);
    }

    #[tokio::test]
    async fn a_program_is_timed_and_its_failure_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo before; echo why >&2; exit 3"]);
        let finished = run_watched(&mut command, true).await.unwrap();
        assert!(finished.seconds > 0.0);
        assert_eq!(finished.stdout, "before\n");
        let error = finished.succeeded("the shell").unwrap_err().to_string();
        assert!(
            error.contains("the shell failed") && error.contains("why"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_a_program_started_ends_with_it_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let id = {
            let running = run(&mut command);
            tokio::pin!(running);
            loop {
                tokio::select! {
                    _ = &mut running => panic!("it waits for a long sleep"),
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                if let Some(id) = text.strip_suffix('\n') {
                    break id.to_owned();
                }
            }
        };
        let gone = || {
            let status = std::fs::read_to_string(format!("/proc/{id}/status"));
            status.map_or(true, |status| status.contains("State:\tZ"))
        };
        while !gone() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

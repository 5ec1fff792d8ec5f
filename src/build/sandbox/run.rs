//! One run from its start to its end: limits, what comes out, and that nothing is left.

use super::control_group::ControlGroup;
use super::processes::{Census, census_below, census_of_group, kill_group, kill_inside, resume};
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

/// How often the processes inside are counted.
const TICK: Duration = Duration::from_millis(50);
/// The longest a killed sandbox is waited for before bubblewrap itself is killed.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// The end of what was printed that is kept, in bytes.
const WORDS_KEPT: usize = 64 * 1024;
/// What may be printed, in bytes; past that a program is stopped.
const WORDS_LIMIT: u64 = 64 * 1024 * 1024;
/// The first line of every answer, written by `confine.py` when the limits are set.
const BEGUN: &[u8] = b"begun\n";
/// What bubblewrap exits with when a signal ended the program: this and the signal's number, as shells do.
const BY_SIGNAL: i32 = 128;

/// How much a run may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From its start to its end.
    pub(crate) time: Duration,
    /// Seconds of processor time of each process.
    pub(crate) processor_seconds: u64,
    /// Bytes of memory of all processes, as far as it is theirs.
    pub(crate) memory: u64,
    /// Bytes of address space of each process; reserving much of it is common.
    pub(crate) address_space: u64,
    /// Processes and threads together.
    pub(crate) threads: u64,
    /// Open files of each process.
    pub(crate) open_files: u64,
    /// Bytes of one file.
    pub(crate) file_size: u64,
    /// Bytes of all files in `/tmp`, which are memory.
    pub(crate) temporary_files: u64,
    /// Bytes of the driver's answer.
    pub(crate) answer: u64,
}

impl Limits {
    /// For `confine.py`: names of `resource.RLIMIT_…` with their values.
    pub(crate) fn as_words(&self) -> Vec<String> {
        vec![
            format!("CPU={}", self.processor_seconds),
            format!("AS={}", self.address_space),
            // The kernel counts those of a user in its namespace (since Linux 5.14), and does not hold root to it: see
            // `control_group`.
            format!("NPROC={}", self.threads),
            format!("NOFILE={}", self.open_files),
            format!("FSIZE={}", self.file_size),
            "CORE=0".to_owned(),
        ]
    }
}

/// What belongs to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What is below bubblewrap: all that is in the namespace it made.
    Namespace,
    /// The group that the process leads, which none of it can leave.
    Group,
}

impl Extent {
    fn census(self, root: u32) -> Census {
        match self {
            Self::Namespace => census_below(root),
            Self::Group => census_of_group(root),
        }
    }

    fn kill(self, root: u32) {
        match self {
            Self::Namespace => kill_inside(root),
            Self::Group => kill_group(root),
        }
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It took longer than allowed.
    TimedOut(Duration),
    /// It held more memory than allowed, in bytes.
    Memory(u64),
    /// It had more processes and threads than allowed.
    Threads(u64),
    /// It said more than allowed.
    Output,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers of Linux on x86 and ARM, signal(7).
        const SIGILL: i32 = 4;
        const SIGABRT: i32 = 6;
        const SIGBUS: i32 = 7;
        const SIGFPE: i32 = 8;
        const SIGKILL: i32 = 9;
        const SIGSEGV: i32 = 11;
        const SIGXCPU: i32 = 24;
        match *self {
            Self::Exited(status) => write!(f, "the process exited with status {status}"),
            Self::Signalled(SIGXCPU) => f.write_str("the process used up its processor time"),
            Self::Signalled(signal) => {
                let name = match signal {
                    SIGILL => " (illegal instruction)",
                    SIGABRT => " (abort)",
                    SIGBUS => " (bus error)",
                    SIGFPE => " (arithmetic error)",
                    SIGKILL => " (killed by the system, as when memory runs out)",
                    SIGSEGV => " (segmentation fault)",
                    _ => "",
                };
                write!(f, "the process was ended by signal {signal}{name}")
            }
            Self::TimedOut(limit) => {
                write!(f, "it was stopped after {} seconds", limit.as_secs_f32())
            }
            Self::Memory(limit) => write!(
                f,
                "it was stopped for using more than {} MiB of memory",
                limit / (1024 * 1024)
            ),
            Self::Threads(limit) => write!(
                f,
                "it was stopped for starting more than {limit} processes and threads"
            ),
            Self::Output => f.write_str("it was stopped for printing without end"),
        }
    }
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) ending: Ending,
    /// What the driver answered, at its start; of the size allowed at most, and not to be believed.
    pub(crate) answer: File,
    /// The end of what was printed.
    pub(crate) words: String,
}

/// Starts bubblewrap, or what stands in for it, and stays with it.
///
/// # Errors
/// When it cannot be started or could not set up the inside, or the answer cannot be kept.
pub(crate) async fn supervise(
    command: Command,
    limits: &Limits,
    extent: Extent,
) -> io::Result<Ended> {
    // Dropped last: it can be removed when nothing runs in it.
    let group = ControlGroup::of_root(limits.threads);
    let mut command = match &group {
        Some(group) => group.enter(&command),
        None => command,
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // With bubblewrap's `--die-with-parent`, that is the end of everything inside. The parent is the thread that calls
        // this: a worker of the runtime, which lives as long as the bot.
        .kill_on_drop(true)
        .spawn()?;
    // Made after the child, so dropped before it.
    let running = Running {
        root: Mutex::new(child.id()),
        extent,
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let too_much = Notify::new();
    let answer_file = tempfile::tempfile()?;
    let (ending, answer, words) = tokio::join!(
        ending(&mut child, &running, limits, &too_much),
        keep_answer(stdout, answer_file, limits.answer, &too_much),
        keep_words(stderr, &too_much),
    );
    let (ending, words) = (ending?, words?);
    match answer? {
        Some(answer) => Ok(Ended {
            ending,
            answer,
            words,
        }),
        None => Err(io::Error::other(format!(
            "the sandbox could not be set up: {ending}: {}",
            super::words::last_lines(&words, &[], 3)
        ))),
    }
}

/// Waits for the end, or brings it about.
async fn ending(
    child: &mut Child,
    running: &Running,
    limits: &Limits,
    too_much: &Notify,
) -> io::Result<Ending> {
    let (root, extent) = (child.id(), running.extent);
    let ending = tokio::select! {
        status = child.wait() => read_status(status?),
        () = tokio::time::sleep(limits.time) => Ending::TimedOut(limits.time),
        () = too_much.notified() => Ending::Output,
        ending = watch(root, limits, extent) => ending,
    };
    match (child.id(), root) {
        (Some(_), _) => kill(child, extent).await?,
        // What it left in its group. The number is nobody else's as long as somebody is in it, and not so soon after.
        (None, Some(root)) if extent == Extent::Group => kill_all(root, extent).await?,
        (None, _) => {}
    }
    // Its number may be another's from here on.
    running.has_ended();
    Ok(ending)
}

async fn watch(root: Option<u32>, limits: &Limits, extent: Extent) -> Ending {
    let Some(root) = root else {
        return std::future::pending().await;
    };
    loop {
        let census = census(root, extent).await;
        if census.threads > limits.threads {
            return Ending::Threads(limits.threads);
        }
        if census.resident > limits.memory {
            return Ending::Memory(limits.memory);
        }
        tokio::time::sleep(TICK).await;
    }
}

async fn census(root: u32, extent: Extent) -> Census {
    tokio::task::spawn_blocking(move || extent.census(root))
        .await
        .unwrap_or_default()
}

/// Kills everything inside and waits for what was started. The kernel ends a namespace's first process only when all others of
/// it have ended, and bubblewrap ends after that one, so nothing is left.
async fn kill(child: &mut Child, extent: Extent) -> io::Result<()> {
    if let Some(root) = child.id() {
        kill_all(root, extent).await?;
        if let Ok(status) = tokio::time::timeout(KILL_WAIT, child.wait()).await {
            return status.map(|_| ());
        }
    }
    child.kill().await
}

async fn kill_all(root: u32, extent: Extent) -> io::Result<()> {
    tokio::task::spawn_blocking(move || {
        extent.kill(root);
        if extent == Extent::Namespace {
            resume(root);
        }
    })
    .await
    .map_err(io::Error::other)
}

/// A run that goes on; when the run is given up, everything inside is killed.
struct Running {
    /// Its process, until it has ended.
    root: Mutex<Option<u32>>,
    extent: Extent,
}

impl Running {
    fn root(&self) -> Option<u32> {
        *self.root.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) {
        *self.root.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(root) = self.root() {
            self.extent.kill(root);
        }
    }
}

fn read_status(status: ExitStatus) -> Ending {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) if code > BY_SIGNAL => Ending::Signalled(code - BY_SIGNAL),
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Signalled(signal.unwrap_or_default()),
    }
}

/// Keeps what comes in a file, less its first line; nothing when that never came.
async fn keep_answer(
    stream: Option<impl AsyncRead + Unpin>,
    mut file: File,
    limit: u64,
    too_much: &Notify,
) -> io::Result<Option<File>> {
    let Some(mut stream) = stream else {
        return Ok(None);
    };
    let mut first = Vec::with_capacity(BEGUN.len());
    (&mut stream)
        .take(BEGUN.len() as u64)
        .read_to_end(&mut first)
        .await?;
    if first != BEGUN {
        return Ok(None);
    }
    let mut buffer = vec![0; 64 * 1024];
    let mut size: u64 = 0;
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        size += read as u64;
        if size > limit {
            too_much.notify_one();
            break;
        }
        // A piece of some kilobytes into the page cache: shorter than handing it to another thread.
        file.write_all(&buffer[..read])?;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(Some(file))
}

/// Keeps the end of what is printed.
async fn keep_words(
    stream: Option<impl AsyncRead + Unpin>,
    too_much: &Notify,
) -> io::Result<String> {
    let Some(mut stream) = stream else {
        return Ok(String::new());
    };
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    let mut size: u64 = 0;
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        size += read as u64;
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > 2 * WORDS_KEPT {
            kept.drain(..kept.len() - WORDS_KEPT);
        }
        if size > WORDS_LIMIT {
            too_much.notify_one();
            break;
        }
    }
    let start = kept.len().saturating_sub(WORDS_KEPT);
    Ok(String::from_utf8_lossy(&kept[start..]).into_owned())
}

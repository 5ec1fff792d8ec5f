//! One process that compiles, with limits of its own: it may crash or hang without harm.

use super::interpreter::Interpreter;
use crate::model::libraries_of;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What the process runs.
const DRIVER: &str = include_str!("compile.py");
/// The longest that one file may take, waiting for a processor included. The driver's own limit is on processor time.
const FILE_TIME: Duration = Duration::from_secs(180);
/// The largest answer believed, in bytes: the driver's own limit and some more.
const ANSWER_LIMIT: u32 = 33 << 20;
/// The longest reason that is kept, in bytes: the name of an exception.
const REASON_LIMIT: usize = 64;

/// What came of one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A `.pyc` file as CPython writes it.
    Compiled(Vec<u8>),
    /// It does not compile: the name of the exception.
    Failed(String),
    /// The process died, ran out of memory or hung on it, and is of no more use.
    Died,
}

/// A running interpreter that compiles what it is sent; killed when dropped.
pub(super) struct Compiler {
    _child: Child,
    requests: ChildStdin,
    answers: ChildStdout,
}

impl Compiler {
    /// Starts the process in an empty folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(interpreter: &Interpreter, empty_folder: &Path) -> io::Result<Self> {
        let mut command = Command::new(&interpreter.path);
        // `-I` is `-E -P -s`, and `-E` would ignore the seed: there is nothing else in the environment. Without a seed
        // the order of some names differs from run to run (of `__static_attributes__` in CPython 3.13.0, for one).
        command.args(["-s", "-S", "-B", "-Wignore"]);
        if interpreter.python.minor() >= 11 {
            command.arg("-P");
        }
        let mut child = command
            .args(["-c", DRIVER])
            .env_clear()
            .env("PYTHONHASHSEED", "0")
            .envs(libraries_of(&interpreter.path).map(|path| ("LD_LIBRARY_PATH", path)))
            .current_dir(empty_folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let no_pipe = || io::Error::other("a child process has no pipe");
        Ok(Self {
            requests: child.stdin.take().ok_or_else(no_pipe)?,
            answers: child.stdout.take().ok_or_else(no_pipe)?,
            _child: child,
        })
    }

    /// Compiles a source, whose code will say that it is from `path`.
    pub(super) async fn compile(&mut self, path: &str, source: &[u8]) -> Answer {
        tokio::time::timeout(FILE_TIME, self.exchange(path, source))
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or(Answer::Died)
    }

    async fn exchange(&mut self, path: &str, source: &[u8]) -> io::Result<Answer> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let mut head = Vec::with_capacity(path.len() + 8);
        head.extend_from_slice(&length(path.as_bytes())?.to_le_bytes());
        head.extend_from_slice(path.as_bytes());
        head.extend_from_slice(&length(source)?.to_le_bytes());
        self.requests.write_all(&head).await?;
        self.requests.write_all(source).await?;
        let mut head = [0; 5];
        self.answers.read_exact(&mut head).await?;
        let [status, length @ ..] = head;
        let length = u32::from_le_bytes(length);
        if length > ANSWER_LIMIT {
            return Ok(Answer::Died);
        }
        let mut data = Vec::new();
        let read = (&mut self.answers)
            .take(length.into())
            .read_to_end(&mut data)
            .await?;
        if u32::try_from(read) != Ok(length) {
            return Ok(Answer::Died);
        }
        Ok(match status {
            0 => Answer::Compiled(data),
            _ => {
                data.truncate(REASON_LIMIT);
                Answer::Failed(String::from_utf8_lossy(&data).into_owned())
            }
        })
    }
}

//! How long a function takes from its start until it asks Lambda for the first invocation, and what it holds by then.
//!
//! The emulator is this file: it takes the first request to the runtime's interface and looks at the process that made it.
//! Secrets are given as they are, because reading them would measure AWS.

use super::figures::Verdict;
use super::report::{header, line, seconds};
use super::statistics::Spread;
use crate::programs::Programs;
use crate::say;
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Functions: those that answer the web, that carry out steps, that start runs, and that build.
const FUNCTIONS: [&str; 4] = ["api", "publish", "sweep", "build"];
/// How often each is started for one run of the others.
const STARTS: usize = 4;
/// Seconds and bytes at most.
const TIME: f64 = 0.05;
const MEMORY: u64 = 30_000_000;
/// The longest that a start may take at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the starts of one function took.
#[derive(Debug, Serialize)]
pub(crate) struct Start {
    function: &'static str,
    seconds: Vec<f64>,
    /// The most resident memory at the first poll, in bytes.
    memory: u64,
}

/// Starts each function some times.
pub(crate) fn measure(
    programs: &Programs,
    scratch: &Path,
    runs: usize,
) -> anyhow::Result<Vec<Start>> {
    say("functions from their start to their first poll");
    let mut starts = Vec::new();
    for function in FUNCTIONS {
        let mut start = Start {
            function,
            seconds: Vec::new(),
            memory: 0,
        };
        // The first start reads the executable from the disk, and is not counted.
        for number in 0..=runs * STARTS {
            let (seconds, memory) = once(programs, scratch, function)?;
            if number > 0 {
                start.seconds.push(seconds);
                start.memory = start.memory.max(memory);
            }
        }
        starts.push(start);
    }
    Ok(starts)
}

/// Seconds from before the process was started until its first poll, and its resident memory then.
fn once(programs: &Programs, scratch: &Path, function: &str) -> anyhow::Result<(f64, u64)> {
    let emulator = TcpListener::bind("127.0.0.1:0")?;
    let address = emulator.local_addr()?.to_string();
    let mut command = Command::new(&programs.layersmith);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", &address)
        .env("AWS_LAMBDA_FUNCTION_NAME", function)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_ACCESS_KEY_ID", "testing")
        .env("AWS_SECRET_ACCESS_KEY", "testing")
        .env("AWS_REGION", "eu-central-1")
        .env("LAYERSMITH_FUNCTION", function)
        .env("LAYERSMITH_REPOSITORY", "octo/catalog")
        .env("LAYERSMITH_GITHUB_TOKEN", "token")
        .env("LAYERSMITH_STORE", "dynamodb:layersmith")
        .env("LAYERSMITH_ARTIFACTS", "s3://bucket/layersmith")
        .env("LAYERSMITH_REGISTRY", "aws")
        .env(
            "LAYERSMITH_ENGINE",
            "stepfunctions:arn:aws:states:eu-central-1:123456789012:stateMachine:layersmith",
        )
        .env("LAYERSMITH_UV", &programs.uv)
        .env("LAYERSMITH_DATA", scratch.join("function"))
        .env("LAYERSMITH_LOG_FORMAT", "json")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    emulator.set_nonblocking(true)?;
    let started = Instant::now();
    let mut child = Ended(
        command
            .spawn()
            .context("the executable could not be started")?,
    );
    loop {
        match emulator.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                let mut request = String::new();
                BufReader::new(stream).read_line(&mut request)?;
                let taken = started.elapsed().as_secs_f64();
                if !request.contains("/invocation/next") {
                    bail!("function {function} asks for {}", request.trim());
                }
                return Ok((taken, resident(child.0.id())?));
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if child.0.try_wait()?.is_some() || started.elapsed() > PATIENCE {
            drop(child.0.kill());
            let said = child.0.stderr.take().map(std::io::read_to_string);
            bail!(
                "function {function} does not poll: {}",
                said.transpose()?.unwrap_or_default()
            );
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Killed, by its id, when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only when the process is already gone.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// `VmRSS` of `/proc/PID/status` (`proc_pid_status(5)`), in bytes.
fn resident(id: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u64 = kibibytes.context("a process has memory")?.parse()?;
    Ok(kibibytes * 1024)
}

pub(super) fn tell(text: &mut String, starts: &[Start]) {
    if starts.is_empty() {
        return;
    }
    let title = "A function from its start to its first poll";
    header(text, title, &["function", "first poll", "resident memory"]);
    for start in starts {
        let memory = format!("{:.1} MB", start.memory as f64 / 1e6);
        line(text, &[start.function, &seconds(&start.seconds), &memory]);
    }
}

pub(super) fn judge(starts: &[Start]) -> Vec<Verdict> {
    let medians = starts
        .iter()
        .filter_map(|start| Some((start, Spread::of(&start.seconds)?.median)));
    let slowest = medians.max_by(|(_, one), (_, other)| one.total_cmp(other));
    let largest = starts.iter().max_by_key(|start| start.memory);
    let (Some((slow, median)), Some(large)) = (slowest, largest) else {
        return Vec::new();
    };
    vec![
        Verdict {
            what: format!(
                "a function's start to its first poll, the slowest ({})",
                slow.function
            ),
            target: format!("≤ {:.0} ms", TIME * 1e3),
            reached: seconds(&slow.seconds),
            met: Some(median <= TIME),
        },
        Verdict {
            what: format!(
                "resident memory at the first poll, the most ({})",
                large.function
            ),
            target: format!("≤ {:.0} MB", MEMORY as f64 / 1e6),
            reached: format!("{:.1} MB", large.memory as f64 / 1e6),
            met: Some(large.memory <= MEMORY),
        },
    ]
}

//! The processes of a sandbox as the kernel lists them, seen from outside.
//!
//! Limits of a process do not bound all processes together, and that on their number does not hold for root, so both are
//! watched. Source of the fields: proc(5), `/proc/pid/stat` and `/proc/pid/status`.

use rustix::process::{Pid, Signal};
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// A process below another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    group: u32,
    threads: u64,
    state: char,
}

/// The longest a process is waited for to stop.
const STOP_WAIT: Duration = Duration::from_millis(100);

/// The longest that the processes of a killed group are waited for to end.
const END_WAIT: Duration = Duration::from_secs(1);

/// What runs below a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Its one direct child, the first process of the namespace, when there is one.
    first: Option<u32>,
    /// Threads of all of them.
    pub(crate) threads: u64,
    /// Bytes of memory they hold; what they share is counted for each.
    pub(crate) resident: u64,
}

/// Counts the processes below one, and offers each to the kernel as the first to be killed when memory runs out.
///
/// Orphans are no escape: in their namespace they become children of its first process.
pub(crate) fn census_below(root: u32) -> Census {
    let all = all_processes();
    let mut known = BTreeSet::from([root]);
    // A child may have a smaller number than its parent once numbers have wrapped, so until nothing is added.
    loop {
        let before = known.len();
        for process in &all {
            if known.contains(&process.parent) {
                known.insert(process.pid);
            }
        }
        if known.len() == before {
            break;
        }
    }
    let mut census = Census::default();
    for process in all.iter().filter(|process| known.contains(&process.pid)) {
        prefer_to_kill(process.pid);
        if process.pid == root {
            continue;
        }
        if process.parent == root {
            census.first = Some(process.pid);
        }
        census.threads += process.threads;
        census.resident += resident(process.pid).unwrap_or(0);
    }
    census
}

/// Counts the processes of a group, its leader among them, and offers each to the kernel in the same way.
pub(crate) fn census_of_group(leader: u32) -> Census {
    let mut census = Census::default();
    let all = all_processes().into_iter();
    for process in all.filter(|process| process.group == leader) {
        prefer_to_kill(process.pid);
        census.threads += process.threads;
        census.resident += resident(process.pid).unwrap_or(0);
    }
    census
}

fn all_processes() -> Vec<Process> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .collect()
}

/// Kills a group and its leader, which may not have founded it yet. A process that one of them is about to make is killed
/// with it: the kernel makes none for whoever has a signal waiting.
pub(crate) fn kill_group(leader: u32) {
    signal(leader, Signal::KILL);
    if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        // There may be nobody in it any more.
        rustix::process::kill_process_group(group, Signal::KILL).ok();
    }
    let begun = Instant::now();
    let is_alive = |process: &Process| process.group == leader && process.state != 'Z';
    while all_processes().iter().any(is_alive) && begun.elapsed() < END_WAIT {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Stops bubblewrap and kills the first process of the namespace it made, with which all others in it end.
///
/// Killing bubblewrap alone is not enough: while it sets up the inside, its child does not yet end with it, and would wait
/// for it forever. Stopped first, it cannot start that child after it was looked for.
pub(crate) fn kill_inside(root: u32) {
    signal(root, Signal::STOP);
    let begun = Instant::now();
    while read(root).is_some_and(|process| !matches!(process.state, 'T' | 'Z'))
        && begun.elapsed() < STOP_WAIT
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    if let Some(first) = census_below(root).first {
        signal(first, Signal::KILL);
    }
}

/// Lets a stopped process go on.
pub(crate) fn resume(root: u32) {
    signal(root, Signal::CONT);
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may just have ended by itself.
        rustix::process::kill_process(pid, signal).ok();
    }
}

fn read(pid: u32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name, in parentheses, may itself hold anything; what follows the last one is plain.
fn parse(pid: u32, stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // Field 3 of the manual, the state, is the first here.
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Process {
        pid,
        state: field(3)?.chars().next()?,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        threads: field(20)?.parse().ok()?,
    })
}

/// `VmRSS` in bytes; absent for a process that has ended.
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn prefer_to_kill(pid: u32) {
    // It may have ended, and a machine may forbid it; then the kernel chooses by itself.
    fs::write(format!("/proc/{pid}/oom_score_adj"), "1000").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_confuse_the_fields() {
        let stat = "7 (a) R 1 2 (b) S 42 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 5 0 123 4096 99 18446744073709551615";
        assert_eq!(
            parse(7, stat),
            Some(Process {
                pid: 7,
                parent: 42,
                group: 7,
                threads: 5,
                state: 'S'
            })
        );
        assert_eq!(parse(7, "7 (cut) R 1"), None);
    }

    #[test]
    fn the_processes_below_one_are_counted_and_killed() {
        use std::io::Read as _;
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 600 & echo begun; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = shell.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 6]).unwrap();
        // Between its fork and what it then executes, a process has next to nothing in memory.
        let mut census = census_below(shell.id());
        for _ in 0..1_000 {
            if census.resident > 100_000 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
            census = census_below(shell.id());
        }
        assert!(census.first.is_some() && census.threads == 1);
        assert!(census.resident > 100_000);
        kill_inside(shell.id());
        resume(shell.id());
        // The sleep holds standard output as well: both are gone when it ends.
        assert_eq!(stdout.read(&mut [0; 6]).unwrap(), 0);
        shell.wait().unwrap();
        assert_eq!(census_below(shell.id()), Census::default());
    }
}

//! The processes of a sandbox as the kernel lists them, seen from outside.
//!
//! Limits of a process do not bound all processes together, and that on their number does not hold for root, so both are
//! watched. Source of the fields: proc(5), `/proc/pid/stat`.

use std::collections::BTreeSet;
use std::fs;

/// A process below another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    threads: u64,
    resident_pages: u64,
}

/// What runs below a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Its one direct child, the first process of the namespace, when there is one.
    pub(crate) first: Option<u32>,
    /// Threads of all of them.
    pub(crate) threads: u64,
    /// Memory they hold in pages; what they share is counted for each.
    pub(crate) resident_pages: u64,
}

/// Counts the processes below one, and offers each to the kernel as the first to be killed when memory runs out.
///
/// Orphans are no escape: in their namespace they become children of its first process.
pub(crate) fn census_below(root: u32) -> Census {
    let all: Vec<Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .collect();
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
        census.resident_pages += process.resident_pages;
    }
    census
}

/// Whether a process is there and the child of another.
pub(crate) fn is_child_of(pid: u32, parent: u32) -> bool {
    read(pid).is_some_and(|process| process.parent == parent)
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
        parent: field(4)?.parse().ok()?,
        threads: field(20)?.parse().ok()?,
        resident_pages: field(24)?.parse().unwrap_or(0),
    })
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
                threads: 5,
                resident_pages: 99
            })
        );
        assert_eq!(parse(7, "7 (cut) R 1"), None);
    }

    #[test]
    fn this_process_is_found_with_its_children() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let census = census_below(std::process::id());
        assert!(is_child_of(child.id(), std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(census.threads >= 1 && census.resident_pages >= 1);
        assert!(!is_child_of(child.id(), std::process::id()));
    }
}

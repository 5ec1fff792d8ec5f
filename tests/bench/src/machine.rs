//! What machine this is, and whether it is quiet enough to measure on.

use serde::Serialize;
use std::fs::read_to_string;
use std::path::Path;

/// As much of a machine as a reader needs to compare figures.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// The processor as it names itself.
    pub(crate) processor: String,
    pub(crate) cores: usize,
    /// In bytes.
    pub(crate) memory: u64,
    /// File system and device that scratch files are on.
    pub(crate) disk: String,
    pub(crate) kernel: String,
    /// Programs that had their turn or waited for it, over the last minute.
    pub(crate) load: f64,
}

impl Machine {
    /// Describes this machine; what the system does not say is left empty.
    pub(crate) fn describe(scratch: &Path) -> Self {
        let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = read_to_string("/proc/meminfo").unwrap_or_default();
        let mounts = read_to_string("/proc/self/mounts").unwrap_or_default();
        let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let memory = field(&meminfo, "MemTotal")
            .and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
        Self {
            processor: field(&cpuinfo, "model name").unwrap_or_default().to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory.unwrap_or_default() * 1024,
            disk: disk(&mounts, scratch),
            kernel: kernel.trim().to_owned(),
            load: load(),
        }
    }

    /// A warning when other work would show in the figures.
    pub(crate) fn too_busy(&self) -> Option<String> {
        (self.load > 0.3 * self.cores as f64).then(|| {
            format!(
                "the machine is busy (load {:.2} on {} cores): figures come out worse and less steady than they are",
                self.load, self.cores
            )
        })
    }
}

/// The load average over the last minute (`proc_loadavg(5)`).
pub(crate) fn load() -> f64 {
    let text = read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or_default()
}

/// The value of the first line `name: value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// The mount that holds a path: the longest one above it (`proc_pid_mounts(5)`), and whether its disk turns.
fn disk(mounts: &str, path: &Path) -> String {
    let mut best: (usize, String) = (0, String::new());
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(at), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if path.starts_with(at) && at.len() >= best.0 {
            best = (at.len(), format!("{kind} on {}{}", device, turning(device)));
        }
    }
    best.1
}

/// Whether the kernel knows the device as a turning disk.
fn turning(device: &str) -> &'static str {
    let name = device.rsplit('/').next().unwrap_or_default();
    match read_to_string(format!("/sys/block/{name}/queue/rotational")).as_deref() {
        Ok("0\n") => " (solid state)",
        Ok("1\n") => " (turning, or a virtual one that does not say)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_above_a_path_is_found() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmpfiles xfs rw 0 0\n";
        assert_eq!(disk(mounts, Path::new("/tmp/x")), "tmpfs on tmpfs");
        assert_eq!(disk(mounts, Path::new("/home/x")), "ext4 on /dev/a");
    }

    #[test]
    fn fields_are_read() {
        assert_eq!(
            field("a : 1\nmodel name\t: X 2\n", "model name"),
            Some("X 2")
        );
    }
}

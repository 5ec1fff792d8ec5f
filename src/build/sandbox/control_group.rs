//! A limit on processes that holds for root as well, whom the kernel does not hold to `RLIMIT_NPROC` (setrlimit(2)).
//!
//! Counting processes and killing what is too much comes too late when each makes another: within a few milliseconds
//! they take every number that the machine has for processes. A control group with `pids.max` refuses them (kernel
//! documentation, "Process Number Controller").

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::process::Command;

/// Where control groups that can limit processes are: of the first version, of the second.
const PARENTS: [&str; 2] = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"];
/// The shell that starts the program, and bubblewrap's own two processes.
const OWN_PROCESSES: u64 = 4;
/// Looks at a group whose processes are about to vanish, and the wait between two.
const REMOVALS: u32 = 50;
const REMOVAL_WAIT: Duration = Duration::from_millis(10);
/// Enters the group, then becomes the program: from its first moment, all that it starts is inside.
const ENTER: &str = "echo $$ > \"$0\" && exec env -i \"$@\"";

static GROUPS: AtomicU64 = AtomicU64::new(0);

/// A control group for one run; removed when dropped, and then it must be empty.
#[derive(Debug)]
pub(super) struct ControlGroup {
    folder: PathBuf,
}

impl ControlGroup {
    /// A group for so many processes and threads besides the sandbox's own. `None` when the bot is not root, who needs
    /// none, and where root may make none, as in most containers.
    pub(super) fn of_root(processes: u64) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        let name = format!("layersmith-{}-{number}", std::process::id());
        PARENTS.iter().find_map(|parent| {
            let folder = Path::new(parent).join(&name);
            std::fs::create_dir(&folder).ok()?;
            let group = Self { folder };
            let limit = (processes + OWN_PROCESSES).to_string();
            let file = group.folder.join("pids.max");
            // Not made where there is no such limit: a file of this name would be no more than that.
            (file.is_file() && std::fs::write(&file, limit).is_ok()).then_some(group)
        })
    }

    /// The same command, inside of the group.
    pub(super) fn enter(&self, command: &Command) -> Command {
        let command = command.as_std();
        let mut entering = Command::new("/bin/sh");
        entering
            .args([OsString::from("-c"), ENTER.into()])
            .arg(self.folder.join("cgroup.procs"))
            .args(variables(command))
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear();
        if let Some(folder) = command.get_current_dir() {
            entering.current_dir(folder);
        }
        entering
    }
}

/// The environment that a command is to have, as `env` takes it.
fn variables(command: &std::process::Command) -> Vec<OsString> {
    let variables = command.get_envs();
    let words = variables.filter_map(|(name, value)| {
        let mut word = name.to_owned();
        word.push("=");
        word.push(value?);
        Some(word)
    });
    words.collect()
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        for _ in 0..REMOVALS {
            if std::fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(REMOVAL_WAIT);
        }
        tracing::warn!("a control group of a finished run could not be removed");
    }
}

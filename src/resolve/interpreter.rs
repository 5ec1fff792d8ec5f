//! A Python interpreter for uv, named by its path: to look for one itself, uv starts all it finds, shims included.

use crate::model::libraries_of;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// Interpreters tried before it is left to uv.
const TRIED: usize = 16;
/// The longest that one may take to say what it is.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// The oldest minor of Python 3 that uv takes (uv's reference, "Python support").
const OLDEST_MINOR: u32 = 8;
/// Isolated, without site-packages: nothing but the interpreter has a say.
const QUESTION: &str =
    "import sys; print(sys.implementation.name, *sys.version_info[:2], sys.executable)";

/// The first `CPython` on the search path that answers, as its own path. Programs come before scripts, which are usually
/// shims that start another program first.
pub(crate) async fn find(search_path: Option<&OsStr>) -> Option<PathBuf> {
    let (programs, scripts): (Vec<PathBuf>, Vec<PathBuf>) = candidates(search_path)
        .into_iter()
        .partition(|path| !is_script(path));
    for candidate in programs.iter().chain(&scripts).take(TRIED) {
        if let Some(path) = ask(candidate, search_path).await {
            return Some(path);
        }
    }
    None
}

fn candidates(search_path: Option<&OsStr>) -> Vec<PathBuf> {
    let names: Vec<String> = std::iter::once("python3".to_owned())
        .chain(
            (OLDEST_MINOR..=14)
                .rev()
                .map(|minor| format!("python3.{minor}")),
        )
        .collect();
    search_path
        .into_iter()
        .flat_map(std::env::split_paths)
        // An empty or relative entry would mean the folder the bot happens to run in.
        .filter(|folder| folder.is_absolute())
        .flat_map(|folder| {
            names
                .iter()
                .map(move |name| folder.join(name))
                .collect::<Vec<_>>()
        })
        .filter(|path| {
            path.metadata()
                .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        })
        .collect()
}

fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_err()
        || start == *b"#!"
}

async fn ask(candidate: &Path, search_path: Option<&OsStr>) -> Option<PathBuf> {
    let mut command = Command::new(candidate);
    command
        .args(["-I", "-S", "-c", QUESTION])
        .env_clear()
        .envs(libraries_of(candidate).map(|path| ("LD_LIBRARY_PATH", path)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some(path) = search_path {
        command.env("PATH", path);
    }
    let mut child = command.spawn().ok()?;
    let stdout = child.stdout.take()?;
    let answer = async {
        let mut text = String::new();
        stdout.take(4096).read_to_string(&mut text).await.ok()?;
        child.wait().await.ok()?.success().then_some(text)
    };
    let text = tokio::time::timeout(ANSWER_TIME, answer).await.ok()??;
    let mut words = text.trim_end().splitn(4, ' ');
    let (name, major, minor) = (words.next()?, words.next()?, words.next()?);
    let path = PathBuf::from(words.next()?);
    let suits = name == "cpython" && major == "3" && minor.parse::<u32>().ok()? >= OLDEST_MINOR;
    (suits && path.is_absolute() && path.is_file()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn what_does_not_answer_as_cpython_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in [
            ("python3", "exit 127"),
            ("python3.14", "echo pypy 3 14 /bin/sh"),
            ("python3.13", "echo cpython 2 7 /bin/sh"),
            ("python3.12", "echo cpython 3 12 python3.12"),
            ("python3.11", "echo cpython 3 11 /bin/sh"),
        ] {
            executable(&folder.path().join(name), &format!("#!/bin/sh\n{script}\n"));
        }
        std::fs::write(folder.path().join("python3.10"), "not executable").unwrap();
        let found = find(Some(folder.path().as_os_str())).await;
        assert_eq!(found.as_deref(), Some(Path::new("/bin/sh")));
        assert_eq!(find(None).await, None);
    }

    #[tokio::test]
    async fn programs_come_before_scripts() {
        let real = find(std::env::var_os("PATH").as_deref()).await.unwrap();
        let (shims, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        executable(
            &shims.path().join("python3"),
            "#!/bin/sh\necho cpython 3 11 /bin/sh\n",
        );
        std::os::unix::fs::symlink(&real, programs.path().join("python3.9")).unwrap();
        let path = std::env::join_paths([shims.path(), programs.path()]).unwrap();
        let found = find(Some(&path)).await.unwrap();
        assert!(!is_script(&found), "{}", found.display());
    }
}

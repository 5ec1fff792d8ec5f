//! What is out of reach inside, and that every run has an end.

use super::{both, interpreter, sandbox, within_function};
use crate::build::sandbox::isolation::{Confined, NoSandbox, Sandbox};
use crate::build::sandbox::run::{Ended, Ending, Limits};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const MIB: u64 = 1024 * 1024;

pub(super) fn limits() -> Limits {
    Limits {
        time: Duration::from_secs(60),
        processor_seconds: 60,
        memory: 512 * MIB,
        address_space: 4096 * MIB,
        threads: 64,
        open_files: 128,
        file_size: 8 * MIB,
        temporary_files: 4 * MIB,
        answer: MIB,
    }
}

pub(super) async fn run_in(
    sandbox: &Sandbox,
    driver: &str,
    limits: Limits,
    arguments: &[&str],
    readable: Vec<(PathBuf, PathBuf)>,
) -> (Ending, String, String) {
    let interpreter = interpreter();
    let Ended {
        ending,
        mut answer,
        words,
    } = sandbox
        .run(Confined {
            interpreter: &interpreter,
            driver,
            arguments: arguments.iter().map(Into::into).collect(),
            environment: vec![("GIVEN", "given".to_owned())],
            readable,
            folders: &["/var/task"],
            working_folder: "/var/task",
            for_building: false,
            limits,
        })
        .await
        .unwrap();
    let mut text = String::new();
    answer.read_to_string(&mut text).unwrap();
    (ending, text, words)
}

/// Runs a driver that must come to its own end, and gives its answer.
pub(super) async fn answer_of(sandbox: &Sandbox, driver: &str, arguments: &[&str]) -> String {
    let (ending, answer, words) = run_in(sandbox, driver, limits(), arguments, Vec::new()).await;
    assert_eq!(ending, Ending::Exited(0), "{words}");
    answer
}

/// Processes of the machine with a word among their arguments.
pub(super) fn running_with(word: &str) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| {
            line.split(|byte| *byte == 0)
                .any(|argument| argument == word.as_bytes())
        })
        .count()
}

#[tokio::test]
async fn nothing_of_the_machine_is_at_hand() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&secret, "hush").unwrap();
    let secret = secret.path().to_str().unwrap();
    let home = std::env::home_dir().unwrap();
    let driver = "
import json, os, sys
def look(path):
    try:
        return sorted(os.listdir(path)) if os.path.isdir(path) else open(path).read()
    except OSError as error:
        return type(error).__name__
os.write(ANSWER, json.dumps({
    'secret': look(sys.argv[1]),
    'home': look(sys.argv[2]),
    'passwd': look('/etc/passwd'),
    'etc': look('/etc'),
    'var': look('/var'),
    'run': look('/run'),
    'sys': look('/sys'),
    'tmp': look('/tmp'),
    'environment': sorted(os.environ),
    'first': open('/proc/1/environ').read(),
    'processes': sum(name.isdigit() for name in os.listdir('/proc')),
    'open': sorted(os.listdir('/proc/self/fd')),
    'host': os.uname().nodename,
    'capabilities': [line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')],
}).encode())
";
    let answer = answer_of(&sandbox().await, driver, &[secret, home.to_str().unwrap()]).await;
    let seen: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(seen["secret"], "FileNotFoundError");
    assert_eq!(seen["passwd"], "layersmith:x:1000:1000::/tmp:/bin/sh\n");
    assert_eq!(
        seen["etc"],
        serde_json::json!(["group", "hosts", "ld.so.cache", "passwd"])
    );
    assert_eq!(seen["var"], serde_json::json!(["task"]));
    assert_eq!(seen["run"], "FileNotFoundError");
    assert_eq!(seen["sys"], "FileNotFoundError");
    assert_eq!(seen["tmp"], serde_json::json!([]));
    // Of a home folder no more than the way to an interpreter in it.
    let prefix = interpreter().prefix;
    let way = prefix
        .strip_prefix(&home)
        .ok()
        .and_then(|path| path.iter().next())
        .map_or(serde_json::json!("FileNotFoundError"), |first| {
            serde_json::json!([first.to_str()])
        });
    assert_eq!(seen["home"], way);
    let environment: Vec<&str> = seen["environment"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(serde_json::Value::as_str)
        .filter(|name| *name != "LC_CTYPE")
        .collect();
    assert_eq!(environment, ["GIVEN", "PWD"]);
    assert_eq!(seen["first"], "");
    assert_eq!(seen["processes"], 2);
    // The answer, and the listing itself.
    assert_eq!(seen["open"], serde_json::json!(["0", "1", "2", "3", "4"]));
    assert_eq!(seen["host"], "layersmith");
    assert_eq!(
        seen["capabilities"],
        serde_json::json!(["0000000000000000"])
    );
}

#[tokio::test]
async fn the_network_is_out_of_reach() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    // The listener answers outside, so that what is refused inside is refused by the isolation.
    drop(std::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap());
    let driver = "
import os, socket, sys
for address in ('127.0.0.1', int(sys.argv[1])), ('169.254.169.254', 80), ('1.1.1.1', 53):
    try:
        socket.create_connection(address, timeout=5)
        os.write(ANSWER, b'connected ')
    except OSError as error:
        os.write(ANSWER, type(error).__name__.encode() + b' ')
os.write(ANSWER, ','.join(name for _, name in socket.if_nameindex()).encode())
";
    let answer = answer_of(&sandbox().await, driver, &[&port]).await;
    assert_eq!(answer, "ConnectionRefusedError OSError OSError lo");
}

#[tokio::test]
async fn nothing_can_be_written_but_a_bounded_tmp() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("module.py"), "x = 1").unwrap();
    let driver = "
import os
places = ['/x', '/usr/x', '/var/task/x', '/opt/python/x', '/opt/python/module.py', '/dev/x', '/dev/shm/x',
          '/etc/passwd', '/layersmith/driver.py', '/proc/sys/kernel/core_pattern', '/proc/self/oom_score_adj']
for place in places:
    try:
        open(place, 'a').write('x')
        os.write(ANSWER, place.encode() + b' ')
    except OSError:
        pass
try:
    with open('/tmp/large', 'wb') as file:
        while True:
            file.write(b'x' * 65536)
except OSError as error:
    os.write(ANSWER, os.strerror(error.errno).encode())
";
    let readable = vec![(folder.path().to_owned(), PathBuf::from("/opt/python"))];
    let (ending, answer, words) = run_in(&sandbox().await, driver, limits(), &[], readable).await;
    assert_eq!(ending, Ending::Exited(0), "{words}");
    assert_eq!(answer, "No space left on device");
    let module = std::fs::read_to_string(folder.path().join("module.py")).unwrap();
    assert_eq!(module, "x = 1");
}

#[tokio::test]
async fn a_loop_without_end_is_stopped_by_either_clock() {
    for sandbox in both().await {
        a_loop_without_end_is_stopped_by_either_clock_in(sandbox).await;
    }
}

async fn a_loop_without_end_is_stopped_by_either_clock_in(sandbox: Sandbox) {
    let endless = "while True: pass";
    let started = Instant::now();
    let short = Limits {
        time: Duration::from_millis(700),
        ..limits()
    };
    let (ending, ..) = run_in(&sandbox, endless, short, &[], Vec::new()).await;
    assert_eq!(ending, Ending::TimedOut(short.time));
    let busy = Limits {
        processor_seconds: 1,
        ..limits()
    };
    let (ending, ..) = run_in(&sandbox, endless, busy, &[], Vec::new()).await;
    assert_eq!(ending.to_string(), "the process used up its processor time");
    assert!(started.elapsed() < Duration::from_secs(50));
}

#[tokio::test]
async fn memory_is_bounded_for_one_process_and_for_all() {
    for sandbox in both().await {
        memory_is_bounded_for_one_process_and_for_all_in(sandbox).await;
    }
}

async fn memory_is_bounded_for_one_process_and_for_all_in(sandbox: Sandbox) {
    let one = "
try:
    x = bytearray(8 << 30)
except MemoryError:
    import os; os.write(ANSWER, b'MemoryError')
";
    assert_eq!(answer_of(&sandbox, one, &[]).await, "MemoryError");
    let all = "
import os, time
for _ in range(8):
    if os.fork() == 0:
        x = b'x' * (200 << 20)
        time.sleep(600)
time.sleep(600)
";
    let (ending, ..) = run_in(&sandbox, all, limits(), &[], Vec::new()).await;
    assert_eq!(ending, Ending::Memory(512 * MIB));
}

#[tokio::test]
async fn a_fork_bomb_ends_and_nothing_is_left() {
    for sandbox in both().await {
        a_fork_bomb_ends_and_nothing_is_left_in(sandbox).await;
    }
}

async fn a_fork_bomb_ends_and_nothing_is_left_in(sandbox: Sandbox) {
    let driver = "
import os, time
for _ in range(3000):
    try:
        if os.fork() == 0:
            time.sleep(600)
    except OSError:
        time.sleep(0.001)
time.sleep(600)
";
    let word = format!("fork-bomb-of-{}", std::process::id());
    let (ending, ..) = run_in(&sandbox, driver, limits(), &[&word], Vec::new()).await;
    // Root is not held to the kernel's own limit; for others that holds, and time ends it.
    assert!(
        matches!(
            ending,
            Ending::Threads(64) | Ending::TimedOut(_) | Ending::Signalled(_)
        ),
        "{ending}"
    );
    assert_eq!(running_with(&word), 0);
}

#[tokio::test]
async fn words_and_answers_without_end_are_stopped() {
    for sandbox in both().await {
        words_and_answers_without_end_are_stopped_in(sandbox).await;
    }
}

async fn words_and_answers_without_end_are_stopped_in(sandbox: Sandbox) {
    let printing = "
while True:
    print('words ' * 10000)
";
    let (ending, _, words) = run_in(&sandbox, printing, limits(), &[], Vec::new()).await;
    assert_eq!(ending, Ending::Output);
    assert!(words.len() <= 64 * 1024 && words.contains("words"));
    let answering = "
import os
while True:
    os.write(ANSWER, b'x' * 65536)
";
    let (ending, answer, _) = run_in(&sandbox, answering, limits(), &[], Vec::new()).await;
    assert_eq!(ending, Ending::Output);
    assert!(answer.len() as u64 <= MIB);
}

#[tokio::test]
async fn what_runs_in_the_background_ends_with_the_driver() {
    for sandbox in both().await {
        what_runs_in_the_background_ends_with_the_driver_in(sandbox).await;
    }
}

async fn what_runs_in_the_background_ends_with_the_driver_in(sandbox: Sandbox) {
    let driver = "
import os, subprocess, sys
for leaves in True, False:
    try:
        subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)', sys.argv[1]], start_new_session=leaves)
    except OSError:
        pass
os._exit(0)
";
    let word = format!("background-of-{}", std::process::id());
    answer_of(&sandbox, driver, &[&word]).await;
    assert_eq!(running_with(&word), 0);
}

#[tokio::test]
async fn a_dropped_run_is_killed_however_far_it_is() {
    // Bubblewrap alone, with the first process of the namespace, and with the driver; the launcher becomes the driver.
    a_dropped_run_is_killed(&sandbox().await, 3).await;
    a_dropped_run_is_killed(&within_function().await, 1).await;
}

async fn a_dropped_run_is_killed(sandbox: &Sandbox, most: usize) {
    let driver = "
import time
time.sleep(600)
";
    for processes in 1..=most {
        let word = format!("dropped-at-{processes}-of-{}", std::process::id());
        let arguments = [word.as_str()];
        let mut run = Box::pin(run_in(sandbox, driver, limits(), &arguments, Vec::new()));
        while running_with(&word) < processes {
            tokio::select! {
                _ = &mut run => panic!("it ended"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(run);
        let patience = Instant::now();
        while running_with(&word) > 0 {
            assert!(patience.elapsed() < Duration::from_secs(20));
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn without_bubblewrap_the_reason_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("bwrap");
    let find = |set: Option<PathBuf>| async move {
        Sandbox::find(set.as_deref(), None).await.unwrap_err()
    };
    assert!(matches!(find(Some("off".into())).await, NoSandbox::Off));
    assert!(matches!(find(None).await, NoSandbox::Missing));
    assert!(matches!(find(Some(fake.clone())).await, NoSandbox::Missing));
    for (script, said) in [
        (
            "echo 'bwrap: No permissions to creating new namespace' >&2; exit 1",
            "bubblewrap cannot isolate programs where Layersmith runs: bwrap: No permissions to creating new namespace",
        ),
        (
            "echo 'bwrap: Unknown option --disable-userns' >&2; exit 1",
            "bubblewrap cannot isolate programs where Layersmith runs: it is older than version 0.8",
        ),
    ] {
        std::fs::write(&fake, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(Some(fake.clone())).await.to_string(), said);
    }
}

//! What is out of reach where nothing but the function itself is the wall.

use super::isolation::{answer_of, limits, run_in};
use super::{interpreter, within_function};
use crate::build::sandbox::run::Ending;
use std::net::TcpListener;
use std::path::PathBuf;

/// Each attempt by name, with what came of it: the name of an error, or `done`.
const ATTEMPTS: &str = "
import ctypes, errno, json, os, resource, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
parent = os.getppid()
def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), '')
def read(path):
    with open(path, 'rb') as file:
        return file.read(1)
def write(path):
    with open(path, 'w') as file:
        file.write('x')
results = {}
def attempt(name, action):
    try:
        action()
        results[name] = 'done'
    except OSError as error:
        results[name] = errno.errorcode[error.errno]
attempt('connect', lambda: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5))
attempt('unix socket', lambda: socket.socket(socket.AF_UNIX))
attempt('netlink', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt('pair', socket.socketpair)
attempt('environment of the parent', lambda: read('/proc/%d/environ' % parent))
attempt('memory of the parent', lambda: read('/proc/%d/mem' % parent))
attempt('descriptors of the parent', lambda: os.readlink('/proc/%d/fd/0' % parent))
attempt('trace the parent', lambda: call(libc.ptrace, 16, parent, 0, 0))
attempt('signal the parent', lambda: os.kill(parent, 0))
attempt('signal everybody', lambda: os.kill(-1, 0))
attempt('signal a thread of the parent', lambda: call(libc.tgkill, parent, parent, 0))
attempt('limit the parent', lambda: resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1)))
attempt('signal itself', lambda: os.kill(os.getpid(), 0))
attempt('leave the session', os.setsid)
attempt('leave the group', lambda: os.setpgid(0, 0))
attempt('namespace', lambda: call(libc.unshare, 0x10000000))
attempt('shared memory', lambda: call(libc.shmget, 0, 4096, 0o600))
attempt('a new call', lambda: call(libc.syscall, 449, 0, 0, 0, 0, 0))
attempt('change modes', lambda: os.chmod(sys.argv[2], 0o777))
attempt('write to the layer', lambda: write(sys.argv[2] + '/x'))
attempt('write elsewhere', lambda: write(sys.argv[3] + '/x'))
attempt('read elsewhere', lambda: read(sys.argv[3] + '/secret'))
attempt('write here', lambda: write(os.environ['TMPDIR'] + '/x'))
attempt('null', lambda: write(os.devnull))
results['environment'] = sorted(name for name in os.environ if name != 'LC_CTYPE')
results['capabilities'] = [line.split()[1] for line in open('/proc/self/status') if line.startswith('CapPrm')]
os.write(ANSWER, json.dumps(results).encode())
";

/// Whether the kernel can keep a program to some files; the tests' own word for it is Python's.
fn has_landlock() -> bool {
    let ask = "import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)";
    let status = std::process::Command::new(interpreter().path)
        .args(["-I", "-c", ask])
        .status();
    status.unwrap().success()
}

#[tokio::test]
async fn nothing_but_itself_is_in_reach() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (layer, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(elsewhere.path().join("secret"), "hush").unwrap();
    let sandbox = within_function().await;
    let read_only = sandbox.read_only(layer.path()).unwrap();
    let arguments = [
        port.as_str(),
        layer.path().to_str().unwrap(),
        elsewhere.path().to_str().unwrap(),
    ];
    let readable = vec![(layer.path().to_owned(), PathBuf::from("/opt"))];
    let (ending, answer, words) = run_in(&sandbox, ATTEMPTS, limits(), &arguments, readable).await;
    assert_eq!(ending, Ending::Exited(0), "{words}");
    drop(read_only);
    let seen: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let expected = [
        ("connect", "EACCES"),
        ("unix socket", "EACCES"),
        ("netlink", "EACCES"),
        ("pair", "done"),
        ("environment of the parent", "EACCES"),
        ("memory of the parent", "EACCES"),
        ("descriptors of the parent", "EACCES"),
        ("trace the parent", "EPERM"),
        ("signal the parent", "EPERM"),
        ("signal everybody", "EPERM"),
        ("signal a thread of the parent", "EPERM"),
        ("limit the parent", "EPERM"),
        ("signal itself", "done"),
        ("leave the session", "EPERM"),
        ("leave the group", "EPERM"),
        ("namespace", "EPERM"),
        ("shared memory", "EPERM"),
        ("a new call", "ENOSYS"),
        ("change modes", "EPERM"),
        ("write to the layer", "EACCES"),
        ("write here", "done"),
        ("null", "done"),
    ];
    for (attempt, result) in expected {
        assert_eq!(seen[attempt], result, "{attempt}: {seen}");
    }
    if has_landlock() {
        assert_eq!(seen["write elsewhere"], "EACCES");
        assert_eq!(seen["read elsewhere"], "EACCES");
    }
    assert_eq!(seen["environment"], serde_json::json!(["GIVEN", "TMPDIR"]));
    assert_eq!(
        seen["capabilities"],
        serde_json::json!(["0000000000000000"])
    );
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
    assert_eq!(std::fs::read_dir(layer.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_run_leaves_no_files() {
    let driver = "
import os
here = os.environ['TMPDIR']
os.makedirs(here + '/a/b')
open(here + '/a/b/c', 'w').close()
os.write(ANSWER, here.encode())
";
    let place = answer_of(&within_function().await, driver, &[]).await;
    assert!(place.contains("layersmith-scratch-"), "{place}");
    assert!(!std::path::Path::new(&place).exists());
}

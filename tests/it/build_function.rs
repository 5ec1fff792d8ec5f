//! The surroundings that AWS Lambda's managed runtimes give: everything read-only but `/tmp`, no home, the target's own
//! interpreter in `/var/lang`, and no namespaces to be made. A layer built there is the one built anywhere else.

use crate::command_line::Desk;
use crate::from_source::{architectures, python_here};
use layersmith_testbed::index::Wheel;
use layersmith_testbed::tools;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// What nothing that a package does may bring to light.
const CANARY: &str = "canary-7f3a9c";

/// A function on the managed runtime of this machine's Python.
struct Function<'a> {
    desk: &'a Desk,
    /// What is `/tmp` there.
    temporary: TempDir,
    /// Where the interpreter is installed that is in `/var/lang` there.
    prefix: PathBuf,
}

impl<'a> Function<'a> {
    fn new(desk: &'a Desk) -> Self {
        Self {
            desk,
            temporary: tempfile::tempdir().unwrap(),
            prefix: prefix_here(),
        }
    }

    /// Runs our executable, named as the runtime's own is, with these arguments.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-user", "--unshare-pid", "--unshare-ipc"]);
        command.args(["--uid", "993", "--gid", "990", "--cap-drop", "ALL"]);
        // It reads what it was started with, as it would on Lambda; a process of bubblewrap's own would show that too.
        command.arg("--as-pid-1");
        command.args(["--die-with-parent", "--ro-bind", "/usr", "/usr"]);
        // The certificates that every managed runtime has.
        for name in ["/etc/pki", "/etc/ssl"] {
            command.args(["--ro-bind-try", name, name]);
        }
        for name in ["/bin", "/sbin", "/lib", "/lib64"] {
            let path = Path::new(name);
            match std::fs::read_link(path) {
                Ok(target) => command.arg("--symlink").arg(target).arg(name),
                Err(_) => command.args(["--ro-bind-try", name, name]),
            };
        }
        let bind = |command: &mut Command, how: &str, outside: &Path, inside: &str| {
            command.arg(how).arg(outside).arg(inside);
        };
        command.args(["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]);
        bind(&mut command, "--ro-bind", &self.prefix, "/var/lang");
        let executable = Path::new(env!("CARGO_BIN_EXE_layersmith"));
        bind(&mut command, "--ro-bind", executable, "/var/task/bootstrap");
        let uv = tools::uv().unwrap().canonicalize().unwrap();
        bind(&mut command, "--ro-bind", &uv, "/var/task/uv");
        let catalog = self.desk.path(".");
        bind(&mut command, "--ro-bind", &catalog, "/opt/catalog");
        bind(&mut command, "--bind", self.temporary.path(), "/tmp");
        command.args(["--chdir", "/opt/catalog", "--remount-ro", "/", "--"]);
        command.arg("/var/task/bootstrap").args(arguments);
        command.env_clear().envs([
            ("AWS_ACCESS_KEY_ID", CANARY),
            ("AWS_LAMBDA_FUNCTION_NAME", "layersmith-build-p313"),
            ("AWS_SECRET_ACCESS_KEY", CANARY),
            ("AWS_SESSION_TOKEN", CANARY),
            ("LANG", "en_US.UTF-8"),
            ("LAYERSMITH_BWRAP", "function"),
            ("LAYERSMITH_DATA", "/tmp/layersmith"),
            ("LAYERSMITH_LOCK_MAX_AGE", "0"),
            ("LAYERSMITH_LOG", "warn"),
            ("LAYERSMITH_UV", "/var/task/uv"),
            ("LD_LIBRARY_PATH", "/var/lang/lib:/var/runtime/lib:/opt/lib"),
            (
                "PATH",
                "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
            ),
            ("TZ", ":UTC"),
        ]);
        command.output().expect("bubblewrap is installed")
    }
}

/// Where this machine's Python is installed.
fn prefix_here() -> PathBuf {
    let ours = tools::tools_directory().join("venv/bin/python");
    let python = if ours.is_file() {
        ours
    } else {
        "python3".into()
    };
    let output = Command::new(python)
        .args(["-c", "import sys; print(sys.base_prefix, end='')"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().into()
}

/// A catalog for the Python and the architecture of this machine, whose interpreter and bubblewrap are used.
async fn desk() -> Desk {
    let mut desk = Desk::new().await;
    desk.options.unset("LAYERSMITH_BWRAP");
    desk.options
        .set("LAYERSMITH_INTERPRETERS", prefix_here().join("bin"));
    let [architecture, _] = architectures();
    let text = format!(
        "python: [\"{}\"]\narchitectures: [{architecture}]\nregions: [eu-west-1]\nindex_url: {}\n",
        python_here(),
        desk.index.url()
    );
    desk.write(".github/layersmith.yaml", &text);
    desk
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_built_in_the_function_is_the_one_built_on_any_machine() {
    let desk = desk().await;
    desk.index.publish(
        Wheel::new("shapes", "1.0")
            .file(
                "shapes/__init__.py",
                "from .used import X\nimport threading, subprocess, tempfile\n",
            )
            .file("shapes/used.py", "X = {'a', 'b', None}\n")
            .file("shapes/unused.py", "Y = 1\n"),
    );
    let function = Function::new(&desk);
    for request in [
        "packages: [shapes]\n",
        "packages: [shapes]\nbytecode: imported\n",
    ] {
        desk.write("layers/one.yaml", request);
        let plain = desk.run(&["build", "one", "--output", "one.zip"]);
        assert_eq!(plain.code, 0, "{plain:#?}");
        let output = function.run(&["build", "one", "--output", "/tmp/one.zip"]);
        assert!(output.status.success(), "{}", said(&output));
        let bytes = |path: PathBuf| std::fs::read(path).unwrap();
        let built = bytes(function.temporary.path().join("one.zip"));
        assert!(built == bytes(desk.path("one.zip")), "the bytes differ");
        // It was imported there, not just put together.
        assert!(
            !said(&output).contains("not imported") && !said(&output).contains("skipped"),
            "{}",
            said(&output)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_finds_no_credentials_in_the_function() {
    let desk = desk().await;
    // Looks wherever a process of the same user can look, and tells all it finds.
    let curious = format!(
        "
import glob, os, socket
found = []
def look(path):
    try:
        with open(path, 'rb') as file:
            return file.read(1 << 20)
    except OSError:
        return b''
word = 'canary-' + '7f3a9c'
for pattern in ('/proc/*/environ', '/proc/*/cmdline', '/proc/*/task/*/environ', '/tmp/**', '/var/task/*.env'):
    for path in glob.glob(pattern, recursive=True):
        if os.path.isfile(path) and word.encode() in look(path) and not path.endswith('.py'):
            found.append(path)
found += [name for name, value in os.environ.items() if word in value]
try:
    socket.create_connection(('127.0.0.1', {port}), 5)
    found.append('network')
except OSError:
    pass
raise ImportError('found: %s' % ' '.join(found))
",
        port = url::Url::parse(&desk.index.url())
            .unwrap()
            .port()
            .unwrap()
    );
    desk.index
        .publish(Wheel::new("curious", "1.0").module("curious", &curious));
    desk.write("layers/one.yaml", "packages: [curious]\n");
    let function = Function::new(&desk);
    let output = function.run(&["build", "one"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("ImportError: found: \n") || said.contains("ImportError: found:\n"),
        "{said}"
    );
    assert!(!said.contains(CANARY), "{said}");
    for (path, bytes) in crate::command_line::files_below(function.temporary.path()) {
        let has_it = bytes
            .windows(CANARY.len())
            .any(|window| window == CANARY.as_bytes());
        assert!(!has_it, "{path}");
    }
    assert!(File::open(function.temporary.path().join("layersmith")).is_ok());
}

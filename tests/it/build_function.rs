//! The surroundings that AWS Lambda's managed runtimes give: everything read-only but `/tmp`, no home, the target's own
//! interpreter in `/var/lang`, and no namespaces to be made. A layer built there is the one built anywhere else.

use crate::command_line::Desk;
use crate::from_source::{architectures, python_here};
use layersmith::model::{Digest, OfferedRegions, Policy};
use layersmith::pipeline::SourceBuilds;
use layersmith::pipeline::build_task::BuildTask;
use layersmith::plan::wanted;
use layersmith::request::{parse_layer, parse_policy};
use layersmith_testbed::cloud::{REGION, Template};
use layersmith_testbed::index::Wheel;
use layersmith_testbed::moto::Moto;
use layersmith_testbed::runtime_api::{Answered, RuntimeApi};
use layersmith_testbed::tools;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
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

    /// Our executable, named as the runtime's own is, with these arguments and variables and no others.
    fn command(&self, arguments: &[&str], variables: &BTreeMap<String, String>) -> Command {
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
        command.env_clear().envs(variables);
        // What Lambda itself sets.
        command.envs([
            ("AWS_ACCESS_KEY_ID", CANARY),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "3008"),
            ("AWS_LAMBDA_FUNCTION_NAME", "layersmith-build-p313"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_SECRET_ACCESS_KEY", CANARY),
            ("AWS_SESSION_TOKEN", CANARY),
            ("LANG", "en_US.UTF-8"),
            ("LD_LIBRARY_PATH", "/var/lang/lib:/var/runtime/lib:/opt/lib"),
            (
                "PATH",
                "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
            ),
            ("TZ", ":UTC"),
        ]);
        command
    }

    /// Runs a command of ours there.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut variables = variables();
        // Not the function itself, which takes no commands.
        variables.retain(|name, _| name != "LAYERSMITH_FUNCTION" && name != "LAYERSMITH_ARTIFACTS");
        let mut command = self.command(arguments, &variables);
        command.output().expect("bubblewrap is installed")
    }

    /// Starts the function as the managed runtime does and invokes it once: its answer, and what it logged.
    async fn invoked(
        &self,
        event: &Value,
        mut variables: BTreeMap<String, String>,
    ) -> (Answered, String) {
        let arn = format!("arn:aws:lambda:{REGION}:123456789012:function:layersmith-build-p313");
        let runtime_api = RuntimeApi::start(&arn, event.clone()).await;
        let address = runtime_api.address().to_owned();
        variables.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), address);
        variables.insert("AWS_REGION".to_owned(), REGION.to_owned());
        // What the runtime of a language starts when it is told of no wrapper; else it is the wrapper's argument (AWS Lambda
        // developer guide, "Modifying the runtime environment").
        let interpreter = format!("/var/lang/bin/{}", runtime());
        let arguments = [interpreter.as_str(), "/var/runtime/bootstrap.py"];
        assert_eq!(variables["AWS_LAMBDA_EXEC_WRAPPER"], "/var/task/bootstrap");
        let log = self.temporary.path().join("function.log");
        let file = File::create(&log).unwrap();
        let mut process = self
            .command(&arguments, &variables)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .expect("bubblewrap is installed");
        let answered = tokio::select! {
            answered = runtime_api.answered() => answered,
            status = ended(&mut process) => panic!("{status}: {}", std::fs::read_to_string(&log).unwrap()),
        };
        process.kill().unwrap();
        process.wait().unwrap();
        (answered, std::fs::read_to_string(&log).unwrap())
    }
}

/// The variables that the template gives to a function that builds for this machine's Python and processor.
fn variables() -> BTreeMap<String, String> {
    let parameters = [
        ("Repository", "octo/catalog"),
        ("CodeBucket", "code"),
        ("CodeX8664Key", "x86_64.zip"),
        ("CodeArm64Key", "arm64.zip"),
    ];
    let functions = Template::translate(&parameters).functions();
    // All of them are alike but for the version.
    let function = functions.iter().find(|it| it.name.ends_with("-build-p313"));
    let described = &function.expect("there is one").variables;
    let mut variables: BTreeMap<String, String> = described
        .iter()
        .map(|(name, value)| (name.clone(), value.replace("python3.13", &runtime())))
        .collect();
    variables.insert("LAYERSMITH_LOCK_MAX_AGE".to_owned(), "0".to_owned());
    variables.insert("LAYERSMITH_LOG".to_owned(), "warn".to_owned());
    variables
}

/// `python3.13`, of this machine's Python.
fn runtime() -> String {
    format!("python{}", python_here())
}

/// Where this machine's Python is installed.
pub(crate) fn prefix_here() -> PathBuf {
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

/// A package of which some is imported and some is not.
fn publish_shapes(desk: &Desk) {
    desk.index.publish(
        Wheel::new("shapes", "1.0")
            .file(
                "shapes/__init__.py",
                "from .used import X\nimport threading, subprocess, tempfile\n",
            )
            .file("shapes/used.py", "X = {'a', 'b', None}\n")
            .file("shapes/unused.py", "Y = 1\n"),
    );
}

/// The way of a build on AWS: the runtime starts our executable in place of the interpreter and hands the invocation to it; the
/// task comes from the bucket, and zip and result go there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runtime_starts_the_function_which_builds_what_any_machine_builds() {
    let desk = desk().await;
    publish_shapes(&desk);
    let text = "packages: [shapes]\nbytecode: imported\n";
    desk.write("layers/one.yaml", text);
    let plain = desk.run(&["build", "one", "--output", "one.zip"]);
    assert_eq!(plain.code, 0, "{plain:#?}");
    let plain = std::fs::read(desk.path("one.zip")).unwrap();
    let digest = Digest::of(&plain);

    let moto = Moto::start().await;
    let mut variables = variables();
    let place = variables["LAYERSMITH_ARTIFACTS"].clone();
    let (bucket, prefix) = place
        .trim_start_matches("s3://")
        .split_once('/')
        .expect("artifacts have a prefix");
    moto.make_bucket(REGION, bucket).await;
    let policy = std::fs::read(desk.path(".github/layersmith.yaml")).unwrap();
    let (policy, problems) = parse_policy(Policy::PATH, &policy);
    let policy = policy.unwrap_or_else(|| panic!("{problems:?}"));
    let (request, problems) = parse_layer("layers/one.yaml", text.as_bytes(), &policy);
    let request = request.unwrap_or_else(|| panic!("{problems:?}"));
    let layers = [(request.name.clone(), request.clone())].into();
    let wanted = wanted(&layers, &policy, &OfferedRegions::default(), &[]);
    let task = BuildTask::new(&wanted[0], &request, &policy, SourceBuilds::Permitted);
    let (run, target) = ("apply-0123456789ab-1", task.target);
    let of_task = |kind: &str| format!("{prefix}/build/{kind}/{run}/build/one/{target}.json");
    let body = serde_json::to_vec(&task).unwrap();
    moto.put_object(REGION, bucket, &of_task("tasks"), &body)
        .await;
    let item = json!({"layer": "one", "target": target, "function": target.layer_name_part()});
    let event = json!({"run": run, "kind": "apply", "stage": "build", "item": item});
    let function = Function::new(&desk);
    variables.insert("AWS_ENDPOINT_URL".to_owned(), moto.endpoint());
    let (answered, log) = function.invoked(&event, variables).await;
    assert_eq!(answered, Answered::Response(json!(null)), "{log}");
    assert!(!log.contains(CANARY), "{log}");

    let result = moto.object(REGION, bucket, &of_task("results")).await;
    let result = result.expect("the function leaves a result");
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    let artifact = &result["built"]["artifact"];
    assert_eq!(artifact["digest"], digest.to_string(), "{result:#}");
    // It was imported there, not just put together.
    assert!(
        artifact["report"]["import_test"]["skipped"].is_null(),
        "{artifact:#}"
    );
    let zip = format!("{prefix}/build/artifacts/{digest}.zip");
    let zip = moto.object(REGION, bucket, &zip).await;
    assert!(
        zip.expect("the function keeps the zip") == plain,
        "the bytes differ"
    );
}

/// What `layersmith doctor --aws --stack` asks it, in the surroundings of a real one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_says_what_it_has_and_tries_it() {
    let desk = desk().await;
    let function = Function::new(&desk);
    let event = json!({"examine": true});
    let (answered, log) = function.invoked(&event, variables()).await;
    let Answered::Response(mut found) = answered else {
        panic!("{answered:?}: {log}");
    };
    assert!(!log.contains(CANARY), "{log}");
    let full = found["interpreters"][0]["version"].take();
    let full = full.as_str().unwrap_or_default();
    assert!(full.starts_with(&format!("{}.", python_here())), "{full}");
    assert!(found["uv"]["works"]["version"].is_string(), "{found:#}");
    let works = &found["isolation"]["works"];
    assert!(works["keeps_to_files"].is_boolean(), "{found:#}");
    assert_eq!(found["machine"], std::env::consts::ARCH);
    let probed = json!([{
        "python": python_here(),
        "version": null,
        "probe": {"passed": {"modules": ["layersmith_probe"]}},
    }]);
    assert_eq!(found["interpreters"], probed, "{found:#}");
}

/// Waits for the end of a process.
async fn ended(process: &mut Child) -> ExitStatus {
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_built_in_the_function_is_the_one_built_on_any_machine() {
    let desk = desk().await;
    publish_shapes(&desk);
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

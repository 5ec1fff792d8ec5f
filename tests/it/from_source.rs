//! Packages without a wheel: nothing of them runs before the merge, and after it they are built once, isolated.

use crate::world::World;
use layersmith_testbed::bot::BotOptions;
use layersmith_testbed::index::{PackageIndex, SourceDistribution, Wheel};
use layersmith_testbed::tools;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// A build backend (PEP 517) in a wheel: it asks for a helper, runs the `setup.py` of a source and writes what that says.
const BACKEND: &str = r#"
import os, runpy, zipfile

def get_requires_for_build_wheel(settings=None):
    return ["demo-helper>=1"]

def build_wheel(folder, settings=None, metadata=None):
    import demo_helper
    said = runpy.run_path("setup.py")
    stem = said["NAME"] + "-1.0"
    tag = said.get("TAG", "py3-none-any")
    files = {said["NAME"] + "/__init__.py": said.get("MODULE", "BUILT = True\n")}
    requires = "".join("Requires-Dist: %s\n" % each for each in said.get("REQUIRES", []))
    files[stem + ".dist-info/METADATA"] = "Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n%s" % (said["NAME"], requires)
    files[stem + ".dist-info/WHEEL"] = "Wheel-Version: 1.0\nGenerator: demo\nRoot-Is-Purelib: true\nTag: %s\n" % tag
    files[stem + ".dist-info/RECORD"] = ""
    name = "%s-%s.whl" % (stem, tag)
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return name
"#;

/// The Python minor version that certainly is on this machine, as request files write it.
pub(crate) fn python_here() -> String {
    let ours = tools::tools_directory().join("venv/bin/python");
    let python = if ours.is_file() {
        ours
    } else {
        "python3".into()
    };
    let output = Command::new(python)
        .args(["-c", "import sys; print('3.%d' % sys.version_info[1])"])
        .output()
        .expect("there is a Python");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The architecture of this machine, and the other.
pub(crate) fn architectures() -> [&'static str; 2] {
    if cfg!(target_arch = "aarch64") {
        ["arm64", "x86_64"]
    } else {
        ["x86_64", "arm64"]
    }
}

/// Publishes a source-only package `name` 1.0 with this `setup.py`, and what it is built with.
pub(crate) fn publish_source(index: &PackageIndex, name: &str, setup: &str) {
    index.publish(Wheel::new("demo-backend", "1.0").module("demo_backend", BACKEND));
    index.publish(Wheel::new("demo-helper", "1.0").module("demo_helper", ""));
    let pyproject = "[build-system]\nrequires = ['demo-backend']\nbuild-backend = 'demo_backend'\n";
    let module = name.replace('-', "_");
    let source = SourceDistribution::new(name, "1.0")
        .file("pyproject.toml", pyproject)
        .file("setup.py", format!("NAME = '{module}'\n{setup}"));
    index.publish_source(&source);
}

/// A `setup.py` that leaves a trace of itself, on the network and in a file, wherever that is possible.
fn telling(listener: &TcpListener, file: &Path) -> String {
    let port = listener.local_addr().unwrap().port();
    let file = file.display();
    format!(
        "import socket\nfor leave in (lambda: socket.create_connection(('127.0.0.1', {port}), 5), lambda: open('{file}', 'w').close()):\n    try:\n        leave()\n    except OSError:\n        pass\n"
    )
}

fn fetched(index: &PackageIndex, file: &str) -> usize {
    let path = format!("/files/{file}");
    index
        .requests()
        .iter()
        .filter(|asked| **asked == path)
        .count()
}

/// The usual world with isolation.
async fn world() -> World {
    World::start_with("", |options, _| isolate(options)).await
}

/// Lets the executable use the machine's `bwrap` and its Pythons.
pub(crate) fn isolate(options: &mut BotOptions) {
    options.unset("LAYERSMITH_BWRAP");
    options.unset("LAYERSMITH_INTERPRETERS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_is_built_after_the_merge_and_not_before() {
    let world = world().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let trace = world.folder.path().join("trace");
    publish_source(&world.index, "told-app", &telling(&listener, &trace));
    let python = python_here();
    let [architecture, _] = architectures();
    let request = |more: &str| {
        format!(
            "packages: [told-app]\npython: [\"{python}\"]\narchitectures: [{architecture}]\n{more}"
        )
    };
    let anywhere = |text: &str| {
        let target = format!("p{python}-{architecture}").replace("-x86_64", "");
        text.replace(&target, "TARGET")
    };

    let number = world
        .pull_request(&[("layers/told.yaml", &request(""))])
        .await;
    world.settled().await;
    let head = world.github.pull_request_head(number);
    assert_eq!(world.check(&head).conclusion.as_deref(), Some("failure"));
    let comment = world.comment(number);
    assert!(
        comment.contains(
            "name `told-app` under `allow_build`, and it is built from its source after the merge"
        ),
        "{comment}"
    );

    let allowed = request("allow_build: [told-app]\n");
    let head = world
        .github
        .push_to_pull_request(number, [("layers/told.yaml", allowed)])
        .await;
    world.settled().await;
    assert_eq!(world.check(&head).conclusion.as_deref(), Some("success"));
    insta::assert_snapshot!(anywhere(&world.normalized(number, &world.comment(number))), @"
    <!-- layersmith:pull_request:1 -->
    ### 1 layer × 1 target would be built from source and published after the merge

    #### `told` · to be built from source

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `TARGET` | known once it is built | – | – | – |

    `told-app` has no wheel for `TARGET`; it is built from source after the merge, because `allow_build` names it. That runs the code of its authors, isolated. What it depends on and how large the layer is are known then.

    ---
    <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
    assert_eq!(fetched(&world.index, "told_app-1.0.zip"), 0);

    world.github.merge_pull_request(number).await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(comment.contains("live in 2 regions"), "{comment}");
    let published = world.published_once();
    assert_eq!(published.len(), 2, "{published:?}");
    let zip = published.keys().next().unwrap();
    let zip = world.folder.path().join(format!("data/registry/{zip}.zip"));
    let files = Command::new("python3")
        .args(["-m", "zipfile", "-l"])
        .arg(zip)
        .output()
        .unwrap();
    let files = String::from_utf8(files.stdout).unwrap();
    assert!(files.contains("python/told_app/__init__.py"), "{files}");
    assert_eq!(fetched(&world.index, "told_app-1.0.zip"), 1);

    // Known by then: the next plan has it built, and nothing runs again.
    let again = request("allow_build: [told-app]\ndescription: Again\n");
    let second = world
        .branch("again", &[("layers/again.yaml", &again)])
        .await;
    world.settled().await;
    let comment = world.comment(second);
    assert!(
        comment.contains("would be published to 2 regions"),
        "{comment}"
    );
    assert_eq!(fetched(&world.index, "told_app-1.0.zip"), 1);
    assert!(!trace.exists(), "the build wrote outside of its isolation");
    let heard = listener.accept().map(|_| ()).unwrap_err();
    assert_eq!(heard.kind(), std::io::ErrorKind::WouldBlock);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_build_says_is_shown_as_it_is_and_does_nothing() {
    let world = world().await;
    let words = "print('``' + '`\\n@octocat see #1 <img src=x>'); raise SystemExit('\\x1b[31mno compiler\\x1b[0m')\n";
    publish_source(&world.index, "loud-app", words);
    let python = python_here();
    let [architecture, _] = architectures();
    let request = format!(
        "packages: [loud-app]\npython: [\"{python}\"]\narchitectures: [{architecture}]\nallow_build: [loud-app]\n"
    );
    let number = world.pull_request(&[("layers/loud.yaml", &request)]).await;
    world.settled().await;
    assert!(
        world
            .comment(number)
            .contains("is built from source after the merge")
    );
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let comment = world.comment(number);
    let said = "````text\n`loud-app` could not be built from its source: its build stopped with an error. The last lines that its build printed:\n";
    let start = comment.find(said).unwrap_or_else(|| panic!("{comment}"));
    let (block, rest) = comment[start + 4..].split_once("\n````").unwrap();
    assert!(
        block.contains("@octocat see #1 <img src=x>\nno compiler"),
        "{block}"
    );
    assert!(!rest.contains("octocat"), "{rest}");
    assert!(world.published().is_empty());
    world.finish().await;
}

//! The one test that reaches the network: the package index that uv uses by default, and real wheels from it.

use crate::command_line::Desk;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Reads a layer with Python's own modules: its names, and every file against the RECORD that lists it.
const READ_LAYER: &str = r#"
import base64, csv, hashlib, io, json, sys, zipfile
layer = zipfile.ZipFile(sys.argv[1])
names = [name for name in layer.namelist() if not name.endswith("/")]
listed, wrong = set(), []
for record in (name for name in names if name.endswith(".dist-info/RECORD")):
    for path, digest, size in csv.reader(io.StringIO(layer.read(record).decode())):
        name = "python/" + path
        listed.add(name)
        if not digest:
            continue
        content = layer.read(name)
        kind, expected = digest.split("=", 1)
        actual = base64.urlsafe_b64encode(hashlib.new(kind, content).digest()).rstrip(b"=").decode()
        if actual != expected or (size and int(size) != len(content)):
            wrong.append(name)
print(json.dumps({"names": names, "unlisted": sorted(set(names) - listed), "wrong": wrong}))
"#;

#[expect(
    clippy::print_stdout,
    reason = "a test that was left out has to say so"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_packages_make_the_same_right_layers_twice() {
    if std::env::var_os("LAYERSMITH_TEST_OFFLINE").is_some_and(|value| value == "1") {
        println!("skipped, because LAYERSMITH_TEST_OFFLINE=1: the package index is on the network");
        return;
    }
    let desk = Desk::new().await;
    let policy =
        "python: [\"3.12\", \"3.13\"]\narchitectures: [x86_64, arm64]\nregions: [us-east-1]\n";
    desk.write(".github/layersmith.yaml", policy);
    desk.write("layers/requests.yaml", "packages: [requests]\n");
    desk.write("layers/markupsafe.yaml", "packages: [markupsafe]\n");

    let first = build_both(&desk, &desk.data("")).await;
    // Nothing kept from the first time helps the second.
    let mut again = desk;
    let fresh = again.data("fresh");
    again.options.set("LAYERSMITH_DATA", &fresh);
    let second = build_both(&again, &fresh).await;
    let digests = |built: &[(String, String, PathBuf)]| -> Vec<(String, String)> {
        let digest = |(what, digest, _): &(String, String, PathBuf)| (what.clone(), digest.clone());
        built.iter().map(digest).collect()
    };
    assert_eq!(
        digests(&first),
        digests(&second),
        "the same packages made another zip"
    );

    for (what, _, zip) in &first {
        let layer = python(&["-c", READ_LAYER], zip);
        let layer: Value = serde_json::from_str(&layer).unwrap();
        let names: Vec<&str> = layer["names"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(
            names.iter().all(|name| name.starts_with("python/")),
            "{what}: {names:?}"
        );
        assert_eq!(
            layer["wrong"],
            serde_json::json!([]),
            "{what}: RECORD is wrong"
        );
        assert_eq!(
            layer["unlisted"],
            serde_json::json!([]),
            "{what}: RECORD is not complete"
        );
        python(&["-m", "zipfile", "-t"], zip);
        if let Some(target) = what.strip_prefix("markupsafe ") {
            let machine = if target.ends_with("-arm64") {
                "aarch64"
            } else {
                "x86_64"
            };
            let python = if target.starts_with("p3.12") {
                "cpython-312"
            } else {
                "cpython-313"
            };
            let expected = format!("python/markupsafe/_speedups.{python}-{machine}-linux-gnu.so");
            assert!(names.contains(&expected.as_str()), "{what}: {names:?}");
        } else {
            for file in [
                "python/requests/__init__.py",
                "python/urllib3/__init__.py",
                "python/certifi/cacert.pem",
            ] {
                assert!(names.contains(&file), "{what}: {names:?}");
            }
        }
    }
    let requests = &first
        .iter()
        .find(|(what, ..)| what == "requests p3.13")
        .unwrap()
        .2;
    let imports = "import sys; sys.path.insert(0, sys.argv[1] + '/python'); import idna, certifi; print(idna.encode('ü.de'))";
    assert_eq!(python(&["-c", imports], requests), "b'xn--tda.de'\n");
}

/// Builds both layers for all four targets: what, digest, zip.
async fn build_both(desk: &Desk, data: &Path) -> Vec<(String, String, PathBuf)> {
    let mut built = Vec::new();
    for layer in ["markupsafe", "requests"] {
        let output = desk.command(&["--json", "build", layer]).output().unwrap();
        assert!(output.status.success(), "{}", why(&output));
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        for build in value["builds"].as_array().unwrap() {
            let target = build["target"].as_str().unwrap();
            let digest = build["build"]["artifact"]["digest"]
                .as_str()
                .unwrap()
                .to_owned();
            let zip = data.join("artifacts").join(format!("{digest}.zip"));
            built.push((format!("{layer} {target}"), digest, zip));
        }
    }
    assert_eq!(built.len(), 8, "{built:?}");
    built
}

fn why(output: &Output) -> String {
    format!(
        "real packages could not be built. This is the one test that needs the network: uv's default package index. \
         Without it, set LAYERSMITH_TEST_OFFLINE=1 to leave the test out. What was said:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs Python with the zip as the last argument; it has to succeed.
fn python(arguments: &[&str], zip: &Path) -> String {
    let output = Command::new("python3")
        .args(arguments)
        .arg(zip)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments:?} {}: {output:?}",
        zip.display()
    );
    String::from_utf8(output.stdout).unwrap()
}

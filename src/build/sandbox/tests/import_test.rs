//! Layers whose modules can be imported, cannot, or will not let themselves be tested.

use super::{both, interpreter, sandbox};
use crate::build::sandbox::ImportTested;
use crate::build::sandbox::import_test::test_import_within;
use crate::model::{Architecture, ImportTest, Target};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;

fn here() -> Target {
    Target {
        python: interpreter().python,
        architecture: Architecture::ALL
            .into_iter()
            .find(|architecture| architecture.machine() == std::env::consts::ARCH)
            .unwrap(),
    }
}

/// A layer zip with these files below `python/`.
fn layer(folder: &Path, files: &[(&str, &str)]) -> PathBuf {
    let path = folder.join("layer.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, text) in files {
        zip.start_file(format!("python/{name}"), SimpleFileOptions::default())
            .unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    path
}

async fn tested_within(files: &[(&str, &str)], modules: &[&str], limit: Duration) -> ImportTested {
    let folder = tempfile::tempdir().unwrap();
    let layer = layer(folder.path(), files);
    let modules: Vec<String> = modules.iter().map(|name| (*name).to_owned()).collect();
    let mut results = Vec::new();
    for sandbox in both().await {
        let tested = test_import_within(
            &sandbox,
            &interpreter(),
            here(),
            &layer,
            &modules,
            folder.path(),
            limit,
        )
        .await
        .unwrap();
        // Nothing is left but the layer itself.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        results.push(tested);
    }
    // However a package is isolated, the same is said of it.
    let [isolated, confined] = results.try_into().unwrap();
    assert_eq!(without_addresses(&isolated), without_addresses(&confined));
    isolated
}

/// All that was found out, with the addresses of threads left out.
fn without_addresses(tested: &ImportTested) -> String {
    let text = format!("{tested:?}");
    text.split(' ')
        .filter(|word| !word.starts_with("0x"))
        .collect()
}

async fn tested(files: &[(&str, &str)], modules: &[&str]) -> ImportTested {
    tested_within(files, modules, Duration::from_secs(60)).await
}

/// The module that failed, and its trace.
fn failure(tested: ImportTested) -> (String, String) {
    match tested.outcome {
        ImportTest::Failed { module, trace } => (module, trace),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn modules_that_can_be_imported_pass_and_tell_what_they_loaded() {
    let files = [
        ("a/__init__.py", "from . import used\nprint('hello')"),
        ("a/used.py", "import json, ssl, sqlite3, ctypes"),
        ("a/unused.py", "1 / 0"),
        ("b.py", "import a.used"),
    ];
    let tested = tested(&files, &["a", "b"]).await;
    assert_eq!(
        tested.outcome,
        ImportTest::Passed {
            modules: vec!["a".to_owned(), "b".to_owned()]
        }
    );
    assert_eq!(tested.loaded, ["a/__init__.py", "a/used.py", "b.py"]);
    assert_eq!(tested.notes, Vec::<String>::new());
}

#[tokio::test]
async fn bytecode_counts_as_its_source() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.py"), "x = 1").unwrap();
    let interpreter = interpreter();
    let script = "import py_compile, sys; print(py_compile.compile(sys.argv[1], dfile='elsewhere/m.py', invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH), end='')";
    let output = std::process::Command::new(&interpreter.path)
        .args(["-I", "-c", script])
        .arg(folder.path().join("m.py"))
        .output()
        .unwrap();
    let compiled = PathBuf::from(String::from_utf8(output.stdout).unwrap());
    let bytecode = std::fs::read(&compiled).unwrap();
    let zip_path = folder.path().join("layer.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&zip_path).unwrap());
    let cached = format!(
        "python/__pycache__/{}",
        compiled.file_name().unwrap().to_str().unwrap()
    );
    // The source would fail: what is loaded is the bytecode.
    for (name, bytes) in [("python/m.py", b"1 / 0".as_slice()), (&cached, &bytecode)] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    let tested = crate::build::sandbox::test_import(
        &sandbox().await,
        &interpreter,
        here(),
        &zip_path,
        &["m".to_owned()],
        folder.path(),
    )
    .await
    .unwrap();
    assert!(
        matches!(tested.outcome, ImportTest::Passed { .. }),
        "{tested:?}"
    );
    assert_eq!(tested.loaded, ["m.py"]);
}

#[tokio::test]
async fn a_failure_shows_the_traceback_without_this_machine() {
    let files = [
        ("good.py", ""),
        (
            "bad.py",
            "import json\njson.loads('\\x1b[31m{')  # reads nothing\n",
        ),
    ];
    let (module, trace) = failure(tested(&files, &["good", "bad"]).await);
    assert_eq!(module, "bad");
    assert!(
        trace.starts_with(
            "Traceback (most recent call last):\n  File \"/opt/python/bad.py\", line 2"
        ),
        "{trace}"
    );
    assert!(trace.contains("JSONDecodeError"), "{trace}");
    assert!(
        !trace.contains(&*interpreter().prefix.to_string_lossy())
            || interpreter().prefix == Path::new("/usr"),
        "{trace}"
    );
    assert!(
        !trace.contains('\u{1b}') && !trace.contains("driver.py"),
        "{trace}"
    );
}

/// Whether it counts, those decide who know which package it is of.
#[tokio::test]
async fn a_module_in_a_folder_that_is_no_package_fails_by_itself() {
    let files = [
        ("good.py", ""),
        ("space/bad.py", "1 / 0"),
        ("space/good.py", ""),
        ("top/__init__.py", "1 / 0"),
    ];
    let inside = tested(&files, &["good", "space.bad", "space.good"]).await;
    assert!(
        matches!(inside.outcome, ImportTest::Passed { .. }),
        "{inside:?}"
    );
    let [(module, trace)] = &inside.failed_inside[..] else {
        panic!("{inside:?}");
    };
    assert_eq!(module, "space.bad");
    assert!(
        trace.ends_with("ZeroDivisionError: division by zero"),
        "{trace}"
    );
    let (module, _) = failure(tested(&files, &["space.bad", "top"]).await);
    assert_eq!(module, "top");
}

#[tokio::test]
async fn what_only_the_runtime_has_is_a_note_and_what_nobody_has_a_failure() {
    let files = [
        ("sdk.py", "import botocore.config"),
        ("gone.py", "import numpy.linalg"),
    ];
    let passed = tested(&files, &["sdk"]).await;
    assert!(
        matches!(passed.outcome, ImportTest::Passed { .. }),
        "{passed:?}"
    );
    assert_eq!(
        passed.notes,
        [
            "`sdk` needs `botocore`, which the Lambda runtime brings; the rest of it was not imported."
        ]
    );
    let (module, trace) = failure(tested(&files, &["sdk", "gone"]).await);
    assert_eq!(module, "gone");
    assert!(
        trace.ends_with("ModuleNotFoundError: No module named 'numpy'"),
        "{trace}"
    );
}

#[tokio::test]
async fn a_package_that_ends_the_process_has_not_been_imported() {
    for (source, said) in [
        ("import os; os._exit(0)", "exited with status 0"),
        ("import sys; sys.exit(0)", "SystemExit"),
        (
            "import ctypes; ctypes.string_at(0)",
            "signal 11 (segmentation fault)",
        ),
        ("import os, signal; os.kill(os.getpid(), 9)", "signal 9"),
    ] {
        let (module, trace) = failure(tested(&[("bad.py", source)], &["bad"]).await);
        assert_eq!(module, "bad");
        assert!(trace.contains(said), "{source}: {trace}");
    }
}

#[tokio::test]
async fn what_a_package_does_to_its_process_does_not_spoil_the_test() {
    let source = "
import atexit, os, sys, threading, time, socket
sys.stdout = sys.stderr = None
sys.exit = os._exit
atexit.register(time.sleep, 600)
threading.Thread(target=time.sleep, args=(600,)).start()
open(os.path.expanduser('~/cache'), 'w').write('x')
sys.path.clear()
if os.fork():
    os.wait()
assert os.environ['AWS_EXECUTION_ENV'].startswith('AWS_Lambda_python3.')
assert not [name for name in os.environ if 'SECRET' in name or 'TOKEN' in name or 'KEY' in name]
";
    let started = Instant::now();
    let tested = tested(&[("odd.py", source)], &["odd"]).await;
    assert!(
        matches!(tested.outcome, ImportTest::Passed { .. }),
        "{tested:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(50));
}

#[tokio::test]
async fn a_package_that_hangs_shows_where() {
    let files = [(
        "slow.py",
        "import time\n\ndef wait():\n    time.sleep(600)\n\nwait()\n",
    )];
    let limit = Duration::from_secs(4);
    let (module, trace) = failure(tested_within(&files, &["slow"], limit).await);
    assert_eq!(module, "slow");
    assert!(
        trace.contains("\"/opt/python/slow.py\", line 4 in wait")
            && trace.ends_with("it was stopped after 4 seconds"),
        "{trace}"
    );
}

#[tokio::test]
async fn another_machine_or_version_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let layer = layer(folder.path(), &[("a.py", "")]);
    let other_machine = Target {
        architecture: Architecture::ALL
            .into_iter()
            .find(|architecture| architecture.machine() != std::env::consts::ARCH)
            .unwrap(),
        ..here()
    };
    let other_python: Target = if here().python.minor() == 10 {
        "p3.11"
    } else {
        "p3.10"
    }
    .parse()
    .unwrap();
    let other_python = Target {
        python: other_python.python,
        ..here()
    };
    for target in [other_machine, other_python] {
        let tested = crate::build::sandbox::test_import(
            &sandbox().await,
            &interpreter(),
            target,
            &layer,
            &["a".to_owned()],
            folder.path(),
        )
        .await
        .unwrap();
        assert!(
            matches!(tested.outcome, ImportTest::Skipped { .. }),
            "{tested:?}"
        );
    }
}

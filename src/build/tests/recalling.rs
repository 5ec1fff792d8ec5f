//! Layers that were built before and are not built again.

use super::building::{Bench, plain};
use super::wheel_maker::{TestEntry, TestWheel, lock};
use crate::build::bytecode::here;
use crate::build::{Artifacts, BuildOptions, Builder, BuilderSettings};
use crate::model::{
    Architecture, Bytecode, ImportTest, LeftOut, PythonVersion, Target, Timestamp, ZIPPED_LIMIT,
};

#[tokio::test]
async fn a_layer_that_was_built_is_recalled_as_long_as_all_of_it_is_right() {
    use std::os::unix::fs::MetadataExt as _;
    let wheel = TestWheel::new("demo", "1.0", &[("demo/__init__.py", "x = 1\n")]);
    let bench = Bench::start(std::slice::from_ref(&wheel)).await;
    let lock = lock(std::slice::from_ref(&wheel), &bench.base);
    let ask = async |today: Timestamp| {
        let options = BuildOptions { today, ..plain() };
        let builder = bench.builder();
        let built = builder.recall_or_build(&lock, &options, &|_| {}).await;
        let artifact = built.unwrap();
        let zip = bench.artifacts().path_of(&artifact.digest);
        (artifact, std::fs::metadata(&zip).unwrap().ino(), zip)
    };
    let today = Timestamp::from_unix(0);
    let first = ask(today).await;
    assert_eq!(ask(today).await, first, "the very file");
    // What the audit says depends on the day.
    let next_day = ask(today.plus_days(1)).await;
    assert_eq!(next_day.0, first.0);
    assert_ne!(next_day.1, first.1, "another file");
    let mut altered = std::fs::read(&first.2).unwrap();
    altered[40] ^= 1;
    std::fs::write(&first.2, &altered).unwrap();
    let mended = ask(today).await;
    assert_eq!(mended.0, first.0);
    assert_ne!(std::fs::read(&first.2).unwrap(), altered);
    let documents = documents(&bench);
    assert_eq!(documents.len(), 4);
    for path in documents {
        std::fs::remove_file(&path).unwrap();
        ask(today).await;
        assert!(path.is_file(), "{} is written again", path.display());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, b"cut off").unwrap();
        ask(today).await;
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
}

/// What is in the folder of artifacts beside zips.
fn documents(bench: &Bench) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(bench.folder.path().join("artifacts")).unwrap();
    let mut documents: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    documents.retain(|path| path.extension().is_none_or(|kind| kind != "zip"));
    documents.sort();
    documents
}

/// Two targets, and two lists of packages, come to one zip: each build has its own documents, and none of them makes
/// another be built again.
#[tokio::test]
async fn builds_of_one_zip_leave_each_other_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let wheels = [
        TestWheel::new("alpha", "1.0", &[("alpha.py", "import beta\n")]),
        TestWheel::new("beta", "2.0", &[("beta.py", "b = 2\n")]),
    ];
    let bench = Bench::start(&wheels).await;
    let lock = lock(&wheels, &bench.base);
    let [alpha, beta] = ["alpha".to_owned(), "beta".to_owned()];
    let (one, both) = ([alpha.clone()], [alpha, beta]);
    let asked: [(&str, &[String]); 3] = [("p3.13", &one), ("p3.13-arm64", &one), ("p3.13", &both)];
    let ask = async || {
        let mut zips = Vec::new();
        for (target, packages) in asked {
            let options = BuildOptions {
                target: target.parse().unwrap(),
                packages,
                ..plain()
            };
            let builder = bench.builder();
            let built = builder.recall_or_build(&lock, &options, &|_| {}).await;
            let zip = bench.artifacts().path_of(&built.unwrap().digest);
            zips.push((std::fs::metadata(&zip).unwrap().ino(), zip));
        }
        zips
    };
    let first = ask().await;
    assert!(first.iter().all(|(_, zip)| *zip == first[0].1), "{first:?}");
    let documents = documents(&bench);
    assert_eq!(documents.len(), 3 * 4);
    let texts = || -> Vec<String> {
        let texts = documents.iter().map(std::fs::read_to_string);
        texts.map(Result::unwrap).collect()
    };
    let said = texts();
    let last = first[2].0;
    let again = ask().await;
    assert!(again.iter().all(|(file, _)| *file == last), "the very file");
    assert_eq!(texts(), said);
}

/// One that an interpreter of this machine compiles for.
async fn target_of_this_machine(builder: &Builder) -> Target {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => Architecture::Arm64,
        _ => Architecture::X86_64,
    };
    for python in PythonVersion::ALL {
        if builder.has_interpreter(python).await {
            return Target {
                python,
                architecture,
            };
        }
    }
    panic!("a CPython that Lambda has is needed");
}

/// Isolation that does not work may work the next time, one that is not there at all is a fact of the machine.
#[tokio::test]
async fn a_layer_that_could_not_be_tested_for_a_passing_reason_is_tested_the_next_time() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let wheel = TestWheel::new("demo", "1.0", &[("demo/__init__.py", "x = 1\n")]);
    let bench = Bench::start(std::slice::from_ref(&wheel)).await;
    let lock = lock(std::slice::from_ref(&wheel), &bench.base);
    let broken = bench.folder.path().join("bwrap");
    std::fs::write(&broken, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).unwrap();
    let builder = |bwrap: &std::path::Path| {
        Builder::new(BuilderSettings {
            interpreters: here(),
            bwrap: Some(bwrap.to_owned()),
            ..BuilderSettings::new(bench.folder.path().join("cache"), bench.artifacts())
        })
    };
    let target = target_of_this_machine(&builder(&broken)).await;
    let ask = async |bwrap: &std::path::Path| {
        let options = BuildOptions::plain(target, Timestamp::from_unix(0));
        let builder = builder(bwrap);
        let built = builder.recall_or_build(&lock, &options, &|_| {}).await;
        let artifact = built.unwrap();
        let tested = &artifact.report.import_test;
        assert!(matches!(tested, ImportTest::Skipped { .. }), "{tested:?}");
        let zip = bench.artifacts().path_of(&artifact.digest);
        std::fs::metadata(zip).unwrap().ino()
    };
    let first = ask(&broken).await;
    assert_ne!(ask(&broken).await, first, "it is built again");
    let off = std::path::Path::new("off");
    let without = ask(off).await;
    assert_eq!(ask(off).await, without, "the very file");
}

/// A layer that is too large for a direct upload without its bytecode as well keeps it: leaving it out would spare nothing.
#[tokio::test]
async fn what_is_too_large_anyway_keeps_its_bytecode() {
    let zeros = vec![0; usize::try_from(ZIPPED_LIMIT).unwrap()];
    let wheel = TestWheel::new("demo", "1.0", &[("demo/__init__.py", "x = 1\n")])
        .with(TestEntry::new("demo/data.bin", &zeros))
        .stored();
    let bench = Bench::start(std::slice::from_ref(&wheel)).await;
    let lock = lock(std::slice::from_ref(&wheel), &bench.base);
    let builder = Builder::new(BuilderSettings {
        interpreters: here(),
        bwrap: Some("off".into()),
        ..BuilderSettings::new(bench.folder.path().join("cache"), bench.artifacts())
    });
    let target = target_of_this_machine(&builder).await;
    for is_staged in [false, true] {
        let options = BuildOptions {
            is_staged,
            bytecode: Bytecode::All,
            ..BuildOptions::plain(target, Timestamp::from_unix(0))
        };
        let built = builder.build(&lock, &options, &|_| {}).await.unwrap();
        assert!(built.size > ZIPPED_LIMIT, "{}", built.size);
        let bytecode = built.report.bytecode;
        assert_eq!(bytecode.included, Bytecode::All);
        assert_eq!((bytecode.files, bytecode.reason), (1, None));
        let files = std::fs::read_dir(bench.folder.path().join("artifacts")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let zips: Vec<String> = names.filter(|name| name.ends_with(".zip")).collect();
        assert_eq!(zips, [format!("{}.zip", built.digest)]);
    }
}

#[tokio::test]
async fn what_the_runtime_has_is_left_out_and_its_size_is_told() {
    let wheels = [
        TestWheel::new("demo", "1.0", &[("demo/__init__.py", "x = 1\n")]),
        TestWheel::new("six", "1.17", &[("six.py", "y = 2\n"), ("a.txt", "text")]),
        TestWheel::new("urllib3", "2.0", &[("urllib3/__init__.py", "z = 3\n")]),
    ];
    let bench = Bench::start(&wheels).await;
    let lock = lock(&wheels, &bench.base);
    let packages = ["demo".to_owned(), "six".to_owned()];
    let build = async |exclude_runtime, packages| {
        let options = BuildOptions {
            exclude_runtime,
            packages,
            ..plain()
        };
        let built = bench.builder().build(&lock, &options, &|_| {}).await;
        built.unwrap()
    };
    let whole = build(false, &packages[..1]).await;
    assert_eq!(whole.report.slimmed, []);
    // With `six` asked for, only the other one is left out.
    for (packages, pins) in [(&packages[..1], 1), (&packages[..], 2)] {
        let without = build(true, packages).await;
        assert_eq!(without.pins.len(), pins);
        let [left] = &without.report.slimmed[..] else {
            panic!("{:?}", without.report.slimmed);
        };
        assert_eq!(left.why, LeftOut::Runtime);
        assert_eq!(left.files, whole.files - without.files);
        assert_eq!(left.unzipped, whole.unzipped_size - without.unzipped_size);
        assert!(left.zipped > 0 && left.zipped < whole.size - without.size);
    }
}

#[tokio::test]
async fn a_folder_of_artifacts_stays_below_its_limit_and_what_went_is_built_again() {
    let wheels = [1, 2].map(|n| {
        let text = format!("x = {n}\n");
        TestWheel::new("demo", &format!("{n}.0"), &[("demo/__init__.py", &text)])
    });
    let bench = Bench::start(&wheels).await;
    let builder = || {
        let artifacts = Artifacts::in_folder(bench.artifacts(), 1);
        Builder::new(BuilderSettings::new(
            bench.folder.path().join("cache"),
            artifacts,
        ))
    };
    let build = async |wheel: &TestWheel| {
        let lock = lock(std::slice::from_ref(wheel), &bench.base);
        let built = builder().recall_or_build(&lock, &plain(), &|_| {}).await;
        built.unwrap().digest
    };
    let [one, other] = &wheels;
    let first = build(one).await;
    let second = build(other).await;
    let is_there = |digest| bench.artifacts().contains(digest);
    assert!(is_there(&first) && is_there(&second), "both are in use");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    for file in std::fs::read_dir(bench.folder.path().join("artifacts")).unwrap() {
        let file = std::fs::File::options()
            .append(true)
            .open(file.unwrap().path());
        file.unwrap().set_modified(long_ago).unwrap();
    }
    assert_eq!(build(other).await, second);
    assert!(!is_there(&first) && is_there(&second));
    let error = builder().artifacts().verified(&first).await.unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert_eq!(build(one).await, first);
    assert!(is_there(&first));
}

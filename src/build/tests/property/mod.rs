//! Of thousands of wheels: what other programs read from our layers is what pip would have put there.

mod generator;

use self::generator::{Group, TOKEN, groups};
use super::assembling::source;
use crate::build::{Assembled, Exclude, Selection, assemble, verify};
use layersmith_testbed::tools;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SEED: u64 = 5;
/// Enough to see every shape with every other many times, and a few seconds.
const WHEELS: usize = 2_000;
/// How many go into one `pip install`: its time grows with the square.
const BATCH: usize = 24;
/// Interpreters at once.
const WORKERS: usize = 2;

/// Whether it is executable, its SHA-256 and its size.
type File = (bool, String, u64);
type Files = BTreeMap<String, File>;

/// More wheels, or other ones, for a longer look: `LAYERSMITH_TEST_WHEELS=20000 LAYERSMITH_TEST_SEED=7`.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn layers_hold_what_pip_would_have_installed() {
    let seed = number("LAYERSMITH_TEST_SEED", SEED);
    let wheels = number("LAYERSMITH_TEST_WHEELS", WHEELS as u64);
    let groups = groups(seed, usize::try_from(wheels).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let share = groups.len().div_ceil(WORKERS);
    std::thread::scope(|scope| {
        for (number, groups) in groups.chunks(share).enumerate() {
            let folder = folder.path().join(number.to_string());
            scope.spawn(move || compare(&folder, groups));
        }
    });
}

fn compare(folder: &Path, groups: &[Group]) {
    let (wheels, layers) = (folder.join("wheels"), folder.join("layers"));
    fs::create_dir_all(&wheels).unwrap();
    fs::create_dir_all(&layers).unwrap();
    let mut tellings = Vec::new();
    for group in groups {
        for (wheel, bytes) in &group.wheels {
            fs::write(wheels.join(wheel.filename()), bytes).unwrap();
        }
        let (assembled, zip) = layer(group);
        fs::write(layers.join(format!("{}.zip", group.token)), zip).unwrap();
        tellings.push(told(&assembled));
    }
    unzip(&layers);
    let read = read_by_python(&layers, groups);
    let mut installed: BTreeMap<String, Files> = BTreeMap::new();
    for (path, file) in installed_by_pip(folder, &wheels, groups) {
        let of_group = installed.entry(token_in(&path)).or_default();
        of_group.insert(path, file);
    }
    for (group, told) in groups.iter().zip(tellings) {
        let mut expected = installed.remove(&group.token).unwrap();
        let mut layer = read[&group.token].clone();
        assert_same(&layer, &told, group);
        expected.retain(|path, _| is_expected(path, group));
        // Installers need not make scripts executable (PEP 427); here they are, whatever tool made the wheel.
        expected
            .iter_mut()
            .filter(|(path, _)| path.starts_with("bin/"))
            .for_each(|(_, file)| file.0 = true);
        layer.retain(|path, _| !is_of_the_installer(path));
        assert_same(&layer, &expected, group);
    }
    assert!(installed.is_empty(), "of no group: {installed:?}");
}

/// Fails with the files in which the two differ.
fn assert_same(layer: &Files, expected: &Files, group: &Group) {
    let differing = |these: &Files, those: &Files| -> Files {
        let only = these
            .iter()
            .filter(|(path, file)| those.get(*path) != Some(file));
        only.map(|(path, file)| (path.clone(), file.clone()))
            .collect()
    };
    assert!(
        layer == expected,
        "{} without {:?}: the layer has {:#?} and should have {:#?}",
        group.token,
        group.left_out,
        differing(layer, expected),
        differing(expected, layer)
    );
}

/// The word in a path that says which group it is of.
fn token_in(path: &str) -> String {
    let path = path.to_lowercase();
    let is_token = |word: &&[u8]| matches!(word, [b'g', digits @ .., b'q'] if digits.iter().all(u8::is_ascii_digit));
    let token = path.as_bytes().windows(TOKEN).find(is_token);
    String::from_utf8(token.unwrap_or_default().to_vec()).unwrap()
}

/// What pip installed, less what the options leave out and what an installer writes of itself.
fn is_expected(path: &str, group: &Group) -> bool {
    let stays = path
        .split('/')
        .next()
        .is_some_and(|top| top.ends_with(".dist-info"));
    let is_left_out = !stays && group.left_out.iter().any(|left_out| left_out.takes(path));
    !is_left_out && !is_of_the_installer(path)
}

/// Files that say how a package was installed differ on purpose; the layer's `RECORD` and `INSTALLER` are held to what is
/// there by `layers.py`. The signature of a wheel's `RECORD` says nothing of another one.
fn is_of_the_installer(path: &str) -> bool {
    matches!(
        path.split_once(".dist-info/"),
        Some((top, "RECORD" | "INSTALLER" | "REQUESTED" | "direct_url.json" | "RECORD.jws")) if !top.contains('/')
    )
}

/// The group's layer, which must not depend on the order of the wheels, nor on how often it is made.
fn layer(group: &Group) -> (Assembled, Vec<u8>) {
    let patterns: Vec<String> = group
        .left_out
        .iter()
        .map(|left_out| left_out.pattern())
        .collect();
    let exclude = Exclude::new(&patterns).unwrap();
    let assembled = |is_reversed: bool| {
        let mut sources: Vec<_> = group
            .wheels
            .iter()
            .map(|(wheel, bytes)| source(wheel, bytes.clone()))
            .collect();
        if is_reversed {
            sources.reverse();
        }
        let mut zip = Vec::new();
        let assembled = assemble(sources, &Selection::all_but(&exclude), &mut zip);
        (
            assembled.unwrap_or_else(|error| panic!("{}: {error}", group.token)),
            zip,
        )
    };
    for (wheel, bytes) in &group.wheels {
        verify(&mut Cursor::new(bytes), &wheel.filename()).unwrap();
    }
    let (first, second) = (assembled(false), assembled(true));
    assert!(
        first == second,
        "{}: the layer depends on the order of its wheels",
        group.token
    );
    assert_eq!(first.0.pins.len(), group.wheels.len());
    first
}

/// What we say ourselves of a layer's files.
fn told(assembled: &Assembled) -> Files {
    let files = assembled.files.iter().map(|file| {
        let told = (file.is_executable, file.digest.to_string(), file.size);
        (file.path.clone(), told)
    });
    files.collect()
}

fn unzip(layers: &Path) {
    let tested = Command::new("unzip")
        .arg("-tqq")
        .arg(layers.join("*.zip"))
        .output()
        .expect("unzip is missing: apt-get install unzip");
    assert!(
        tested.status.success(),
        "{}",
        String::from_utf8_lossy(&tested.stdout)
    );
}

fn read_by_python(layers: &Path, groups: &[Group]) -> BTreeMap<String, Files> {
    let paths: Vec<PathBuf> = groups
        .iter()
        .map(|group| layers.join(format!("{}.zip", group.token)))
        .collect();
    let mut command = Command::new(python());
    command.args(["-I", "-S", "-c", include_str!("layers.py")]);
    let read: BTreeMap<PathBuf, Files> = answer(command, &paths);
    read.into_iter()
        .map(|(path, files)| {
            (
                path.file_stem().unwrap().to_str().unwrap().to_owned(),
                files,
            )
        })
        .collect()
}

fn installed_by_pip(folder: &Path, wheels: &Path, groups: &[Group]) -> Files {
    // pip alone, without what else is installed there: it would look at each of those packages for each wheel.
    let alone = folder.join("alone");
    fs::create_dir(&alone).unwrap();
    std::os::unix::fs::symlink(pip(), alone.join("pip")).unwrap();
    let mut jobs: Vec<(PathBuf, Vec<PathBuf>)> = Vec::new();
    for group in groups {
        // A group's wheels share files: they go into one folder.
        if jobs
            .last()
            .is_none_or(|(_, batch)| batch.len() + group.wheels.len() > BATCH)
        {
            jobs.push((folder.join(format!("target{}", jobs.len())), Vec::new()));
        }
        if let Some((_, batch)) = jobs.last_mut() {
            let paths = group
                .wheels
                .iter()
                .map(|(wheel, _)| wheels.join(wheel.filename()));
            batch.extend(paths);
        }
    }
    let mut command = Command::new(python());
    command
        .args(["-I", "-S", "-c", include_str!("installed.py")])
        .arg(alone);
    answer(command, &jobs)
}

/// What a program answers, in JSON, to what it is told.
fn answer<T: DeserializeOwned>(mut command: Command, told: &impl serde::Serialize) -> T {
    let mut running = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    running
        .stdin
        .take()
        .unwrap()
        .write_all(&serde_json::to_vec(told).unwrap())
        .unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A Python with pip: the tools' own, else the one on `PATH`.
fn python() -> PathBuf {
    let tools = tools::tools_directory().join("venv/bin/python");
    if tools.is_file() {
        tools
    } else {
        PathBuf::from("python3")
    }
}

/// The folder of that Python's pip.
fn pip() -> PathBuf {
    let script = "import os, pip; print(os.path.dirname(os.path.abspath(pip.__file__)), end='')";
    let output = Command::new(python())
        .args(["-c", script])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "pip is missing: python3 -m venv target/tools/venv: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    PathBuf::from(String::from_utf8(output.stdout).unwrap())
}

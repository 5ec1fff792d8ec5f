//! Of thousands of wheels: what other programs read from our layers is what pip would have put there.

mod generator;

use self::generator::{Group, groups};
use super::assembling::source;
use crate::build::{Exclude, Selection, assemble, verify};
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
    for group in groups {
        for (wheel, bytes) in &group.wheels {
            fs::write(wheels.join(wheel.filename()), bytes).unwrap();
        }
        fs::write(layers.join(format!("{}.zip", group.token)), layer(group)).unwrap();
    }
    unzip(&layers);
    let read = read_by_python(&layers, groups);
    let mut installed = installed_by_pip(folder, &wheels, groups);
    for group in groups {
        let mut expected = BTreeMap::new();
        let of_group = |path: &str| path.to_lowercase().contains(&group.token);
        installed.retain(|path, file| {
            if of_group(path) {
                expected.insert(path.clone(), file.clone());
            }
            !of_group(path)
        });
        let mut layer = read[&group.token].clone();
        expected.retain(|path, _| is_expected(path, group));
        // Installers need not make scripts executable (PEP 427); here they are, whatever tool made the wheel.
        expected
            .iter_mut()
            .filter(|(path, _)| path.starts_with("bin/"))
            .for_each(|(_, file)| file.0 = true);
        layer.retain(|path, _| !is_of_the_installer(path));
        assert_eq!(
            layer, expected,
            "{} without {:?}",
            group.token, group.left_out
        );
    }
    assert!(installed.is_empty(), "of no group: {installed:?}");
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
fn layer(group: &Group) -> Vec<u8> {
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
    let (assembled, zip) = {
        let (first, second) = (assembled(false), assembled(true));
        assert!(
            first == second,
            "{}: the layer depends on the order of its wheels",
            group.token
        );
        first
    };
    assert_eq!(assembled.pins.len(), group.wheels.len());
    zip
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
    let paths: Vec<PathBuf> = groups
        .iter()
        .flat_map(|group| &group.wheels)
        .map(|(wheel, _)| wheels.join(wheel.filename()))
        .collect();
    let jobs: Vec<(PathBuf, &[PathBuf])> = paths
        .chunks(BATCH)
        .enumerate()
        .map(|(number, batch)| (folder.join(format!("target{number}")), batch))
        .collect();
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

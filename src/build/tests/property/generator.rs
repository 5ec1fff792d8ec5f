//! Wheels of many shapes, decided by a seed alone.

use crate::build::tests::wheel_maker::{TestEntry, TestWheel};
use crate::model::Digest;
use fastrand::Rng;

/// Some wheels that go into one layer, and what is left out of it.
pub(super) struct Group {
    /// A word in every path of the group, and in none of another: it tells whose a file in a shared folder is.
    pub(super) token: String,
    pub(super) wheels: Vec<(TestWheel, Vec<u8>)>,
    pub(super) left_out: Vec<LeftOut>,
}

/// How long a group's token is: `g`, five digits, `q`.
pub(super) const TOKEN: usize = 7;

/// What a pattern leaves out, and a second way to say it.
#[derive(Debug, Clone)]
pub(super) enum LeftOut {
    /// Everything below folders of this name.
    Folder(&'static str),
    /// Files that end so, anywhere.
    Suffix(&'static str),
    /// One path.
    Path(String),
}

impl LeftOut {
    pub(super) fn pattern(&self) -> String {
        match self {
            Self::Folder(name) => format!("**/{name}/**"),
            Self::Suffix(suffix) => format!("**/*{suffix}"),
            Self::Path(path) => path.clone(),
        }
    }

    pub(super) fn takes(&self, path: &str) -> bool {
        match self {
            Self::Folder(name) => path.rsplit('/').skip(1).any(|folder| folder == *name),
            Self::Suffix(suffix) => path.ends_with(suffix),
            Self::Path(other) => path == other,
        }
    }
}

const FOLDERS: &[&str] = &[
    "tests",
    "sub",
    "_vendor",
    "a.b",
    "é",
    "with space",
    "données",
    "__pycache__",
    "X",
];
const FILES: &[&str] = &[
    "__init__.py",
    "a.py",
    "b.pyi",
    "native.so",
    "data.json",
    "py.typed",
    "ünï.txt",
    "日本語.md",
    "with, comma.txt",
    "say \"hi\".txt",
    ".hidden",
    "..x",
    "no_suffix",
    "a.cpython-313-x86_64-linux-gnu.so",
    "README.md",
    "x.h",
    "~",
    "#x#",
];
const EXTRAS: &[&str] = &[
    "entry_points.txt",
    "licenses/LICENSE",
    "licenses/sub/NOTICE",
    "top_level.txt",
    "WHEEL.orig",
    "sboms/a.json",
    "RECORD.jws",
];

/// The groups that a seed stands for, of one to four wheels each, `wheels` in all or up to three more.
pub(super) fn groups(seed: u64, wheels: usize) -> Vec<Group> {
    let mut random = Rng::with_seed(seed);
    let mut groups = Vec::new();
    let mut made = 0;
    while made < wheels {
        let group = group(&mut random, groups.len());
        made += group.wheels.len();
        groups.push(group);
    }
    groups
}

fn group(random: &mut Rng, number: usize) -> Group {
    let token = format!("g{number:05}q");
    let shared = (format!("{token}ns/shared/common.py"), text(random));
    let wheels: Vec<_> = (0..random.usize(1..=4))
        .map(|index| wheel(random, &token, index, &shared))
        .collect();
    let mut left_out = Vec::new();
    if random.bool() {
        left_out.push(LeftOut::Folder(one(random, FOLDERS)));
    }
    if random.u8(..3) == 0 {
        left_out.push(LeftOut::Suffix(one(
            random,
            &[".pyi", ".txt", ".py", "e", ".so"],
        )));
    }
    if random.u8(..3) == 0 {
        left_out.push(LeftOut::Path(shared.0.clone()));
    }
    Group {
        token,
        wheels,
        left_out,
    }
}

fn wheel(
    random: &mut Rng,
    token: &str,
    index: usize,
    shared: &(String, Vec<u8>),
) -> (TestWheel, Vec<u8>) {
    // Installers bring all of these to one spelling, and differ in where they keep the package's own.
    let name = match random.u8(..3) {
        0 => format!("{token}{index}"),
        1 => format!("{token}_P{index}"),
        _ => format!("{}_x_y{index}", token.to_uppercase()),
    };
    let version = one(
        random,
        &["1.0", "2.31.0", "0.1rc1", "1.0.post3", "2024.1+local.1"],
    );
    let mut wheel = TestWheel::new(&name, version, &[]);
    let (dist_info, data) = (wheel.dist_info(), wheel.data());
    let package = format!("{token}pkg{index}");
    let mut paths = Vec::new();
    for _ in 0..random.usize(0..8) {
        paths.push(format!("{package}/{}", path(random)));
    }
    if random.bool() {
        // Of a namespace package that the group's wheels share, under a name of this wheel's own.
        paths.push(format!("{token}ns/part{index}/{}", path(random)));
        paths.push(shared.0.clone());
    }
    if random.bool() {
        paths.push(format!("{package}_module.py"));
    }
    if random.u8(..4) == 0 {
        let scheme = one(random, &["purelib", "platlib"]);
        paths.push(format!(
            "{data}/{scheme}/{token}scheme{index}/{}",
            path(random)
        ));
    }
    if random.u8(..4) == 0 {
        paths.push(format!("{data}/data/share/{token}{index}/{}", path(random)));
    }
    if random.u8(..4) == 0 {
        paths.push(format!("{data}/headers/{}", path(random)));
    }
    if random.u8(..4) == 0 {
        paths.push(format!("{data}/scripts/{token}-tool{index}"));
    }
    for extra in EXTRAS {
        if random.u8(..5) == 0 {
            paths.push(format!("{dist_info}/{extra}"));
        }
    }
    paths.sort();
    paths.dedup();
    random.shuffle(&mut paths);
    for path in paths {
        let contents = if path == shared.0 {
            shared.1.clone()
        } else {
            contents(random, &path)
        };
        let entry = entry(random, &path, &contents);
        // A folder's own entry, as some tools write it.
        if random.u8(..10) == 0
            && let Some((folder, _)) = path.rsplit_once('/')
        {
            let folder = format!("{folder}/");
            if wheel
                .entries
                .iter()
                .all(|entry| entry.name != folder.as_bytes())
            {
                wheel.entries.push(TestEntry {
                    mode: 0o040_755,
                    deflated: false,
                    ..TestEntry::new(&folder, b"")
                });
            }
        }
        wheel.entries.push(entry);
    }
    let record = record(random, &wheel);
    let bytes = wheel.bytes_with_record(&record);
    (wheel, bytes)
}

/// A path without its first folder; no file of the generator has the name of a folder.
fn path(random: &mut Rng) -> String {
    let mut path = String::new();
    for _ in 0..random.usize(0..4) {
        path.push_str(one(random, FOLDERS));
        path.push('/');
    }
    if random.u8(..20) == 0 {
        let letter = one(random, &["l", "é"]);
        path.push_str(&letter.repeat(240 / letter.len()));
        path.push('/');
    }
    path + one(random, FILES)
}

fn contents(random: &mut Rng, path: &str) -> Vec<u8> {
    if path.contains(".data/scripts/") {
        // A first line has an end: pip adds one where there is none.
        let line: &[u8] = one(
            random,
            &[
                b"#!python\n",
                b"#!pythonw\n",
                b"#!python -E\n",
                b"#!/bin/sh\n",
                b"",
            ],
        );
        return [line, &text(random)].concat();
    }
    if path.ends_with("entry_points.txt") {
        return b"[some.group]\nname = module:thing\n".to_vec();
    }
    match random.u8(..4) {
        0 => Vec::new(),
        1 => (0..random.usize(1..3000)).map(|_| random.u8(..)).collect(),
        _ => text(random),
    }
}

fn text(random: &mut Rng) -> Vec<u8> {
    let words = [
        "import os\n",
        "x = 1\n",
        "# été\n",
        "\r\n",
        "    return None\n",
    ];
    (0..random.usize(1..200))
        .flat_map(|_| one(random, &words).bytes())
        .collect()
}

fn entry(random: &mut Rng, path: &str, contents: &[u8]) -> TestEntry {
    let deflated = random.u8(..3) != 0;
    TestEntry {
        mode: one(
            random,
            &[
                0o100_644, 0o100_644, 0o100_755, 0o100_600, 0o100_711, 0, 0o755, 0o100_664,
            ],
        ),
        deflated,
        level: random.u32(1..=9),
        descriptor: random.u8(..4) == 0,
        // ASCII names may carry the flag as well.
        flags: if path.is_ascii() && random.bool() {
            0
        } else {
            1 << 11
        },
        ..TestEntry::new(path, contents)
    }
}

/// A `RECORD` that is whole, short, or with other digests than ours; never one that lies.
fn record(random: &mut Rng, wheel: &TestWheel) -> String {
    let style = random.u8(..4);
    let mut lines = Vec::new();
    for entry in &wheel.entries {
        let path = String::from_utf8(entry.name.clone()).unwrap();
        if path.ends_with('/') {
            continue;
        }
        let quoted = if path.contains([',', '"']) {
            format!("\"{}\"", path.replace('"', "\"\""))
        } else {
            path
        };
        let digest = Digest::of(&entry.data).record_base64();
        lines.push(match if style == 0 { random.u8(1..5) } else { 0 } {
            1 => continue,
            2 => format!("{quoted},md5=1B2M2Y8AsgTpgAmY7PhCfg,{}\n", entry.data.len()),
            3 => format!("{quoted},,\n"),
            4 => format!("{quoted},sha256={digest},\n"),
            _ => format!("{quoted},sha256={digest},{}\n", entry.data.len()),
        });
    }
    lines.push(format!("{}/RECORD,,\n", wheel.dist_info()));
    lines.concat()
}

fn one<T: Clone>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())].clone()
}

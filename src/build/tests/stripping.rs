//! Shared objects without their debug sections, loaded by a real Python.

use super::shared_objects::{compile, facts_of, open};
use super::wheel_maker::{TestEntry, TestWheel};
use crate::build::elf::{StripReport, read, strip_wheel};
use crate::build::examine::open_wheel;
use crate::build::overlay::{Overlay, OverlayKind};
use crate::build::zip_reader;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

const CODE: &str = "#include <math.h>\n#include <pthread.h>\n#include <stdio.h>\n#include <stdlib.h>\n\
    #include <string.h>\nstatic __thread int calls; int answer(int x) { calls++; return x * 42; }\n\
    double power(double x) { return pow(x, x); }\n";
/// Macros are among the debug information, which makes it large enough to be worth removing.
const DEBUG: &[&str] = &["-g3", "-lm"];

/// Strips a wheel: the report and the files by path.
fn strip(wheel: &TestWheel) -> (StripReport, BTreeMap<String, Vec<u8>>) {
    let (scratch, facts) = (tempfile::tempdir().unwrap(), facts_of(wheel));
    let another = || Cursor::new(wheel.bytes());
    let run = || {
        let wheel = &mut open(wheel);
        strip_wheel(wheel, another(), &facts, scratch.path(), Vec::new()).unwrap()
    };
    let (report, zip) = run();
    assert_eq!(
        run(),
        (report.clone(), zip.clone()),
        "the same wheel gave other bytes"
    );
    let mut overlay = Overlay::open(OverlayKind::Stripped, Cursor::new(zip), "pack.whl").unwrap();
    let members: Vec<_> = overlay
        .files
        .iter()
        .map(|file| file.member.clone())
        .collect();
    let files = members.iter().map(|member| {
        let bytes = zip_reader::read_member(&mut overlay.reader, member, 1 << 30).unwrap();
        (member.name.clone(), bytes)
    });
    (report, files.collect())
}

fn wheel_with(path: &str, bytes: &[u8]) -> TestWheel {
    TestWheel::new("pack", "1", &[]).with(TestEntry::new(path, bytes))
}

/// Loads the bytes as a library and calls it.
fn load(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.so");
    std::fs::write(&path, bytes).unwrap();
    let call = "import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); print(l.answer(2))";
    let output = Command::new("python3")
        .args(["-c", call])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn sections(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.so");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("readelf")
        .args(["-SW"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_debuggers_read_goes_and_the_file_still_loads() {
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments) in [
        ("debug.so", DEBUG),
        ("packed.so", &["-g3", "-gz", "-lm"][..]),
    ] {
        let original = compile(folder.path(), name, CODE, arguments);
        let (report, files) = strip(&wheel_with("pack/x.so", &original));
        let stripped = &files["pack/x.so"];
        assert_eq!(report.left, []);
        let file = &report.stripped[0];
        assert_eq!(file.size, (original.len() as u64, stripped.len() as u64));
        assert!(stripped.len() * 2 < original.len(), "{file:?}");
        assert_eq!(load(stripped), "84\n");
        let table = sections(stripped);
        assert!(
            !table.contains(".debug_") && !table.contains(" .symtab"),
            "{table}"
        );
        assert!(
            table.contains(".dynsym") && table.contains(".comment"),
            "{table}"
        );
        // Binutils' own `strip` is the measure.
        std::fs::write(folder.path().join("peer.so"), &original).unwrap();
        let peer = Command::new("strip")
            .arg(folder.path().join("peer.so"))
            .status()
            .unwrap();
        assert!(peer.success());
        let peer = std::fs::metadata(folder.path().join("peer.so"))
            .unwrap()
            .len();
        assert!(
            (stripped.len() as u64) <= peer + 1024,
            "{} {peer}",
            stripped.len()
        );
        // All that is loaded is untouched.
        let (before, after) = (read_all(&original), read_all(stripped));
        assert_eq!(before.needed, after.needed);
        assert_eq!(before.versions, after.versions);
        assert_eq!(after.removable, 0);
    }
}

fn read_all(bytes: &[u8]) -> crate::build::elf::ElfFacts {
    read(Cursor::new(bytes), "x").unwrap()
}

/// The way tools that edit shared objects do it: a piece that is loaded is put behind everything else.
#[test]
fn removed_bytes_in_the_middle_become_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let mut original = compile(folder.path(), "x.so", CODE, DEBUG);
    let length = original.len().next_multiple_of(4096);
    original.resize(length, 0);
    original.extend_from_slice(&[7; 4096]);
    // Some of those tools leave a zero behind the end.
    original.push(0);
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let table = word(&original, 32) as usize;
    let note = (0..usize::from(original[56]))
        .map(|index| table + index * 56)
        .find(|at| original[*at] == 4)
        .unwrap();
    // Elf64_Phdr of a note becomes that of a read-only piece: type, flags, then offset, addresses, sizes, alignment.
    original[note] = 1;
    original[note + 4] = 4;
    let address = 0x1000_0000_u64;
    for (index, value) in [length as u64, address, address, 4096, 4096, 4096]
        .into_iter()
        .enumerate()
    {
        original[note + 8 + index * 8..][..8].copy_from_slice(&value.to_le_bytes());
    }
    assert_eq!(load(&original), "84\n");
    let (report, files) = strip(&wheel_with("pack/x.so", &original));
    let stripped = &files["pack/x.so"];
    assert_eq!(
        report.stripped[0].size,
        (original.len() as u64, original.len() as u64)
    );
    let (before, after) = report.stripped[0].compressed_size;
    assert!(after * 2 < before, "{before} {after}");
    assert_eq!(load(stripped), "84\n");
    assert_eq!(stripped[length..], original[length..]);
    assert!(!sections(stripped).contains(".debug_"));
}

#[test]
fn files_of_another_shape_are_left_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let original = compile(folder.path(), "x.so", CODE, DEBUG);
    let object = compile(folder.path(), "x.o", CODE, &["-c", "-g3"]);
    let mut overlaid = original.clone();
    overlaid.extend_from_slice(&[1; 100]);
    let mut sparse = original.clone();
    sparse.extend_from_slice(b"more");
    let relocated = compile(
        folder.path(),
        "r.so",
        CODE,
        &["-g3", "-lm", "-Wl,--emit-relocs"],
    );
    let wheel = [
        ("a.so", overlaid),
        ("b.so", sparse),
        ("c.o", object),
        ("d.so", relocated),
    ]
    .iter()
    .fold(TestWheel::new("pack", "1", &[]), |wheel, (path, bytes)| {
        wheel.with(TestEntry::new(path, bytes))
    });
    let (report, files) = strip(&wheel);
    assert_eq!(files.len(), 0);
    let reasons: Vec<String> = report
        .left
        .iter()
        .map(|(path, reason)| format!("{path}: {reason}"))
        .collect();
    insta::assert_snapshot!(reasons.join("\n"), @"
    a.so: it holds bytes that none of its tables tells of
    b.so: it holds bytes that none of its tables tells of
    c.o: it is neither a shared object nor a program
    d.so: one of its other sections refers to them
    ");
}

#[test]
fn little_is_not_worth_it() {
    let folder = tempfile::tempdir().unwrap();
    let small = compile(folder.path(), "x.so", "int x = 1;", &["-g"]);
    let (report, files) = strip(&wheel_with("pack/x.so", &small));
    assert_eq!((report, files.len()), (StripReport::default(), 0));
}

/// Larger than several pieces that are compressed on their own.
#[test]
fn large_files_are_put_together_from_their_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let code = format!(
        "{CODE} const unsigned char table[9 << 20] = {{ 1, 2, 3, [5 << 20] = 9, [(9 << 20) - 1] = 7 }};"
    );
    let original = compile(
        folder.path(),
        "x.so",
        &code,
        &["-g3", "-lm", "-Wl,--gc-sections"],
    );
    // As much as the smallest share that is worth it, in a section of its own.
    let debug = folder.path().join("debug");
    let noise: Vec<u8> = (0..1_000_000_u32)
        .map(|at| (at.wrapping_mul(at) >> 7) as u8)
        .collect();
    std::fs::write(&debug, noise).unwrap();
    let output = Command::new("objcopy")
        .arg(format!("--add-section=.debug_more={}", debug.display()))
        .arg(folder.path().join("x.so"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let original_size = original.len() as u64;
    let original = std::fs::read(folder.path().join("x.so")).unwrap();
    let (report, files) = strip(&wheel_with("pack/x.so", &original));
    assert!(report.saved().0 >= 1_000_000, "{report:?} {original_size}");
    assert_eq!(load(&files["pack/x.so"]), "84\n");
}

/// Whatever is altered in a shared object: it is stripped to one that is read as before, or left.
#[test]
fn no_bytes_make_stripping_fail_badly() {
    let folder = tempfile::tempdir().unwrap();
    let original = compile(folder.path(), "x.so", CODE, DEBUG);
    let tables = (0..700)
        .step_by(15)
        .chain((original.len() - 2300..original.len()).step_by(13));
    let (mut stripped, mut left) = (0, 0);
    for place in tables {
        let mut altered = original.clone();
        altered[place] ^= 0xff;
        let wheel = wheel_with("pack/x.so", &altered).stored();
        let facts = facts_of(&wheel);
        let (mut opened, another) = (open(&wheel), Cursor::new(wheel.bytes()));
        let (report, _) =
            strip_wheel(&mut opened, another, &facts, folder.path(), Vec::new()).unwrap();
        stripped += report.stripped.len();
        left += report.left.len();
    }
    assert!(stripped > 10 && left > 10, "{stripped} {left}");
}

#[expect(
    clippy::print_stdout,
    reason = "a test that was left out has to say so"
)]
#[test]
fn real_packages_are_imported_after_stripping() {
    if std::env::var_os("LAYERSMITH_TEST_OFFLINE").is_some_and(|value| value == "1") {
        println!("skipped, because LAYERSMITH_TEST_OFFLINE=1: the package index is on the network");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let python = |arguments: &[&str]| {
        let output = Command::new("python3")
            .current_dir(folder.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "this test needs the network: pip's default package index. Without it, set \
             LAYERSMITH_TEST_OFFLINE=1 to leave the test out. {arguments:?}: {output:?}"
        );
    };
    let download = [
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary",
        ":all:",
    ];
    python(&[&download[..], &["-d", ".", "numpy"]].concat());
    let name_of = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
    let wheel = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| name_of(entry.unwrap()))
        .find(|name| name.ends_with(".whl"))
        .unwrap();
    python(&["-m", "zipfile", "-e", &wheel, "site"]);
    let stripped = strip_file(&folder.path().join(&wheel), folder.path());
    assert!(!stripped.is_empty());
    for (path, bytes) in stripped {
        let place = folder.path().join("site").join(path);
        assert!(bytes.len() as u64 <= std::fs::metadata(&place).unwrap().len());
        std::fs::write(place, bytes).unwrap();
    }
    let import = "import sys; sys.path.insert(0, 'site'); import numpy; import numpy.linalg; \
                  assert numpy.__file__.startswith('site') or '/site/' in numpy.__file__; \
                  print(numpy.linalg.det(numpy.eye(3)))";
    python(&["-S", "-c", import]);
}

/// The stripped files of numpy's wheel.
fn strip_file(path: &Path, scratch: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = std::fs::File::open(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let version = name.split('-').nth(1).unwrap().to_owned();
    let open = || {
        crate::build::wheel::Wheel::open(file.try_clone().unwrap(), name.clone(), "numpy", &version)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let reader = Cursor::new(std::fs::read(path).unwrap());
    let (_, examined) = open_wheel(reader, name.clone(), "numpy", &version, scratch).unwrap();
    let facts = examined.facts;
    let another = std::fs::File::open(path).unwrap();
    let (_, zip) = strip_wheel(&mut open(), another, &facts, scratch, Vec::new()).unwrap();
    let mut overlay = Overlay::open(OverlayKind::Stripped, Cursor::new(zip), &name).unwrap();
    let members: Vec<_> = overlay
        .files
        .iter()
        .map(|file| file.member.clone())
        .collect();
    members
        .iter()
        .map(|member| {
            let bytes = zip_reader::read_member(&mut overlay.reader, member, 1 << 30).unwrap();
            (member.name.clone(), bytes)
        })
        .collect()
}

//! What a layer comes to hold.

use super::wheel_maker::{TestEntry, TestWheel};
use crate::build::{Assembled, BuildError, Exclude, Selection, WheelSource, assemble};
use crate::model::{Digest, SlimKind, normalize_package_name};
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write as _};
use std::process::{Command, Stdio};

pub(super) fn source(wheel: &TestWheel, bytes: Vec<u8>) -> WheelSource<Cursor<Vec<u8>>> {
    WheelSource {
        package: normalize_package_name(&wheel.name),
        version: wheel.version.clone(),
        filename: wheel.filename(),
        reader: Cursor::new(bytes),
    }
}

fn layer_without(
    wheels: &[TestWheel],
    exclude: &[&str],
) -> Result<(Vec<u8>, Assembled), BuildError> {
    let sources = wheels
        .iter()
        .map(|wheel| source(wheel, wheel.bytes()))
        .collect();
    let exclude: Vec<String> = exclude.iter().map(|text| (*text).to_owned()).collect();
    let mut zip = Vec::new();
    let assembled = assemble(
        sources,
        &Selection::all_but(&Exclude::new(&exclude).unwrap()),
        &mut zip,
    )?;
    Ok((zip, assembled))
}

fn layer(wheels: &[TestWheel]) -> Result<(Vec<u8>, Assembled), BuildError> {
    layer_without(wheels, &[])
}

/// Path → mode and text, as the `zip` crate reads them (CRC checked).
fn unpacked(zip: &[u8]) -> BTreeMap<String, (u32, String)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            let name = file.name().unwrap().into_owned();
            (name, (file.unix_mode().unwrap() & 0o777, text))
        })
        .collect()
}

fn paths(zip: &[u8]) -> Vec<String> {
    unpacked(zip).into_keys().collect()
}

fn tool() -> TestWheel {
    let mut native = TestEntry::new("Some_Tool/native.so", b"\x7fELF");
    native.mode = 0o100_755;
    native.deflated = false;
    let mut streamed = TestEntry::new("Some_Tool/streamed.py", b"x = 1\n");
    streamed.descriptor = true;
    let mut folder = TestEntry::new("Some_Tool/", b"");
    folder.mode = 0o040_755;
    folder.deflated = false;
    TestWheel::new(
        "Some_Tool",
        "1.0",
        &[
            ("Some_Tool/__init__.py", "print('hello')\n"),
            ("Some_Tool/données.txt", "été"),
            (
                "Some_Tool-1.0.dist-info/entry_points.txt",
                "[console_scripts]\ntool = Some_Tool:main\n",
            ),
            ("Some_Tool-1.0.dist-info/INSTALLER", "somebody\n"),
            ("Some_Tool-1.0.dist-info/REQUESTED", ""),
            ("Some_Tool-1.0.dist-info/direct_url.json", "{}"),
            ("Some_Tool-1.0.dist-info/RECORD.jws", "{}"),
            ("Some_Tool-1.0.data/purelib/pure.py", "p"),
            ("Some_Tool-1.0.data/platlib/plat/a.py", "q"),
            ("Some_Tool-1.0.data/scripts/tool", "#!python\nprint(1)\n"),
            ("Some_Tool-1.0.data/scripts/windowed", "#!pythonw -x"),
            ("Some_Tool-1.0.data/scripts/shell", "#!/bin/sh\n"),
            ("Some_Tool-1.0.data/headers/tool.h", "h"),
            ("Some_Tool-1.0.data/data/share/tool/x", "d"),
        ],
    )
    .with(native)
    .with(streamed)
    .with(folder)
}

#[test]
fn files_go_where_an_installer_puts_them() {
    let (zip, assembled) = layer(&[tool()]).unwrap();
    let files: Vec<String> = unpacked(&zip)
        .iter()
        .map(|(path, (mode, _))| format!("{mode:o} {path}"))
        .collect();
    insta::assert_snapshot!(files.join("\n"), @"
    644 python/Some_Tool-1.0.dist-info/INSTALLER
    644 python/Some_Tool-1.0.dist-info/METADATA
    644 python/Some_Tool-1.0.dist-info/RECORD
    644 python/Some_Tool-1.0.dist-info/WHEEL
    644 python/Some_Tool-1.0.dist-info/entry_points.txt
    644 python/Some_Tool/__init__.py
    644 python/Some_Tool/données.txt
    755 python/Some_Tool/native.so
    644 python/Some_Tool/streamed.py
    755 python/bin/shell
    755 python/bin/tool
    755 python/bin/windowed
    644 python/include/some-tool/tool.h
    644 python/plat/a.py
    644 python/pure.py
    644 python/share/tool/x
    ");
    let texts = unpacked(&zip);
    let text = |path: &str| texts[path].1.as_str();
    assert_eq!(
        text("python/bin/tool"),
        "#!/usr/bin/env python3\nprint(1)\n"
    );
    assert_eq!(text("python/bin/windowed"), "#!/usr/bin/env python3");
    assert_eq!(text("python/bin/shell"), "#!/bin/sh\n");
    assert_eq!(
        text("python/Some_Tool-1.0.dist-info/INSTALLER"),
        "layersmith\n"
    );
    assert_eq!(text("python/Some_Tool/données.txt"), "été");
    assert_eq!(assembled.files.len(), texts.len());
    let size: usize = texts.values().map(|(_, text)| text.len()).sum();
    assert_eq!(assembled.unzipped_size, size as u64);
    assert_eq!(assembled.pins[0].license.as_deref(), Some("MIT"));
    assert_eq!(assembled.pins[0].name, "some-tool");
}

#[test]
fn the_order_of_the_wheels_does_not_matter() {
    let one = tool().stored();
    let other = TestWheel::new("other", "2", &[("other/a.py", "a"), ("bin.py", "b")]).stored();
    let shared = TestWheel::new("third", "3", &[("other/a.py", "a"), ("third.py", "c")]).stored();
    let (first, _) = layer(&[one.clone(), other.clone(), shared.clone()]).unwrap();
    let (second, _) = layer(&[shared, one, other]).unwrap();
    assert_eq!(Digest::of(&first), Digest::of(&second));
    // Written down, so that a change of the builder's output is noticed: it needs a new builder revision.
    insta::assert_snapshot!(Digest::of(&first), @"0b65e385f32462b6fced271e2916516d58220a84983deefe7d355c511e3dd293");
}

#[test]
fn options_and_wheels_decide_the_bytes() {
    let files = [
        ("pack/__init__.py", "import os\n"),
        ("pack/__init__.pyi", "os: object\n"),
        ("pack/tests/test_it.py", "def test(): pass\n"),
        ("pack/include/pack.h", "int x;\n"),
        ("pack/data.csv", "1,2\n"),
    ];
    let wheel = TestWheel::new("pack", "1", &files).stored();
    let digest = |exclude: &[&str], slim: &[SlimKind]| {
        let patterns: Vec<String> = exclude.iter().map(|text| (*text).to_owned()).collect();
        let exclude = Exclude::new(&patterns).unwrap();
        let selection = Selection {
            slim,
            ..Selection::all_but(&exclude)
        };
        let mut zip = Vec::new();
        assemble(vec![source(&wheel, wheel.bytes())], &selection, &mut zip).unwrap();
        Digest::of(&zip).to_string()
    };
    let digests = [
        digest(&[], &[]),
        digest(&["*/*.csv"], &[]),
        digest(&[], &[SlimKind::Tests]),
        digest(&[], &SlimKind::ALL),
        digest(&["*/*.csv"], &SlimKind::ALL),
    ];
    // Written down as the digest above is.
    insta::assert_snapshot!(digests.join("\n"), @"
    c2cfd79b7fa5c75ba773d4a3966b8ed4edfe8282fabe6f47ba5e81f327c02e24
    7f26901664888e51df765354c6a2b1651296c2c603c57b783858758a0589d0bc
    798d61d17fd9396397579c37847859df864fb354721cf4562018a2b402d57e0e
    ea3f7c619aab5a17f49050bd9904b064fe693bb7cb0228a3c19bf9ac50644900
    34b96a7deb26b3b67f91a56335842e2d2a582a83654facbd75c88883c4445497
    ");
}

#[test]
fn entries_are_sorted_and_dated_alike() {
    let (zip, _) = layer(&[tool()]).unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(&zip)).unwrap();
    archive.validate_header_consistency().unwrap();
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    for index in 0..archive.len() {
        let time = archive.by_index_data(index).unwrap().last_modified();
        assert_eq!(time, Some(zip::DateTime::default()));
    }
}

#[test]
fn the_record_lists_what_is_really_there() {
    let (zip, _) = layer_without(&[tool()], &["Some_Tool/*.txt"]).unwrap();
    let files = unpacked(&zip);
    let (_, record) = &files["python/Some_Tool-1.0.dist-info/RECORD"];
    let mut expected: Vec<String> = files
        .iter()
        .map(|(path, (_, text))| {
            let path = path.strip_prefix("python/").unwrap();
            if path.ends_with("/RECORD") {
                return format!("{path},,");
            }
            let digest = Digest::of(text.as_bytes()).record_base64();
            format!("{path},sha256={digest},{}", text.len())
        })
        .collect();
    expected.sort();
    assert_eq!(record.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_record_that_is_missing_or_short_is_made_up_for() {
    let wheel = TestWheel::new("a", "1", &[("a.py", "a"), ("b.py", "bb")]);
    let records = [
        wheel.bytes(),
        wheel.bytes_with_record(""),
        wheel.bytes_with_record(
            "a.py,md5=x,1\nb.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n",
        ),
    ];
    let layers = records.map(|bytes| {
        let mut zip = Vec::new();
        assemble(
            vec![source(&wheel, bytes)],
            &Selection::all_but(&Exclude::new(&[]).unwrap()),
            &mut zip,
        )
        .unwrap();
        zip
    });
    assert_eq!(layers[0], layers[1]);
    assert_eq!(layers[0], layers[2]);
}

#[test]
fn excluded_files_are_left_out_but_never_dist_info() {
    let wheel = TestWheel::new(
        "a",
        "1",
        &[
            ("a/x.py", ""),
            ("a/tests/t.py", ""),
            ("a-1.dist-info/tests/l", ""),
        ],
    );
    let (zip, _) = layer_without(&[wheel], &["**/tests/**", "**/*.dist-info/**"]).unwrap();
    insta::assert_snapshot!(paths(&zip).join("\n"), @"
    python/a-1.dist-info/INSTALLER
    python/a-1.dist-info/METADATA
    python/a-1.dist-info/RECORD
    python/a-1.dist-info/WHEEL
    python/a-1.dist-info/tests/l
    python/a/x.py
    ");
}

#[test]
fn two_wheels_may_hold_the_same_file_but_not_different_ones() {
    let wheel = |name: &str, path: &str, text: &str| TestWheel::new(name, "1", &[(path, text)]);
    let namespace = "ns/__init__.py";
    let (zip, _) = layer(&[wheel("a", namespace, "x"), wheel("b", namespace, "x")]).unwrap();
    assert!(paths(&zip).contains(&"python/ns/__init__.py".to_owned()));

    let error = layer(&[wheel("a", namespace, "x"), wheel("b", namespace, "y")]).unwrap_err();
    insta::assert_snapshot!(error.for_people(), @"`a-1-py3-none-any.whl` and `b-1-py3-none-any.whl` both hold `ns/__init__.py`, with different contents. They cannot go into one layer, unless the file is left out by `exclude`.");
    assert_eq!(error.package().as_deref(), Some("b"));

    let error = layer(&[wheel("a", "x.py", "1"), wheel("b", "X.py", "1")]).unwrap_err();
    insta::assert_snapshot!(error, @"b-1-py3-none-any.whl and a-1-py3-none-any.whl both hold `x.py`, differing only in case");
    let error = layer(&[wheel("a", "\u{e9}.py", "1"), wheel("b", "e\u{301}.py", "1")]).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("in how its letters are encoded"),
        "{error}"
    );
    let error = layer(&[wheel("a", "x", "1"), wheel("b", "x/y", "1")]).unwrap_err();
    insta::assert_snapshot!(error, @"a-1-py3-none-any.whl and b-1-py3-none-any.whl both hold `x`, one as a file and one as a folder");

    // Leaving the file out settles it.
    let pair = [wheel("a", namespace, "x"), wheel("b", namespace, "y")];
    assert!(layer_without(&pair, &["ns/*"]).is_ok());
}

#[test]
fn a_record_that_lies_does_not_pass_one_file_off_as_another() {
    let honest = TestWheel::new("a", "1", &[("ns.py", "x")]);
    let liar = TestWheel::new("b", "1", &[("ns.py", "y")]);
    let lie = format!("ns.py,sha256={},1\n", Digest::of(b"x").record_base64());
    let sources = vec![
        source(&honest, honest.bytes()),
        source(&liar, liar.bytes_with_record(&lie)),
    ];
    let error = assemble(
        sources,
        &Selection::all_but(&Exclude::new(&[]).unwrap()),
        Vec::new(),
    )
    .unwrap_err();
    assert!(matches!(error, BuildError::Conflict { .. }), "{error}");
}

/// Python's own reader, which is what installers and people use, finds nothing wrong with a layer.
#[test]
fn python_reads_the_layer() {
    let (zip, _) = layer(&[tool(), TestWheel::new("other", "2", &[("other/a.py", "a")])]).unwrap();
    let script = "import sys, io, zipfile; z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())); \
                  sys.exit(z.testzip() or 0 if z.namelist() == sorted(z.namelist()) else 'unsorted')";
    let mut python = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(&zip).unwrap();
    assert!(python.wait().unwrap().success());
}

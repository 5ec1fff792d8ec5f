//! Wheels that must be refused, each with its name and a reason.

use super::assembling::source;
use super::wheel_maker::{TestEntry, TestWheel};
use crate::build::{BuildError, Exclude, Selection, assemble};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write as _;

/// The reason for which a wheel with these bytes is refused.
pub(super) fn refusal_of(wheel: &TestWheel, bytes: Vec<u8>) -> String {
    let result = assemble(
        vec![source(wheel, bytes)],
        &Selection::all_but(&Exclude::new(&[]).unwrap()),
        Vec::new(),
    );
    match result {
        Err(BuildError::BadWheel {
            wheel: name,
            reason,
        }) => {
            assert_eq!(name, wheel.filename());
            reason
        }
        other => panic!("not refused as a bad wheel: {other:?}"),
    }
}

fn refusal(entry: TestEntry) -> String {
    let wheel = TestWheel::new("bad", "1", &[("bad/__init__.py", "")]).with(entry);
    refusal_of(&wheel, wheel.bytes())
}

fn entry(name: &str) -> TestEntry {
    TestEntry::new(name, b"x = 1\n")
}

fn changed(change: impl FnOnce(&mut TestEntry)) -> TestEntry {
    let mut entry = entry("bad/a.py");
    change(&mut entry);
    entry
}

#[test]
fn names_that_lead_elsewhere() {
    let reasons: Vec<String> = [
        "../evil.py",
        "bad/../../evil.py",
        "/etc/evil",
        "bad\\evil.py",
        "C:/evil.py",
        "bad/./evil.py",
        "bad//evil.py",
        "bad/evil\0.py",
        "bad-1.data/scripts/../../../evil",
    ]
    .iter()
    .map(|name| refusal(entry(name)))
    .collect();
    insta::assert_snapshot!(reasons.join("\n"), @r"
    it holds the name `../evil.py`, which leads out of its folder
    it holds the name `bad/../../evil.py`, which leads out of its folder
    it holds the name `/etc/evil`, an absolute path
    it holds the name `bad\\evil.py`, which has a backslash
    it holds the name `C:/evil.py`, which starts with a drive letter
    it holds the name `bad/./evil.py`, which is not a plain path
    it holds the name `bad//evil.py`, which is not a plain path
    it holds the name `bad/evil\0.py`, which has a control character
    it holds the name `bad-1.data/scripts/../../../evil`, which leads out of its folder
    ");
}

#[test]
fn names_that_are_not_utf_8() {
    let raw = |name: &[u8], flags: u16| {
        refusal(changed(|entry| {
            entry.name = name.to_vec();
            entry.flags = flags;
        }))
    };
    assert!(raw(b"bad/\xff.py", 1 << 11).contains("not UTF-8"));
    assert!(raw("bad/é.py".as_bytes(), 0).contains("not UTF-8"));
}

#[test]
fn entries_that_are_not_plain_files() {
    let reasons = [
        refusal(changed(|entry| entry.mode = 0o120_777)),
        refusal(changed(|entry| entry.mode = 0o010_644)),
        refusal(changed(|entry| entry.flags = 1)),
        refusal(changed(|entry| entry.method = Some(12))),
        refusal(entry("bad/folder/")),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @"
    its `bad/a.py` is a symbolic link
    its `bad/a.py` is neither a file nor a folder
    its `bad/a.py` is encrypted
    its `bad/a.py` is compressed with method 12
    its `bad/folder/` is neither a file nor a folder
    ");
}

#[test]
fn entries_that_contradict_themselves() {
    let reasons = [
        refusal(changed(|entry| {
            entry.local_name = Some(b"bad/b.py".to_vec())
        })),
        refusal(changed(|entry| entry.local_size = Some(5))),
        refusal(changed(|entry| {
            entry.descriptor = true;
            entry.central_size = Some(900_000_000);
        })),
        refusal(changed(|entry| {
            entry.deflated = false;
            entry.descriptor = true;
            entry.central_size = Some(7);
        })),
        refusal(entry("bad/__init__.py")),
        refusal(entry("bad/__init__.py/inside.py")),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @"
    its `bad/a.py` is described in two ways that differ
    its `bad/a.py` is described in two ways that differ
    its `bad/a.py` has sizes that cannot be
    its `bad/a.py` has sizes that cannot be
    it holds the name `bad/__init__.py` twice
    it holds `bad/__init__.py` twice, one as a file and one as a folder
    ");
}

#[test]
fn entries_that_share_bytes() {
    // The data of one entry is a whole entry itself, listed as well: a bomb that needs no lie.
    let inner = super::wheel_maker::zip(&[entry("bad/inner.py")]);
    let mut outer = TestEntry::new("bad/outer", &inner);
    outer.deflated = false;
    let mut hidden = entry("bad/inner.py");
    hidden.header_start = Some(30 + "bad/outer".len() as u32);
    let wheel = TestWheel::new("bad", "1", &[]).with(outer).with(hidden);
    let reason = refusal_of(&wheel, wheel.bytes());
    assert!(reason.contains("share the same bytes"), "{reason}");
}

#[test]
fn far_too_much_in_little() {
    const SIZE: u32 = 64 * 1024 * 1024;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    for _ in 0..SIZE / 65_536 {
        encoder.write_all(&[0; 65_536]).unwrap();
    }
    let zeros = encoder.finish().unwrap();
    // Each declares 64 MiB; its data is what deflate makes of them, or too little for that many.
    let wheel = |data: &[u8], count: usize| {
        let entry = |index: usize| {
            let mut entry = TestEntry::new(&format!("bad/{index}"), data);
            (entry.deflated, entry.method) = (false, Some(8));
            (entry.descriptor, entry.central_size) = (true, Some(SIZE));
            entry
        };
        let wheel = TestWheel::new("bad", "1", &[]);
        (0..count).fold(wheel, |wheel, index| wheel.with(entry(index)))
    };
    let bomb = wheel(&zeros, 17);
    let reason = refusal_of(&bomb, bomb.bytes());
    assert!(reason.contains("declares more than 1000 MiB"), "{reason}");
    let lie = wheel(&zeros[..60_000], 1);
    let reason = refusal_of(&lie, lie.bytes());
    assert!(reason.contains("sizes that cannot be"), "{reason}");
}

#[test]
fn files_that_are_no_wheels() {
    let wheel = TestWheel::new("bad", "1", &[("bad/__init__.py", "x")]);
    let whole = wheel.bytes();
    let mut altered = whole.clone();
    // Inside the first entry's name, in the local header only.
    altered[31] ^= 1;
    let mut end_lies = whole.clone();
    let end = end_lies.len() - 22;
    end_lies[end + 10] += 1;
    let mut many = whole.clone();
    many[end + 8..end + 12].fill(0xff);
    let mut trailing = whole.clone();
    trailing.extend_from_slice(b"more");
    let reasons = [
        refusal_of(&wheel, Vec::new()),
        refusal_of(&wheel, whole[..whole.len() - 1].to_vec()),
        refusal_of(&wheel, whole[..whole.len() / 2].to_vec()),
        refusal_of(&wheel, whole[10..].to_vec()),
        refusal_of(&wheel, [b"#!/bin/sh\n", whole.as_slice()].concat()),
        refusal_of(&wheel, altered),
        refusal_of(&wheel, end_lies),
        refusal_of(&wheel, many),
        refusal_of(&wheel, trailing),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @"
    it is not a zip file, or is cut off
    something follows the end of the zip file
    it is not a zip file, or is cut off
    its end record does not fit its contents
    its end record does not fit its contents
    its `bad/__init__.py` is described in two ways that differ
    it is one part of several
    it has no zip64 end record, and refers to one
    something follows the end of the zip file
    ");
}

#[test]
fn wheels_that_are_somebody_elses() {
    let wheel = TestWheel::new("bad", "1", &[]);
    let other = TestWheel::new("other", "1", &[]);
    let two = TestWheel::new("bad", "1", &[("c-1.dist-info/METADATA", "")]);
    let newer = super::wheel_maker::zip(&[
        entry("bad-1.dist-info/METADATA"),
        TestEntry::new("bad-1.dist-info/WHEEL", b"Wheel-Version: 2.0\n"),
    ]);
    let none = super::wheel_maker::zip(&[entry("bad.py")]);
    let scheme = TestWheel::new("bad", "1", &[("bad-1.data/elsewhere/x", "")]);
    let reasons = [
        refusal_of(&wheel, other.bytes()),
        refusal_of(&wheel, two.bytes()),
        refusal_of(&wheel, newer),
        refusal_of(&wheel, none),
        refusal_of(&wheel, scheme.bytes()),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @"
    its `other-1.dist-info` is not that of bad
    it has 2 `.dist-info` folders, and one is expected
    it has wheel format `2.0`, and 1 is understood
    it has 0 `.dist-info` folders, and one is expected
    its `bad-1.data/elsewhere/x` is not in one of the folders of PEP 427
    ");
}

#[test]
fn damaged_data_is_found_where_it_is_read() {
    let wheel = TestWheel::new(
        "bad",
        "1",
        &[("bad/__init__.py", "print('a long enough text')")],
    );
    let mut bytes = wheel.bytes_with_record("");
    // In the middle of the first entry's compressed data, which is read because RECORD does not list it.
    bytes[30 + "bad/__init__.py".len() + 6] ^= 0xff;
    let reason = refusal_of(&wheel, bytes);
    assert!(
        reason.contains("damaged") || reason.contains("not what its entry says"),
        "{reason}"
    );
}

#[test]
fn ten_gigabytes_in_ten_kilobytes() {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    for _ in 0..160 {
        encoder.write_all(&[0; 65_536]).unwrap();
    }
    let zeros = encoder.finish().unwrap();
    let as_deflated = |data: &[u8]| {
        let mut entry = TestEntry::new("bad/zeros", data);
        (entry.deflated, entry.method) = (false, Some(8));
        (entry.descriptor, entry.central_size) = (true, Some(u32::MAX - 1));
        entry
    };
    let one = TestWheel::new("bad", "1", &[]).with(as_deflated(&zeros));
    let mut bytes = one.bytes();
    assert!(bytes.len() < 12_000, "{}", bytes.len());
    let reason = refusal_of(&one, bytes.clone());
    assert!(reason.contains("sizes that cannot be"), "{reason}");
    // The same stream for 1,000 entries, each of which says where the first one's header is.
    let mut many = TestWheel::new("bad", "1", &[]).with(TestEntry {
        central_size: Some(160 * 65_536),
        ..as_deflated(&zeros)
    });
    for index in 0..1_000 {
        many.entries.push(TestEntry {
            name: format!("bad/{index}").into_bytes(),
            local_name: Some(b"bad/zeros".to_vec()),
            header_start: Some(0),
            central_size: Some(10_000_000),
            ..as_deflated(b"")
        });
    }
    bytes = many.bytes();
    let reason = refusal_of(&many, bytes);
    assert!(
        reason.contains("cannot be") || reason.contains("differ"),
        "{reason}"
    );
}

//! Zips that readers understand differently, and those that only look odd: refused, or right.

use super::assembling::source;
use super::hostile::refusal_of;
use super::wheel_maker::{TestEntry, TestWheel, zip};
use crate::build::{Exclude, Selection, assemble, verify};
use crate::model::Digest;
use std::io::Cursor;

const END: usize = 22;

fn wheel() -> TestWheel {
    TestWheel::new("odd", "1", &[("odd/__init__.py", "x = 1\n")])
}

fn layer_of(wheel: &TestWheel, bytes: Vec<u8>) -> Vec<u8> {
    verify(&mut Cursor::new(&bytes), "odd").unwrap();
    let mut zip = Vec::new();
    let exclude = Exclude::new(&[]).unwrap();
    assemble(
        vec![source(wheel, bytes)],
        &Selection::all_but(&exclude),
        &mut zip,
    )
    .unwrap();
    zip
}

fn verdict(bytes: &[u8]) -> String {
    match verify(&mut Cursor::new(bytes), "odd.whl") {
        Ok(()) => "right".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn with_extra(extra: &[u8]) -> TestWheel {
    let mut entry = TestEntry::new("odd/a.py", b"a");
    entry.extra = extra.to_vec();
    wheel().with(entry)
}

fn field(id: u16, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u16;
    [&id.to_le_bytes()[..], &length.to_le_bytes(), body].concat()
}

/// The end of a zip with a zip64 end record and its locator in front, as tools write that stream.
fn with_zip64_end(bytes: &[u8], change: impl FnOnce(&mut [u64; 3])) -> Vec<u8> {
    let (before, end) = bytes.split_at(bytes.len() - END);
    let number = |at: usize| u64::from(u32::from_le_bytes(end[at..at + 4].try_into().unwrap()));
    let mut fields = [u64::from(end[10]), number(12), number(16)];
    change(&mut fields);
    let mut record = b"PK\x06\x06".to_vec();
    record.extend_from_slice(&44_u64.to_le_bytes());
    record.extend_from_slice(&[45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [fields[0], fields[0], fields[1], fields[2]] {
        record.extend_from_slice(&number.to_le_bytes());
    }
    let mut locator = b"PK\x06\x07\0\0\0\0".to_vec();
    locator.extend_from_slice(&(before.len() as u64).to_le_bytes());
    locator.extend_from_slice(&1_u32.to_le_bytes());
    [before, &record, &locator, end].concat()
}

#[test]
fn zip64_records_are_read_where_they_agree() {
    let wheel = wheel();
    let plain = wheel.bytes();
    let streamed = with_zip64_end(&plain, |_| ());
    let mut all_ones = streamed.clone();
    let end = all_ones.len() - END;
    all_ones[end + 8..end + 20].fill(0xff);
    let layer = layer_of(&wheel, plain.clone());
    assert_eq!(layer, layer_of(&wheel, streamed));
    assert_eq!(layer, layer_of(&wheel, all_ones.clone()));

    let mut lost = plain.clone();
    let end = lost.len() - END;
    lost[end + 8..end + 20].fill(0xff);
    let mut far = all_ones.clone();
    let locator = far.len() - END - 20;
    far[locator + 8] ^= 1;
    let verdicts = [
        verdict(&lost),
        verdict(&far),
        verdict(&with_zip64_end(&plain, |fields| fields[0] += 1)),
        verdict(&with_zip64_end(&plain, |fields| fields[2] -= 1)),
    ];
    insta::assert_snapshot!(verdicts.join("\n"), @"
    odd.whl cannot be used: it has no zip64 end record, and refers to one
    odd.whl cannot be used: its zip64 end record does not fit its contents
    odd.whl cannot be used: its two end records contradict each other
    odd.whl cannot be used: its two end records contradict each other
    ");
}

#[test]
fn entries_with_zip64_sizes_are_read() {
    let plain = wheel().with(TestEntry::new("odd/a.py", b"a"));
    let mut entry = TestEntry::new("odd/a.py", b"a");
    entry.zip64 = true;
    let large = wheel().with(entry.clone());
    assert_eq!(
        layer_of(&plain, plain.bytes()),
        layer_of(&large, large.bytes())
    );
    entry.descriptor = true;
    let streamed = wheel().with(entry.clone());
    assert_eq!(
        layer_of(&plain, plain.bytes()),
        layer_of(&streamed, streamed.bytes())
    );
    entry.extra = field(1, &[0; 8]);
    let short = wheel().with(entry);
    assert!(verdict(&short.bytes()).contains("has sizes that cannot be"));
}

#[test]
fn a_second_name_must_be_the_first() {
    let name = |name: &str| field(0x7075, &[b"\x01\0\0\0\0", name.as_bytes()].concat());
    assert_eq!(verdict(&with_extra(&name("odd/a.py")).bytes()), "right");
    insta::assert_snapshot!(verdict(&with_extra(&name("odd/b.py")).bytes()), @"odd.whl cannot be used: its `odd/a.py` has two names that differ");
    insta::assert_snapshot!(verdict(&with_extra(&field(0x7075, b"")).bytes()), @"odd.whl cannot be used: its `odd/a.py` has two names that differ");
    // Times and owners, and what is left of an alignment.
    let harmless = [field(0x5455, b"\x01\0\0\0\0"), vec![0; 3]].concat();
    let with = with_extra(&harmless);
    let without = with_extra(b"");
    assert_eq!(
        layer_of(&with, with.bytes()),
        layer_of(&without, without.bytes())
    );
}

#[test]
fn one_end_counts_and_it_is_the_last() {
    let (one, other) = (wheel(), TestWheel::new("odd", "1", &[("odd/b.py", "y")]));
    let bytes = one.bytes();
    let (body, end) = bytes.split_at(bytes.len() - END);
    let commented = |comment: &[u8]| {
        let mut end = end.to_vec();
        end[20..22].copy_from_slice(&(comment.len() as u16).to_le_bytes());
        [body, &end, comment].concat()
    };
    let harmless = commented(b"made by hand");
    assert_eq!(layer_of(&one, bytes.clone()), layer_of(&one, harmless));
    let verdicts = [
        // An end record inside the comment, one that fits nothing and one of a whole other zip.
        verdict(&commented(end)),
        verdict(&commented(&other.bytes())),
        // Two zips after each other: the second one's places count from the first one's start.
        verdict(&[bytes.clone(), other.bytes()].concat()),
        verdict(&[bytes.clone(), end.to_vec()].concat()),
    ];
    insta::assert_snapshot!(verdicts.join("\n"), @"
    odd.whl cannot be used: its end record does not fit its contents
    odd.whl cannot be used: its end record does not fit its contents
    odd.whl cannot be used: its end record does not fit its contents
    odd.whl cannot be used: its end record does not fit its contents
    ");
}

#[test]
fn entries_that_are_not_counted_are_found() {
    let whole = wheel().bytes();
    let mut fewer = whole.clone();
    let end = fewer.len() - END;
    (fewer[end + 8], fewer[end + 10]) = (fewer[end + 8] - 1, fewer[end + 10] - 1);
    insta::assert_snapshot!(verdict(&fewer), @"odd.whl cannot be used: its end record does not fit its contents");
    // So does a count that went around: old tools write the lower 16 bits of it.
    let many: Vec<TestEntry> = (0..65_537)
        .map(|index| TestEntry {
            deflated: false,
            ..TestEntry::new(&index.to_string(), b"")
        })
        .collect();
    insta::assert_snapshot!(verdict(&zip(&many)), @"odd.whl cannot be used: its end record does not fit its contents");
}

#[test]
fn folders_are_no_files() {
    let folder = |name: &str| {
        let mut folder = TestEntry::new(name, b"");
        (folder.mode, folder.deflated) = (0o040_755, false);
        folder
    };
    let verdicts = [
        verdict(&wheel().with(folder("odd/")).bytes()),
        verdict(&wheel().with(folder("odd/__init__.py/")).bytes()),
        verdict(&wheel().with(folder("odd/")).with(folder("odd/")).bytes()),
        verdict(
            &wheel()
                .with(TestEntry {
                    data: b"x".to_vec(),
                    ..folder("odd/full/")
                })
                .bytes(),
        ),
    ];
    insta::assert_snapshot!(verdicts.join("\n"), @"
    right
    odd.whl cannot be used: it holds the name `odd/__init__.py` twice
    odd.whl cannot be used: it holds the name `odd` twice
    odd.whl cannot be used: its `odd/full/` has sizes that cannot be
    ");
}

#[test]
fn what_only_unpacking_shows_is_found_before_a_wheel_is_kept() {
    let data: Vec<u8> = (0..200_u8).collect();
    let changed = |change: &dyn Fn(&mut TestEntry)| {
        let mut entry = TestEntry::new("odd/a.bin", &data);
        change(&mut entry);
        verdict(&wheel().with(entry).bytes())
    };
    let verdicts = [
        changed(&|entry| entry.crc = Some(1)),
        changed(&|entry| (entry.deflated, entry.crc) = (false, Some(1))),
        changed(&|entry| (entry.descriptor, entry.central_size) = (true, Some(199))),
        changed(&|entry| (entry.descriptor, entry.central_size) = (true, Some(201))),
        // A stream that ends before its entry does, and one that does not end.
        changed(&|entry| entry.after_stream = b"more".to_vec()),
        changed(&|entry| (entry.deflated, entry.method) = (false, Some(8))),
        changed(&|entry| (entry.method, entry.data) = (Some(8), Vec::new())),
    ];
    insta::assert_snapshot!(verdicts.join("\n"), @"
    odd.whl cannot be used: its `odd/a.bin` is not what its entry says
    odd.whl cannot be used: its `odd/a.bin` is not what its entry says
    odd.whl cannot be used: its `odd/a.bin` is not what its entry says
    odd.whl cannot be used: its `odd/a.bin` is not what its entry says
    odd.whl cannot be used: its `odd/a.bin` is not what its entry says
    odd.whl cannot be used: its compressed data is damaged
    right
    ");
}

#[test]
fn a_record_that_lies_is_refused_and_a_short_one_is_not() {
    let wheel = wheel();
    let line = |text: &[u8], size: usize| {
        let digest = Digest::of(text).record_base64();
        format!("odd/__init__.py,sha256={digest},{size}\n")
    };
    let verdicts = [
        verdict(&wheel.bytes_with_record(&line(b"x = 1\n", 6))),
        verdict(&wheel.bytes_with_record("")),
        verdict(&wheel.bytes_with_record(&line(b"x = 2\n", 6))),
        verdict(&wheel.bytes_with_record(&line(b"x = 2\n", 7))),
        // The digest decides: the size is said by the entry as well, and that one is held to.
        verdict(&wheel.bytes_with_record(&line(b"x = 1\n", 7))),
    ];
    insta::assert_snapshot!(verdicts.join("\n"), @"
    right
    right
    odd.whl cannot be used: its `odd/__init__.py` is not what its RECORD says
    odd.whl cannot be used: its `odd/__init__.py` is not what its RECORD says
    right
    ");
    assert!(refusal_of(&wheel, b"PK".to_vec()).contains("not a zip file"));
}

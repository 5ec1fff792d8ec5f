//! Far more files than a layer may have, each of them really there.

use crate::build::verify;
use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write};

const ENTRIES: u32 = 200_000;
/// Bytes of every name: folder, number, suffix.
const NAME: usize = 12;
/// Bytes of an entry without data in front of the central directory, and in it.
const LOCAL: u64 = 30 + NAME as u64;
const CENTRAL: u64 = 46 + NAME as u64;

/// A zip of so many empty files, written piece by piece: nothing of it is in memory but one name. `padding` is that of
/// extra fields in the central directory; `end` writes what follows it, from the directory's size and start.
fn zip(padding: u16, end: impl FnOnce(&mut dyn Write, u64, u64)) -> File {
    let mut out = BufWriter::new(tempfile::tempfile().unwrap());
    let name = |number: u32| format!("bad/{number:06}.p");
    // Stored, without flags; the time is 1980-01-01; no bytes, whose CRC is 0.
    let common = [&20_u16.to_le_bytes()[..], &[0; 6], &[0x21, 0], &[0; 12]].concat();
    for number in 0..ENTRIES {
        out.write_all(b"PK\x03\x04").unwrap();
        out.write_all(&common).unwrap();
        out.write_all(&(NAME as u16).to_le_bytes()).unwrap();
        out.write_all(&[0; 2]).unwrap();
        out.write_all(name(number).as_bytes()).unwrap();
    }
    for number in 0..ENTRIES {
        let start = u32::try_from(LOCAL * u64::from(number)).unwrap();
        out.write_all(b"PK\x01\x02\x14\x03").unwrap();
        out.write_all(&common).unwrap();
        out.write_all(&(NAME as u16).to_le_bytes()).unwrap();
        out.write_all(&padding.to_le_bytes()).unwrap();
        out.write_all(&[0; 6]).unwrap();
        out.write_all(&(0o100_644_u32 << 16).to_le_bytes()).unwrap();
        out.write_all(&start.to_le_bytes()).unwrap();
        out.write_all(name(number).as_bytes()).unwrap();
        out.write_all(&vec![0; usize::from(padding)]).unwrap();
    }
    let entries = u64::from(ENTRIES);
    end(
        &mut out,
        entries * (CENTRAL + u64::from(padding)),
        entries * LOCAL,
    );
    let mut file = out.into_inner().unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

/// The zip64 end record, its locator, and an end record that refers to them.
fn zip64_end(out: &mut dyn Write, size: u64, start: u64) {
    let entries = u64::from(ENTRIES);
    out.write_all(b"PK\x06\x06").unwrap();
    out.write_all(&44_u64.to_le_bytes()).unwrap();
    out.write_all(&[45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .unwrap();
    for number in [entries, entries, size, start] {
        out.write_all(&number.to_le_bytes()).unwrap();
    }
    out.write_all(b"PK\x06\x07\0\0\0\0").unwrap();
    out.write_all(&(start + size).to_le_bytes()).unwrap();
    out.write_all(&1_u32.to_le_bytes()).unwrap();
    out.write_all(b"PK\x05\x06\0\0\0\0").unwrap();
    out.write_all(&[0xff; 12]).unwrap();
    out.write_all(&[0; 2]).unwrap();
}

/// An end record alone, with the lower 16 bits of how many there are, as old tools write it.
fn short_end(out: &mut dyn Write, size: u64, start: u64) {
    out.write_all(b"PK\x05\x06\0\0\0\0").unwrap();
    for _ in 0..2 {
        out.write_all(&(ENTRIES as u16).to_le_bytes()).unwrap();
    }
    for number in [size, start] {
        let number = u32::try_from(number).unwrap();
        out.write_all(&number.to_le_bytes()).unwrap();
    }
    out.write_all(&[0; 2]).unwrap();
}

#[test]
fn two_hundred_thousand_entries_are_refused() {
    let verdict = |mut file: File| {
        let error = verify(&mut file, "bad.whl").unwrap_err();
        error.to_string()
    };
    let verdicts = [
        verdict(zip(0, zip64_end)),
        verdict(zip(0, short_end)),
        // The same with a table of contents of 31 MB.
        verdict(zip(100, zip64_end)),
    ];
    insta::assert_snapshot!(verdicts.join("\n"), @"
    bad.whl cannot be used: it lists 200000 entries, and a layer holds at most 65534 files
    bad.whl cannot be used: its end record does not fit its contents
    bad.whl cannot be used: its table of contents is too large
    ");
}

/// Other readers find them all: they are really there.
#[test]
fn two_hundred_thousand_entries_are_there() {
    let mut archive = zip::ZipArchive::new(zip(0, zip64_end)).unwrap();
    assert_eq!(archive.len(), ENTRIES as usize);
    let last = archive.by_index(ENTRIES as usize - 1).unwrap();
    assert_eq!((&*last.name().unwrap(), last.size()), ("bad/199999.p", 0));
}

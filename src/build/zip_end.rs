//! The end of a zip that may be hostile: where its table of contents is and how much it lists.
//!
//! Readers find the end record by searching backwards, and differ in what they do with several, with one inside a
//! comment, and with a zip64 record beside it. Here there is one reading or none: the last signature counts, everything
//! must fit to the byte, and the two kinds of records must agree. Section numbers are those of APPNOTE.TXT 6.3.10.

use super::zip_reader::{ReadError, malformed, read_u16, read_u32, read_u64};
use super::zip_writer::FILES_LIMIT;
use std::io::{Read, Seek, SeekFrom};

/// The largest central directory read: 65,535 entries with names of some 200 bytes.
const DIRECTORY_LIMIT: u64 = 16 * 1024 * 1024;

const END_SIGNATURE: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const ZIP64_END_SIGNATURE: &[u8] = b"PK\x06\x06";
const ZIP64_END_LENGTH: usize = 56;
const LOCATOR_SIGNATURE: &[u8] = b"PK\x06\x07";
const LOCATOR_LENGTH: usize = 20;

/// What the end of an archive says of its central directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// How many entries it lists, at most [`FILES_LIMIT`].
    pub(crate) entries: usize,
    /// Where it begins, in bytes from the start of the archive; the entries' data ends there.
    pub(crate) directory_start: u64,
    /// How long it is, in bytes.
    pub(crate) directory_size: u64,
}

/// Entries, and the directory's size and start in bytes; `None` where the record refers to the zip64 one.
type Fields = [Option<u64>; 3];

/// Reads the end record (4.3.16), which must be the last thing in the file, and the zip64 one (4.3.14) where tools that
/// write a stream of unknown length left one.
///
/// # Errors
/// [`ReadError::Malformed`] when the records do not fit the file to the byte, contradict each other, or list more than
/// a layer can; [`ReadError::Io`].
pub(crate) fn read<R: Read + Seek>(reader: &mut R) -> Result<End, ReadError> {
    let length = reader.seek(SeekFrom::End(0))?;
    let longest = ZIP64_END_LENGTH + LOCATOR_LENGTH + END_LENGTH + usize::from(u16::MAX);
    let tail_start = length.saturating_sub(longest as u64);
    reader.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    reader
        .by_ref()
        .take(longest as u64)
        .read_to_end(&mut tail)?;
    let position = tail
        .windows(END_SIGNATURE.len())
        .rposition(|window| window == END_SIGNATURE)
        .ok_or_else(|| malformed("it is not a zip file, or is cut off"))?;
    let (before, record) = tail.split_at(position);
    let comment = read_u16(record, 20).map(usize::from);
    if comment.map(|comment| END_LENGTH + comment) != Some(record.len()) {
        return Err(malformed("something follows the end of the zip file"));
    }
    let fields = end_fields(record).ok_or_else(in_parts)?;
    let (fields, directory_end) = match zip64_record(before, tail_start)? {
        Some((large, start)) => {
            if fields
                .iter()
                .zip(large)
                .any(|(field, large)| field.is_some_and(|field| field != large))
            {
                return Err(malformed("its two end records contradict each other"));
            }
            (large, start)
        }
        None => match fields {
            [Some(entries), Some(size), Some(start)] => {
                ([entries, size, start], tail_start + position as u64)
            }
            _ => return Err(malformed("it has no zip64 end record, and refers to one")),
        },
    };
    let [entries, size, start] = fields;
    if start.checked_add(size) != Some(directory_end) {
        return Err(malformed("its end record does not fit its contents"));
    }
    if size > DIRECTORY_LIMIT {
        return Err(malformed("its table of contents is too large"));
    }
    match usize::try_from(entries) {
        Ok(entries) if entries <= FILES_LIMIT => Ok(End {
            entries,
            directory_start: start,
            directory_size: size,
        }),
        _ => Err(malformed(format!(
            "it lists {entries} entries, and a layer holds at most {FILES_LIMIT} files"
        ))),
    }
}

/// The fields of the end record; `None` when the archive is not in one part.
fn end_fields(record: &[u8]) -> Option<Fields> {
    let is_one_part = read_u16(record, 4)? == 0
        && read_u16(record, 6)? == 0
        && read_u16(record, 8)? == read_u16(record, 10)?;
    let (entries, size, start) = (
        read_u16(record, 10)?,
        read_u32(record, 12)?,
        read_u32(record, 16)?,
    );
    is_one_part.then_some([
        (entries != u16::MAX).then_some(u64::from(entries)),
        (size != u32::MAX).then_some(u64::from(size)),
        (start != u32::MAX).then_some(u64::from(start)),
    ])
}

/// The zip64 end record's fields and where it starts, when its locator (4.3.15) stands right before the end record.
/// `before` is what precedes the end record, from `before_start` of the file on.
fn zip64_record(before: &[u8], before_start: u64) -> Result<Option<([u64; 3], u64)>, ReadError> {
    let Some((rest, locator)) = before
        .len()
        .checked_sub(LOCATOR_LENGTH)
        .map(|at| before.split_at(at))
    else {
        return Ok(None);
    };
    if !locator.starts_with(LOCATOR_SIGNATURE) {
        return Ok(None);
    }
    let does_not_fit = || malformed("its zip64 end record does not fit its contents");
    // Data for the reader's own use (4.4.27) would stand at the record's end; no tool is known to write any.
    let (rest, record) = rest
        .len()
        .checked_sub(ZIP64_END_LENGTH)
        .map(|at| rest.split_at(at))
        .filter(|(_, record)| record.starts_with(ZIP64_END_SIGNATURE))
        .ok_or_else(does_not_fit)?;
    let record_start = before_start + rest.len() as u64;
    let length = (ZIP64_END_LENGTH - 12) as u64;
    if read_u64(record, 4) != Some(length) || read_u64(locator, 8) != Some(record_start) {
        return Err(does_not_fit());
    }
    // The disks: of the locator's record, how many there are, this one, the directory's.
    let disks = [
        read_u32(locator, 4),
        read_u32(locator, 16),
        read_u32(record, 16),
        read_u32(record, 20),
    ];
    let is_one_part = disks == [Some(0), Some(1), Some(0), Some(0)]
        && read_u64(record, 24) == read_u64(record, 32);
    match (
        is_one_part,
        read_u64(record, 32),
        read_u64(record, 40),
        read_u64(record, 48),
    ) {
        (true, Some(entries), Some(size), Some(start)) => {
            Ok(Some(([entries, size, start], record_start)))
        }
        _ => Err(in_parts()),
    }
}

fn in_parts() -> ReadError {
    malformed("it is one part of several")
}

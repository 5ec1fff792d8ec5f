//! The central directory of a zip that may be hostile: what it says of each entry, held to be possible.
//!
//! Section numbers are those of APPNOTE.TXT 6.3.10.

use super::member_name;
use super::zip_end::End;
use super::zip_reader::{Member, Method, ReadError, malformed, read_u16, read_u32, read_u64};
use std::io::{BufReader, Read, Seek, SeekFrom};

const SIGNATURE: &[u8] = b"PK\x01\x02";
const LENGTH: usize = 46;
/// Deflate writes at most 258 bytes for two bits (RFC 1951), and a few bytes more for an empty stream.
const DEFLATE_LIMIT: u64 = 1032;
/// Encrypted, strongly encrypted, with masked headers: bits 0, 6 and 13 (4.4.4).
pub(crate) const FLAGS_ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const FLAG_UTF8: u16 = 1 << 11;
/// Larger numbers than a header has room for (4.5.3).
const EXTRA_ZIP64: u16 = 1;
/// Another name for the entry, which some readers prefer (4.6.9).
const EXTRA_UNICODE_PATH: u16 = 0x7075;
/// The bits of a Unix mode that say what a file is, and their value for a regular file.
const FILE_TYPE: u32 = 0o170_000;
const REGULAR_FILE: u32 = 0o100_000;

/// An entry as the central directory has it.
pub(crate) struct Entry {
    /// What it holds; where its data starts is not known yet.
    pub(crate) member: Member,
    /// Where its local header is.
    pub(crate) header_start: u64,
}

/// Every entry, in the order of the directory, folders too.
///
/// # Errors
/// [`ReadError`]; names, kinds of files, methods and sizes that a layer cannot take are malformed.
pub(crate) fn entries<R: Read + Seek>(reader: &mut R, end: &End) -> Result<Vec<Entry>, ReadError> {
    reader.seek(SeekFrom::Start(end.directory_start))?;
    let directory = reader.by_ref().take(end.directory_size);
    let mut directory = BufReader::with_capacity(64 * 1024, directory);
    let mut entries = Vec::with_capacity(end.entries);
    for _ in 0..end.entries {
        entries.push(entry(&mut directory)?);
    }
    // What other readers, which go by the size, would take for further entries.
    if directory.read(&mut [0])? != 0 {
        return Err(malformed("its end record does not fit its contents"));
    }
    check_names(&entries)?;
    Ok(entries)
}

fn entry<R: Read>(directory: &mut R) -> Result<Entry, ReadError> {
    let mut fixed = [0; LENGTH];
    directory.read_exact(&mut fixed)?;
    let short = |offset| read_u16(&fixed, offset).unwrap_or_default();
    let long = |offset| read_u32(&fixed, offset).unwrap_or_default();
    if !fixed.starts_with(SIGNATURE) {
        return Err(malformed("its end record does not fit its contents"));
    }
    let mut variable = |length| {
        let mut bytes = vec![0; usize::from(length)];
        directory.read_exact(&mut bytes).map(|()| bytes)
    };
    let (name, extra, _comment) = (
        variable(short(28))?,
        variable(short(30))?,
        variable(short(32))?,
    );
    let flags = short(8);
    let name = member_name::check(&name, flags & FLAG_UTF8 != 0).map_err(ReadError::Malformed)?;
    let cannot_be = || malformed(format!("its `{name}` has sizes that cannot be"));
    let method = match short(10) {
        0 => Method::Stored,
        8 => Method::Deflated,
        other => {
            return Err(malformed(format!(
                "its `{name}` is compressed with method {other}"
            )));
        }
    };
    if flags & FLAGS_ENCRYPTED != 0 {
        return Err(malformed(format!("its `{name}` is encrypted")));
    }
    let mode = long(38) >> 16;
    check_kind(name, mode)?;
    check_other_name(name, &extra)?;
    let [size, compressed_size, header_start] =
        zip64(&extra, [long(24), long(20), long(42)]).ok_or_else(cannot_be)?;
    let member = Member {
        name: name.to_owned(),
        method,
        crc32: long(16),
        compressed_size,
        size,
        start: 0,
        // As pip does: bits without a file type come from tools that know no modes.
        is_executable: mode & FILE_TYPE == REGULAR_FILE && mode & 0o111 != 0,
    };
    if !has_possible_sizes(&member) {
        return Err(cannot_be());
    }
    if short(34) != 0 {
        return Err(malformed("it is one part of several"));
    }
    Ok(Entry {
        member,
        header_start,
    })
}

/// Only files and folders, told by the file type in the upper half of the attributes, where it is set.
fn check_kind(name: &str, mode: u32) -> Result<(), ReadError> {
    let is_folder = name.ends_with('/');
    match mode & FILE_TYPE {
        0 => Ok(()),
        REGULAR_FILE if !is_folder => Ok(()),
        0o040_000 if is_folder => Ok(()),
        0o120_000 => Err(malformed(format!("its `{name}` is a symbolic link"))),
        _ => Err(malformed(format!(
            "its `{name}` is neither a file nor a folder"
        ))),
    }
}

/// An entry that brings a second name must bring the same: readers differ in which they take.
fn check_other_name(name: &str, extra: &[u8]) -> Result<(), ReadError> {
    // A version and a checksum of the first name stand before the second.
    let differs = extra_fields(extra)
        .any(|(id, body)| id == EXTRA_UNICODE_PATH && body.get(5..) != Some(name.as_bytes()));
    if differs {
        return Err(malformed(format!("its `{name}` has two names that differ")));
    }
    Ok(())
}

/// Size, compressed size and place, each from the zip64 extra field where the header has no room for it (4.5.3: there it
/// holds those fields alone, in this order).
fn zip64(extra: &[u8], fields: [u32; 3]) -> Option<[u64; 3]> {
    let mut numbers = fields.map(u64::from);
    if !fields.contains(&u32::MAX) {
        return Some(numbers);
    }
    let large = zip64_body(extra)?;
    let mut offset = 0;
    for number in numbers
        .iter_mut()
        .filter(|number| **number == u64::from(u32::MAX))
    {
        *number = read_u64(large, offset)?;
        offset += 8;
    }
    Some(numbers)
}

/// The contents of the zip64 extra field.
pub(crate) fn zip64_body(extra: &[u8]) -> Option<&[u8]> {
    extra_fields(extra).find_map(|(id, body)| (id == EXTRA_ZIP64).then_some(body))
}

/// The extra fields (4.5.1), up to one that is cut off: tools that align data leave such.
fn extra_fields(mut extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (id, length) = (read_u16(extra, 0)?, usize::from(read_u16(extra, 2)?));
        let body = extra.get(4..4 + length)?;
        extra = &extra[4 + length..];
        Some((id, body))
    })
}

fn has_possible_sizes(member: &Member) -> bool {
    let is_possible = match member.method {
        Method::Stored => member.size == member.compressed_size,
        Method::Deflated => {
            member.size <= member.compressed_size.saturating_mul(DEFLATE_LIMIT)
                && (member.compressed_size > 0 || member.size == 0)
        }
    };
    is_possible && (!member.name.ends_with('/') || member.size == 0)
}

/// No name twice, be it once as a file and once as a folder.
fn check_names(entries: &[Entry]) -> Result<(), ReadError> {
    let mut names: Vec<&str> = entries
        .iter()
        .map(|entry| entry.member.name.trim_end_matches('/'))
        .collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(malformed(format!("it holds the name `{}` twice", pair[0]))),
        None => Ok(()),
    }
}

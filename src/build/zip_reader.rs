//! The table of contents of a zip that may be hostile: every entry checked before one byte of it is used.
//!
//! The central directory is read by the `zip` crate; what it leaves to its callers is checked here: the end record
//! first (so that memory stays bounded), then each local header against the central one, then that no two entries
//! share a byte. Section numbers are those of APPNOTE.TXT 6.3.10.

use super::member_name;
use crate::model::UNZIPPED_LIMIT;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use zip::{CompressionMethod, ZipArchive};

/// What all entries of one archive, or of one layer, may declare to be unpacked: far past what AWS Lambda takes, so that
/// a plan can still say by how much a layer is too large.
pub(crate) const DECLARED_LIMIT: u64 = 4 * UNZIPPED_LIMIT;
/// The largest central directory read: 65,535 entries with names of some 200 bytes.
const DIRECTORY_LIMIT: u64 = 16 * 1024 * 1024;
/// Deflate writes at most 258 bytes for two bits (RFC 1951), and a few bytes more for an empty stream.
const DEFLATE_LIMIT: u64 = 1032;

const END_SIGNATURE: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;
const FLAG_ENCRYPTED: u16 = 1;
const FLAG_DATA_DESCRIPTOR: u16 = 1 << 3;
const FLAG_UTF8: u16 = 1 << 11;

/// How an entry's bytes are stored; other methods are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Stored,
    Deflated,
}

/// One file of an archive.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) crc32: u32,
    pub(crate) compressed_size: u64,
    pub(crate) size: u64,
    /// Where its compressed bytes begin.
    pub(crate) start: u64,
    pub(crate) is_executable: bool,
}

/// Why an archive was not read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// What is wrong with it, as a sentence without its subject.
    Malformed(String),
    /// The machine could not read the file.
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => malformed("it ends too early"),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                malformed("its compressed data is damaged")
            }
            _ => Self::Io(error),
        }
    }
}

fn malformed(reason: impl Into<String>) -> ReadError {
    ReadError::Malformed(reason.into())
}

/// Every file of an archive, in the order of its central directory; folders are checked and left out.
pub(crate) fn members<R: Read + Seek>(reader: &mut R) -> Result<Vec<Member>, ReadError> {
    let end = read_end(reader)?;
    let directory_start = end.directory_start;
    let entries = central_entries(reader, &end)?;
    let mut members = Vec::with_capacity(entries.len());
    let mut ranges = Vec::with_capacity(entries.len());
    let mut declared: u64 = 0;
    for entry in entries {
        let start = check_local_header(reader, &entry)?;
        let data_end = start
            .checked_add(entry.member.compressed_size)
            .filter(|end| *end <= directory_start)
            .ok_or_else(|| {
                malformed(format!(
                    "its `{}` reaches past the end of the data",
                    entry.member.name
                ))
            })?;
        ranges.push((entry.header_start, data_end));
        declared = declared.saturating_add(entry.member.size);
        if declared > DECLARED_LIMIT {
            return Err(malformed(format!(
                "it declares more than {} MiB of files",
                DECLARED_LIMIT / (1024 * 1024)
            )));
        }
        if !entry.member.name.ends_with('/') {
            members.push(Member {
                start,
                ..entry.member
            });
        }
    }
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(malformed("two of its entries share the same bytes"));
    }
    Ok(members)
}

/// The bytes of a member, at most `limit` of them; size and CRC are checked.
pub(crate) fn read_member<R: Read + Seek>(
    reader: &mut R,
    member: &Member,
    limit: u64,
) -> Result<Vec<u8>, ReadError> {
    if member.size > limit {
        return Err(malformed(format!("its `{}` is too large", member.name)));
    }
    let mut bytes = Vec::new();
    inflate(reader, member, |chunk| bytes.extend_from_slice(chunk))?;
    Ok(bytes)
}

/// Unpacks a member piece by piece and checks its size and CRC.
pub(crate) fn inflate<R: Read + Seek>(
    reader: &mut R,
    member: &Member,
    mut take: impl FnMut(&[u8]),
) -> Result<(), ReadError> {
    reader.seek(SeekFrom::Start(member.start))?;
    let compressed = reader.by_ref().take(member.compressed_size);
    let mut stream: Box<dyn Read + '_> = match member.method {
        Method::Stored => Box::new(compressed),
        Method::Deflated => Box::new(DeflateDecoder::new(compressed)),
    };
    let mut crc = Crc::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size: u64 = 0;
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        size += read as u64;
        if size > member.size {
            break;
        }
        crc.update(&buffer[..read]);
        take(&buffer[..read]);
    }
    if size == member.size && crc.sum() == member.crc32 {
        Ok(())
    } else {
        Err(malformed(format!(
            "its `{}` is not what its entry says",
            member.name
        )))
    }
}

struct End {
    entries: usize,
    directory_start: u64,
}

/// Reads the end record (4.3.16), which must be the last thing in the file and say nothing that needs zip64.
fn read_end<R: Read + Seek>(reader: &mut R) -> Result<End, ReadError> {
    let length = reader.seek(SeekFrom::End(0))?;
    let tail_length = length.min((END_LENGTH + usize::from(u16::MAX)) as u64);
    let tail_start = length - tail_length;
    reader.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    reader.by_ref().take(tail_length).read_to_end(&mut tail)?;
    let position = tail
        .windows(END_SIGNATURE.len())
        .rposition(|window| window == END_SIGNATURE)
        .ok_or_else(|| malformed("it is not a zip file, or is cut off"))?;
    let record = &tail[position..];
    let comment = read_u16(record, 20).map(usize::from);
    if comment.map(|comment| END_LENGTH + comment) != Some(record.len()) {
        return Err(malformed("something follows the end of the zip file"));
    }
    let fields = (
        read_u16(record, 4),
        read_u16(record, 6),
        read_u16(record, 8),
        read_u16(record, 10),
        read_u32(record, 12),
        read_u32(record, 16),
    );
    let (Some(0), Some(0), Some(here), Some(entries), Some(size), Some(start)) = fields else {
        return Err(malformed("it is one part of several"));
    };
    if entries == u16::MAX || size == u32::MAX || start == u32::MAX {
        return Err(malformed("it is in the zip64 format"));
    }
    let (size, start) = (u64::from(size), u64::from(start));
    if here != entries || start + size != tail_start + position as u64 {
        return Err(malformed("its end record does not fit its contents"));
    }
    if size > DIRECTORY_LIMIT {
        return Err(malformed("its table of contents is too large"));
    }
    Ok(End {
        entries: usize::from(entries),
        directory_start: start,
    })
}

/// An entry as the central directory has it; `member.start` is not known yet.
struct Entry {
    member: Member,
    raw_name: Vec<u8>,
    header_start: u64,
}

fn central_entries<R: Read + Seek>(reader: &mut R, end: &End) -> Result<Vec<Entry>, ReadError> {
    let archive = ZipArchive::new(BufReader::new(reader)).map_err(unreadable)?;
    if archive.offset() != 0 || archive.central_directory_start() != end.directory_start {
        return Err(malformed("its end record does not fit its contents"));
    }
    if archive.has_duplicate_names() || archive.len() != end.entries {
        return Err(malformed("it holds one name twice"));
    }
    (0..archive.len())
        .map(|index| {
            let entry = archive.by_index_data(index).map_err(unreadable)?;
            let flags = entry.flags().as_u16();
            let name = member_name::check(entry.name_raw(), flags & FLAG_UTF8 != 0)
                .map_err(ReadError::Malformed)?;
            let method = match entry.compression() {
                CompressionMethod::Stored => Method::Stored,
                CompressionMethod::Deflated => Method::Deflated,
                other => {
                    return Err(malformed(format!(
                        "its `{name}` is compressed with {other}"
                    )));
                }
            };
            if flags & FLAG_ENCRYPTED != 0 {
                return Err(malformed(format!("its `{name}` is encrypted")));
            }
            let mode = entry.external_attributes() >> 16;
            check_kind(name, mode)?;
            let member = Member {
                name: name.to_owned(),
                method,
                crc32: entry.crc32(),
                compressed_size: entry.compressed_size(),
                size: entry.size(),
                start: 0,
                is_executable: mode & 0o111 != 0,
            };
            check_sizes(&member)?;
            Ok(Entry {
                member,
                raw_name: entry.name_raw().to_owned(),
                header_start: entry.header_start(),
            })
        })
        .collect()
}

/// Only files and folders, told by the file type in the upper half of the attributes, where it is set.
fn check_kind(name: &str, mode: u32) -> Result<(), ReadError> {
    const TYPE: u32 = 0o170_000;
    let is_folder = name.ends_with('/');
    match mode & TYPE {
        0 => Ok(()),
        0o100_000 if !is_folder => Ok(()),
        0o040_000 if is_folder => Ok(()),
        0o120_000 => Err(malformed(format!("its `{name}` is a symbolic link"))),
        _ => Err(malformed(format!(
            "its `{name}` is neither a file nor a folder"
        ))),
    }
}

fn check_sizes(member: &Member) -> Result<(), ReadError> {
    let is_possible = match member.method {
        Method::Stored => member.size == member.compressed_size,
        Method::Deflated => {
            member.size <= member.compressed_size.saturating_mul(DEFLATE_LIMIT)
                && (member.compressed_size > 0 || member.size == 0)
        }
    };
    let is_empty_folder = !member.name.ends_with('/') || member.size == 0;
    if is_possible && is_empty_folder {
        Ok(())
    } else {
        Err(malformed(format!(
            "its `{}` has sizes that cannot be",
            member.name
        )))
    }
}

/// Checks the header in front of an entry's data (4.3.7) against the central one; gives where the data begins.
fn check_local_header<R: Read + Seek>(reader: &mut R, entry: &Entry) -> Result<u64, ReadError> {
    let member = &entry.member;
    let differs = || {
        malformed(format!(
            "its `{}` is described in two ways that differ",
            member.name
        ))
    };
    reader.seek(SeekFrom::Start(entry.header_start))?;
    let mut header = vec![0; LOCAL_LENGTH + entry.raw_name.len()];
    reader.read_exact(&mut header)?;
    let (fixed, name) = header.split_at(LOCAL_LENGTH);
    let short = |offset| read_u16(fixed, offset).unwrap_or_default();
    let long = |offset| read_u32(fixed, offset).unwrap_or_default();
    let flags = short(6);
    let method = match member.method {
        Method::Stored => 0,
        Method::Deflated => 8,
    };
    if !fixed.starts_with(LOCAL_SIGNATURE)
        || name != entry.raw_name
        || usize::from(short(26)) != entry.raw_name.len()
        || short(8) != method
        || flags & FLAG_ENCRYPTED != 0
    {
        return Err(differs());
    }
    let extra_length = usize::from(short(28));
    // With a data descriptor the sizes come after the data (4.4.4, bit 3), and those here mean nothing.
    if flags & FLAG_DATA_DESCRIPTOR == 0 {
        let (mut compressed_size, mut size) = (u64::from(long(18)), u64::from(long(22)));
        if long(18) == u32::MAX || long(22) == u32::MAX {
            let mut extra = vec![0; extra_length];
            reader.read_exact(&mut extra)?;
            let [large, large_compressed] = zip64_sizes(&extra).ok_or_else(differs)?;
            (compressed_size, size) = (large_compressed, large);
        }
        if long(14) != member.crc32
            || compressed_size != member.compressed_size
            || size != member.size
        {
            return Err(differs());
        }
    }
    Ok(entry.header_start + (header.len() + extra_length) as u64)
}

/// Original and compressed size from the zip64 extra field (4.5.3), which holds both in a local header.
fn zip64_sizes(mut extra: &[u8]) -> Option<[u64; 2]> {
    loop {
        let (id, length) = (read_u16(extra, 0)?, usize::from(read_u16(extra, 2)?));
        let body = extra.get(4..4 + length)?;
        if id == 1 {
            let size = u64::from_le_bytes(body.get(..8)?.try_into().ok()?);
            let compressed_size = u64::from_le_bytes(body.get(8..16)?.try_into().ok()?);
            return Some([size, compressed_size]);
        }
        extra = &extra[4 + length..];
    }
}

fn unreadable(error: zip::result::ZipError) -> ReadError {
    match error {
        zip::result::ZipError::Io(error) => ReadError::from(error),
        other => malformed(format!("its table of contents cannot be read: {other}")),
    }
}

fn read_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..offset + 2)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

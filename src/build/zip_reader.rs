//! The table of contents of a zip that may be hostile: every entry checked before one byte of it is used.
//!
//! `zip_end` finds the central directory and `zip_directory` reads it; here each local header is held against it, and no
//! two entries may share a byte. Nothing is read by a general library, because those go on where a doubt is left: with
//! another end record, another name, another place. Section numbers are those of APPNOTE.TXT 6.3.10.

use super::zip_directory::{self, Entry, FLAGS_ENCRYPTED};
use super::zip_end;
use crate::model::UNZIPPED_LIMIT;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Seek, SeekFrom};

/// What all entries of one archive, or of one layer, may declare to be unpacked: far past what AWS Lambda takes, so that
/// a plan can still say by how much a layer is too large.
pub(crate) const DECLARED_LIMIT: u64 = 4 * UNZIPPED_LIMIT;
/// Bytes unpacked at once.
const BUFFER: usize = 64 * 1024;

const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;
const FLAG_DATA_DESCRIPTOR: u16 = 1 << 3;

/// How an entry's bytes are stored; other methods are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Method {
    Stored,
    Deflated,
}

/// One file of an archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// The archive is wrong: what is, as a sentence without its subject.
pub(crate) fn malformed(reason: impl Into<String>) -> ReadError {
    ReadError::Malformed(reason.into())
}

/// Every file of an archive, in the order of its central directory; folders are checked and left out.
pub(crate) fn members<R: Read + Seek>(reader: &mut R) -> Result<Vec<Member>, ReadError> {
    let end = zip_end::read(reader)?;
    let directory_start = end.directory_start;
    let entries = zip_directory::entries(reader, &end)?;
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

/// Every file of an archive that [`super::zip_writer`] wrote and whose bytes were hashed: its local headers have no
/// extra field and say what the directory says, so they are not read.
pub(crate) fn own_members<R: Read + Seek>(reader: &mut R) -> Result<Vec<Member>, ReadError> {
    let end = zip_end::read(reader)?;
    let entries = zip_directory::entries(reader, &end)?;
    let members = entries.into_iter().map(|entry| Member {
        start: entry.header_start + (LOCAL_LENGTH + entry.member.name.len()) as u64,
        ..entry.member
    });
    Ok(members.collect())
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

/// Unpacks a member piece by piece; see [`Inflater::inflate`].
pub(crate) fn inflate<R: Read + Seek>(
    reader: &mut R,
    member: &Member,
    take: impl FnMut(&[u8]),
) -> Result<(), ReadError> {
    Inflater::new().inflate(reader, member, take)
}

/// Unpacks members one after the other, with the same buffers.
pub(crate) struct Inflater {
    state: Decompress,
    packed: Vec<u8>,
    unpacked: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            state: Decompress::new(false),
            packed: vec![0; BUFFER],
            unpacked: vec![0; BUFFER],
        }
    }

    /// Unpacks a member piece by piece. Its size and CRC must be what its entry says, and its data must end where the
    /// entry says: some unpackers take what follows for damage.
    ///
    /// # Errors
    /// [`ReadError`], after pieces were given to `take` perhaps.
    pub(crate) fn inflate<R: Read + Seek>(
        &mut self,
        reader: &mut R,
        member: &Member,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ReadError> {
        reader.seek(SeekFrom::Start(member.start))?;
        let mut packed = reader.by_ref().take(member.compressed_size);
        let mut crc = Crc::new();
        let mut size: u64 = 0;
        let mut take = |piece: &[u8]| {
            size += piece.len() as u64;
            crc.update(piece);
            take(piece);
            size <= member.size
        };
        let is_whole = match member.method {
            Method::Stored => loop {
                let read = packed.read(&mut self.packed)?;
                if read == 0 {
                    break true;
                }
                if !take(&self.packed[..read]) {
                    break false;
                }
            },
            Method::Deflated => self.inflate_stream(&mut packed, take)?,
        };
        if is_whole && size == member.size && crc.sum() == member.crc32 {
            Ok(())
        } else {
            Err(malformed(format!(
                "its `{}` is not what its entry says",
                member.name
            )))
        }
    }

    /// Unpacks a deflate stream until `take` wants no more; whether it ended with its last byte.
    fn inflate_stream(
        &mut self,
        packed: &mut impl Read,
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, ReadError> {
        self.state.reset(false);
        let damaged = || malformed("its compressed data is damaged");
        let mut waiting = 0..0;
        loop {
            if waiting.is_empty() {
                waiting = 0..packed.read(&mut self.packed)?;
            }
            let is_last = waiting.is_empty();
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(
                    &self.packed[waiting.clone()],
                    &mut self.unpacked,
                    FlushDecompress::None,
                )
                .map_err(|_| damaged())?;
            // Both are at most the length of a buffer.
            waiting.start += (self.state.total_in() - read) as usize;
            let written = (self.state.total_out() - written) as usize;
            if !take(&self.unpacked[..written]) {
                return Ok(false);
            }
            match status {
                Status::StreamEnd => {
                    return Ok(waiting.is_empty() && packed.read(&mut self.packed)? == 0);
                }
                _ if is_last && written == 0 => return Err(damaged()),
                _ => {}
            }
        }
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
    let mut header = vec![0; LOCAL_LENGTH + member.name.len()];
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
        || name != member.name.as_bytes()
        || usize::from(short(26)) != member.name.len()
        || short(8) != method
        || flags & FLAGS_ENCRYPTED != 0
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
            // A local header's holds both sizes, the unpacked one first (4.5.3).
            let large = zip_directory::zip64_body(&extra).ok_or_else(differs)?;
            size = read_u64(large, 0).ok_or_else(differs)?;
            compressed_size = read_u64(large, 8).ok_or_else(differs)?;
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

/// A number of two bytes, little-endian as all of the format; `None` past the end.
pub(crate) fn read_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..offset + 2)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

/// The same with four.
pub(crate) fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The same with eight.
pub(crate) fn read_u64(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..offset + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

//! A zip written front to back: no clock, no seeking, every byte decided by what goes in.
//!
//! Only what a layer needs: files, stored or already deflated, below the sizes that need zip64. Section numbers are
//! those of APPNOTE.TXT 6.3.10.

use super::zip_reader::Method;
use std::io::{self, Read, Write};

/// The most files a zip lists without zip64: 65,535 stands for "more" (4.4.1.4).
pub(crate) const FILES_LIMIT: usize = 65_534;
/// 1980-01-01, the earliest date of the format (4.4.6), at midnight.
const DATE: u16 = (1 << 5) | 1;
const TIME: u16 = 0;
/// 2.0: the first with deflate (4.4.3.2).
const VERSION_NEEDED: u16 = 20;
/// The same version on Unix (4.4.2.2), so that the file modes count.
const VERSION_MADE_BY: u16 = (3 << 8) | 20;
const FLAG_UTF8: u16 = 1 << 11;
/// A regular file in the upper half of the external attributes.
const REGULAR_FILE: u32 = 0o100_000;

/// Bytes of the record that ends a zip (4.3.16).
pub(crate) const END_LENGTH: u64 = 22;

/// Bytes that a file with a name of this length takes besides its own: its local and its central header (4.3.7, 4.3.12).
pub(crate) fn entry_overhead(name_length: usize) -> u64 {
    (30 + 46 + 2 * name_length) as u64
}

/// What the headers say of one file.
pub(crate) struct FileHeader<'a> {
    pub(crate) path: &'a str,
    pub(crate) is_executable: bool,
    pub(crate) method: Method,
    pub(crate) crc32: u32,
    pub(crate) compressed_size: u64,
    pub(crate) size: u64,
}

/// Writes a zip to any writer; [`Self::finish`] must be called, or it has no table of contents.
pub(crate) struct ZipWriter<W> {
    out: W,
    written: u64,
    directory: Vec<u8>,
    files: u16,
    buffer: Vec<u8>,
}

impl<W: Write> ZipWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            written: 0,
            directory: Vec::new(),
            files: 0,
            buffer: vec![0; 256 * 1024],
        }
    }

    /// Adds a file whose bytes, compressed as the header says, are the next `compressed_size` of `data`.
    pub(crate) fn add<R: Read>(&mut self, header: &FileHeader<'_>, data: &mut R) -> io::Result<()> {
        let offset = small(self.written)?;
        let common = common_fields(header)?;
        let name = header.path.as_bytes();

        self.write(b"PK\x03\x04")?;
        self.write(&VERSION_NEEDED.to_le_bytes())?;
        self.write(&common)?;
        self.write(&[0, 0])?; // no extra field
        self.write(name)?;
        self.copy(data, header.compressed_size)?;

        let mode = REGULAR_FILE | if header.is_executable { 0o755 } else { 0o644 };
        let directory = &mut self.directory;
        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend_from_slice(&VERSION_MADE_BY.to_le_bytes());
        directory.extend_from_slice(&VERSION_NEEDED.to_le_bytes());
        directory.extend_from_slice(&common);
        // No extra field, no comment, first disk, no internal attributes: two bytes each.
        directory.extend_from_slice(&[0; 8]);
        directory.extend_from_slice(&(mode << 16).to_le_bytes());
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(name);
        self.files = self
            .files
            .checked_add(1)
            .filter(|files| usize::from(*files) <= FILES_LIMIT)
            .ok_or_else(needs_zip64)?;
        Ok(())
    }

    /// Writes the table of contents and gives the writer back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let start = small(self.written)?;
        let directory = std::mem::take(&mut self.directory);
        let length = small(directory.len() as u64)?;
        self.write(&directory)?;
        self.write(b"PK\x05\x06")?;
        self.write(&[0; 4])?; // first and only disk
        self.write(&self.files.to_le_bytes())?;
        self.write(&self.files.to_le_bytes())?;
        self.write(&length.to_le_bytes())?;
        self.write(&start.to_le_bytes())?;
        self.write(&[0, 0])?; // no comment
        self.out.flush()?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn copy<R: Read>(&mut self, data: &mut R, length: u64) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            let wanted =
                usize::try_from(left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
            let piece = &mut self.buffer[..wanted];
            data.read_exact(piece)?;
            self.out.write_all(piece)?;
            left -= wanted as u64;
        }
        self.written += length;
        Ok(())
    }
}

/// What local and central header share, from the flags to the length of the name (4.3.7, 4.3.12).
fn common_fields(header: &FileHeader<'_>) -> io::Result<Vec<u8>> {
    let flags = if header.path.is_ascii() { 0 } else { FLAG_UTF8 };
    let method: u16 = match header.method {
        Method::Stored => 0,
        Method::Deflated => 8,
    };
    let name_length = u16::try_from(header.path.len()).map_err(|_| needs_zip64())?;
    let mut fields = Vec::with_capacity(24);
    for short in [flags, method, TIME, DATE] {
        fields.extend_from_slice(&short.to_le_bytes());
    }
    let sizes = [small(header.compressed_size)?, small(header.size)?];
    for long in [header.crc32, sizes[0], sizes[1]] {
        fields.extend_from_slice(&long.to_le_bytes());
    }
    fields.extend_from_slice(&name_length.to_le_bytes());
    Ok(fields)
}

/// A number in the 32 bits the format has for it; all ones stand for "see zip64".
fn small(number: u64) -> io::Result<u32> {
    u32::try_from(number)
        .ok()
        .filter(|number| *number != u32::MAX)
        .ok_or_else(needs_zip64)
}

fn needs_zip64() -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        "the layer would need the zip64 format",
    )
}

//! Overlays: small zips derived from one wheel, whose entries are added to those of the wheel or stand in for them.
//!
//! Bytecode is added, stripped shared objects stand in for the files they were made from. An overlay depends on its
//! wheel and on how it was made, on no request, so it is kept beside the wheel and its entries are copied raw as well.
//! Entries are deflated by a portable encoder: zlib's faster cousins choose their matches by the processor they run on,
//! and a layer's bytes must not.

use super::error::BuildError;
use super::record;
use super::wheel::named;
use super::zip_reader::{self, Member, Method};
use super::zip_writer::{FileHeader, ZipWriter};
use crate::model::{Digest, Hasher};
use flate2::Crc;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream;
use miniz_oxide::{MZFlush, MZStatus};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};

/// The entry that lists the others with their digests, as in a wheel.
const RECORD: &str = "RECORD";
/// The largest list read: that of 65,534 files stays below it.
const RECORD_LIMIT: u64 = 16 * 1024 * 1024;
/// zlib's default: higher levels gain under 2 % for several times the time.
const LEVEL: i32 = 6;
/// A raw deflate stream, without zlib's header.
const RAW: i32 = 0;

/// Writes an overlay; [`Self::finish`] must be called. Paths must be added once each, relative to the layer's `python/`.
pub(crate) struct OverlayWriter<W> {
    zip: ZipWriter<W>,
    record: String,
    compressor: Box<CompressorOxide>,
}

impl<W: Write> OverlayWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            zip: ZipWriter::new(out),
            record: String::new(),
            compressor: compressor(),
        }
    }

    /// Adds a file that is in memory.
    ///
    /// # Errors
    /// What the writer says.
    pub(crate) fn add(&mut self, path: &str, is_executable: bool, bytes: &[u8]) -> io::Result<()> {
        let mut compressed = Vec::new();
        let entry = compress(&mut self.compressor, &mut &*bytes, &mut compressed)?;
        self.put(path, is_executable, &entry, &mut compressed.as_slice())
    }

    /// Adds a file that is compressed already, by [`compressor`]; `data` holds what `entry` says of it.
    ///
    /// # Errors
    /// What reader or writer say.
    pub(crate) fn put(
        &mut self,
        path: &str,
        is_executable: bool,
        entry: &Compressed,
        data: &mut impl Read,
    ) -> io::Result<()> {
        let header = FileHeader {
            path,
            is_executable,
            method: Method::Deflated,
            crc32: entry.crc32,
            compressed_size: entry.compressed_size,
            size: entry.size,
        };
        self.record
            .push_str(&record::line(path, Some((entry.digest, entry.size))));
        self.zip.add(&header, data)
    }

    /// Writes the list of files and gives the writer back.
    ///
    /// # Errors
    /// What the writer says.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let mut crc = Crc::new();
        crc.update(self.record.as_bytes());
        let size = self.record.len() as u64;
        let header = FileHeader {
            path: RECORD,
            is_executable: false,
            method: Method::Stored,
            crc32: crc.sum(),
            compressed_size: size,
            size,
        };
        self.zip.add(&header, &mut self.record.as_bytes())?;
        self.zip.finish()
    }
}

/// What came of compressing one file.
pub(crate) struct Compressed {
    pub(crate) crc32: u32,
    /// Of the uncompressed bytes, as the CRC is.
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) compressed_size: u64,
}

/// The encoder of overlays, at the start of a stream without a header.
pub(crate) fn compressor() -> Box<CompressorOxide> {
    let flags = create_comp_flags_from_zip_params(LEVEL, RAW, 0);
    Box::new(CompressorOxide::new(flags))
}

/// Deflates a stream piece by piece, hashing it on the way.
fn compress(
    compressor: &mut CompressorOxide,
    reader: &mut impl Read,
    out: &mut impl Write,
) -> io::Result<Compressed> {
    compressor.reset();
    let (mut crc, mut hasher) = (Crc::new(), Hasher::default());
    let (mut size, mut compressed_size) = (0, 0);
    let mut input = vec![0; 64 * 1024];
    let mut output = vec![0; 64 * 1024];
    loop {
        let read = reader.read(&mut input)?;
        let flush = if read == 0 {
            MZFlush::Finish
        } else {
            MZFlush::None
        };
        let mut piece = &input[..read];
        crc.update(piece);
        hasher.update(piece);
        size += read as u64;
        loop {
            let result = stream::deflate(compressor, piece, &mut output, flush);
            out.write_all(&output[..result.bytes_written])?;
            compressed_size += result.bytes_written as u64;
            piece = &piece[result.bytes_consumed..];
            match result.status {
                Ok(MZStatus::StreamEnd) => {
                    return Ok(Compressed {
                        crc32: crc.sum(),
                        digest: hasher.finish(),
                        size,
                        compressed_size,
                    });
                }
                Ok(_) if read == 0 || !piece.is_empty() => {}
                Ok(_) => break,
                Err(error) => return Err(io::Error::other(format!("deflating: {error:?}"))),
            }
        }
    }
}

/// A file of an overlay.
#[derive(Debug)]
pub(crate) struct OverlayFile {
    /// Its entry; the name is the path relative to the layer's `python/`.
    pub(crate) member: Member,
    /// Of the unpacked bytes.
    pub(crate) digest: Digest,
}

/// What the entries of an overlay do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverlayKind {
    /// They are compiled modules, added to those of the wheel.
    Bytecode,
    /// They stand in for files of the wheel.
    Stripped,
}

/// An overlay, opened.
pub(crate) struct Overlay<R> {
    pub(crate) kind: OverlayKind,
    pub(crate) reader: R,
    /// Its files, sorted by path.
    pub(crate) files: Vec<OverlayFile>,
}

impl<R: Read + Seek> Overlay<R> {
    /// Opens an overlay of the wheel `filename`, whose bytes are known to be those that were written.
    ///
    /// # Errors
    /// [`BuildError::BadWheel`] when it is no overlay, [`BuildError::Io`].
    pub(crate) fn open(
        kind: OverlayKind,
        mut reader: R,
        filename: &str,
    ) -> Result<Self, BuildError> {
        let fail = |error| named(filename, error);
        let members = zip_reader::own_members(&mut reader).map_err(fail)?;
        let mut record = BTreeMap::new();
        if let Some(member) = members.iter().find(|member| member.name == RECORD) {
            let bytes = zip_reader::read_member(&mut reader, member, RECORD_LIMIT).map_err(fail)?;
            record = record::read(&String::from_utf8_lossy(&bytes));
        }
        let mut files = Vec::with_capacity(members.len());
        for member in members {
            if member.name == RECORD {
                continue;
            }
            let Some(recorded) = record.get(&member.name) else {
                return Err(BuildError::bad_wheel(
                    filename,
                    format!("what was derived from it does not list `{}`", member.name),
                ));
            };
            let digest = recorded.digest;
            files.push(OverlayFile { member, digest });
        }
        files.sort_by(|a, b| a.member.name.cmp(&b.member.name));
        Ok(Self {
            kind,
            reader,
            files,
        })
    }

    /// The file at a path.
    pub(crate) fn position(&self, path: &str) -> Option<usize> {
        self.files
            .binary_search_by(|file| file.member.name.as_str().cmp(path))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, SeekFrom};

    fn pattern(length: usize) -> Vec<u8> {
        (0..length)
            .map(|index| (index * index / 7 % 251) as u8)
            .collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (small, large) = (pattern(10), pattern(300_000));
        let mut writer = OverlayWriter::new(Vec::new());
        writer.add("a/__pycache__/b.pyc", false, &small).unwrap();
        writer.add("a/c.so", true, &large).unwrap();
        writer.add("empty", false, b"").unwrap();
        let bytes = writer.finish().unwrap();
        assert!(bytes.len() < 300_000, "compressed: {}", bytes.len());

        let mut overlay =
            Overlay::open(OverlayKind::Bytecode, Cursor::new(bytes), "x.whl").unwrap();
        let names: Vec<&str> = overlay
            .files
            .iter()
            .map(|file| file.member.name.as_str())
            .collect();
        assert_eq!(names, ["a/__pycache__/b.pyc", "a/c.so", "empty"]);
        for (path, expected) in [("a/__pycache__/b.pyc", &small), ("a/c.so", &large)] {
            let file = &overlay.files[overlay.position(path).unwrap()];
            let read = zip_reader::read_member(&mut overlay.reader, &file.member, 1 << 20).unwrap();
            assert!(read == *expected, "{path}");
            assert_eq!(file.digest, Digest::of(expected));
        }
        assert!(overlay.files[1].member.is_executable);
        assert_eq!(overlay.position("a/c"), None);
    }

    #[test]
    fn the_bytes_are_known_and_do_not_depend_on_what_came_before() {
        let write = |first: &[u8]| {
            let mut writer = OverlayWriter::new(Vec::new());
            writer.add("first", false, first).unwrap();
            writer.add("second", false, &pattern(100_000)).unwrap();
            let bytes = writer.finish().unwrap();
            let mut overlay =
                Overlay::open(OverlayKind::Bytecode, Cursor::new(bytes), "x.whl").unwrap();
            let member = overlay.files[1].member.clone();
            overlay.reader.seek(SeekFrom::Start(member.start)).unwrap();
            let mut raw = vec![0; usize::try_from(member.compressed_size).unwrap()];
            overlay.reader.read_exact(&mut raw).unwrap();
            Digest::of(&raw).short()
        };
        insta::assert_snapshot!(write(b"x"), @"fecc1524d39199c3");
        assert_eq!(write(b"x"), write(&pattern(200_000)));
    }
}

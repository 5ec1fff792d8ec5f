//! Members of a wheel as files: their bytes in a file without a name.

use super::blocks::{self, BlockIndex};
use crate::build::zip_reader::{self, Member, Method, ReadError};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// A file without a name, for one member after the other.
pub(super) struct Scratch(File);

impl Scratch {
    pub(super) fn new(folder: &std::path::Path) -> io::Result<Self> {
        tempfile::tempfile_in(folder).map(Self)
    }

    /// Replaces what is in the file by a member's bytes; size and CRC are checked. Tells which blocks its stream has, where
    /// it is compressed.
    pub(super) fn unpack<R: Read + Seek>(
        &mut self,
        reader: &mut R,
        member: &Member,
    ) -> Result<(&mut File, Option<BlockIndex>), ReadError> {
        let mut written = self.begin();
        let take = |piece: &[u8]| {
            if written.is_ok() {
                written = self.write(piece);
            }
        };
        let index = match member.method {
            Method::Deflated => Some(blocks::inflate(reader, member, take)?),
            Method::Stored => {
                zip_reader::inflate(reader, member, take)?;
                None
            }
        };
        let file = written
            .and_then(|()| self.end(member.size))
            .map_err(ReadError::Io)?;
        Ok((file, index))
    }

    /// What is written next replaces what is in the file.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(0)).map(drop)
    }

    /// Writes a piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.0.write_all(piece)
    }

    /// The file with what was written since it began, that many bytes.
    pub(super) fn end(&mut self, size: u64) -> io::Result<&mut File> {
        // Cut only at the end: pages that are written over need not be made again.
        self.0.set_len(size)?;
        Ok(&mut self.0)
    }
}

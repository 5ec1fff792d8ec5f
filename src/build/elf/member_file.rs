//! Members of a wheel as files: which of them are ELF, and their bytes in a file without a name.

use crate::build::zip_reader::{self, Member, Method, ReadError};
use flate2::{Decompress, FlushDecompress};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// The bytes every ELF file begins with.
const MAGIC: [u8; 4] = object::elf::ELFMAG;
/// The smallest file header, that of the 32-bit class.
const SMALLEST: u64 = 52;
/// Compressed bytes in which the first four are found: a deflate block's tables take at most some 300 (RFC 1951, 3.2.7).
const HEAD: u64 = 512;

/// Looks at the first bytes of members, with one decompressor for all of them.
pub(super) struct Heads {
    decompress: Decompress,
    head: Vec<u8>,
}

impl Heads {
    pub(super) fn new() -> Self {
        Self {
            decompress: Decompress::new(false),
            head: Vec::new(),
        }
    }

    /// Whether a member begins like an ELF file. Damaged data does not; it is found where the member is read.
    pub(super) fn is_elf<R: Read + Seek>(
        &mut self,
        reader: &mut R,
        member: &Member,
    ) -> io::Result<bool> {
        if member.size < SMALLEST {
            return Ok(false);
        }
        self.head.clear();
        reader.seek(SeekFrom::Start(member.start))?;
        reader
            .by_ref()
            .take(member.compressed_size.min(HEAD))
            .read_to_end(&mut self.head)?;
        if member.method == Method::Stored {
            return Ok(self.head.starts_with(&MAGIC));
        }
        self.decompress.reset(false);
        let mut start = [0; MAGIC.len()];
        let outcome = self
            .decompress
            .decompress(&self.head, &mut start, FlushDecompress::None);
        Ok(outcome.is_ok() && start == MAGIC)
    }
}

/// A file without a name, for one member after the other.
pub(super) struct Scratch(File);

impl Scratch {
    pub(super) fn new(folder: &std::path::Path) -> io::Result<Self> {
        tempfile::tempfile_in(folder).map(Self)
    }

    /// Replaces what is in the file by a member's bytes; size and CRC are checked.
    pub(super) fn unpack<R: Read + Seek>(
        &mut self,
        reader: &mut R,
        member: &Member,
    ) -> Result<&mut File, ReadError> {
        let file = &mut self.0;
        let mut written = file.seek(SeekFrom::Start(0)).map(drop);
        zip_reader::inflate(reader, member, |chunk| {
            if written.is_ok() {
                written = file.write_all(chunk);
            }
        })?;
        // Cut only at the end: pages that are written over need not be made again.
        written
            .and_then(|()| file.set_len(member.size))
            .map_err(ReadError::Io)?;
        Ok(file)
    }
}

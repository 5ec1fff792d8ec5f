//! A stripped file, read piece by piece from the original: it exists nowhere as a whole.

use super::ElfError;
use super::facts::{self, ElfFacts};
use super::layout::{self, Layout};
use super::strip::{self, Piece, Plan};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// A shared object without its debug and symbol sections, at any place of which several threads may read.
pub(super) struct Stripped<'a> {
    original: &'a File,
    /// Where each piece begins, and the piece.
    pieces: Vec<(u64, Piece)>,
    length: u64,
}

impl<'a> Stripped<'a> {
    /// Strips a file, reads the result again, and gives it when it would be loaded just as the original; otherwise why
    /// the original stays, as a sentence without its subject.
    ///
    /// # Errors
    /// What the system says when the file cannot be read.
    pub(super) fn of(original: &'a File) -> io::Result<Result<Self, &'static str>> {
        let before = layout::read(original, |layout, data| {
            let facts = facts::facts(&layout, data, "")?;
            Ok((strip::plan(&layout, data)?, layout, facts))
        });
        let (plan, layout, facts) = match before {
            Ok(before) => before,
            Err(ElfError::Io(error)) => return Err(error),
            Err(ElfError::Malformed(reason)) => return Ok(Err(reason)),
        };
        let pieces = match plan {
            Plan::Strip(pieces) => pieces,
            Plan::Leave(reason) => return Ok(Err(reason)),
        };
        let mut length = 0;
        let pieces = pieces
            .into_iter()
            .map(|piece| {
                let start = length;
                length += piece.length();
                (start, piece)
            })
            .collect();
        let stripped = Self {
            original,
            pieces,
            length,
        };
        let after = layout::read(stripped.reader(), |layout, data| {
            let facts = facts::facts(&layout, data, "")?;
            Ok((layout, facts))
        });
        match after {
            Ok((new_layout, new_facts))
                if is_loaded_alike((&layout, facts), (&new_layout, &new_facts)) =>
            {
                Ok(Ok(stripped))
            }
            Err(ElfError::Io(error)) => Err(error),
            _ => Ok(Err("without them it would not be read as before")),
        }
    }

    /// Bytes of the stripped file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Which bytes are those of the original at the same place, sorted.
    pub(super) fn unchanged(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for (at, piece) in &self.pieces {
            let Piece::Copy { start, length } = piece else {
                continue;
            };
            if start != at {
                continue;
            }
            match ranges.last_mut() {
                Some(last) if last.end == *start => last.end += length,
                _ => ranges.push(*start..start + length),
            }
        }
        ranges
    }

    /// Reads at most as many bytes as the buffer holds; 0 only at the end, or for an empty buffer.
    pub(super) fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let after = self.pieces.partition_point(|(start, _)| *start <= position);
        let Some((start, piece)) = after
            .checked_sub(1)
            .and_then(|index| self.pieces.get(index))
        else {
            return Ok(0);
        };
        let inside = position - start;
        let left = piece.length().saturating_sub(inside);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = &mut buffer[..wanted];
        match piece {
            Piece::Copy { start, .. } => {
                let read = self.original.read_at(buffer, start + inside)?;
                if read == 0 && !buffer.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                return Ok(read);
            }
            Piece::Zeros { .. } => buffer.fill(0),
            Piece::Made(bytes) => {
                let start = usize::try_from(inside).unwrap_or(bytes.len());
                buffer.copy_from_slice(&bytes[start..start + wanted]);
            }
        }
        Ok(wanted)
    }

    /// The stripped file from its start.
    pub(super) fn reader(&self) -> StrippedReader<'_> {
        StrippedReader {
            stripped: self,
            position: 0,
        }
    }
}

/// Whether the loader sees the same in two files: program headers, dynamic section, and what they point to.
fn is_loaded_alike(
    (layout, facts): (&Layout, ElfFacts),
    (new_layout, new_facts): (&Layout, &ElfFacts),
) -> bool {
    let expected = ElfFacts {
        size: new_facts.size,
        removable: 0,
        ..facts
    };
    layout.segments == new_layout.segments
        && layout.segments_range == new_layout.segments_range
        && layout.dynamic == new_layout.dynamic
        && layout.machine == new_layout.machine
        && layout.kind == new_layout.kind
        && *new_facts == expected
}

/// Reads a stripped file from front to back, or wherever it is told to.
pub(super) struct StrippedReader<'a> {
    stripped: &'a Stripped<'a>,
    position: u64,
}

impl Read for StrippedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stripped.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for StrippedReader<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let position = match position {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(distance) => self.stripped.length.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

//! A stripped file compressed by changing the stream of the original.
//!
//! Most of a shared object stays where it is when its debug sections go: the blocks of its stream that unpack to such
//! bytes, and refer back to nothing else, are copied bit by bit, and only the others are compressed again. That is a
//! small part of the time, and what the wheel's maker took pains to compress stays so.

use super::bits::BitWriter;
use super::blocks::BlockIndex;
use super::deflate;
use super::stripped::Stripped;
use crate::build::overlay::Compressed;
use crate::build::zip_reader::Member;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

/// How far a block may refer back (RFC 1951, 2).
const WINDOW: u64 = 32 * 1024;

/// A part of the new stream.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Bits of the original's stream.
    Copied(Range<u64>),
    /// Bytes of the stripped file, compressed anew.
    Deflated(Range<u64>),
}

/// Compresses a stripped file into `out`; `index` is that of the member that the original is.
///
/// # Errors
/// What the system says when reading or writing fails.
pub(super) fn rewrite<R: Read + Seek>(
    input: &Stripped<'_>,
    reader: &mut R,
    member: &Member,
    index: &BlockIndex,
    out: &mut impl Write,
) -> io::Result<Compressed> {
    let parts = plan(index, &input.unchanged(), input.length());
    std::thread::scope(|scope| {
        let summary = scope.spawn(|| deflate::summary(input));
        let mut bits = BitWriter::new(io::BufWriter::new(&mut *out));
        for part in &parts {
            match part {
                Part::Copied(range) => {
                    reader.seek(SeekFrom::Start(member.start + range.start / 8))?;
                    bits.copy(reader, range.start, range.end)?;
                }
                Part::Deflated(range) => {
                    bits.align()?;
                    deflate::deflate(input, range.clone(), false, &mut bits)?;
                }
            }
        }
        let compressed_size = bits.finish()?;
        let summary = summary
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(summary.compressed(compressed_size))
    })
}

/// What the stream is put together of: `unchanged` are the bytes of the original that are at the same place in a file of
/// `length` bytes, sorted. The last blocks are never copied: they say that the stream ends, and not at which bit.
fn plan(index: &BlockIndex, unchanged: &[Range<u64>], length: u64) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (number, blocks) in index.blocks.iter().enumerate() {
        let next = index.blocks.get(number + 1);
        let end = next.map_or(index.bytes, |next| next.bytes);
        let end_bits = next.map_or(blocks.bits, |next| next.bits);
        let seen = blocks.bytes.saturating_sub(WINDOW)..end;
        let is_kept = blocks.is_movable
            && next.is_some()
            && end <= length
            && unchanged
                .iter()
                .any(|range| range.start <= seen.start && seen.end <= range.end);
        if is_kept {
            match parts.last_mut() {
                Some(Part::Copied(bits)) if bits.end == blocks.bits => bits.end = end_bits,
                _ => parts.push(Part::Copied(blocks.bits..end_bits)),
            }
        } else if blocks.bytes < length {
            match parts.last_mut() {
                Some(Part::Deflated(bytes)) => bytes.end = end.min(length),
                _ => parts.push(Part::Deflated(blocks.bytes..end.min(length))),
            }
        }
    }
    if length > index.bytes {
        match parts.last_mut() {
            Some(Part::Deflated(bytes)) => bytes.end = length,
            _ => parts.push(Part::Deflated(index.bytes..length)),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::blocks::Blocks;
    use super::*;
    use std::slice::from_ref;

    /// Blocks of 100,000 bytes and 8,001 bits each.
    fn index(count: u64) -> BlockIndex {
        BlockIndex {
            blocks: (0..count)
                .map(|number| Blocks {
                    bits: number * 8_001,
                    bytes: number * 100_000,
                    is_movable: number != 3,
                })
                .collect(),
            bytes: count * 100_000,
        }
    }

    #[test]
    fn blocks_are_copied_where_nothing_changed_that_they_unpack_or_refer_to() {
        use Part::{Copied, Deflated};
        let index = index(8);
        let parts = |unchanged: &[Range<u64>], length| plan(&index, unchanged, length);
        // The head and the tail changed; the fourth block cannot be moved.
        let expected = vec![
            Deflated(0..100_000),
            Copied(8_001..3 * 8_001),
            Deflated(300_000..400_000),
            Copied(4 * 8_001..6 * 8_001),
            Deflated(600_000..612_345),
        ];
        assert_eq!(parts(from_ref(&(64..612_000)), 612_345), expected);
        // A change just within reach of the next block, and one just out of it.
        let reached = parts(&[0..567_233, 567_234..800_000], 800_000);
        assert_eq!(reached[reached.len() - 1], Deflated(500_000..800_000));
        let reached = parts(&[0..567_231, 567_232..800_000], 800_000);
        let expected = [
            Deflated(500_000..600_000),
            Copied(6 * 8_001..7 * 8_001),
            Deflated(700_000..800_000),
        ];
        assert_eq!(reached[reached.len() - 3..], expected);
        // The last block is made anew, and what comes behind it with it.
        let longer = parts(from_ref(&(0..800_000)), 800_001);
        assert_eq!(longer.last(), Some(&Deflated(700_000..800_001)));
        let shorter = parts(from_ref(&(0..700_000)), 700_000);
        assert_eq!(shorter.last(), Some(&Copied(4 * 8_001..7 * 8_001)));
        assert_eq!(parts(&[], 0), []);
    }
}

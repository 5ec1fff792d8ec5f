//! A deflate stream taken apart at its blocks (RFC 1951), so that those which stay as they are can be copied.

use crate::build::zip_reader::{Member, ReadError, malformed};
use flate2::Crc;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use std::io::{Read, Seek, SeekFrom};

/// Bytes read at once.
const INPUT: usize = 64 * 1024;
/// Bytes unpacked at once; what a block refers back to is among the last 32 KiB.
const OUTPUT: usize = 64 * 1024;
/// Blocks of which less is unpacked are put together: hostile streams have millions of empty ones.
const LEAST: u64 = 16 * 1024;
/// The kind of block whose bytes are aligned to those of the stream: it cannot be moved by bits (3.2.4).
const STORED: u8 = 0;

/// Some blocks that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blocks {
    /// Where they begin in the stream, in bits.
    pub(super) bits: u64,
    /// Where they begin in what is unpacked, in bytes.
    pub(super) bytes: u64,
    /// Whether they can be copied to any place of another stream.
    pub(super) is_movable: bool,
}

/// The blocks of a stream, in order.
#[derive(Debug, Default)]
pub(super) struct BlockIndex {
    pub(super) blocks: Vec<Blocks>,
    /// Bytes unpacked.
    pub(super) bytes: u64,
}

impl BlockIndex {
    /// A block begins.
    fn begin(&mut self, bits: u64, bytes: u64, is_movable: bool) {
        match self.blocks.last_mut() {
            Some(last) if bytes - last.bytes < LEAST => last.is_movable &= is_movable,
            _ => self.blocks.push(Blocks {
                bits,
                bytes,
                is_movable,
            }),
        }
    }
}

/// Unpacks a compressed member piece by piece, as [`crate::build::zip_reader::Inflater`] does, and notes its blocks.
///
/// # Errors
/// [`ReadError`], after pieces were given to `take` perhaps.
pub(super) fn inflate<R: Read + Seek>(
    reader: &mut R,
    member: &Member,
    mut take: impl FnMut(&[u8]),
) -> Result<BlockIndex, ReadError> {
    let damaged = || malformed("its compressed data is damaged");
    let wrong = || malformed(format!("its `{}` is not what its entry says", member.name));
    reader.seek(SeekFrom::Start(member.start))?;
    let mut packed = reader.by_ref().take(member.compressed_size);
    let (mut input, mut waiting) = (vec![0; INPUT], 0..0);
    let (mut output, mut place) = (vec![0; OUTPUT], 0);
    let mut state = Box::<DecompressorOxide>::default();
    let (mut index, mut crc) = (BlockIndex::default(), Crc::new());
    let mut consumed: u64 = 0;
    let mut is_between = true;
    loop {
        if waiting.is_empty() {
            waiting = 0..packed.read(&mut input)?;
        }
        if is_between {
            // The header's bits: those left of the last byte, then those of the next one.
            let (bits, left) = state
                .block_boundary_state()
                .map_or((0, 0), |state| (state.bit_buf, u32::from(state.num_bits)));
            let next = input[waiting.clone()].first().copied().unwrap_or_default();
            let header = u16::from(bits) | u16::from(next) << left;
            let kind = (header >> 1 & 3) as u8;
            index.begin(consumed * 8 - u64::from(left), index.bytes, kind != STORED);
        }
        let more = if waiting.is_empty() {
            0
        } else {
            TINFL_FLAG_HAS_MORE_INPUT
        };
        let flags = more | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
        let (status, read, written) = decompress(
            &mut state,
            &input[waiting.clone()],
            &mut output,
            place,
            flags,
        );
        waiting.start += read;
        consumed += read as u64;
        let piece = &output[place..place + written];
        index.bytes += written as u64;
        if index.bytes > member.size {
            return Err(wrong());
        }
        crc.update(piece);
        take(piece);
        place = (place + written) % OUTPUT;
        is_between = status == TINFLStatus::BlockBoundary;
        match status {
            TINFLStatus::Done => break,
            TINFLStatus::BlockBoundary
            | TINFLStatus::NeedsMoreInput
            | TINFLStatus::HasMoreOutput => {}
            _ => return Err(damaged()),
        }
    }
    let ends = waiting.is_empty() && packed.read(&mut input)? == 0;
    if ends && index.bytes == member.size && crc.sum() == member.crc32 {
        Ok(index)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::zip_reader::Method;
    use flate2::write::DeflateEncoder;
    use flate2::{Compression, FlushCompress};
    use std::io::{Cursor, Write};

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        (0..length).map(|_| next() % 97).collect()
    }

    fn member(bytes: &[u8], packed: &[u8]) -> Member {
        let mut crc = Crc::new();
        crc.update(bytes);
        Member {
            name: "a.so".to_owned(),
            method: Method::Deflated,
            crc32: crc.sum(),
            compressed_size: packed.len() as u64,
            size: bytes.len() as u64,
            start: 0,
            is_executable: false,
        }
    }

    fn packed(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_stream_is_unpacked_and_its_blocks_are_found() {
        let bytes = noise(1_000_000);
        let packed = packed(&bytes, 6);
        let mut unpacked = Vec::new();
        let member = member(&bytes, &packed);
        let take = |piece: &[u8]| unpacked.extend_from_slice(piece);
        let index = inflate(&mut Cursor::new(&packed), &member, take).unwrap();
        assert!(unpacked == bytes);
        assert_eq!(index.bytes, member.size);
        assert!(index.blocks.len() > 10, "{}", index.blocks.len());
        assert_eq!((index.blocks[0].bits, index.blocks[0].bytes), (0, 0));
        let sorted =
            |pair: &[Blocks]| pair[0].bits < pair[1].bits && pair[0].bytes + LEAST <= pair[1].bytes;
        assert!(index.blocks.windows(2).all(sorted));
        assert!(index.blocks.iter().all(|blocks| blocks.is_movable));
        // Whoever begins where a block begins, knowing what came before, reads the rest.
        let some = &index.blocks[5];
        let mut state = DecompressorOxide::from_block_boundary_state(
            &miniz_oxide::inflate::core::BlockBoundaryState {
                num_bits: ((8 - some.bits % 8) % 8) as u8,
                bit_buf: match some.bits % 8 {
                    0 => 0,
                    used => packed[(some.bits / 8) as usize] >> used,
                },
                ..Default::default()
            },
        );
        let mut whole = bytes[..some.bytes as usize].to_vec();
        whole.resize(bytes.len(), 0);
        let (status, _, _) = decompress(
            &mut state,
            &packed[some.bits.div_ceil(8) as usize..],
            &mut whole,
            some.bytes as usize,
            miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
        );
        assert!(status == TINFLStatus::Done && whole == bytes);
    }

    #[test]
    fn stored_blocks_and_empty_ones_are_not_moved() {
        // Level 0 stores; a stream of nothing but flushes has an empty stored block for each.
        let bytes = noise(300_000);
        let stored = packed(&bytes, 0);
        let index = inflate(&mut Cursor::new(&stored), &member(&bytes, &stored), |_| {}).unwrap();
        assert!(index.blocks.iter().all(|blocks| !blocks.is_movable));
        let mut encoder = flate2::Compress::new(Compression::new(6), false);
        let mut flushed = vec![0; 1 << 20];
        let mut at = 0;
        for _ in 0..50_000 {
            let before = encoder.total_out();
            encoder
                .compress(b"x", &mut flushed[at..], FlushCompress::Sync)
                .unwrap();
            at += (encoder.total_out() - before) as usize;
        }
        let before = encoder.total_out();
        encoder
            .compress(b"", &mut flushed[at..], FlushCompress::Finish)
            .unwrap();
        at += (encoder.total_out() - before) as usize;
        let (bytes, flushed) = (vec![b'x'; 50_000], &flushed[..at]);
        let index = inflate(&mut Cursor::new(flushed), &member(&bytes, flushed), |_| {}).unwrap();
        assert_eq!(index.blocks.len(), 4, "not one for each of so many");
        assert!(index.blocks.iter().all(|blocks| !blocks.is_movable));
    }

    #[test]
    fn damage_is_found() {
        let bytes = noise(100_000);
        let whole = packed(&bytes, 6);
        let good = member(&bytes, &whole);
        let fails = |member: &Member, packed: &[u8]| {
            inflate(&mut Cursor::new(packed), member, |_| {}).is_err()
        };
        assert!(!fails(&good, &whole));
        let mut altered = whole.clone();
        altered[whole.len() / 2] ^= 0x10;
        assert!(fails(&good, &altered));
        assert!(fails(&good, &whole[..whole.len() - 1]));
        let short = Member {
            size: good.size - 1,
            ..good.clone()
        };
        let cut = Member {
            compressed_size: good.compressed_size - 1,
            ..good.clone()
        };
        let more = [&whole[..], b"x"].concat();
        let longer = Member {
            compressed_size: good.compressed_size + 1,
            ..good.clone()
        };
        assert!(fails(&short, &whole) && fails(&cut, &whole) && fails(&longer, &more));
    }
}

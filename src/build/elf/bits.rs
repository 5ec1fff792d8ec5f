//! Writing a deflate stream that is put together of others, whose parts end in the middle of a byte.

use std::io::{self, Read, Write};

/// An empty stored block behind its three bits and the bits up to the next byte (RFC 1951, 3.2.4).
const EMPTY_STORED: [u8; 4] = [0, 0, 0xff, 0xff];
/// The last block of a stream, empty, with fixed codes: a set bit, the kind 1 in two bits, and seven zeros.
const EMPTY_LAST: [u8; 2] = [0b011, 0];
/// Bytes moved at once.
const BUFFER: usize = 64 * 1024;

/// A writer of bits, the lowest of each byte first.
pub(super) struct BitWriter<W> {
    out: W,
    /// Bits that fill no byte yet: how many, and they.
    count: u32,
    bits: u8,
    written: u64,
}

impl<W: Write> BitWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            count: 0,
            bits: 0,
            written: 0,
        }
    }

    /// Copies bits of another stream: those in front of `end`, of bytes from `source` that begins with the byte that the
    /// bit `start` is in.
    ///
    /// # Errors
    /// What reader or writer say.
    pub(super) fn copy(&mut self, source: &mut impl Read, start: u64, end: u64) -> io::Result<()> {
        if start >= end {
            return Ok(());
        }
        let skipped = (start % 8) as u32;
        let mut left = end - start;
        let mut first = [0];
        source.read_exact(&mut first)?;
        let bits = u64::from(8 - skipped).min(left) as u32;
        self.put(first[0] >> skipped, bits)?;
        left -= u64::from(bits);
        let mut buffer = vec![0; BUFFER];
        while left >= 8 {
            let wanted = usize::try_from(left / 8).map_or(BUFFER, |bytes| bytes.min(BUFFER));
            let bytes = &mut buffer[..wanted];
            source.read_exact(bytes)?;
            self.shift(bytes);
            self.out.write_all(bytes)?;
            self.written += wanted as u64;
            left -= 8 * wanted as u64;
        }
        if left > 0 {
            source.read_exact(&mut first)?;
            self.put(first[0], left as u32)?;
        }
        Ok(())
    }

    /// Bytes as they come out when they follow the bits that wait; as many bits wait afterwards.
    fn shift(&mut self, bytes: &mut [u8]) {
        if self.count == 0 {
            return;
        }
        for byte in bytes {
            let both = u16::from(*byte) << self.count | u16::from(self.bits);
            [*byte, self.bits] = both.to_le_bytes();
        }
    }

    /// Writes the lowest bits of a byte.
    fn put(&mut self, bits: u8, count: u32) -> io::Result<()> {
        let bits = u16::from(bits) & ((1 << count) - 1);
        let [low, high] = (bits << self.count | u16::from(self.bits)).to_le_bytes();
        self.count += count;
        self.bits = low;
        if self.count >= 8 {
            self.out.write_all(&[low])?;
            self.written += 1;
            self.bits = high;
            self.count -= 8;
        }
        Ok(())
    }

    /// Goes on at the beginning of a byte, with an empty block where there is something to fill.
    ///
    /// # Errors
    /// What the writer says.
    pub(super) fn align(&mut self) -> io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        self.put(0, 3)?;
        self.fill()?;
        self.write_all(&EMPTY_STORED)
    }

    /// Fills a begun byte with zeros.
    fn fill(&mut self) -> io::Result<()> {
        match self.count {
            0 => Ok(()),
            count => self.put(0, 8 - count),
        }
    }

    /// Ends the stream with an empty block. Gives the number of bytes written.
    ///
    /// # Errors
    /// What the writer says.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.put(EMPTY_LAST[0], 8)?;
        self.put(EMPTY_LAST[1], 2)?;
        self.fill()?;
        self.out.flush()?;
        Ok(self.written)
    }
}

/// Whole bytes, written where the last one ended; [`BitWriter::align`] comes first.
impl<W: Write> Write for BitWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        debug_assert_eq!(self.count, 0, "bits wait for their byte");
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits as text, the first one first.
    fn text(bytes: &[u8]) -> String {
        let bits = bytes
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1));
        bits.map(|bit| if bit == 1 { '1' } else { '0' }).collect()
    }

    #[test]
    fn bits_are_copied_from_any_place_to_any_place() {
        let source: Vec<u8> = (0..200_000_u64).map(|n| (n * n / 7 % 251) as u8).collect();
        let all = text(&source);
        for (before, start, end) in [
            (0, 0, 16),
            (3, 0, 1),
            (3, 5, 6),
            (7, 7, 8),
            (1, 3, 3),
            (5, 11, 1_500_003),
            (0, 13, 1_400_000),
            (6, 8, 1_599_999),
        ] {
            let mut bytes = Vec::new();
            let mut out = BitWriter::new(&mut bytes);
            out.copy(&mut &source[..], 0, before).unwrap();
            let from = (start / 8) as usize;
            out.copy(&mut &source[from..], start, end).unwrap();
            out.fill().unwrap();
            assert_eq!(out.written, (before + end - start).div_ceil(8));
            let range = |start: u64, end: u64| &all[start as usize..end as usize];
            let expected = [range(0, before), range(start, end)].concat();
            let came = text(&bytes);
            assert!(came.starts_with(&expected), "{before} {start} {end}");
            assert!(!came[expected.len()..].contains('1'));
        }
    }

    #[test]
    fn what_is_added_between_parts_means_nothing() {
        // A block with fixed codes that holds `a`, without its last bit set: 0, 10, the code of `a`, the end.
        let code = format!("010{:08b}0000000", 0x30 + u32::from(b'a'));
        let mut source = [0; 3];
        for (at, bit) in code.bytes().enumerate() {
            source[at / 8] |= (bit - b'0') << (at % 8);
        }
        let length = code.len() as u64;
        let mut bytes = Vec::new();
        let mut out = BitWriter::new(&mut bytes);
        for _ in 0..3 {
            out.copy(&mut &source[..], 0, length).unwrap();
            out.align().unwrap();
            out.copy(&mut &source[..], 0, length).unwrap();
        }
        let written = out.finish().unwrap();
        assert_eq!(written, bytes.len() as u64);
        let unpacked = miniz_oxide::inflate::decompress_to_vec(&bytes).unwrap();
        assert_eq!(unpacked, b"aaaaaa");
    }
}

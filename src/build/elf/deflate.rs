//! Deflate at two threads' speed, with bytes that depend on nothing but the input.
//!
//! The input is cut into pieces of one fixed size; each is compressed on its own and ends on a whole byte (a sync flush),
//! so that the streams together are one.

use super::stripped::Stripped;
use crate::build::overlay::{Compressed, compressor};
use crate::model::Hasher;
use flate2::Crc;
use miniz_oxide::deflate::core::{TDEFLFlush, TDEFLStatus, compress};
use std::io::{self, Write};
use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};

/// Bytes compressed on their own. What came before a piece is not seen from it, which costs about 1 % for each 32 KiB in 2 MiB.
const PIECE: u64 = 2 * 1024 * 1024;
/// Pieces compressed at once.
const THREADS: u64 = 2;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;

/// CRC-32, SHA-256 and size of a file.
pub(super) struct Summary {
    crc: Crc,
    hasher: Hasher,
    size: u64,
}

impl Summary {
    /// The file with its compressed size.
    pub(super) fn compressed(self, compressed_size: u64) -> Compressed {
        Compressed {
            crc32: self.crc.sum(),
            digest: self.hasher.finish(),
            size: self.size,
            compressed_size,
        }
    }
}

/// What is to be said of a stripped file as a whole.
///
/// # Errors
/// What the system says when reading fails.
pub(super) fn summary(input: &Stripped<'_>) -> io::Result<Summary> {
    let size = input.length();
    let (mut crc, mut hasher) = (Crc::new(), Hasher::default());
    let mut buffer = vec![0; BUFFER];
    let mut position = 0;
    while position < size {
        let read = read_before(input, &mut buffer, position, size)?;
        crc.update(&buffer[..read]);
        hasher.update(&buffer[..read]);
        position += read as u64;
    }
    Ok(Summary { crc, hasher, size })
}

/// Compresses all of a stripped file into `out`.
///
/// # Errors
/// What the system says when reading or writing fails.
pub(super) fn whole(input: &Stripped<'_>, out: &mut impl Write) -> io::Result<Compressed> {
    let compressed_size = deflate(input, 0..input.length(), true, out)?;
    Ok(summary(input)?.compressed(compressed_size))
}

/// Compresses the bytes of a stripped file in a range into `out`, where they end on a whole byte; with `is_last` the
/// stream ends there. In memory are two or three compressed pieces at a time.
///
/// # Errors
/// What the system says when reading or writing fails.
pub(super) fn deflate(
    input: &Stripped<'_>,
    range: Range<u64>,
    is_last: bool,
    out: &mut impl Write,
) -> io::Result<u64> {
    let pieces = (range.end - range.start).div_ceil(PIECE).max(1);
    let deflate_one = |piece: u64| {
        let start = range.start + piece * PIECE;
        let end = (start + PIECE).min(range.end);
        deflate_piece(input, start..end, is_last && piece + 1 == pieces)
    };
    if pieces == 1 {
        let bytes = deflate_one(0)?;
        out.write_all(&bytes)?;
        return Ok(bytes.len() as u64);
    }
    let mut compressed_size = 0;
    std::thread::scope(|scope| {
        let threads: Vec<Receiver<io::Result<Vec<u8>>>> = (0..THREADS)
            .map(|first| {
                // Hands over one by one: a thread waits until its piece is taken before it compresses the next but one.
                let (sender, receiver) = sync_channel(0);
                scope.spawn(move || {
                    let step = usize::try_from(THREADS).unwrap_or(1);
                    for piece in (first..pieces).step_by(step) {
                        let deflated = deflate_one(piece);
                        let is_error = deflated.is_err();
                        // Nobody listens any more when the other side has failed.
                        if sender.send(deflated).is_err() || is_error {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        for piece in 0..pieces {
            let thread = usize::try_from(piece % THREADS).unwrap_or_default();
            let deflated = threads[thread]
                .recv()
                .map_err(|_| io::Error::other("a thread that compresses has stopped"))??;
            out.write_all(&deflated)?;
            compressed_size += deflated.len() as u64;
        }
        Ok(compressed_size)
    })
}

/// Reads from `position` what fits into the buffer, up to `end`.
fn read_before(
    input: &Stripped<'_>,
    buffer: &mut [u8],
    position: u64,
    end: u64,
) -> io::Result<usize> {
    let wanted =
        usize::try_from(end - position).map_or(buffer.len(), |left| left.min(buffer.len()));
    let read = input.read_at(&mut buffer[..wanted], position)?;
    if read == 0 && wanted > 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(read)
}

fn deflate_piece(input: &Stripped<'_>, range: Range<u64>, is_last: bool) -> io::Result<Vec<u8>> {
    let mut compressor = compressor();
    let mut bytes = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let mut output = vec![0; BUFFER];
    let Range {
        start: mut position,
        end,
    } = range;
    loop {
        let read = read_before(input, &mut buffer, position, end)?;
        position += read as u64;
        let is_end = position == end;
        let flush = match (is_end, is_last) {
            (false, _) => TDEFLFlush::None,
            (true, false) => TDEFLFlush::Sync,
            (true, true) => TDEFLFlush::Finish,
        };
        let mut rest = &buffer[..read];
        loop {
            let (status, used, made) = compress(&mut compressor, rest, &mut output, flush);
            bytes.extend_from_slice(&output[..made]);
            rest = &rest[used..];
            match status {
                TDEFLStatus::Done => return Ok(bytes),
                TDEFLStatus::Okay if rest.is_empty() && made < output.len() => break,
                TDEFLStatus::Okay => {}
                _ => return Err(io::Error::other("a shared object could not be compressed")),
            }
        }
        if is_end {
            return Ok(bytes);
        }
    }
}

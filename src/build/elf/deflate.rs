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
use std::sync::mpsc::{Receiver, sync_channel};

/// Bytes compressed on their own. What came before a piece is not seen from it, which costs about 1 % for each 32 KiB in 2 MiB.
const PIECE: u64 = 2 * 1024 * 1024;
/// Pieces compressed at once.
const THREADS: u64 = 2;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// One compressed piece.
struct DeflatedPiece {
    bytes: Vec<u8>,
    crc: Crc,
}

/// Compresses a stripped file into `out`. In memory are two or three compressed pieces at a time.
///
/// # Errors
/// What the system says when reading or writing fails.
pub(super) fn deflate(input: &Stripped<'_>, out: &mut impl Write) -> io::Result<Compressed> {
    let size = input.length();
    let pieces = size.div_ceil(PIECE).max(1);
    let mut crc = Crc::new();
    let mut hasher = Hasher::default();
    let mut compressed_size = 0;
    std::thread::scope(|scope| {
        let threads: Vec<Receiver<io::Result<DeflatedPiece>>> = (0..THREADS)
            .map(|first| {
                // Hands over one by one: a thread waits until its piece is taken before it compresses the next but one.
                let (sender, receiver) = sync_channel(0);
                scope.spawn(move || {
                    let step = usize::try_from(THREADS).unwrap_or(1);
                    for piece in (first..pieces).step_by(step) {
                        let deflated = deflate_piece(input, piece, piece + 1 == pieces);
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
            hash_piece(input, piece, &mut hasher)?;
            let thread = usize::try_from(piece % THREADS).unwrap_or_default();
            let deflated = threads[thread]
                .recv()
                .map_err(|_| io::Error::other("a thread that compresses has stopped"))??;
            out.write_all(&deflated.bytes)?;
            compressed_size += deflated.bytes.len() as u64;
            crc.combine(&deflated.crc);
        }
        Ok(Compressed {
            crc32: crc.sum(),
            digest: hasher.finish(),
            compressed_size,
            size,
        })
    })
}

/// Where a piece begins and ends in the input.
fn range(input: &Stripped<'_>, piece: u64) -> (u64, u64) {
    let start = piece * PIECE;
    (start, (start + PIECE).min(input.length()))
}

/// Digests have no pieces that could be put together, so they are made while the threads compress.
fn hash_piece(input: &Stripped<'_>, piece: u64, hasher: &mut Hasher) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let (mut position, end) = range(input, piece);
    while position < end {
        let read = read_before(input, &mut buffer, position, end)?;
        hasher.update(&buffer[..read]);
        position += read as u64;
    }
    Ok(())
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

fn deflate_piece(input: &Stripped<'_>, piece: u64, is_last: bool) -> io::Result<DeflatedPiece> {
    let mut compressor = compressor();
    let mut bytes = Vec::new();
    let mut crc = Crc::new();
    let mut buffer = vec![0; BUFFER];
    let mut output = vec![0; BUFFER];
    let (mut position, end) = range(input, piece);
    loop {
        let read = read_before(input, &mut buffer, position, end)?;
        position += read as u64;
        crc.update(&buffer[..read]);
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
                TDEFLStatus::Done => return Ok(DeflatedPiece { bytes, crc }),
                TDEFLStatus::Okay if rest.is_empty() && made < output.len() => break,
                TDEFLStatus::Okay => {}
                _ => return Err(io::Error::other("a shared object could not be compressed")),
            }
        }
        if is_end {
            return Ok(DeflatedPiece { bytes, crc });
        }
    }
}

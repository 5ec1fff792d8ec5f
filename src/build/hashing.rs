//! Writing with a digest taken beside it: that takes longer than the writing, so it is done on a thread of its own.

use super::checksum::{Checksum, Checksummer};
use crate::model::{Digest, Hasher};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// Pieces that may wait to be hashed; with the size of a piece, the bound on memory.
const PIECES_WAITING: usize = 4;
/// Bytes of a piece.
const PIECE: usize = 256 * 1024;

/// Writes what it is given, gathered into large pieces, and hashes it on another thread. [`Self::finish`] must be called,
/// or the last piece is missing.
pub(crate) struct HashingWriter<W> {
    out: W,
    size: u64,
    checksum: Checksummer,
    pieces: Option<SyncSender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    current: Vec<u8>,
    thread: Option<JoinHandle<Digest>>,
}

/// What the bytes came to that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashed {
    pub(crate) digest: Digest,
    pub(crate) checksum: Checksum,
    /// How many they were.
    pub(crate) size: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub(crate) fn new(out: W) -> io::Result<Self> {
        let (pieces, to_hash) = sync_channel::<Vec<u8>>(PIECES_WAITING);
        let (hashed, empty) = channel();
        let thread = std::thread::Builder::new()
            .name("hashing".to_owned())
            .spawn(move || {
                let mut hasher = Hasher::default();
                for mut piece in to_hash {
                    hasher.update(&piece);
                    piece.clear();
                    // Whoever filled it may be done already, and needs none back.
                    hashed.send(piece).ok();
                }
                hasher.finish()
            })?;
        Ok(Self {
            out,
            size: 0,
            checksum: Checksummer::default(),
            pieces: Some(pieces),
            empty,
            current: Vec::with_capacity(PIECE),
            thread: Some(thread),
        })
    }

    /// Writes the piece that was gathered; waits when too many are waiting to be hashed.
    fn hand_over(&mut self) -> io::Result<()> {
        self.out.write_all(&self.current)?;
        self.size += self.current.len() as u64;
        self.checksum.update(&self.current);
        let next = self
            .empty
            .try_recv()
            .unwrap_or_else(|_| Vec::with_capacity(PIECE));
        let full = std::mem::replace(&mut self.current, next);
        let pieces = self.pieces.as_ref().ok_or_else(died)?;
        pieces.send(full).map_err(|_| died())
    }

    /// Writes what is left; gives the writer back with what all bytes came to.
    ///
    /// # Errors
    /// What the writer says.
    pub(crate) fn finish(mut self) -> io::Result<(W, Hashed)> {
        self.hand_over()?;
        self.pieces = None;
        let thread = self.thread.take().ok_or_else(died)?;
        let digest = thread.join().map_err(|_| died())?;
        let hashed = Hashed {
            digest,
            checksum: self.checksum.finish(),
            size: self.size,
        };
        Ok((self.out, hashed))
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.current.len();
        let taken = &bytes[..room.min(bytes.len())];
        self.current.extend_from_slice(taken);
        if self.current.len() == PIECE {
            self.hand_over()?;
        }
        Ok(taken.len())
    }

    /// Does nothing: a piece is written when it is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn died() -> io::Error {
    io::Error::other("the hashing thread died")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(bytes: &[u8]) -> Hashed {
        let mut checksum = Checksummer::default();
        checksum.update(bytes);
        Hashed {
            digest: Digest::of(bytes),
            checksum: checksum.finish(),
            size: bytes.len() as u64,
        }
    }

    #[test]
    fn what_is_written_is_hashed() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        for step in [1_000, PIECE, 1_000_000] {
            let mut writer = HashingWriter::new(Vec::new()).unwrap();
            for piece in bytes.chunks(step) {
                writer.write_all(piece).unwrap();
            }
            let (written, hashed) = writer.finish().unwrap();
            assert!(written == bytes, "{step}");
            assert_eq!(hashed, expected(&bytes), "{step}");
        }
        let nothing = HashingWriter::new(Vec::new()).unwrap();
        let (_, nothing) = nothing.finish().unwrap();
        assert_eq!(nothing, expected(b""));
    }
}

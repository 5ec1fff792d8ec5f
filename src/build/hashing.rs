//! Hashing beside the writing: a digest takes about as long as the writing it is taken of.

use crate::model::{Digest, Hasher};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// Pieces that may wait to be hashed; with the size of a piece, the bound on memory.
const PIECES_WAITING: usize = 4;
/// Bytes of a piece.
const PIECE: usize = 256 * 1024;

/// Hashes what it is given on a thread of its own.
pub(crate) struct BackgroundHasher {
    pieces: Option<SyncSender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    current: Vec<u8>,
    thread: Option<JoinHandle<Digest>>,
}

impl BackgroundHasher {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub(crate) fn start() -> io::Result<Self> {
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
            pieces: Some(pieces),
            empty,
            current: Vec::with_capacity(PIECE),
            thread: Some(thread),
        })
    }

    /// Takes the next bytes; waits when too many are waiting already.
    ///
    /// # Errors
    /// When the thread has died.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = PIECE - self.current.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.current.extend_from_slice(now);
            bytes = later;
            if self.current.len() == PIECE {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let next = self
            .empty
            .try_recv()
            .unwrap_or_else(|_| Vec::with_capacity(PIECE));
        let full = std::mem::replace(&mut self.current, next);
        let pieces = self.pieces.as_ref().ok_or_else(died)?;
        pieces.send(full).map_err(|_| died())
    }

    /// The digest of everything.
    ///
    /// # Errors
    /// When the thread has died.
    pub(crate) fn finish(mut self) -> io::Result<Digest> {
        self.hand_over()?;
        self.pieces = None;
        let thread = self.thread.take().ok_or_else(died)?;
        thread.join().map_err(|_| died())
    }
}

fn died() -> io::Error {
    io::Error::other("the hashing thread died")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_all_bytes_in_order() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        for step in [1_000, PIECE, 1_000_000] {
            let mut hasher = BackgroundHasher::start().unwrap();
            for piece in bytes.chunks(step) {
                hasher.update(piece).unwrap();
            }
            assert_eq!(hasher.finish().unwrap(), Digest::of(&bytes), "{step}");
        }
        let nothing = BackgroundHasher::start().unwrap().finish().unwrap();
        assert_eq!(nothing, Digest::of(b""));
    }
}

//! The parts that a zip is uploaded in, and their checksums.
//!
//! Source: Amazon S3 user guide, "Checking object integrity": the checksum of a multipart upload is that of its parts'
//! checksums, with `-` and their number.

use super::in_use::InUse;
use crate::model::{Digest, Hasher};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use tokio::sync::OnceCell;

/// Bytes of a part; Amazon S3 takes 5 MiB to 5 GiB, and 10,000 of them.
pub(super) const PART: u64 = 8 * 1024 * 1024;
/// The parts' checksums of the zips that are being published, by the zip's digest; found out by the first who needs them.
pub(super) type PartsInUse = InUse<Digest, OnceCell<Vec<Digest>>>;

/// SHA-256 of each part of a file that has this SHA-256 as a whole.
pub(super) fn parts_of(zip: &Path, whole: &Digest) -> io::Result<Vec<Digest>> {
    let mut file = File::open(zip)?;
    let (mut all, mut part, mut in_part) = (Hasher::default(), Hasher::default(), 0);
    let mut parts = Vec::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        let room = usize::try_from(PART - in_part).unwrap_or(usize::MAX);
        let length = piece.len().min(room);
        let read = file.read(&mut piece[..length])?;
        if read > 0 {
            all.update(&piece[..read]);
            part.update(&piece[..read]);
            in_part += read as u64;
        }
        if in_part == PART || (read == 0 && in_part > 0) {
            parts.push(std::mem::take(&mut part).finish());
            in_part = 0;
        }
        if read == 0 {
            break;
        }
    }
    if all.finish() == *whole {
        Ok(parts)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "it was altered"))
    }
}

/// The checksum that Amazon S3 gives an object of these parts.
pub(super) fn checksum_of(parts: &[Digest]) -> String {
    let mut hasher = Hasher::default();
    for part in parts {
        hasher.update(&STANDARD.decode(part.base64()).unwrap_or_default());
    }
    format!("{}-{}", hasher.finish().base64(), parts.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_hashed_each_and_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zip");
        let size = usize::try_from(PART).unwrap();
        let bytes: Vec<u8> = (0..2 * size + 5).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let parts = parts_of(&path, &Digest::of(&bytes)).unwrap();
        let expected = [&bytes[..size], &bytes[size..2 * size], &bytes[2 * size..]];
        assert_eq!(parts, expected.map(Digest::of));
        assert!(checksum_of(&parts).ends_with("=-3"));
        assert!(parts_of(&path, &Digest::of(b"other")).is_err());
        std::fs::write(&path, &bytes[..size]).unwrap();
        let one = parts_of(&path, &Digest::of(&bytes[..size])).unwrap();
        assert_eq!(one.len(), 1);
    }
}

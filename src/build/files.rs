//! Files that may be there, and what all of their bytes come to.

use super::checksum::{Checksum, Checksummer};
use crate::model::{Digest, Hasher};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Bytes read at once: enough for BLAKE3 to use the processor's widest registers.
const PIECE: usize = 256 * 1024;

/// A file, open, if it is there.
///
/// # Errors
/// What the system says of a file that is there.
pub(crate) fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Shows a whole file piece by piece. Its position is neither used nor changed.
fn each_piece(file: &File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut position = 0;
    loop {
        match file.read_at(&mut buffer, position) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                take(&buffer[..read]);
                position += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The digest of a whole file.
///
/// # Errors
/// What the system says.
pub(crate) fn digest(file: &File) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    each_piece(file, |piece| hasher.update(piece))?;
    Ok(hasher.finish())
}

/// The checksum of a whole file.
///
/// # Errors
/// What the system says.
pub(crate) fn checksum(file: &File) -> io::Result<Checksum> {
    let mut checksum = Checksummer::default();
    each_piece(file, |piece| checksum.update(piece))?;
    Ok(checksum.finish())
}

/// Both of a whole file, of the very same bytes.
///
/// # Errors
/// What the system says.
pub(crate) fn digest_and_checksum(file: &File) -> io::Result<(Digest, Checksum)> {
    let (mut hasher, mut checksum) = (Hasher::default(), Checksummer::default());
    each_piece(file, |piece| {
        hasher.update(piece);
        checksum.update(piece);
    })?;
    Ok((hasher.finish(), checksum.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek as _, Write as _};

    #[test]
    fn a_file_is_read_from_its_start_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(open_if_there(&path).unwrap().is_none());
        assert!(open_if_there(&path.join("below")).unwrap().is_none());
        let bytes: Vec<u8> = (0..PIECE + 1).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &bytes[..1]).unwrap();
        assert!(open_if_there(&path.join("below")).is_err());
        let mut file = File::options().append(true).read(true).open(&path).unwrap();
        file.write_all(&bytes[1..]).unwrap();

        let mut by_piece = Checksummer::default();
        bytes.chunks(1_000).for_each(|piece| by_piece.update(piece));
        let expected = (Digest::of(&bytes), by_piece.finish());
        assert_eq!(digest_and_checksum(&file).unwrap(), expected);
        assert_eq!((digest(&file).unwrap(), checksum(&file).unwrap()), expected);
        assert_eq!(file.stream_position().unwrap(), bytes.len() as u64);
    }
}

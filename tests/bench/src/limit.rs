//! The limit of the machine: every byte of the wheels read once, hashed once and written once, by one thread.

use aws_lc_rs::digest::{self, Context, SHA256};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// As large as the builder's own.
const BUFFER: usize = 256 * 1024;

/// What it took.
#[derive(Debug)]
pub(crate) struct Copied {
    /// In seconds.
    pub(crate) seconds: f64,
    /// SHA-256 of each file, in hexadecimal.
    pub(crate) digests: Vec<String>,
}

/// Reads, hashes and writes, one file after the other into one.
pub(crate) fn copy(wheels: &[PathBuf], to: &Path) -> io::Result<Copied> {
    let started = Instant::now();
    let mut out = File::create(to)?;
    let mut buffer = vec![0; BUFFER];
    let mut digests = Vec::with_capacity(wheels.len());
    for wheel in wheels {
        let mut file = File::open(wheel)?;
        let mut hash = Context::new(&SHA256);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => {
                    hash.update(&buffer[..read]);
                    out.write_all(&buffer[..read])?;
                }
            }
        }
        digests.push(hash.finish());
    }
    drop(out);
    let seconds = started.elapsed().as_secs_f64();
    let digests = digests.iter().map(|digest| hexadecimal(digest.as_ref()));
    Ok(Copied {
        seconds,
        digests: digests.collect(),
    })
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hexadecimal(digest::digest(&SHA256, bytes).as_ref())
}

/// Two lowercase digits a byte.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_hashed_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let large = vec![7; BUFFER + 1];
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::write(&one, "abc").unwrap();
        std::fs::write(&two, &large).unwrap();
        let to = folder.path().join("out");
        let copied = copy(&[one, two], &to).unwrap();
        // FIPS 180-2, appendix B.1.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(copied.digests[0], known);
        assert_eq!(copied.digests.len(), 2);
        let written = std::fs::read(&to).unwrap();
        assert_eq!(written, [b"abc".as_slice(), &large].concat());
    }
}

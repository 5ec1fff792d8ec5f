//! By what a file is known again that was verified once.

use crate::model::serde_as_text;
use std::fmt;
use std::str::FromStr;

/// A BLAKE3 digest of a file that is kept here, shown as 64 lowercase hexadecimal digits.
///
/// What comes from elsewhere has a SHA-256 digest and is held to that once, when it comes; a layer gets one when it is
/// written. On a processor without instructions for SHA-256, hashing the same bytes again at every read would take longer
/// than all else. BLAKE3 is as hard to deceive ("BLAKE3: one function, fast everywhere", the chapter on security) and more than ten
/// times as fast there, so what is read again is held to this digest, which is noted with what else is known of the file when the other
/// one was checked. It says so much as the notes do: whoever can write to the cache can write both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checksum(blake3::Hash);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

impl FromStr for Checksum {
    type Err = blake3::HexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text).map(Self)
    }
}

serde_as_text!(Checksum);

/// Computes a [`Checksum`] piece by piece.
#[derive(Default)]
pub(crate) struct Checksummer(blake3::Hasher);

impl Checksummer {
    /// Takes more bytes in.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of everything taken in.
    pub(crate) fn finish(&self) -> Checksum {
        Checksum(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_the_blake3_digest_and_read_as_it_is_shown() {
        // BLAKE3's test vectors, the first: of nothing.
        let known = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        let empty = Checksummer::default().finish();
        assert_eq!(empty.to_string(), known);
        assert_eq!(known.parse::<Checksum>().unwrap(), empty);
        assert!(known[1..].parse::<Checksum>().is_err());
        let mut other = Checksummer::default();
        other.update(b"x");
        assert_ne!(other.finish(), empty);
    }
}

//! A wheel read to the last byte, once, before it is kept.
//!
//! An assembly copies compressed bytes without looking inside. What is wrong in there would be found by AWS Lambda when
//! it unpacks the layer, or never: so each wheel is unpacked here when it comes into the cache. Its name there is its
//! digest and is checked whenever it is read, which makes the answer last.

use super::error::BuildError;
use super::record;
use super::wheel::named;
use super::zip_reader::{self, Inflater, Member, ReadError, malformed};
use crate::model::Hasher;
use std::io::{Read, Seek};
use tempfile::NamedTempFile;

/// The largest `RECORD` read: one of 65,535 files stays below it.
const RECORD_LIMIT: u64 = 16 * 1024 * 1024;

/// A wheel's file whose every byte was held to what the wheel says of it; what the cache takes.
#[derive(Debug)]
pub(crate) struct VerifiedWheel(NamedTempFile);

impl VerifiedWheel {
    /// Verifies a file; see [`verify`].
    ///
    /// # Errors
    /// As [`verify`].
    pub(crate) fn new(mut file: NamedTempFile, filename: &str) -> Result<Self, BuildError> {
        verify(file.as_file_mut(), filename)?;
        Ok(Self(file))
    }

    /// The file, at no place in particular.
    pub(crate) fn into_file(self) -> NamedTempFile {
        self.0
    }
}

/// Unpacks every file of a wheel to nowhere and checks size, CRC-32 and, where `RECORD` has one, SHA-256 digest.
///
/// A file that is not what `RECORD` says is refused, as PEP 427 asks of installers: the layer's own `RECORD` and what is
/// told of the layer's contents are taken from there. Files that `RECORD` leaves out, or has other digests of, are taken
/// as they are.
///
/// # Errors
/// [`BuildError::BadWheel`] with the first thing that is wrong, [`BuildError::Io`].
pub fn verify<R: Read + Seek>(reader: &mut R, filename: &str) -> Result<(), BuildError> {
    check(reader).map_err(|error| named(filename, error))
}

fn check<R: Read + Seek>(reader: &mut R) -> Result<(), ReadError> {
    let members = zip_reader::members(reader)?;
    let recorded = match members.iter().find(|member| is_record(member)) {
        Some(member) => {
            let text = zip_reader::read_member(reader, member, RECORD_LIMIT)?;
            record::read(&String::from_utf8_lossy(&text))
        }
        None => record::read(""),
    };
    let mut inflater = Inflater::new();
    for member in &members {
        let Some(expected) = recorded.get(&member.name) else {
            inflater.inflate(reader, member, |_| {})?;
            continue;
        };
        let mut hasher = Hasher::default();
        inflater.inflate(reader, member, |piece| hasher.update(piece))?;
        if hasher.finish() != expected.digest {
            return Err(malformed(format!(
                "its `{}` is not what its RECORD says",
                member.name
            )));
        }
    }
    Ok(())
}

fn is_record(member: &Member) -> bool {
    matches!(member.name.split_once('/'), Some((top, "RECORD")) if top.ends_with(".dist-info"))
}

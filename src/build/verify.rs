//! A wheel read to the last byte, once, before it is kept.
//!
//! An assembly copies compressed bytes without looking inside. What is wrong in there would be found by AWS Lambda when
//! it unpacks the layer, or never: so each wheel is unpacked here when it comes into the cache. Its name there is its
//! digest and is checked whenever it is read, which makes the answer last.

use super::error::BuildError;
use super::examine::Examined;
use super::record::{self, RecordedFile};
use super::wheel::{Wheel, named};
use super::window::WindowedFile;
use super::zip_reader::{self, Inflater, Member, ReadError, malformed};
use crate::model::{Hasher, LockedPackage};
use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::Path;
use tempfile::NamedTempFile;

/// The largest `RECORD` read: one of 65,535 files stays below it.
const RECORD_LIMIT: u64 = 16 * 1024 * 1024;

/// A wheel's file whose every byte was held to what the wheel says of it; what the cache takes.
#[derive(Debug)]
pub(crate) struct VerifiedWheel(NamedTempFile);

/// What comes by while a wheel is unpacked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Passing<'a> {
    /// A file begins.
    Begin(&'a Member),
    /// A piece of it, unpacked; its checksums are known to be right only at the end.
    Piece(&'a [u8]),
    /// It was what the wheel says of it.
    End(&'a Member),
}

impl VerifiedWheel {
    /// Verifies a file; see [`verify`].
    ///
    /// # Errors
    /// As [`verify`].
    pub(crate) fn new(mut file: NamedTempFile, filename: &str) -> Result<Self, BuildError> {
        verify(file.as_file_mut(), filename)?;
        Ok(Self(file))
    }

    /// A file that [`super::examine`] unpacked to its end, with what was found in it.
    pub(super) fn examined(
        file: NamedTempFile,
        package: &LockedPackage,
        scratch: &Path,
    ) -> Result<(Self, Wheel<WindowedFile>, Examined), BuildError> {
        let open = file.as_file().try_clone();
        let open = open.map_err(BuildError::io("opening a wheel"))?;
        let (wheel, examined) = super::examine::open(open, package, scratch)?;
        Ok((Self(file), wheel, examined))
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
    let recorded = recorded(reader, &members)?;
    check_members(reader, &members, &recorded, |_| Ok(()))
}

/// What a wheel's `RECORD` says of its members; nothing where there is none.
///
/// # Errors
/// What is wrong with it.
pub(super) fn recorded<R: Read + Seek>(
    reader: &mut R,
    members: &[Member],
) -> Result<BTreeMap<String, RecordedFile>, ReadError> {
    let Some(member) = members.iter().find(|member| is_record(member)) else {
        return Ok(BTreeMap::new());
    };
    let text = zip_reader::read_member(reader, member, RECORD_LIMIT)?;
    Ok(record::read(&String::from_utf8_lossy(&text)))
}

/// Unpacks members of a wheel, as [`verify`] does, holds them to what was [`recorded`], and shows what comes by to `watch`.
///
/// # Errors
/// What is wrong, or what `watch` says.
pub(super) fn check_members<R: Read + Seek>(
    reader: &mut R,
    members: &[Member],
    recorded: &BTreeMap<String, RecordedFile>,
    mut watch: impl FnMut(Passing<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut inflater = Inflater::new();
    for member in members {
        let expected = recorded.get(&member.name);
        let mut hasher = expected.map(|_| Hasher::default());
        watch(Passing::Begin(member))?;
        let mut watched = Ok(());
        inflater.inflate(reader, member, |piece| {
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
            if watched.is_ok() {
                watched = watch(Passing::Piece(piece));
            }
        })?;
        watched?;
        if let (Some(expected), Some(hasher)) = (expected, hasher)
            && hasher.finish() != expected.digest
        {
            return Err(malformed(format!(
                "its `{}` is not what its RECORD says",
                member.name
            )));
        }
        watch(Passing::End(member))?;
    }
    Ok(())
}

fn is_record(member: &Member) -> bool {
    matches!(member.name.split_once('/'), Some((top, "RECORD")) if top.ends_with(".dist-info"))
}

//! A wheel, opened and understood: which files it brings, where they go, what it says of itself.

use super::error::BuildError;
use super::metadata::Metadata;
use super::overlay::Overlay;
use super::slim::UsedKinds;
use super::zip_reader::{self, Member, ReadError};
use super::{layout, metadata, record};
use crate::model::{Digest, Hasher};
use std::io::{Read, Seek};

/// The largest `METADATA`, `WHEEL` or `RECORD` read: a `RECORD` of 65,535 files stays below it.
const DESCRIPTION_LIMIT: u64 = 16 * 1024 * 1024;
/// The largest script whose first line is adapted.
const SCRIPT_LIMIT: u64 = 4 * 1024 * 1024;
/// How a script for the installer's interpreter begins (PEP 427, "Recommended installer features").
const SCRIPT_PLACEHOLDER: &[u8] = b"#!python";
/// The first line scripts get. Which interpreter runs them is the layer's user's choice, and the same bytes suit every one.
const SCRIPT_LINE: &[u8] = b"#!/usr/bin/env python3";

/// Where a file's bytes come from.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// From the wheel, as they are compressed there.
    Copied(Member),
    /// Made here.
    Made(Vec<u8>),
}

/// A file that a wheel brings.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Relative to the layer's `python/`.
    pub(crate) path: String,
    pub(crate) content: Content,
    pub(crate) is_executable: bool,
    /// Of the unpacked bytes.
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl File {
    /// Its bytes in a zip.
    pub(crate) fn compressed_size(&self) -> u64 {
        match &self.content {
            Content::Made(bytes) => bytes.len() as u64,
            Content::Copied(member) => member.compressed_size,
        }
    }
}

/// A wheel, its files in the order of its table of contents.
pub(crate) struct Wheel<R> {
    pub(crate) reader: R,
    pub(crate) filename: String,
    /// The package's normalised name (PEP 503).
    pub(crate) package: String,
    /// Its version (PEP 440).
    pub(crate) version: String,
    /// Relative to the layer's `python/`, without a slash at the end.
    pub(crate) dist_info: String,
    pub(crate) files: Vec<File>,
    /// What it says of itself.
    pub(crate) metadata: Metadata,
    /// What was derived from it.
    pub(crate) overlays: Vec<Overlay<R>>,
    /// Which of the files that layers can do without its code uses.
    pub(crate) used: UsedKinds,
}

impl<R: Read + Seek> Wheel<R> {
    /// Opens a wheel and lists its files, without those that installers write. There are no overlays yet, and nothing
    /// is known to be used.
    ///
    /// Digests are taken from the wheel's own `RECORD` where it has one of the right size, and computed otherwise: the
    /// wheel's bytes, `RECORD` with them, are known to be the locked ones.
    ///
    /// # Errors
    /// [`BuildError::BadWheel`] and [`BuildError::Io`].
    pub(crate) fn open(
        mut reader: R,
        filename: String,
        package: &str,
        version: &str,
    ) -> Result<Self, BuildError> {
        let members = zip_reader::members(&mut reader).map_err(|error| named(&filename, error))?;
        Self::of(reader, members, filename, package, version)
    }

    /// The same with the archive's members, which are known already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn of(
        mut reader: R,
        members: Vec<Member>,
        filename: String,
        package: &str,
        version: &str,
    ) -> Result<Self, BuildError> {
        let bad = |reason: String| BuildError::bad_wheel(&filename, reason);
        let names = members.iter().map(|member| member.name.as_str());
        let dist_info = layout::dist_info(names, package).map_err(bad)?.to_owned();
        let description = |reader: &mut R, file: &str| -> Result<Option<String>, BuildError> {
            let path = format!("{dist_info}/{file}");
            let Some(member) = members.iter().find(|member| member.name == path) else {
                return Ok(None);
            };
            let bytes = zip_reader::read_member(reader, member, DESCRIPTION_LIMIT)
                .map_err(|error| named(&filename, error))?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        };
        let missing = |file: &str| bad(format!("it has no `{dist_info}/{file}`"));
        let wheel = description(&mut reader, "WHEEL")?.ok_or_else(|| missing("WHEEL"))?;
        check_wheel_version(&wheel).map_err(bad)?;
        let metadata = description(&mut reader, "METADATA")?.ok_or_else(|| missing("METADATA"))?;
        let metadata = metadata::read(&metadata);
        let name = metadata.name.as_deref().unwrap_or_default();
        if crate::model::normalize_package_name(name) != package {
            return Err(bad(format!("its METADATA is that of `{name}`")));
        }
        let recorded = description(&mut reader, "RECORD")?
            .map(|text| record::read(&text))
            .unwrap_or_default();

        let mut files = Vec::with_capacity(members.len());
        for member in members {
            if let Some((top, file)) = member.name.split_once('/')
                && top == dist_info
                && layout::is_written_by_installers(file)
            {
                continue;
            }
            let place = layout::place(&member.name, package).map_err(bad)?;
            if place.is_script
                && let Some(script) =
                    adapted_script(&mut reader, &member).map_err(|error| named(&filename, error))?
            {
                files.push(File {
                    path: place.path,
                    is_executable: true,
                    digest: Digest::of(&script),
                    size: script.len() as u64,
                    content: Content::Made(script),
                });
                continue;
            }
            let digest = match recorded.get(&member.name) {
                Some(file) if file.size == Some(member.size) => file.digest,
                _ => digest_of(&mut reader, &member).map_err(|error| named(&filename, error))?,
            };
            files.push(File {
                path: place.path,
                is_executable: member.is_executable || place.is_script,
                digest,
                size: member.size,
                content: Content::Copied(member),
            });
        }
        Ok(Self {
            reader,
            filename,
            package: package.to_owned(),
            version: version.to_owned(),
            dist_info,
            files,
            metadata,
            overlays: Vec::new(),
            used: UsedKinds::default(),
        })
    }
}

/// The error with the wheel's name.
pub(crate) fn named(filename: &str, error: ReadError) -> BuildError {
    match error {
        ReadError::Malformed(reason) => BuildError::bad_wheel(filename, reason),
        ReadError::Io(source) => BuildError::Io {
            what: "reading a wheel",
            source,
        },
    }
}

/// PEP 427: an installer stops at a major version it does not know.
fn check_wheel_version(text: &str) -> Result<(), String> {
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("Wheel-Version:"))
        .map(str::trim)
        .unwrap_or_default();
    if version.split('.').next() == Some("1") {
        Ok(())
    } else {
        Err(format!(
            "it has wheel format `{version}`, and 1 is understood"
        ))
    }
}

/// The digest of an entry's bytes as they are, whatever a `RECORD` says.
pub(crate) fn digest_of<R: Read + Seek>(
    reader: &mut R,
    member: &Member,
) -> Result<Digest, ReadError> {
    let mut hasher = Hasher::default();
    zip_reader::inflate(reader, member, |chunk| hasher.update(chunk))?;
    Ok(hasher.finish())
}

/// The script with its first line adapted; `None` when it is not for the installer's interpreter.
fn adapted_script<R: Read + Seek>(
    reader: &mut R,
    member: &Member,
) -> Result<Option<Vec<u8>>, ReadError> {
    if member.size > SCRIPT_LIMIT {
        // A program, as the tools written in compiled languages bring.
        return Ok(None);
    }
    let script = zip_reader::read_member(reader, member, SCRIPT_LIMIT)?;
    if !script.starts_with(SCRIPT_PLACEHOLDER) {
        return Ok(None);
    }
    let rest = script
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(&[][..], |end| &script[end..]);
    Ok(Some([SCRIPT_LINE, rest].concat()))
}

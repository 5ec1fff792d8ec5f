//! The shared objects of a wheel without their debug sections, as an overlay of it.

use super::deflate;
use super::member_file::Scratch;
use super::stripped::Stripped;
use super::wheel_facts::WheelFacts;
use crate::build::error::BuildError;
use crate::build::overlay::OverlayWriter;
use crate::build::wheel::{Content, Wheel, named};
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Files of which less can be removed are left as they are: compressing them again is not worth it.
const LEAST_BYTES: u64 = 16 * 1024;
/// The same as a share of the file: one part in fifty.
const LEAST_SHARE: u64 = 50;

/// What stripping a wheel came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StripReport {
    /// The files that became smaller, sorted by path.
    pub(crate) stripped: Vec<StrippedFile>,
    /// Files that have something to remove and are left as they are: path, and why as a sentence without its
    /// subject. Sorted by path.
    pub(crate) left: Vec<(String, &'static str)>,
}

/// A shared object that became smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StrippedFile {
    /// Relative to the layer's `python/`.
    pub(crate) path: String,
    /// Bytes before and after; the same, or a little more, when the removed bytes became zeros.
    pub(crate) size: (u64, u64),
    /// Bytes in the zip, before and after.
    pub(crate) compressed_size: (u64, u64),
}

impl StripReport {
    /// Bytes spared: unzipped and in the zip.
    pub(crate) fn saved(&self) -> (u64, u64) {
        let files = self.stripped.iter();
        files.fold((0, 0), |(unzipped, zipped), file| {
            (
                unzipped + file.size.0.saturating_sub(file.size.1),
                zipped
                    + file
                        .compressed_size
                        .0
                        .saturating_sub(file.compressed_size.1),
            )
        })
    }
}

/// Writes an overlay (see `build/overlay.rs`) to `out` that holds those shared objects of a wheel that become smaller without debug and symbol
/// sections, under their paths in the layer (relative to `python/`), sorted. The bytes depend on the wheel's alone.
///
/// `facts` are those of the same wheel; files in which they find too little to remove are not looked at again.
///
/// # Errors
/// [`BuildError::BadWheel`] when the data of the wheel is damaged, [`BuildError::Io`].
pub(crate) fn strip_wheel<R: Read + Seek, W: Write>(
    wheel: &mut Wheel<R>,
    facts: &WheelFacts,
    scratch: &Path,
    out: W,
) -> Result<(StripReport, W), BuildError> {
    let worth_it: BTreeMap<&str, u64> = facts
        .elf
        .iter()
        .filter(|elf| elf.removable >= LEAST_BYTES.max(elf.size / LEAST_SHARE))
        .map(|elf| (elf.path.as_str(), elf.size))
        .collect();
    let mut report = StripReport::default();
    let mut writer = OverlayWriter::new(out);
    let writing = || BuildError::io("stripping a shared object");
    let mut files: Vec<_> = wheel.files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for file in files {
        let Content::Copied(member) = &file.content else {
            continue;
        };
        if !worth_it.contains_key(file.path.as_str()) {
            continue;
        }
        let mut unpacked = Scratch::new(scratch).map_err(writing())?;
        let original = unpacked
            .unpack(&mut wheel.reader, member)
            .map_err(|error| named(&wheel.filename, error))?;
        let stripped = match Stripped::of(original).map_err(writing())? {
            Ok(stripped) => stripped,
            Err(reason) => {
                report.left.push((file.path.clone(), reason));
                continue;
            }
        };
        let mut compressed = tempfile::tempfile_in(scratch).map_err(writing())?;
        let entry = deflate::deflate(&stripped, &mut compressed).map_err(writing())?;
        if entry.compressed_size >= member.compressed_size {
            let reason = "compressed again it would not be smaller";
            report.left.push((file.path.clone(), reason));
            continue;
        }
        compressed
            .seek(SeekFrom::Start(0))
            .and_then(|_| writer.put(&file.path, file.is_executable, &entry, &mut compressed))
            .map_err(writing())?;
        report.stripped.push(StrippedFile {
            path: file.path.clone(),
            size: (member.size, entry.size),
            compressed_size: (member.compressed_size, entry.compressed_size),
        });
    }
    let out = writer.finish().map_err(writing())?;
    Ok((report, out))
}

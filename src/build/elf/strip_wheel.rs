//! The shared objects of a wheel without their debug sections, as an overlay of it.

use super::deflate;
use super::member_file::Scratch;
use super::rewrite::rewrite;
use super::stripped::Stripped;
use super::wheel_facts::WheelFacts;
use crate::build::error::BuildError;
use crate::build::overlay::{Compressed, OverlayWriter};
use crate::build::wheel::{Content, File as WheelFile, Wheel, named};
use crate::build::zip_reader::Member;
use flate2::CrcWriter;
use flate2::bufread::DeflateDecoder;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::sync_channel;

/// Files of which less can be removed are left as they are: compressing them again is not worth it.
const LEAST_BYTES: u64 = 16 * 1024;
/// The same as a share of the file: one part in fifty.
const LEAST_SHARE: u64 = 50;

/// Files that are worked on at once.
const WORKERS: usize = 2;

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

/// What became of one file: its entry with its compressed bytes, or why it stays as it is.
type Outcome = Result<(Compressed, File), &'static str>;

/// Writes an overlay (see `build/overlay.rs`) to `out` that holds those shared objects of a wheel that become smaller without debug and symbol
/// sections, under their paths in the layer (relative to `python/`), sorted. The bytes depend on the wheel's alone.
///
/// `facts` are those of the same wheel; files in which they find too little to remove are not looked at again. `another`
/// reads the same bytes as the wheel's own reader: two files are worked on at once.
///
/// # Errors
/// [`BuildError::BadWheel`] when the data of the wheel is damaged, [`BuildError::Io`].
pub(crate) fn strip_wheel<R: Read + Seek + Send, W: Write>(
    wheel: &mut Wheel<R>,
    mut another: R,
    facts: &WheelFacts,
    scratch: &Path,
    out: W,
) -> Result<(StripReport, W), BuildError> {
    let worth_it: BTreeSet<&str> = facts
        .elf
        .iter()
        .filter(|elf| elf.removable >= LEAST_BYTES.max(elf.size / LEAST_SHARE))
        .map(|elf| elf.path.as_str())
        .collect();
    let mut files: Vec<(&WheelFile, &Member)> = wheel
        .files
        .iter()
        .filter(|file| worth_it.contains(file.path.as_str()))
        .filter_map(|file| match &file.content {
            Content::Copied(member) => Some((file, member)),
            Content::Made(_) => None,
        })
        .collect();
    files.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    let mut report = StripReport::default();
    let mut writer = OverlayWriter::new(out);
    let filename = &wheel.filename;
    std::thread::scope(|scope| {
        let readers = [&mut wheel.reader, &mut another];
        let workers = readers.map(|reader| {
            // Hands over one by one, so that there are never many working files.
            let (sender, receiver) = sync_channel(0);
            (reader, sender, receiver)
        });
        let mut receivers = Vec::new();
        for (first, (reader, sender, receiver)) in workers.into_iter().enumerate() {
            receivers.push(receiver);
            let own = files.iter().skip(first).step_by(WORKERS);
            scope.spawn(move || {
                for (_, member) in own {
                    let outcome = strip_file(reader, member, filename, scratch);
                    let is_error = outcome.is_err();
                    // Nobody listens any more when the other side has failed.
                    if sender.send(outcome).is_err() || is_error {
                        return;
                    }
                }
            });
        }
        for ((file, member), receiver) in files.iter().zip(receivers.iter().cycle()) {
            let stopped = || io::Error::other("a thread that strips has stopped");
            let outcome = receiver
                .recv()
                .map_err(|_| stopped())
                .map_err(writing())??;
            let (entry, mut compressed) = match outcome {
                Ok(made) => made,
                Err(reason) => {
                    report.left.push((file.path.clone(), reason));
                    continue;
                }
            };
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
        Ok::<_, BuildError>(())
    })?;
    let out = writer.finish().map_err(writing())?;
    Ok((report, out))
}

/// Strips one member; working files go to `scratch`.
fn strip_file<R: Read + Seek>(
    reader: &mut R,
    member: &Member,
    filename: &str,
    scratch: &Path,
) -> Result<Outcome, BuildError> {
    let mut unpacked = Scratch::new(scratch).map_err(writing())?;
    let (original, index) = unpacked
        .unpack(reader, member)
        .map_err(|error| named(filename, error))?;
    let stripped = match Stripped::of(original).map_err(writing())? {
        Ok(stripped) => stripped,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut compressed = tempfile::tempfile_in(scratch).map_err(writing())?;
    let entry = match index {
        Some(index) => rewrite(&stripped, reader, member, &index, &mut compressed),
        None => deflate::whole(&stripped, &mut compressed),
    };
    let entry = entry.map_err(writing())?;
    if !unpacks_to(&mut compressed, &entry).map_err(writing())? {
        return Ok(Err("compressed again it does not unpack to the same"));
    }
    if entry.compressed_size >= member.compressed_size {
        return Ok(Err("compressed again it would not be smaller"));
    }
    Ok(Ok((entry, compressed)))
}

/// Whether a compressed file unpacks to what is said of it: its stream is put together of others' bits, and a layer that cannot
/// be unpacked is worse than a large one.
fn unpacks_to(compressed: &mut File, entry: &Compressed) -> io::Result<bool> {
    compressed.seek(SeekFrom::Start(0))?;
    let mut plain = DeflateDecoder::new(BufReader::new(compressed));
    let mut crc = CrcWriter::new(io::sink());
    let Ok(size) = io::copy(&mut plain, &mut crc) else {
        return Ok(false);
    };
    Ok(size == entry.size
        && crc.crc().sum() == entry.crc32
        && plain.total_in() == entry.compressed_size)
}

fn writing() -> impl FnOnce(io::Error) -> BuildError {
    BuildError::io("stripping a shared object")
}

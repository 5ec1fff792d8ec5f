//! Wheels in, a layer zip out: no paths, no clock, no network.

use super::contents::{self, Contents, Item, Origin};
use super::error::BuildError;
use super::metadata::Metadata;
use super::overlay::OverlayKind;
use super::selection::Selection;
use super::slim::UsedKinds;
use super::wheel::{Content, Wheel};
use super::zip_reader::{Member, Method};
use super::zip_writer::{FileHeader, ZipWriter};
use crate::model::{Digest, Pin, Slimmed, Weight};
use flate2::Crc;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};

/// The folder of a layer that is on Python's path in AWS Lambda (developer guide, "Layer paths for each Lambda runtime").
pub(crate) const ROOT: &str = "python";

/// A wheel to put into a layer. Its bytes must be those that were locked: the digests in its `RECORD` are trusted.
#[derive(Debug)]
pub struct WheelSource<R> {
    /// The package's normalised name (PEP 503).
    pub package: String,
    /// Its version (PEP 440).
    pub version: String,
    /// The wheel's file name, for messages.
    pub filename: String,
    /// The wheel.
    pub reader: R,
}

/// What became of a file on its way into the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOrigin {
    /// It is the wheel's own.
    Copied,
    /// It was made here: lists of files, scripts whose first line was adapted.
    Made,
    /// It was compiled from one of the wheel's modules.
    Bytecode,
    /// It is the wheel's own without its debug sections.
    Stripped,
}

/// A file of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFile {
    /// Relative to the layer's `python/`.
    pub path: String,
    /// Bytes unpacked.
    pub size: u64,
    /// Bytes in the zip.
    pub compressed_size: u64,
    /// Of the unpacked bytes.
    pub digest: Digest,
    /// Whether it may be run.
    pub is_executable: bool,
    /// The place of the wheel it came from, in [`Assembled::wheels`].
    pub wheel: usize,
    /// What became of it.
    pub origin: FileOrigin,
}

/// What a layer came to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// Bytes of its files once unpacked.
    pub unzipped_size: u64,
    /// What is inside, sorted by name.
    pub pins: Vec<Pin>,
    /// The file names of the wheels, in the order of `pins`.
    pub wheels: Vec<String>,
    /// Every file, sorted by path.
    pub files: Vec<LayerFile>,
    /// What was left out, by reason.
    pub slimmed: Vec<Slimmed>,
    /// What the packages weigh, heaviest first.
    pub weights: Vec<Weight>,
    /// What the packages say of themselves, in the order of `pins`.
    pub(crate) metadata: Vec<Metadata>,
}

/// Puts wheels together into a layer zip.
///
/// The bytes written depend on the wheels' bytes and on `selection` alone, not on the order of the wheels: entries are
/// sorted by path, dated 1980-01-01, with mode 0644 or 0755, and there are none for folders. Copied entries keep the
/// compression they have; files made here are stored, because what a deflate encoder makes of them differs between
/// processors.
///
/// # Errors
/// [`BuildError::BadWheel`], [`BuildError::Conflict`], [`BuildError::TooLarge`], [`BuildError::TooManyFiles`] before
/// anything is written; [`BuildError::Io`] at any time.
pub fn assemble<R: Read + Seek, W: Write>(
    sources: Vec<WheelSource<R>>,
    selection: &Selection<'_>,
    out: W,
) -> Result<Assembled, BuildError> {
    let mut wheels = Vec::with_capacity(sources.len());
    for source in sources {
        let mut wheel = Wheel::open(
            source.reader,
            source.filename,
            &source.package,
            &source.version,
        )?;
        if !selection.slim.is_empty() {
            wheel.used = UsedKinds::of(&mut wheel)?;
        }
        wheels.push(wheel);
    }
    sort(&mut wheels);
    let contents = contents::merge(&mut wheels, selection)?;
    write(&mut wheels, contents, out)
}

/// Brings wheels into the order that decides which of two equal files is taken.
pub(crate) fn sort<R>(wheels: &mut [Wheel<R>]) {
    wheels.sort_by(|a, b| (&a.package, &a.filename).cmp(&(&b.package, &b.filename)));
}

/// Writes what was merged from these wheels.
///
/// # Errors
/// [`BuildError::Io`].
pub(crate) fn write<R: Read + Seek, W: Write>(
    wheels: &mut [Wheel<R>],
    contents: Contents,
    out: W,
) -> Result<Assembled, BuildError> {
    let mut writer = ZipWriter::new(out);
    let mut path_in_zip = String::new();
    for (path, item) in &contents.files {
        path_in_zip.clear();
        path_in_zip.extend([ROOT, "/", path]);
        write_file(&mut writer, &path_in_zip, item, wheels)
            .map_err(BuildError::io("writing a layer"))?;
    }
    writer.finish().map_err(BuildError::io("writing a layer"))?;
    Ok(Assembled {
        unzipped_size: contents.unzipped_size,
        pins: wheels
            .iter()
            .map(|wheel| Pin {
                name: wheel.package.clone(),
                version: wheel.version.clone(),
                license: wheel.metadata.license.clone(),
            })
            .collect(),
        wheels: wheels.iter().map(|wheel| wheel.filename.clone()).collect(),
        metadata: wheels.iter().map(|wheel| wheel.metadata.clone()).collect(),
        weights: weights(wheels, &contents),
        slimmed: contents.left.report(),
        files: contents
            .files
            .into_iter()
            .map(|(path, item)| LayerFile {
                origin: origin(wheels, &item),
                path,
                size: item.size,
                compressed_size: item.compressed_size,
                digest: item.digest,
                is_executable: item.is_executable,
                wheel: item.wheel,
            })
            .collect(),
    })
}

fn write_file<R: Read + Seek, W: Write>(
    writer: &mut ZipWriter<W>,
    path: &str,
    item: &Item,
    wheels: &mut [Wheel<R>],
) -> std::io::Result<()> {
    let header = |method, crc32, compressed_size| FileHeader {
        path,
        is_executable: item.is_executable,
        method,
        crc32,
        compressed_size,
        size: item.size,
    };
    let mut made = |bytes: &[u8]| {
        let mut crc = Crc::new();
        crc.update(bytes);
        writer.add(&header(Method::Stored, crc.sum(), item.size), &mut &*bytes)
    };
    let wheel = &mut wheels[item.wheel];
    let (reader, member): (&mut R, &Member) = match &item.origin {
        Origin::Made(bytes) => return made(bytes),
        Origin::Wheel(file) => match &wheel.files[*file].content {
            Content::Made(bytes) => return made(bytes),
            Content::Copied(member) => (&mut wheel.reader, member),
        },
        Origin::Overlay { overlay, file } => {
            let overlay = &mut wheel.overlays[*overlay];
            (&mut overlay.reader, &overlay.files[*file].member)
        }
    };
    let header = header(member.method, member.crc32, member.compressed_size);
    reader.seek(SeekFrom::Start(member.start))?;
    writer.add(&header, reader)
}

fn origin<R>(wheels: &[Wheel<R>], item: &Item) -> FileOrigin {
    match &item.origin {
        Origin::Made(_) => FileOrigin::Made,
        Origin::Wheel(file) => match &wheels[item.wheel].files[*file].content {
            Content::Made(_) => FileOrigin::Made,
            Content::Copied(_) => FileOrigin::Copied,
        },
        Origin::Overlay { overlay, .. } => match wheels[item.wheel].overlays[*overlay].kind {
            OverlayKind::Bytecode => FileOrigin::Bytecode,
            OverlayKind::Stripped => FileOrigin::Stripped,
        },
    }
}

fn weights<R>(wheels: &[Wheel<R>], contents: &Contents) -> Vec<Weight> {
    let mut sums: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for item in contents.files.values() {
        let [unzipped, zipped] = sums.entry(&wheels[item.wheel].package).or_default();
        *unzipped += item.size;
        *zipped += item.compressed_size;
    }
    let mut weights: Vec<Weight> = sums
        .into_iter()
        .map(|(package, [unzipped, zipped])| Weight {
            package: package.to_owned(),
            unzipped,
            zipped,
        })
        .collect();
    weights.sort_by_key(|weight| (Reverse(weight.unzipped), weight.package.clone()));
    weights
}

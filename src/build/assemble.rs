//! Wheels in, a layer zip out: no paths, no clock, no network.

use super::contents;
use super::error::BuildError;
use super::exclude::Exclude;
use super::wheel::{Content, Wheel};
use super::zip_reader::Method;
use super::zip_writer::{FileHeader, ZipWriter};
use crate::model::Pin;
use flate2::Crc;
use std::io::{Read, Seek, SeekFrom, Write};

/// The folder of a layer that is on Python's path in AWS Lambda (developer guide, "Layer paths for each Lambda runtime").
const ROOT: &str = "python";

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

/// What a layer came to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// Bytes of its files once unpacked.
    pub unzipped_size: u64,
    /// Files in it.
    pub files: u64,
    /// What is inside, sorted by name.
    pub pins: Vec<Pin>,
}

/// Puts wheels together into a layer zip.
///
/// The bytes written depend on the wheels' bytes and on `exclude` alone, not on the order of the wheels: entries are
/// sorted by path, dated 1980-01-01, with mode 0644 or 0755, and there are none for folders. Copied entries keep the
/// compression they have; files made here are stored, because what a deflate encoder makes of them differs between
/// processors.
///
/// # Errors
/// [`BuildError::BadWheel`], [`BuildError::Conflict`], [`BuildError::TooLarge`], [`BuildError::TooManyFiles`] before
/// anything is written; [`BuildError::Io`] at any time.
pub fn assemble<R: Read + Seek, W: Write>(
    mut sources: Vec<WheelSource<R>>,
    exclude: &Exclude,
    out: W,
) -> Result<Assembled, BuildError> {
    sources.sort_by(|a, b| (&a.package, &a.filename).cmp(&(&b.package, &b.filename)));
    let mut wheels = Vec::with_capacity(sources.len());
    let mut pins = Vec::with_capacity(sources.len());
    for source in sources {
        let leaves_out = |path: &str| exclude.leaves_out(path);
        let wheel = Wheel::open(source.reader, source.filename, &source.package, leaves_out)?;
        pins.push(Pin {
            name: source.package,
            version: source.version,
            license: wheel.license.clone(),
        });
        wheels.push(wheel);
    }
    let contents = contents::merge(&mut wheels)?;
    let mut writer = ZipWriter::new(out);
    let mut unzipped_size = 0;
    for (path, item) in &contents {
        let path = format!("{ROOT}/{path}");
        let header = |method, crc32, compressed_size| FileHeader {
            path: &path,
            is_executable: item.is_executable,
            method,
            crc32,
            compressed_size,
            size: item.size,
        };
        let written = match &item.content {
            Content::Made(bytes) => {
                let mut crc = Crc::new();
                crc.update(bytes);
                let header = header(Method::Stored, crc.sum(), item.size);
                writer.add(&header, &mut bytes.as_slice())
            }
            Content::Copied(member) => {
                let header = header(member.method, member.crc32, member.compressed_size);
                let reader = &mut wheels[item.wheel].reader;
                reader
                    .seek(SeekFrom::Start(member.start))
                    .and_then(|_| writer.add(&header, reader))
            }
        };
        written.map_err(BuildError::io("writing a layer"))?;
        unzipped_size += item.size;
    }
    writer.finish().map_err(BuildError::io("writing a layer"))?;
    Ok(Assembled {
        unzipped_size,
        files: contents.len() as u64,
        pins,
    })
}

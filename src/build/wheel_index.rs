//! What opening a wheel found, in a form that is kept: reading it again is quicker than reading the wheel.

use super::metadata::Metadata;
use super::slim::UsedKinds;
use super::wheel::{Content, File, Wheel};
use super::zip_reader::{Member, Method};
use crate::model::Digest;
use serde::{Deserialize, Serialize};

/// The most bytes of files made from a wheel's (scripts) that are kept.
const MADE_LIMIT: usize = 64 * 1024;

/// The list of a wheel's files and what it says of itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct WheelIndex {
    dist_info: String,
    metadata: Metadata,
    files: Vec<Row>,
}

/// One file, as a list of values: there may be thousands.
#[derive(Serialize, Deserialize)]
struct Row(
    /// Its path in the layer.
    String,
    /// Whether it may be run in the layer.
    bool,
    Digest,
    /// Bytes unpacked.
    u64,
    Source,
);

#[derive(Serialize, Deserialize)]
enum Source {
    /// Name where it is not the path, method, CRC-32, compressed size, start, whether it may be run in the wheel.
    #[serde(rename = "c")]
    Copied(Option<String>, Method, u32, u64, u64, bool),
    #[serde(rename = "m")]
    Made(Vec<u8>),
}

impl WheelIndex {
    /// The index of an open wheel; `None` when it would be too large to be kept.
    pub(crate) fn of<R>(wheel: &Wheel<R>) -> Option<Self> {
        let mut made = 0;
        let files = wheel.files.iter().map(|file| {
            let source = match &file.content {
                Content::Copied(member) => Source::Copied(
                    (member.name != file.path).then(|| member.name.clone()),
                    member.method,
                    member.crc32,
                    member.compressed_size,
                    member.start,
                    member.is_executable,
                ),
                Content::Made(bytes) => {
                    made += bytes.len();
                    Source::Made(bytes.clone())
                }
            };
            let path = file.path.clone();
            Row(path, file.is_executable, file.digest, file.size, source)
        });
        let index = Self {
            dist_info: wheel.dist_info.clone(),
            metadata: wheel.metadata.clone(),
            files: files.collect(),
        };
        (made <= MADE_LIMIT).then_some(index)
    }

    /// The wheel that the index was made of, without reading it again; its bytes must be known to be the same.
    pub(crate) fn open<R>(
        self,
        reader: R,
        filename: String,
        package: &str,
        version: &str,
        used: UsedKinds,
    ) -> Wheel<R> {
        let files = self.files.into_iter().map(|row| {
            let Row(path, is_executable, digest, size, source) = row;
            let content = match source {
                Source::Copied(name, method, crc32, compressed_size, start, executable) => {
                    Content::Copied(Member {
                        name: name.unwrap_or_else(|| path.clone()),
                        method,
                        crc32,
                        compressed_size,
                        size,
                        start,
                        is_executable: executable,
                    })
                }
                Source::Made(bytes) => Content::Made(bytes),
            };
            File {
                path,
                content,
                is_executable,
                digest,
                size,
            }
        });
        Wheel {
            reader,
            filename,
            package: package.to_owned(),
            version: version.to_owned(),
            dist_info: self.dist_info,
            files: files.collect(),
            metadata: self.metadata,
            overlays: Vec::new(),
            used,
        }
    }
}

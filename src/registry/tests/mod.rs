//! Both registries held to the same conformance suite, and each to what only it does.

mod aws;
mod aws_ahead;
mod aws_listing;
mod aws_regions;
mod aws_staging;
mod conformance;
mod directory;
pub(crate) mod memory;
mod moto;
mod parameters;
mod scripted;

use super::PublishRequest;
use crate::model::{Architecture, Digest, LayerName, layer_description};
use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A layer zip with one file.
fn zip(content: &str) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer
        .start_file("python/six.py", SimpleFileOptions::default())
        .unwrap();
    writer.write_all(content.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner()
}

/// A file with these bytes, in a folder for the system to clean up; the same bytes are the same file.
fn file(bytes: &[u8]) -> PathBuf {
    let folder = std::env::temp_dir().join("layersmith-registry-tests");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{}.zip", Digest::of(bytes)));
    let mut new = tempfile::NamedTempFile::new_in(&folder).unwrap();
    new.write_all(bytes).unwrap();
    new.persist(&path).unwrap();
    path
}

fn request(name: &str, content: &str) -> PublishRequest {
    let zip = zip(content);
    let digest = Digest::of(&zip);
    let layer: LayerName = "six".parse().unwrap();
    PublishRequest {
        name: name.to_owned(),
        description: layer_description(&layer, "1.17.0", &digest),
        license: Some("MIT".to_owned()),
        python: "3.13".parse().unwrap(),
        architecture: Architecture::Arm64,
        size: zip.len() as u64,
        zip: file(&zip),
        digest,
        staging: None,
    }
}

//! Both registries held to the same conformance suite, and each to what only it does.

mod aws;
mod conformance;
mod directory;
mod moto;
mod scripted;

use super::PublishRequest;
use crate::model::{Architecture, Digest, LayerName, layer_description};
use bytes::Bytes;
use std::io::{Cursor, Write as _};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A layer zip with one file.
fn zip(content: &str) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer
        .start_file("python/six.py", SimpleFileOptions::default())
        .unwrap();
    writer.write_all(content.as_bytes()).unwrap();
    Bytes::from(writer.finish().unwrap().into_inner())
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
        zip,
        digest,
    }
}

//! What AWS Lambda refuses to publish, for the registry that has no AWS behind it.
//!
//! Source: AWS Lambda API reference, `PublishLayerVersion` (patterns and lengths), and AWS Lambda quotas (sizes).

use super::PublishRequest;
use crate::model::{UNZIPPED_LIMIT, ZIPPED_LIMIT};
use std::fs::File;
use std::io;
use std::path::Path;
use zip::ZipArchive;

const NAME_LIMIT: usize = 140;
const DESCRIPTION_LIMIT: usize = 256;
const LICENSE_LIMIT: usize = 512;

/// Why AWS would refuse a layer's name; `None` when it would not. A name it takes is also safe as a part of a path.
pub(super) fn name_violation(name: &str) -> Option<String> {
    let valid = (1..=NAME_LIMIT).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (!valid).then(|| {
        format!("`{name}` is not a layer name: 1 to {NAME_LIMIT} letters, digits, `-` and `_`")
    })
}

/// Why AWS would refuse what is to be published under a name; `None` when it would not. Reads the zip's central
/// directory, not its files.
///
/// # Errors
/// When the zip cannot be read.
pub(super) fn violation(request: &PublishRequest) -> io::Result<Option<String>> {
    if request.description.chars().count() > DESCRIPTION_LIMIT {
        return Ok(Some(format!(
            "the description is longer than {DESCRIPTION_LIMIT} characters"
        )));
    }
    if let Some(license) = &request.license
        && (license.chars().count() > LICENSE_LIMIT || license.contains(['\n', '\r']))
    {
        return Ok(Some(format!(
            "the licence is not one line of at most {LICENSE_LIMIT} characters"
        )));
    }
    zip_violation(&request.zip, request.staging.is_some())
}

fn zip_violation(zip: &Path, is_staged: bool) -> io::Result<Option<String>> {
    let file = File::open(zip)?;
    let size = file.metadata()?.len();
    if size > ZIPPED_LIMIT && !is_staged {
        return Ok(Some(format!(
            "the zip has {size} bytes, and at most {ZIPPED_LIMIT} are taken"
        )));
    }
    Ok(archive_violation(file))
}

fn archive_violation(file: File) -> Option<String> {
    let Ok(mut archive) = ZipArchive::new(io::BufReader::new(file)) else {
        return Some("the file is not a zip".to_owned());
    };
    if archive.is_empty() {
        return Some("the zip holds no file".to_owned());
    }
    let mut unzipped: u64 = 0;
    for index in 0..archive.len() {
        match archive.by_index_raw(index) {
            Ok(entry) => unzipped = unzipped.saturating_add(entry.size()),
            Err(reason) => return Some(format!("the zip is damaged: {reason}")),
        }
    }
    (unzipped > UNZIPPED_LIMIT).then(|| {
        format!("the zip unpacks to {unzipped} bytes, and at most {UNZIPPED_LIMIT} are taken")
    })
}

//! What a region of the directory has.

use super::layer::Layer;
use crate::model::Region;
use crate::registry::limits::name_violation;
use std::fs;
use std::io;
use std::path::Path;

/// Names of the layers with at least one version that is not deleted, sorted; as in AWS, others are not listed.
pub(super) fn layers(root: &Path, region: &Region, prefix: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(root.join(region.as_str())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        if name.starts_with(prefix)
            && name_violation(&name).is_none()
            && !versions(&Layer::new(root, region, &name))?.is_empty()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Number and description of every version that is there, oldest first.
pub(super) fn versions(layer: &Layer) -> io::Result<Vec<(u64, String)>> {
    let mut versions = Vec::new();
    for version in layer.versions()? {
        if let Some(record) = layer.read(version)? {
            versions.push((version, record.description));
        }
    }
    Ok(versions)
}

//! `….licenses.json`: what each package says of its licence, and which licence texts the layer holds.

use super::{Input, format};
use crate::model::Digest;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Raised when the shape changes in a way that readers have to know of.
const FORMAT: u32 = 1;
/// The licence of packages that state none.
const UNKNOWN: &str = "unknown";

#[derive(Serialize)]
struct Licenses<'a> {
    format: u32,
    layer: Digest,
    /// The packages of each licence; those that state none are under `unknown`.
    licenses: BTreeMap<&'a str, Vec<&'a str>>,
    packages: Vec<Package<'a>>,
}

#[derive(Serialize)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    /// The most exact of the statements below on one line; `null` when there is none.
    license: Option<&'a str>,
    /// `License-Expression` (PEP 639).
    expression: Option<&'a str>,
    classifiers: &'a [String],
    /// `License`, where it is one short line.
    field: Option<&'a str>,
    /// Texts of `License-File` in the layer, relative to its `python/`.
    files: Vec<&'a str>,
}

pub(super) fn write<W: Write>(input: &Input<'_>, out: W) -> io::Result<()> {
    let mut licenses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut packages = Vec::with_capacity(input.packages.len());
    for (index, package) in input.packages.iter().enumerate() {
        let metadata = package.metadata;
        let license = metadata.license.as_deref();
        licenses
            .entry(license.unwrap_or(UNKNOWN))
            .or_default()
            .push(package.name);
        packages.push(Package {
            name: package.name,
            version: package.version,
            license,
            expression: metadata.expression.as_deref(),
            classifiers: &metadata.classifiers,
            field: metadata.license_field.as_deref(),
            files: texts(input, index, &metadata.license_files),
        });
    }
    let document = Licenses {
        format: FORMAT,
        layer: input.layer.artifact.digest,
        licenses,
        packages,
    };
    format::write_lines(&document, out)
}

/// The named files that are in the layer: below `licenses/` of the package's `.dist-info` (PEP 639), or directly in it.
fn texts<'a>(input: &Input<'a>, package: usize, named: &[String]) -> Vec<&'a str> {
    if named.is_empty() {
        return Vec::new();
    }
    input
        .files_of(package)
        .map(|file| file.path.as_str())
        .filter(|path| {
            path.split_once('/')
                .filter(|(top, _)| top.ends_with(".dist-info"))
                .is_some_and(|(_, name)| {
                    let name = name.strip_prefix("licenses/").unwrap_or(name);
                    named.iter().any(|named| named == name)
                })
        })
        .collect()
}

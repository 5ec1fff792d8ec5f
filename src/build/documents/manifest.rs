//! `….manifest.json`: every file, where it came from, and everything that decided the layer's bytes.

use super::{Input, format, public_address};
use crate::build::assemble::{FileOrigin, LayerFile};
use crate::model::{BUILDER_REVISION, Bytecode, Digest, SlimKind, Target};
use serde::{Serialize, Serializer};
use std::io::{self, Write};

/// Raised when the shape changes in a way that readers have to know of.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Manifest<'a> {
    format: u32,
    layer: Layer,
    target: Target,
    builder: Builder<'a>,
    packages: Vec<Package<'a>>,
    files: Files<'a>,
}

#[derive(Serialize)]
struct Layer {
    sha256: Digest,
    size: u64,
    unzipped_size: u64,
    files: u64,
}

#[derive(Serialize)]
struct Builder<'a> {
    revision: u32,
    /// What was asked for.
    bytecode: Bytecode,
    /// What there is.
    bytecode_included: Bytecode,
    /// The interpreter that compiled the bytecode; `null` without bytecode.
    compiler: Option<&'a str>,
    slim: &'a [SlimKind],
    exclude: &'a [String],
    exclude_runtime: bool,
    /// Whether it may be too large for a direct upload: what is left out to stay below that limit depends on it.
    staged: bool,
}

#[derive(Serialize)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    wheel: &'a str,
    sha256: Digest,
    size: Option<u64>,
    /// Without credentials and query; `null` for what did not come from the web.
    url: Option<String>,
    /// Where the source distribution is that the wheel was built from, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    built_from: Option<String>,
    requires_python: Option<&'a str>,
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a str,
    size: u64,
    compressed_size: u64,
    sha256: Digest,
    executable: bool,
    /// The package whose wheel it came from, or was made for.
    package: &'a str,
    origin: &'static str,
}

/// The files one after the other, none of them kept.
struct Files<'a>(&'a Input<'a>);

impl Serialize for Files<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.layer.files.iter().map(|file| line(self.0, file)))
    }
}

fn line<'a>(input: &'a Input<'a>, file: &'a LayerFile) -> File<'a> {
    let package = input.packages.get(file.wheel);
    File {
        path: &file.path,
        size: file.size,
        compressed_size: file.compressed_size,
        sha256: file.digest,
        executable: file.is_executable,
        package: package.map_or("", |package| package.name),
        origin: match file.origin {
            FileOrigin::Copied => "copied",
            FileOrigin::Made => "made",
            FileOrigin::Bytecode => "bytecode",
            FileOrigin::Stripped => "stripped",
        },
    }
}

pub(super) fn write<W: Write>(input: &Input<'_>, out: W) -> io::Result<()> {
    let (artifact, options) = (&input.layer.artifact, &input.layer.choices);
    let bytecode = &artifact.report.bytecode;
    let manifest = Manifest {
        format: FORMAT,
        layer: Layer {
            sha256: artifact.digest,
            size: artifact.size,
            unzipped_size: artifact.unzipped_size,
            files: artifact.files,
        },
        target: options.target,
        builder: Builder {
            revision: BUILDER_REVISION,
            bytecode: options.bytecode,
            bytecode_included: bytecode.included,
            compiler: bytecode.compiler.as_deref(),
            slim: &options.slim,
            exclude: &options.exclude,
            exclude_runtime: options.exclude_runtime,
            staged: options.is_staged,
        },
        packages: input
            .packages
            .iter()
            .map(|package| Package {
                name: package.name,
                version: package.version,
                wheel: &package.wheel.filename,
                sha256: package.wheel.sha256,
                size: package.wheel.size,
                url: match package.wheel.built_from() {
                    Some(_) => None,
                    None => public_address(&package.wheel.url),
                },
                built_from: package.wheel.built_from().and_then(public_address),
                requires_python: package.metadata.requires_python.as_deref(),
            })
            .collect(),
        files: Files(input),
    };
    format::write_lines(&manifest, out)
}

//! What is in a finished zip.

use crate::ours::Lock;
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use zip::ZipArchive;

/// A zip, counted.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Contents {
    /// Of the zip, in bytes.
    pub(crate) size: u64,
    /// Of its files once unpacked, in bytes.
    pub(crate) unzipped_size: u64,
    pub(crate) files: usize,
    /// Modules as source.
    pub(crate) sources: usize,
    /// Compiled modules.
    pub(crate) compiled: usize,
    /// Those of them that are never checked against a source, and so never stale (PEP 552, unchecked hash-based).
    pub(crate) unchecked: usize,
    /// `name-version` of each distribution, as its folder is called, normalised.
    #[serde(skip)]
    pub(crate) distributions: BTreeSet<String>,
}

impl Contents {
    /// Reads the zip's table of contents and the first bytes of compiled modules.
    pub(crate) fn of(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let mut contents = Self {
            size: file.metadata()?.len(),
            ..Self::default()
        };
        let mut archive = ZipArchive::new(BufReader::new(file))
            .with_context(|| format!("reading {}", path.display()))?;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index)?;
            let name = entry.name()?.into_owned();
            if entry.is_dir() {
                continue;
            }
            contents.files += 1;
            contents.unzipped_size += entry.size();
            contents.sources += usize::from(name.ends_with(".py"));
            if name.ends_with(".pyc") {
                let mut start = [0; 8];
                entry.read_exact(&mut start)?;
                contents.compiled += 1;
                contents.unchecked += usize::from(is_unchecked(start));
            }
            contents.distributions.extend(distribution(&name));
        }
        Ok(contents)
    }

    /// Refuses a zip that does not hold the locked versions, so that nothing else is compared.
    pub(crate) fn check(&self, lock: &Lock, whose: &str) -> anyhow::Result<()> {
        for package in &lock.packages {
            let wanted = normalized(&package.name, &package.version);
            if !self.distributions.contains(&wanted) {
                bail!(
                    "{whose}: the zip does not hold {} {}",
                    package.name,
                    package.version
                );
            }
        }
        Ok(())
    }
}

/// Bits 0 and 1 of the second word: based on a hash, and checked against the source (PEP 552, "Specification").
fn is_unchecked(start: [u8; 8]) -> bool {
    start[4..] == [1, 0, 0, 0]
}

/// `name-version` of a `python/NAME-VERSION.dist-info/METADATA`.
fn distribution(path: &str) -> Option<String> {
    let folder = path
        .strip_prefix("python/")?
        .strip_suffix(".dist-info/METADATA")?;
    let (name, version) = folder.split_once('-')?;
    Some(normalized(name, version))
}

/// Name as PEP 503 normalises it, version as it is apart from letters' case.
fn normalized(name: &str, version: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    let name: Vec<String> = parts.map(str::to_lowercase).collect();
    format!("{} {}", name.join("-"), version.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use zip::write::SimpleFileOptions;

    #[test]
    fn a_zip_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer.zip");
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        let pyc = |flags: u8| [&[1, 2, 3, 4, flags, 0, 0, 0][..], &[9; 40]].concat();
        let files = [
            ("python/a/__init__.py", b"pass".to_vec()),
            ("python/a/__pycache__/x.pyc", pyc(1)),
            ("python/a/__pycache__/y.pyc", pyc(3)),
            ("python/Some_Thing-1.0.dist-info/METADATA", Vec::new()),
        ];
        for (name, bytes) in &files {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer
            .add_directory("python/b", SimpleFileOptions::default())
            .unwrap();
        writer.finish().unwrap();
        let contents = Contents::of(&path).unwrap();
        assert_eq!((contents.files, contents.unzipped_size), (4, 4 + 48 + 48));
        assert_eq!(
            (contents.sources, contents.compiled, contents.unchecked),
            (1, 2, 1)
        );
        assert_eq!(
            contents.distributions,
            BTreeSet::from(["some-thing 1.0".to_owned()])
        );
    }
}

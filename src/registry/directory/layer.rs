//! One layer's folder in one region: numbered versions, and the zips they share with other regions.

use super::files::{create_folders, lock, sync_folder, write_durably};
use crate::model::{Architecture, Digest, Hasher, Region};
use crate::registry::policy::Grantee;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What a version's `.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) description: String,
    pub(super) license: Option<String>,
    /// The one compatible runtime: `python3.13`.
    pub(super) runtime: String,
    /// The one compatible architecture.
    pub(super) architecture: Architecture,
    /// SHA-256 of the zip.
    pub(super) digest: Digest,
    /// Size of the zip in bytes.
    pub(super) size: u64,
    /// Who may use it besides the account.
    pub(super) allowed: BTreeSet<Grantee>,
    /// Whether it was deleted; the record stays to keep the number from being used again.
    pub(super) deleted: bool,
}

/// Whether grantees are allowed besides those that are there, or instead of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Besides.
    AtLeast,
    /// Instead.
    Exactly,
}

/// A layer's folder.
#[derive(Debug)]
pub(super) struct Layer {
    folder: PathBuf,
    blobs: PathBuf,
}

impl Layer {
    /// The caller makes sure that the name is a layer name, and so a single part of a path.
    pub(super) fn new(root: &Path, region: &Region, name: &str) -> Self {
        Self {
            folder: root.join(region.as_str()).join(name),
            blobs: root.join("blobs"),
        }
    }

    /// Publishes a version and returns its number.
    pub(super) fn add(&self, record: &Record, zip: &Path) -> io::Result<u64> {
        create_folders(&self.folder)?;
        let _held = lock(&self.folder)?;
        let version = self.versions()?.last().map_or(1, |newest| newest + 1);
        self.link_blob(&record.digest, record.size, zip, &self.zip(version))?;
        sync_folder(&self.folder)?;
        self.write(version, record)?;
        Ok(version)
    }

    /// A version that is there and not deleted. Records are replaced whole, so no lock is needed to read one.
    pub(super) fn read(&self, version: u64) -> io::Result<Option<Record>> {
        Ok(self.record(version)?.filter(|record| !record.deleted))
    }

    /// The numbers ever given out, deleted ones included, oldest first.
    pub(super) fn versions(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut versions = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".json"));
            versions.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        versions.sort_unstable();
        Ok(versions)
    }

    /// Whether the version's zip is there in its full length.
    pub(super) fn has_zip(&self, version: u64, size: u64) -> io::Result<bool> {
        match fs::metadata(self.zip(version)) {
            Ok(found) => Ok(found.len() == size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lets grantees use a version; `false` when there is no such version.
    pub(super) fn allow(
        &self,
        version: u64,
        grantees: BTreeSet<Grantee>,
        extent: Extent,
    ) -> io::Result<bool> {
        if self.read(version)?.is_none() {
            return Ok(false);
        }
        let _held = lock(&self.folder)?;
        let Some(mut record) = self.read(version)? else {
            return Ok(false);
        };
        let mut allowed = grantees;
        if extent == Extent::AtLeast {
            allowed.extend(record.allowed.iter().cloned());
        }
        if allowed != record.allowed {
            record.allowed = allowed;
            self.write(version, &record)?;
        }
        Ok(true)
    }

    /// Deletes a version, if it is there, and its zip, if no other version has the same.
    pub(super) fn delete(&self, version: u64) -> io::Result<()> {
        if self.record(version)?.is_none() {
            return Ok(());
        }
        let _held = lock(&self.folder)?;
        let Some(mut record) = self.record(version)? else {
            return Ok(());
        };
        if !record.deleted {
            record.deleted = true;
            self.write(version, &record)?;
        }
        // Also when it was deleted before: that call may have been cut short here.
        remove_if_there(&self.zip(version))?;
        let _blobs = lock(&self.blobs)?;
        let blob = self.blob(&record.digest);
        if is_last_link(&blob)? {
            remove_if_there(&blob)?;
        }
        Ok(())
    }

    /// Puts the zip under its digest, unless it is there, and the version's link beside it. All under the lock of the
    /// blobs: many regions publish the same zip at once and only the first is to write it, and a deletion elsewhere
    /// must not take a blob away before it is linked.
    fn link_blob(&self, digest: &Digest, size: u64, zip: &Path, link: &Path) -> io::Result<()> {
        create_folders(&self.blobs)?;
        let _held = lock(&self.blobs)?;
        let blob = self.blob(digest);
        let stored = fs::metadata(&blob).is_ok_and(|found| found.len() == size);
        if !stored {
            write_durably(&blob, File::open(zip)?)?;
        }
        // Left behind by a publish that was cut short before its record was written.
        remove_if_there(link)?;
        // A file system without hard links gets copies.
        fs::hard_link(&blob, link).or_else(|_| {
            fs::copy(&blob, link)?;
            File::open(link)?.sync_all()
        })
    }

    fn record(&self, version: u64) -> io::Result<Option<Record>> {
        match fs::read(self.json(version)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, version: u64, record: &Record) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(record)?;
        bytes.push(b'\n');
        write_durably(&self.json(version), bytes.as_slice())
    }

    fn json(&self, version: u64) -> PathBuf {
        self.folder.join(format!("{version}.json"))
    }

    fn zip(&self, version: u64) -> PathBuf {
        self.folder.join(format!("{version}.zip"))
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(format!("{digest}.zip"))
    }
}

/// SHA-256 and size of a file; computed, not taken from a request: AWS too answers with what it got.
pub(super) fn digest_of(zip: &Path) -> io::Result<(Digest, u64)> {
    let (mut file, mut hasher, mut size) = (File::open(zip)?, Hasher::default(), 0);
    let mut chunk = vec![0; 256 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok((hasher.finish(), size)),
            read => {
                hasher.update(&chunk[..read]);
                size += read as u64;
            }
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a blob has no version left. Where the file system does not count links, blobs are kept.
#[cfg(unix)]
fn is_last_link(blob: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    match fs::metadata(blob) {
        Ok(found) => Ok(found.nlink() == 1),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn is_last_link(_blob: &Path) -> io::Result<bool> {
    Ok(false)
}

//! What goes into a layer, decided before a byte of it is written: every file once, sorted by path.

use super::error::BuildError;
use super::record;
use super::wheel::{Content, File, Wheel};
use super::zip_reader::DECLARED_LIMIT;
use super::zip_writer::FILES_LIMIT;
use crate::model::Digest;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{Read, Seek};

/// What `INSTALLER` says (PEP 376).
const INSTALLER: &[u8] = b"layersmith\n";

/// A file of the layer and the wheel (by its place in the list) that brings it.
pub(crate) struct Item {
    pub(crate) wheel: usize,
    pub(crate) content: Content,
    pub(crate) is_executable: bool,
    pub(crate) size: u64,
}

/// Every file of the layer by its path relative to `python/`.
pub(crate) type Contents = BTreeMap<String, Item>;

/// Brings the files of some wheels together, with the `RECORD` and `INSTALLER` of each. A path that several wheels hold
/// with the same bytes is taken once, from the first of them.
///
/// # Errors
/// [`BuildError::Conflict`] for paths that cannot stand beside each other, [`BuildError::BadWheel`] when one wheel is
/// at odds with itself, [`BuildError::TooLarge`] and [`BuildError::TooManyFiles`].
pub(crate) fn merge<R: Read + Seek>(wheels: &mut [Wheel<R>]) -> Result<Contents, BuildError> {
    let mut contents = Contents::new();
    let mut size: u64 = 0;
    for index in 0..wheels.len() {
        let mut files = std::mem::take(&mut wheels[index].files);
        files.extend(installer_files(&wheels[index].dist_info, &files));
        for file in files {
            let path = file.path;
            let item = Item {
                wheel: index,
                content: file.content,
                is_executable: file.is_executable,
                size: file.size,
            };
            match contents.entry(path) {
                Entry::Vacant(vacant) => {
                    size = size.saturating_add(item.size);
                    vacant.insert(item);
                }
                Entry::Occupied(there) => {
                    if !is_same(wheels, there.get(), &item)? {
                        let other = there.get().wheel;
                        return Err(clash(
                            wheels,
                            there.key(),
                            [other, index],
                            "with different contents",
                        ));
                    }
                }
            }
            if size > DECLARED_LIMIT {
                return Err(BuildError::TooLarge {
                    size,
                    limit: DECLARED_LIMIT,
                });
            }
        }
    }
    if contents.len() > FILES_LIMIT {
        return Err(BuildError::TooManyFiles {
            files: contents.len(),
            limit: FILES_LIMIT,
        });
    }
    check_folders(wheels, &contents)?;
    check_case(wheels, &contents)?;
    Ok(contents)
}

/// `INSTALLER` and `RECORD` for the files of a wheel.
fn installer_files(dist_info: &str, files: &[File]) -> [File; 2] {
    let made = |name: &str, bytes: Vec<u8>| File {
        path: format!("{dist_info}/{name}"),
        is_executable: false,
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
        content: Content::Made(bytes),
    };
    let installer = made("INSTALLER", INSTALLER.to_vec());
    let record_path = format!("{dist_info}/RECORD");
    let mut lines: BTreeMap<&str, Option<(Digest, u64)>> = files
        .iter()
        .chain([&installer])
        .map(|file| (file.path.as_str(), Some((file.digest, file.size))))
        .collect();
    lines.insert(&record_path, None);
    let text: String = lines
        .iter()
        .map(|(path, file)| record::line(path, *file))
        .collect();
    let record = made("RECORD", text.into_bytes());
    [installer, record]
}

/// Whether two files that want one path hold the same bytes. A `RECORD` is not taken at its word here: it would decide
/// which of two packages' code is loaded.
fn is_same<R: Read + Seek>(
    wheels: &mut [Wheel<R>],
    one: &Item,
    other: &Item,
) -> Result<bool, BuildError> {
    if one.wheel == other.wheel || one.size != other.size {
        return Ok(false);
    }
    let digest = wheels[one.wheel].actual_digest(&one.content)?;
    Ok(digest == wheels[other.wheel].actual_digest(&other.content)?)
}

/// No path may be a file for one and a folder for another.
fn check_folders<R>(wheels: &[Wheel<R>], contents: &Contents) -> Result<(), BuildError> {
    for (path, item) in contents {
        let ancestors = path.match_indices('/').map(|(end, _)| &path[..end]);
        for ancestor in ancestors {
            if let Some(file) = contents.get(ancestor) {
                let pair = [file.wheel, item.wheel];
                return Err(clash(
                    wheels,
                    ancestor,
                    pair,
                    "one as a file and one as a folder",
                ));
            }
        }
    }
    Ok(())
}

/// Two wheels may not hold paths that differ only in case: unpacked on a Mac or on Windows, one would hide the other.
/// Within one wheel it is the package's own affair.
fn check_case<R>(wheels: &[Wheel<R>], contents: &Contents) -> Result<(), BuildError> {
    let mut folded: BTreeMap<String, usize> = BTreeMap::new();
    for (path, item) in contents {
        let other = *folded.entry(path.to_lowercase()).or_insert(item.wheel);
        if other != item.wheel {
            return Err(clash(
                wheels,
                path,
                [other, item.wheel],
                "differing only in case",
            ));
        }
    }
    Ok(())
}

fn clash<R>(
    wheels: &[Wheel<R>],
    path: &str,
    [first, second]: [usize; 2],
    difference: &'static str,
) -> BuildError {
    if first == second {
        return BuildError::bad_wheel(
            &wheels[first].filename,
            format!("it holds `{path}` twice, {difference}"),
        );
    }
    BuildError::Conflict {
        path: path.to_owned(),
        first: wheels[first].filename.clone(),
        second: wheels[second].filename.clone(),
        difference,
    }
}

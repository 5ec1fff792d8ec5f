//! What goes into a layer, decided before a byte of it is written: every file once, sorted by path.

use super::assemble;
use super::error::BuildError;
use super::record;
use super::selection::{Left, Selection};
use super::slim;
use super::wheel::{Content, Wheel, digest_of, named};
use super::zip_reader::DECLARED_LIMIT;
use super::zip_writer::{END_LENGTH, FILES_LIMIT, entry_overhead};
use crate::model::{Digest, LeftOut, Slimmed};
use icu_normalizer::ComposingNormalizerBorrowed;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{Read, Seek};

/// What `INSTALLER` says (PEP 376).
const INSTALLER: &[u8] = b"layersmith\n";

/// Where the bytes of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From the wheel: the file's place in [`Wheel::files`].
    Wheel(usize),
    /// From one of the wheel's overlays: its place in [`Wheel::overlays`] and the file's in the overlay.
    Overlay { overlay: usize, file: usize },
    /// Made here.
    Made(Vec<u8>),
}

/// A file of the layer and the wheel (by its place in the list) that brings it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) wheel: usize,
    pub(crate) origin: Origin,
    pub(crate) is_executable: bool,
    /// Of the unpacked bytes.
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) compressed_size: u64,
}

/// Everything that goes into a layer, and what does not.
pub(crate) struct Contents {
    /// Every file by its path relative to `python/`.
    pub(crate) files: BTreeMap<String, Item>,
    /// Bytes of all files once unpacked.
    pub(crate) unzipped_size: u64,
    /// What was left out.
    pub(crate) left: Left,
}

impl Contents {
    /// Bytes of the zip that holds them.
    pub(crate) fn zipped_size(&self) -> u64 {
        let files = self.files.iter();
        let entries = files.map(|(path, item)| {
            item.compressed_size + entry_overhead(assemble::ROOT.len() + 1 + path.len())
        });
        entries.sum::<u64>() + END_LENGTH
    }
}

/// Brings the selected files of some wheels together, with the `RECORD` and `INSTALLER` of each. A path that several
/// wheels hold with the same bytes is taken once, from the first of them.
///
/// # Errors
/// [`BuildError::Conflict`] for paths that cannot stand beside each other, [`BuildError::BadWheel`] when one wheel is
/// at odds with itself, [`BuildError::TooLarge`] and [`BuildError::TooManyFiles`].
pub(crate) fn merge<R: Read + Seek>(
    wheels: &mut [Wheel<R>],
    selection: &Selection<'_>,
) -> Result<Contents, BuildError> {
    slim::unite(wheels);
    let mut files = BTreeMap::new();
    let mut left = Left::default();
    let mut unzipped_size: u64 = 0;
    for index in 0..wheels.len() {
        let mut chosen = selection.files_of(index, &wheels[index], &mut left);
        chosen.extend(installer_files(index, &wheels[index].dist_info, &chosen));
        for (path, item) in chosen {
            match files.entry(path) {
                Entry::Vacant(vacant) => {
                    unzipped_size = unzipped_size.saturating_add(item.size);
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
            if unzipped_size > DECLARED_LIMIT {
                return Err(BuildError::TooLarge {
                    size: unzipped_size,
                    limit: DECLARED_LIMIT,
                });
            }
        }
    }
    if files.len() > FILES_LIMIT {
        return Err(BuildError::TooManyFiles {
            files: files.len(),
            limit: FILES_LIMIT,
        });
    }
    check_folders(wheels, &files)?;
    check_case(wheels, &files)?;
    Ok(Contents {
        files,
        unzipped_size,
        left,
    })
}

/// What a layer does without when it leaves a whole wheel out, as a package of the Lambda runtime.
pub(crate) fn left_out<R: Read + Seek>(wheel: &Wheel<R>, selection: &Selection<'_>) -> Slimmed {
    let mut chosen = selection.files_of(0, wheel, &mut Left::default());
    chosen.extend(installer_files(0, &wheel.dist_info, &chosen));
    let nothing = Slimmed::none(LeftOut::Runtime);
    chosen.iter().fold(nothing, |left, (_, item)| {
        left.and(&Slimmed {
            why: LeftOut::Runtime,
            files: 1,
            unzipped: item.size,
            zipped: item.compressed_size,
        })
    })
}

/// `INSTALLER` and `RECORD` for the files of a wheel.
fn installer_files(wheel: usize, dist_info: &str, files: &[(String, Item)]) -> [(String, Item); 2] {
    let made = |name: &str, bytes: Vec<u8>| {
        let item = Item {
            wheel,
            is_executable: false,
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            compressed_size: bytes.len() as u64,
            origin: Origin::Made(bytes),
        };
        (format!("{dist_info}/{name}"), item)
    };
    let installer = made("INSTALLER", INSTALLER.to_vec());
    let record_path = format!("{dist_info}/RECORD");
    let mut lines: BTreeMap<&str, Option<(Digest, u64)>> = files
        .iter()
        .chain([&installer])
        .map(|(path, item)| (path.as_str(), Some((item.digest, item.size))))
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
    Ok(actual_digest(wheels, one)? == actual_digest(wheels, other)?)
}

fn actual_digest<R: Read + Seek>(
    wheels: &mut [Wheel<R>],
    item: &Item,
) -> Result<Digest, BuildError> {
    let wheel = &mut wheels[item.wheel];
    let (reader, member) = match &item.origin {
        Origin::Made(_) => return Ok(item.digest),
        Origin::Wheel(file) => match &wheel.files[*file].content {
            Content::Made(_) => return Ok(item.digest),
            Content::Copied(member) => (&mut wheel.reader, member),
        },
        Origin::Overlay { overlay, file } => {
            let overlay = &mut wheel.overlays[*overlay];
            (&mut overlay.reader, &overlay.files[*file].member)
        }
    };
    digest_of(reader, member).map_err(|error| named(&wheel.filename, error))
}

/// No path may be a file for one and a folder for another.
fn check_folders<R>(wheels: &[Wheel<R>], files: &BTreeMap<String, Item>) -> Result<(), BuildError> {
    for (path, item) in files {
        let ancestors = path.match_indices('/').map(|(end, _)| &path[..end]);
        for ancestor in ancestors {
            if let Some(file) = files.get(ancestor) {
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

/// Two wheels may not hold paths that differ only in case, or only in how an accent is encoded: unpacked on a Mac or on
/// Windows, one would hide the other. Within one wheel it is the package's own affair.
fn check_case<R>(wheels: &[Wheel<R>], files: &BTreeMap<String, Item>) -> Result<(), BuildError> {
    let composing = ComposingNormalizerBorrowed::new_nfc();
    let mut folded: BTreeMap<String, usize> = BTreeMap::new();
    for (path, item) in files {
        let mut one_of = path.to_lowercase();
        if !one_of.is_ascii() {
            one_of = composing.normalize(&one_of).into_owned();
        }
        let other = *folded.entry(one_of).or_insert(item.wheel);
        if other != item.wheel {
            let difference = if path.is_ascii() {
                "differing only in case"
            } else {
                "differing only in case or in how its letters are encoded"
            };
            return Err(clash(wheels, path, [other, item.wheel], difference));
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

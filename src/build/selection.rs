//! Which files of a wheel, and of what was derived from it, go into a layer.

use super::contents::{Item, Origin};
use super::exclude::Exclude;
use super::overlay::OverlayKind;
use super::slim;
use super::wheel::Wheel;
use crate::model::{LeftOut, SlimKind, Slimmed};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

/// For which modules bytecode is taken from the overlays.
#[derive(Debug, Clone, Copy, Default)]
pub enum BytecodeChoice<'a> {
    /// All that were compiled.
    All,
    /// Those of these sources, named by their paths relative to the layer's `python/`.
    Only(&'a BTreeSet<String>),
    /// None.
    #[default]
    None,
}

/// What of a request decides which files a layer has.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// Patterns of files left out.
    pub exclude: &'a Exclude,
    /// Kinds of files left out where that is safe.
    pub slim: &'a [SlimKind],
    /// Which bytecode is taken.
    pub bytecode: BytecodeChoice<'a>,
}

/// What was left out, by reason: files, bytes unzipped, bytes in the zip.
#[derive(Debug, Default)]
pub(crate) struct Left(BTreeMap<LeftOut, [u64; 3]>);

impl Left {
    fn add(&mut self, why: LeftOut, unzipped: u64, zipped: u64) {
        let [files, all_unzipped, all_zipped] = self.0.entry(why).or_default();
        *files += 1;
        *all_unzipped = all_unzipped.saturating_add(unzipped);
        *all_zipped = all_zipped.saturating_add(zipped);
    }

    /// For people, by reason.
    pub(crate) fn report(&self) -> Vec<Slimmed> {
        self.0
            .iter()
            .map(|(why, [files, unzipped, zipped])| Slimmed {
                why: *why,
                files: *files,
                unzipped: *unzipped,
                zipped: *zipped,
            })
            .collect()
    }
}

impl<'a> Selection<'a> {
    /// All files but those that the patterns name, and no bytecode.
    #[must_use]
    pub fn all_but(exclude: &'a Exclude) -> Self {
        Self {
            exclude,
            slim: &[],
            bytecode: BytecodeChoice::None,
        }
    }
}

impl Selection<'_> {
    /// The files of the wheel at a place in the list, with their paths.
    pub(crate) fn files_of<R: Read + Seek>(
        &self,
        index: usize,
        wheel: &Wheel<R>,
        left: &mut Left,
    ) -> Vec<(String, Item)> {
        let overlays = |kind| {
            let overlays = wheel.overlays.iter().enumerate();
            overlays.filter(move |(_, overlay)| overlay.kind == kind)
        };
        let mut chosen = Vec::with_capacity(wheel.files.len());
        for (number, file) in wheel.files.iter().enumerate() {
            let compressed_size = file.compressed_size();
            if let Some(why) = self.leaves_out(&file.path, wheel) {
                left.add(why, file.size, compressed_size);
                continue;
            }
            let mut item = Item {
                wheel: index,
                origin: Origin::Wheel(number),
                is_executable: file.is_executable,
                digest: file.digest,
                size: file.size,
                compressed_size,
            };
            if self.slim.contains(&SlimKind::Debug) {
                for (overlay_number, overlay) in overlays(OverlayKind::Stripped) {
                    let Some(position) = overlay.position(&file.path) else {
                        continue;
                    };
                    let stripped = &overlay.files[position];
                    item.origin = Origin::Overlay {
                        overlay: overlay_number,
                        file: position,
                    };
                    item.digest = stripped.digest;
                    item.size = stripped.member.size;
                    item.compressed_size = stripped.member.compressed_size;
                    left.add(
                        LeftOut::Slim(SlimKind::Debug),
                        file.size.saturating_sub(item.size),
                        compressed_size.saturating_sub(item.compressed_size),
                    );
                }
            }
            chosen.push((file.path.clone(), item));
        }
        let compiled: BTreeMap<String, (usize, usize)> = overlays(OverlayKind::Bytecode)
            .flat_map(|(overlay_number, overlay)| {
                overlay
                    .files
                    .iter()
                    .enumerate()
                    .map(move |(position, file)| {
                        (source_of(&file.member.name), (overlay_number, position))
                    })
            })
            .collect();
        if compiled.is_empty() {
            return chosen;
        }
        let mut added = Vec::new();
        for (path, _) in &chosen {
            let Some(&(overlay, file)) = compiled.get(path) else {
                continue;
            };
            let is_taken = match self.bytecode {
                BytecodeChoice::All => true,
                BytecodeChoice::Only(sources) => sources.contains(path),
                BytecodeChoice::None => false,
            };
            if !is_taken {
                continue;
            }
            let entry = &wheel.overlays[overlay].files[file];
            let item = Item {
                wheel: index,
                origin: Origin::Overlay { overlay, file },
                is_executable: false,
                digest: entry.digest,
                size: entry.member.size,
                compressed_size: entry.member.compressed_size,
            };
            added.push((entry.member.name.clone(), item));
        }
        // A wheel may bring compiled modules of its own, which go by the time of their sources: ours are never stale.
        let names: BTreeSet<&str> = added.iter().map(|(path, _)| path.as_str()).collect();
        chosen.retain(|(path, _)| !names.contains(path.as_str()));
        chosen.extend(added);
        chosen
    }

    fn leaves_out<R>(&self, path: &str, wheel: &Wheel<R>) -> Option<LeftOut> {
        if self.exclude.leaves_out(path) {
            return Some(LeftOut::Excluded);
        }
        let kind = slim::kind_of(path)?;
        let is_left_out = self.slim.contains(&kind) && !wheel.used.keeps(kind, path);
        is_left_out.then_some(LeftOut::Slim(kind))
    }
}

/// The source of a compiled module: `a/__pycache__/b.cpython-313.pyc` is made from `a/b.py` (PEP 3147).
pub(crate) fn source_of(compiled: &str) -> String {
    let (folder, name) = compiled.rsplit_once('/').unwrap_or(("", compiled));
    let folder = folder.strip_suffix("__pycache__").unwrap_or(folder);
    let stem = name.strip_suffix(".pyc").unwrap_or(name);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    format!("{folder}{stem}.py")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiled_modules_name_their_sources() {
        for (compiled, source) in [
            ("a/__pycache__/b.cpython-313.pyc", "a/b.py"),
            ("__pycache__/six.cpython-313.pyc", "six.py"),
            ("a/__pycache__/x.y.cpython-313.pyc", "a/x.y.py"),
        ] {
            assert_eq!(source_of(compiled), source);
        }
    }
}

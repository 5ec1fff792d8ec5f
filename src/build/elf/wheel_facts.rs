//! What the audit and the import test want to know of one wheel; a function of the wheel's bytes alone.

use super::ElfError;
use super::facts::{self, ElfFacts};
use super::member_file::{Heads, Scratch};
use super::modules::{self, ExtensionModule};
use crate::build::error::BuildError;
use crate::build::metadata;
use crate::build::wheel::{Content, Wheel, named};
use crate::build::zip_reader;
use serde::{Deserialize, Serialize};
use std::io::{Read, Seek};
use std::path::Path;

/// The largest `METADATA` read.
const METADATA_LIMIT: u64 = 16 * 1024 * 1024;
/// ELF files told of one wheel; the largest known have some hundreds.
const ELF_LIMIT: usize = 10_000;

/// A file that begins like an ELF file and cannot be read as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnreadableElf {
    /// Relative to the layer's `python/`.
    pub(crate) path: String,
    /// What is wrong, as a sentence without its subject.
    pub(crate) reason: String,
}

/// What is known of a wheel without running anything of it. Lists are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct WheelFacts {
    /// Its shared objects and programs.
    pub(crate) elf: Vec<ElfFacts>,
    /// Its files that only begin like them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unreadable: Vec<UnreadableElf>,
    /// The modules that can be imported from it: `numpy`, or `google.cloud.storage` in a namespace package.
    pub(crate) modules: Vec<String>,
    /// Its shared objects whose names say for which interpreters they are.
    pub(crate) extension_modules: Vec<ExtensionModule>,
    /// The Python versions it is for, as its metadata says it (`Requires-Python`, a specifier of PEP 440).
    pub(crate) requires_python: Option<String>,
}

/// Looks at every file of a wheel; only those that begin like ELF files are unpacked as a whole, one after the other into
/// an unnamed file in `scratch`.
///
/// # Errors
/// [`BuildError::BadWheel`] when the data of the wheel is damaged, [`BuildError::Io`]. ELF files that make no sense are
/// told in the answer: packages carry such files for their own tests.
pub(crate) fn inspect_wheel<R: Read + Seek>(
    wheel: &mut Wheel<R>,
    scratch: &Path,
) -> Result<WheelFacts, BuildError> {
    let mut facts = WheelFacts {
        modules: modules::importable(wheel.files.iter().map(|file| file.path.as_str())),
        requires_python: requires_python(wheel)?,
        ..WheelFacts::default()
    };
    let io = BuildError::io("looking into a wheel");
    let mut heads = Heads::new();
    let mut file_of_member = None;
    for file in &wheel.files {
        let Content::Copied(member) = &file.content else {
            continue;
        };
        let is_elf = heads.is_elf(&mut wheel.reader, member);
        if !is_elf.map_err(BuildError::io("looking into a wheel"))? {
            continue;
        }
        if facts.elf.len() + facts.unreadable.len() == ELF_LIMIT {
            return Err(BuildError::bad_wheel(
                &wheel.filename,
                format!("it holds more than {ELF_LIMIT} shared objects"),
            ));
        }
        let scratch = match &mut file_of_member {
            Some(scratch) => scratch,
            none => none
                .insert(Scratch::new(scratch).map_err(BuildError::io("making a temporary file"))?),
        };
        let unpacked = scratch
            .unpack(&mut wheel.reader, member)
            .map_err(|error| named(&wheel.filename, error))?;
        facts
            .extension_modules
            .extend(ExtensionModule::of(&file.path));
        match facts::read(unpacked, &file.path) {
            Ok(elf) => facts.elf.push(elf),
            Err(ElfError::Malformed(reason)) => facts.unreadable.push(UnreadableElf {
                path: file.path.clone(),
                reason: reason.to_owned(),
            }),
            Err(ElfError::Io(error)) => return Err(io(error)),
        }
    }
    facts.elf.sort_by(|a, b| a.path.cmp(&b.path));
    facts.unreadable.sort_by(|a, b| a.path.cmp(&b.path));
    facts.extension_modules.sort();
    Ok(facts)
}

fn requires_python<R: Read + Seek>(wheel: &mut Wheel<R>) -> Result<Option<String>, BuildError> {
    let path = format!("{}/METADATA", wheel.dist_info);
    let Some(file) = wheel.files.iter().find(|file| file.path == path) else {
        return Ok(None);
    };
    let Content::Copied(member) = &file.content else {
        return Ok(None);
    };
    let bytes = zip_reader::read_member(&mut wheel.reader, member, METADATA_LIMIT)
        .map_err(|error| named(&wheel.filename, error))?;
    Ok(metadata::read(&String::from_utf8_lossy(&bytes)).requires_python)
}

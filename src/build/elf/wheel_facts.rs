//! What the audit and the import test want to know of one wheel; a function of the wheel's bytes alone.

use super::ElfError;
use super::facts::{self, ElfFacts};
use super::member_file::Scratch;
use super::modules::{self, ExtensionModule};
use crate::build::wheel::Wheel;
use crate::build::zip_reader::{ReadError, malformed};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The bytes every ELF file begins with.
const MAGIC: [u8; 4] = object::elf::ELFMAG;
/// The smallest file header, that of the 32-bit class.
const SMALLEST: u64 = 52;
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

/// Collects what is known of a wheel while its files come by. A file that begins like an ELF file is written, as a whole
/// and one after the other, into an unnamed file in `scratch`.
pub(crate) struct Inspection<'a> {
    facts: WheelFacts,
    folder: &'a Path,
    scratch: Option<Scratch>,
}

impl<'a> Inspection<'a> {
    /// Begins with what a wheel's list of files and its metadata tell.
    pub(crate) fn new<R>(wheel: &Wheel<R>, scratch: &'a Path) -> Self {
        Self {
            facts: WheelFacts {
                modules: modules::importable(wheel.files.iter().map(|file| file.path.as_str())),
                requires_python: wheel.metadata.requires_python.clone(),
                ..WheelFacts::default()
            },
            folder: scratch,
            scratch: None,
        }
    }

    /// Whether a file of that size and with these first bytes is looked into: it begins like an ELF file.
    pub(crate) fn is_elf(size: u64, head: &[u8]) -> bool {
        size >= SMALLEST && head.starts_with(&MAGIC)
    }

    /// An ELF file begins.
    ///
    /// # Errors
    /// When there are too many, or the machine cannot write.
    pub(crate) fn begin(&mut self) -> Result<(), ReadError> {
        self.check_number(1)?;
        let scratch = match self.scratch.take() {
            Some(scratch) => scratch,
            None => Scratch::new(self.folder).map_err(ReadError::Io)?,
        };
        self.scratch.insert(scratch).begin().map_err(ReadError::Io)
    }

    /// A piece of it.
    ///
    /// # Errors
    /// When the machine cannot write.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<(), ReadError> {
        let Some(scratch) = &mut self.scratch else {
            return Ok(());
        };
        scratch.write(piece).map_err(ReadError::Io)
    }

    /// It has come by as a whole; `path` is relative to the layer's `python/`. An ELF file that makes no sense is told in
    /// the facts: packages carry such files for their own tests.
    ///
    /// # Errors
    /// When the machine cannot read.
    pub(crate) fn end(&mut self, path: &str, size: u64) -> Result<(), ReadError> {
        let Some(scratch) = &mut self.scratch else {
            return Ok(());
        };
        let unpacked = scratch.end(size).map_err(ReadError::Io)?;
        self.facts
            .extension_modules
            .extend(ExtensionModule::of(path));
        match facts::read(unpacked, path) {
            Ok(elf) => self.facts.elf.push(elf),
            Err(ElfError::Malformed(reason)) => self.facts.unreadable.push(UnreadableElf {
                path: path.to_owned(),
                reason: reason.to_owned(),
            }),
            Err(ElfError::Io(error)) => return Err(ReadError::Io(error)),
        }
        Ok(())
    }

    /// Adds what was found in other files of the same wheel.
    ///
    /// # Errors
    /// When there are too many ELF files.
    pub(crate) fn add(&mut self, other: Self) -> Result<(), ReadError> {
        self.facts.elf.extend(other.facts.elf);
        self.facts.unreadable.extend(other.facts.unreadable);
        let modules = other.facts.extension_modules;
        self.facts.extension_modules.extend(modules);
        self.check_number(0)
    }

    /// Whether so many more ELF files may come.
    fn check_number(&self, more: usize) -> Result<(), ReadError> {
        if self.facts.elf.len() + self.facts.unreadable.len() + more <= ELF_LIMIT {
            return Ok(());
        }
        Err(malformed(format!(
            "it holds more than {ELF_LIMIT} shared objects"
        )))
    }

    /// Every file came by.
    pub(crate) fn finish(mut self) -> WheelFacts {
        self.facts.elf.sort_by(|a, b| a.path.cmp(&b.path));
        self.facts.unreadable.sort_by(|a, b| a.path.cmp(&b.path));
        self.facts.extension_modules.sort();
        self.facts
    }
}

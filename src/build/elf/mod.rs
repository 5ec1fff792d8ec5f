//! Shared objects and programs in wheels: what they say of themselves, and the same files without their debug sections.
//!
//! Everything is read from the headers that the dynamic loader reads (System V ABI, "Object Files" and "Program Loading
//! and Dynamic Linking"), by offsets, from files that are never in memory as a whole. Deliberately absent: running or
//! loading anything, symbols, relocations, and judging what is found (that is `audit`).
#![cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the builder does not ask for it")
)]

mod bits;
mod blocks;
mod deflate;
mod facts;
mod layout;
mod member_file;
mod modules;
mod regions;
mod rewrite;
mod strip;
mod strip_wheel;
mod stripped;
mod wheel_facts;

#[cfg(test)]
pub(crate) use facts::read;
pub(crate) use facts::{ElfFacts, ElfKind};
pub(crate) use modules::{AbiTag, ExtensionModule};
pub(crate) use strip_wheel::{StripReport, strip_wheel};
#[cfg(test)]
pub(crate) use wheel_facts::UnreadableElf;
pub(crate) use wheel_facts::{Inspection, WheelFacts};

use std::io;

/// Why a file that begins like an ELF file tells nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ElfError {
    /// Its headers contradict themselves or the length of the file; the text is a sentence without its subject.
    #[error("{0}")]
    Malformed(&'static str),
    /// The machine could not read it.
    #[error("reading a shared object: {0}")]
    Io(#[from] io::Error),
}

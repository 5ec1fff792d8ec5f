//! What a shared object or program says of itself, with no code run.

use super::layout::{self, Layout, bounded_string};
use super::{ElfError, strip};
use object::elf;
use object::{Endianness, ReadRef};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

/// The longest name of a library or of a symbol version.
const NAME_LIMIT: u64 = 255;
/// The longest search path; Linux' longest path.
const PATH_LIMIT: u64 = 4096;
/// Libraries that one file may need.
const NEEDED_LIMIT: usize = 512;
/// Symbol versions that one file may need.
const VERSIONS_LIMIT: usize = 2048;

/// What an ELF file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ElfKind {
    /// An object file for a linker.
    Relocatable,
    /// A program at a fixed address.
    Executable,
    /// A shared object, or a program that runs at any address.
    Shared,
    /// A core dump or something of a processor's own.
    Other,
}

/// What an ELF file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ElfFacts {
    /// Relative to the layer's `python/`.
    pub(crate) path: String,
    /// Bytes.
    pub(crate) size: u64,
    /// What it is for.
    pub(crate) kind: ElfKind,
    /// `e_machine`: 62 is 64-bit x86, 183 is 64-bit ARM (System V ABI, "Machine Information").
    pub(crate) machine: u16,
    /// Its class: 32 or 64.
    pub(crate) bits: u8,
    /// Its byte order.
    pub(crate) is_little_endian: bool,
    /// The name that others ask for it by (`DT_SONAME`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) soname: Option<String>,
    /// The libraries it needs (`DT_NEEDED`), in the order they are loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) needed: Vec<String>,
    /// Folders in which they are looked for (`DT_RUNPATH`, else `DT_RPATH`), in order, `$ORIGIN` as it is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) run_path: Vec<String>,
    /// The versions of symbols it needs, by the library that has to have them (`.gnu.version_r`), sorted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) versions: BTreeMap<String, BTreeSet<String>>,
    /// Whether it asks for a stack that code can be run from (`PT_GNU_STACK`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_executable_stack: bool,
    /// Bytes of debug and symbol sections that nothing needs to load or run it.
    #[serde(default)]
    pub(crate) removable: u64,
}

/// Reads what an ELF file says of itself. Memory is bounded by the limits of this module and of `layout`, whatever the
/// file says; a string longer than its limit or with control characters makes it malformed.
///
/// # Errors
/// [`ElfError`].
pub(crate) fn read<R: Read + Seek>(reader: R, path: &str) -> Result<ElfFacts, ElfError> {
    layout::read(reader, |layout, data| facts(&layout, data, path))
}

/// The facts of a file whose tables are read.
pub(super) fn facts<'d>(
    layout: &Layout,
    data: impl ReadRef<'d>,
    path: &str,
) -> Result<ElfFacts, ElfError> {
    let strings = Strings::of(layout);
    let values = |wanted: elf::DynamicTag| {
        let has_tag = move |(tag, _): &&(i64, u64)| *tag == wanted.0;
        layout
            .dynamic
            .iter()
            .filter(has_tag)
            .map(|(_, value)| *value)
    };
    let needed: Vec<String> = values(elf::DT_NEEDED)
        .take(NEEDED_LIMIT)
        .map(|offset| strings.read(data, offset, NAME_LIMIT))
        .collect::<Result<_, _>>()?;
    let soname = values(elf::DT_SONAME)
        .next()
        .map(|offset| strings.read(data, offset, NAME_LIMIT))
        .transpose()?;
    // With a DT_RUNPATH, DT_RPATH is not looked at (ld.so(8)).
    let run_path = values(elf::DT_RUNPATH)
        .chain(values(elf::DT_RPATH))
        .next()
        .map(|offset| strings.read(data, offset, PATH_LIMIT))
        .transpose()?;
    let run_path = run_path
        .iter()
        .flat_map(|path| path.split(':'))
        .filter(|folder| !folder.is_empty())
        .map(str::to_owned)
        .collect();
    let versions = match (
        values(elf::DT_VERNEED).next(),
        values(elf::DT_VERNEEDNUM).next(),
    ) {
        (Some(address), Some(count)) => versions(layout, data, &strings, address, count)?,
        _ => BTreeMap::new(),
    };
    let has_executable_stack = layout
        .segments
        .iter()
        .any(|segment| segment.kind == elf::PT_GNU_STACK && segment.flags.0 & elf::PF_X.0 != 0);
    Ok(ElfFacts {
        path: path.to_owned(),
        size: data.len().map_err(|()| misplaced())?,
        kind: match layout.kind {
            elf::ET_REL => ElfKind::Relocatable,
            elf::ET_EXEC => ElfKind::Executable,
            elf::ET_DYN => ElfKind::Shared,
            _ => ElfKind::Other,
        },
        machine: layout.machine.0,
        bits: layout.bits,
        is_little_endian: layout.is_little_endian,
        soname,
        needed,
        run_path,
        versions,
        has_executable_stack,
        removable: strip::removable(layout),
    })
}

fn misplaced() -> ElfError {
    ElfError::Malformed("its dynamic section points outside of it")
}

/// Where in the file an address of the loaded file is.
fn file_offset(layout: &Layout, address: u64) -> Option<u64> {
    layout
        .segments
        .iter()
        .filter(|segment| segment.kind == elf::PT_LOAD)
        .find_map(|segment| {
            let distance = address.checked_sub(segment.address)?;
            (distance < segment.file_size).then(|| segment.offset.checked_add(distance))?
        })
}

/// The strings of the dynamic section: start and end in the file.
struct Strings(Option<(u64, u64)>);

impl Strings {
    fn of(layout: &Layout) -> Self {
        let value = |wanted: elf::DynamicTag| {
            let found = layout.dynamic.iter().find(|(tag, _)| *tag == wanted.0);
            found.map(|(_, value)| *value)
        };
        let start = value(elf::DT_STRTAB).and_then(|address| file_offset(layout, address));
        let size = value(elf::DT_STRSZ);
        Self(
            start
                .zip(size)
                .map(|(start, size)| (start, start.saturating_add(size))),
        )
    }

    fn read<'d>(
        &self,
        data: impl ReadRef<'d>,
        offset: u64,
        limit: u64,
    ) -> Result<String, ElfError> {
        let (start, end) = self.0.ok_or_else(misplaced)?;
        let start = start.checked_add(offset).ok_or_else(misplaced)?;
        // One byte more, for the zero at the end.
        let bytes = bounded_string(data, start, end, limit + 1).ok_or(ElfError::Malformed(
            "one of its names is too long or outside of it",
        ))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.chars().any(char::is_control) {
            return Err(ElfError::Malformed(
                "one of its names has control characters",
            ));
        }
        Ok(text)
    }
}

/// `.gnu.version_r` (Linux Standard Base, "Version Requirements"): a chain of libraries, each with a chain of versions,
/// linked by distances. Chains only lead forward, and are cut off at a number of links.
fn versions<'d>(
    layout: &Layout,
    data: impl ReadRef<'d>,
    strings: &Strings,
    address: u64,
    count: u64,
) -> Result<BTreeMap<String, BTreeSet<String>>, ElfError> {
    let outside = || ElfError::Malformed("its list of symbol versions points outside of it");
    let endian = if layout.is_little_endian {
        Endianness::Little
    } else {
        Endianness::Big
    };
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut links = 0;
    let mut at = file_offset(layout, address).ok_or_else(outside)?;
    for _ in 0..count {
        let file: &elf::Verneed<Endianness> = data.read_at(at).map_err(|()| outside())?;
        let name = strings.read(data, file.vn_file.get(endian).into(), NAME_LIMIT)?;
        let of_file = versions.entry(name).or_default();
        let mut version_at = at.saturating_add(file.vn_aux.get(endian).into());
        for _ in 0..file.vn_cnt.get(endian) {
            links += 1;
            if links > VERSIONS_LIMIT {
                return Err(ElfError::Malformed("it needs too many symbol versions"));
            }
            let version: &elf::Vernaux<Endianness> =
                data.read_at(version_at).map_err(|()| outside())?;
            let name = strings.read(data, version.vna_name.get(endian).into(), NAME_LIMIT)?;
            of_file.insert(name);
            match version.vna_next.get(endian) {
                0 => break,
                distance => version_at = version_at.saturating_add(distance.into()),
            }
        }
        links += 1;
        if links > VERSIONS_LIMIT {
            return Err(ElfError::Malformed("it needs too many symbol versions"));
        }
        match file.vn_next.get(endian) {
            0 => break,
            distance => at = at.saturating_add(distance.into()),
        }
    }
    Ok(versions)
}

//! Which bytes of a shared object nothing needs to load it, and the layout of the file without them.
//!
//! Sections that the loader does not put into memory and that only debuggers and linkers read are removed: symbol tables
//! (`.symtab`, not `.dynsym`) and debug information. Nothing that a program header covers is moved or changed, but for
//! the three fields of the file header that say where the section headers are. Behind the last such byte the file is
//! written anew without what is removed; removed bytes in front of it, which tools that edit shared objects leave
//! behind, become zeros. A file that does not look as expected is left as it is.

use super::ElfError;
use super::layout::{Layout, Section};
use super::regions::{Regions, UNTOLD, kept};
use object::ReadRef;
use object::elf;

/// The largest alignment of a section that is moved; real ones ask for 1, 4 or 8.
const ALIGN_LIMIT: u64 = 4096;
/// Bytes of a 64-bit section header (System V ABI, `Elf64_Shdr`).
const SECTION_HEADER: usize = 64;
/// Section numbers from here on have special meanings (`SHN_LORESERVE`).
const RESERVED_INDEX: usize = 0xff00;

/// A part of the stripped file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes of the original.
    Copy { start: u64, length: u64 },
    /// Zeros in the place of removed bytes, or for alignment.
    Zeros { length: u64 },
    /// Bytes made here.
    Made(Vec<u8>),
}

impl Piece {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Copy { length, .. } | Self::Zeros { length } => *length,
            Self::Made(bytes) => bytes.len() as u64,
        }
    }
}

/// What is done with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// It becomes these pieces.
    Strip(Vec<Piece>),
    /// It stays as it is; why, as a sentence without its subject.
    Leave(&'static str),
}

/// Bytes of the sections of a file that [`plan`] would remove, if it can.
pub(super) fn removable(layout: &Layout) -> u64 {
    let is_removed = removed_sections(layout);
    let ranges = layout.sections.iter().zip(is_removed);
    ranges
        .filter(|(_, is_removed)| *is_removed)
        .filter_map(|(section, _)| section.range())
        .fold(0, |sum, (start, end)| sum.saturating_add(end - start))
}

/// Which sections only debuggers and linkers read.
fn removed_sections(layout: &Layout) -> Vec<bool> {
    let sections = &layout.sections;
    let mut removed: Vec<bool> = sections
        .iter()
        .map(|section| !section.is_allocated() && is_debug(section))
        .collect();
    // The names of symbols go with the last table that uses them.
    for (index, section) in sections.iter().enumerate() {
        if section.kind == elf::SHT_STRTAB
            && section.name == b".strtab"
            && !section.is_allocated()
            && index as u64 != u64::from(layout.names_index)
        {
            removed[index] = sections
                .iter()
                .zip(&removed)
                .all(|(user, is_removed)| *is_removed || user.link as usize != index);
        }
    }
    removed
}

fn is_debug(section: &Section) -> bool {
    match section.kind {
        elf::SHT_SYMTAB => section.name == b".symtab",
        elf::SHT_PROGBITS => {
            section.name.starts_with(b".debug_")
                || section.name.starts_with(b".zdebug_")
                || section.name == b".gdb_index"
        }
        _ => false,
    }
}

/// How to strip a file whose tables are read.
///
/// # Errors
/// [`ElfError`] when the file cannot be read.
pub(super) fn plan<'d>(layout: &Layout, data: impl ReadRef<'d>) -> Result<Plan, ElfError> {
    let unreadable = |()| ElfError::Malformed("it is cut off");
    let length = data.len().map_err(unreadable)?;
    let removed = removed_sections(layout);
    if !removed.contains(&true) {
        return Ok(Plan::Leave("it has no such sections"));
    }
    if let Err(reason) = check(layout, &removed, length) {
        return Ok(Plan::Leave(reason));
    }
    let regions = match Regions::of(layout, &removed, length) {
        Ok(regions) => regions,
        Err(reason) => return Ok(Plan::Leave(reason)),
    };

    for (start, end) in &regions.gaps {
        let bytes = data
            .read_bytes_at(*start, end - start)
            .map_err(unreadable)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(Plan::Leave(UNTOLD));
        }
    }
    let (table_start, table_end) = layout.sections_range;
    let raw_table = data
        .read_bytes_at(table_start, table_end - table_start)
        .map_err(unreadable)?;
    let mut header = data
        .read_bytes_at(0, layout.header_size)
        .map_err(unreadable)?
        .to_vec();
    let mut pieces = Vec::new();
    let mut at = layout.header_size;
    for (start, end) in &regions.replaced {
        copy(&mut pieces, at, *start);
        if regions.keeps_table && *start == table_start {
            let numbers: Vec<Option<usize>> = (0..removed.len()).map(Some).collect();
            let moved = vec![None; removed.len()];
            let table = section_table(layout, raw_table, &removed, &numbers, &moved);
            pieces.push(Piece::Made(table));
        } else {
            pieces.push(Piece::Zeros {
                length: end - start,
            });
        }
        at = *end;
    }
    copy(&mut pieces, at, regions.fixed_end);
    if !regions.keeps_table {
        let mut at = regions.fixed_end;
        let mut moved: Vec<Option<u64>> = vec![None; layout.sections.len()];
        for index in regions.moved {
            let section = &layout.sections[index];
            at += pad(&mut pieces, at, section.align.max(1));
            moved[index] = Some(at);
            copy(&mut pieces, section.offset, section.offset + section.size);
            at += section.size;
        }
        at += pad(&mut pieces, at, 8);
        let numbers = numbers(layout, &removed);
        let table = section_table(layout, raw_table, &removed, &numbers, &moved);
        let count = table.len() / SECTION_HEADER;
        let names = numbers
            .get(layout.names_index as usize)
            .copied()
            .flatten()
            .unwrap_or_default();
        // Elf64_Ehdr: e_shoff at 40, e_shnum at 60, e_shstrndx at 62.
        header[40..48].copy_from_slice(&at.to_le_bytes());
        header[60..62].copy_from_slice(&(count as u16).to_le_bytes());
        header[62..64].copy_from_slice(&(names as u16).to_le_bytes());
        pieces.push(Piece::Made(table));
    }
    pieces.insert(0, Piece::Made(header));
    Ok(Plan::Strip(pieces))
}

/// Whether the file is of the shape that this module knows.
fn check(layout: &Layout, removed: &[bool], length: u64) -> Result<(), &'static str> {
    if layout.bits != 64 || !layout.is_little_endian {
        return Err("it is not a 64-bit little-endian file");
    }
    if layout.kind != elf::ET_DYN && layout.kind != elf::ET_EXEC {
        return Err("it is neither a shared object nor a program");
    }
    if layout.sections.len() >= RESERVED_INDEX
        || layout.names_index == 0
        || layout.names_index as usize >= layout.sections.len()
    {
        return Err("its section headers are numbered in an unusual way");
    }
    let is_removed = |index: u32| removed.get(index as usize).copied().unwrap_or(false);
    for (section, _) in kept(layout, removed) {
        let names_a_section = section.flags.0 & elf::SHF_INFO_LINK.0 != 0
            || section.kind == elf::SHT_REL
            || section.kind == elf::SHT_RELA;
        if is_removed(section.link) || (names_a_section && is_removed(section.info)) {
            return Err("one of its other sections refers to them");
        }
        if section.align > ALIGN_LIMIT && !section.is_allocated() {
            return Err("one of its sections has an unusual alignment");
        }
    }
    let is_outside = |section: &Section| match section.range() {
        Some((_, end)) => end > length,
        None => section.size > 0 && section.offset.checked_add(section.size).is_none(),
    };
    if layout.sections.iter().any(is_outside) {
        return Err("one of its sections reaches past its end");
    }
    Ok(())
}

/// The new number of each section; none for those that have no header any more. A removed section in front of one that
/// is loaded leaves an empty header behind, because the symbols of `.dynsym` name loaded sections by number.
fn numbers(layout: &Layout, removed: &[bool]) -> Vec<Option<usize>> {
    let last_loaded = layout.sections.iter().rposition(Section::is_allocated);
    let mut next = 0;
    let numbered = removed.iter().enumerate().map(|(index, is_removed)| {
        if *is_removed && Some(index) > last_loaded {
            return None;
        }
        next += 1;
        Some(next - 1)
    });
    numbered.collect()
}

/// The section headers of the stripped file.
fn section_table(
    layout: &Layout,
    raw: &[u8],
    removed: &[bool],
    numbers: &[Option<usize>],
    moved: &[Option<u64>],
) -> Vec<u8> {
    let mut table = Vec::with_capacity(raw.len());
    for (index, header) in raw.chunks_exact(SECTION_HEADER).enumerate() {
        if numbers[index].is_none() {
            continue;
        }
        if removed[index] {
            table.extend_from_slice(&[0; SECTION_HEADER]);
            continue;
        }
        let section = &layout.sections[index];
        let mut header = header.to_vec();
        let renumbered = |old: u32| {
            let new = numbers.get(old as usize).copied().flatten();
            new.map_or(old, |new| new as u32)
        };
        // Elf64_Shdr: sh_offset at 24, sh_link at 40, sh_info at 44.
        if let Some(offset) = moved[index] {
            header[24..32].copy_from_slice(&offset.to_le_bytes());
        }
        header[40..44].copy_from_slice(&renumbered(section.link).to_le_bytes());
        let names_a_section = section.flags.0 & elf::SHF_INFO_LINK.0 != 0
            || section.kind == elf::SHT_REL
            || section.kind == elf::SHT_RELA;
        if names_a_section {
            header[44..48].copy_from_slice(&renumbered(section.info).to_le_bytes());
        }
        table.extend_from_slice(&header);
    }
    table
}

fn copy(pieces: &mut Vec<Piece>, start: u64, end: u64) {
    if end > start {
        pieces.push(Piece::Copy {
            start,
            length: end - start,
        });
    }
}

/// Zeros up to a multiple of `align`; gives how many.
fn pad(pieces: &mut Vec<Piece>, at: u64, align: u64) -> u64 {
    let length = at.next_multiple_of(align) - at;
    if length > 0 {
        pieces.push(Piece::Zeros { length });
    }
    length
}

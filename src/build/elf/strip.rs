//! Which bytes of a shared object nothing needs to load it, and the layout of the file without them.
//!
//! Sections that the loader does not put into memory and that only debuggers and linkers read are removed: symbol tables
//! (`.symtab`, not `.dynsym`) and debug information. Nothing that a program header covers is moved or changed, but for
//! the three fields of the file header that say where the section headers are. Behind the last such byte the file is
//! written anew without what is removed; removed bytes in front of it, which tools that edit shared objects leave
//! behind, become zeros. A file that does not look as expected is left as it is.

use super::ElfError;
use super::layout::{Layout, Section};
use object::ReadRef;
use object::elf;

/// The largest alignment of a section that is moved; real ones ask for 1, 4 or 8.
const ALIGN_LIMIT: u64 = 4096;
/// The longest gap between two sections behind the loaded part; longer ones hold something that no table tells of.
const GAP_LIMIT: u64 = 64;
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

    let mut pieces = Vec::new();
    let mut header = data
        .read_bytes_at(0, layout.header_size)
        .map_err(unreadable)?
        .to_vec();
    let mut at = layout.header_size;
    for (start, end) in &regions.zeroed {
        copy(&mut pieces, at, *start);
        pieces.push(Piece::Zeros {
            length: end - start,
        });
        at = *end;
    }
    copy(&mut pieces, at, regions.fixed_end);
    at = regions.fixed_end;

    let mut moved: Vec<Option<u64>> = vec![None; layout.sections.len()];
    for index in regions.moved {
        let section = &layout.sections[index];
        at += pad(&mut pieces, at, section.align.max(1));
        moved[index] = Some(at);
        copy(
            &mut pieces,
            section.offset,
            section.offset.saturating_add(section.size),
        );
        at += section.size;
    }
    at += pad(&mut pieces, at, 8);
    let raw = data
        .read_bytes_at(
            layout.sections_range.0,
            layout.sections_range.1 - layout.sections_range.0,
        )
        .map_err(unreadable)?;
    let numbers = numbers(layout, &removed);
    let table = section_table(layout, raw, &numbers, &moved);
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
    pieces.insert(0, Piece::Made(header));
    pieces.push(Piece::Made(table));
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

fn kept<'a>(layout: &'a Layout, removed: &'a [bool]) -> impl Iterator<Item = (&'a Section, usize)> {
    let sections = layout.sections.iter().enumerate();
    sections
        .filter(|(index, _)| !removed[*index])
        .map(|(index, section)| (section, index))
}

/// Which bytes stay where they are, which become zeros, which sections move up.
struct Regions {
    /// Everything in front of it stays in its place.
    fixed_end: u64,
    /// Removed bytes in front of it: starts and ends, in order.
    zeroed: Vec<(u64, u64)>,
    /// The kept sections behind it, in the order they have in the file.
    moved: Vec<usize>,
}

impl Regions {
    fn of(layout: &Layout, removed: &[bool], length: u64) -> Result<Self, &'static str> {
        let mut covered = vec![(0, layout.header_size), layout.segments_range];
        for segment in &layout.segments {
            let end = segment.offset.checked_add(segment.file_size);
            match end.filter(|end| *end <= length) {
                None => return Err("one of its program headers reaches past its end"),
                Some(end) if end > segment.offset => covered.push((segment.offset, end)),
                Some(_) => {}
            }
        }
        covered.sort_unstable();
        let gone: Vec<(u64, u64)> = sorted_ranges(layout, |index| removed[index]);
        let allocated = |index: usize| !removed[index] && layout.sections[index].is_allocated();
        let mut fixed = sorted_ranges(layout, allocated);
        fixed.extend(&covered);
        fixed.sort_unstable();
        let mut stays = sorted_ranges(layout, |index| !removed[index]);
        stays.extend(&covered);
        stays.push(layout.sections_range);
        stays.sort_unstable();
        if overlap(&gone, &stays) || overlap_within(&gone) {
            return Err("they share bytes with what is loaded");
        }

        let mut fixed_end = fixed.iter().map(|(_, end)| *end).max().unwrap_or_default();
        let mut loose: Vec<(u64, u64, usize)> = kept(layout, removed)
            .filter(|(section, _)| !section.is_allocated())
            .filter_map(|(section, index)| {
                let (start, end) = section.range()?;
                Some((start, end, index))
            })
            .collect();
        loose.sort_unstable();
        // A section that begins in front of what cannot move stays there as well.
        loose.retain(|(start, end, _)| {
            let is_fixed = *start < fixed_end;
            if is_fixed {
                fixed_end = fixed_end.max(*end);
            }
            !is_fixed
        });

        let (mut zeroed, cut): (Vec<_>, Vec<_>) =
            gone.into_iter().partition(|(start, _)| *start < fixed_end);
        let mut tail: Vec<(u64, u64)> =
            loose.iter().map(|(start, end, _)| (*start, *end)).collect();
        tail.extend(&cut);
        let table = layout.sections_range;
        if table.0 >= fixed_end {
            tail.push(table);
        } else if !overlap(&[table], &covered)
            && !overlap(&[table], &sorted_ranges(layout, |index| !removed[index]))
        {
            zeroed.push(table);
            zeroed.sort_unstable();
        }
        tail.sort_unstable();
        let mut end = fixed_end;
        for (start, next_end) in tail {
            if start < end {
                return Err("two of its sections share bytes");
            }
            if start - end > GAP_LIMIT {
                return Err("it holds bytes that none of its tables tells of");
            }
            end = next_end;
        }
        if end != length {
            return Err("it holds bytes that none of its tables tells of");
        }
        Ok(Self {
            fixed_end,
            zeroed,
            moved: loose.into_iter().map(|(_, _, index)| index).collect(),
        })
    }
}

fn sorted_ranges(layout: &Layout, wanted: impl Fn(usize) -> bool) -> Vec<(u64, u64)> {
    let sections = layout.sections.iter().enumerate();
    let mut ranges: Vec<(u64, u64)> = sections
        .filter(|(index, _)| wanted(*index))
        .filter_map(|(_, section)| section.range())
        .collect();
    ranges.sort_unstable();
    ranges
}

/// Whether a range of one list shares bytes with one of the other. Both are sorted, and neither may be long (they
/// are as long as the tables of one file).
fn overlap(one: &[(u64, u64)], other: &[(u64, u64)]) -> bool {
    let mut reach = 0;
    let mut others = other.iter().peekable();
    for (start, end) in one {
        while let Some((_, other_end)) = others.next_if(|(other_start, _)| other_start < end) {
            reach = reach.max(*other_end);
        }
        if reach > *start {
            return true;
        }
    }
    false
}

fn overlap_within(ranges: &[(u64, u64)]) -> bool {
    ranges.windows(2).any(|pair| pair[0].1 > pair[1].0)
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
    numbers: &[Option<usize>],
    moved: &[Option<u64>],
) -> Vec<u8> {
    let removed = removed_sections(layout);
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

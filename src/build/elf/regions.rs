//! Which bytes of a shared object stay, move or go when some of its sections are removed.

use super::layout::{Layout, Section};

/// The longest gap between two sections behind the loaded part, and behind the last one, and then only of zeros: anything
/// else is something that no table tells of.
const GAP_LIMIT: u64 = 64;
/// Why files with other bytes that no table tells of are left.
pub(super) const UNTOLD: &str = "it holds bytes that none of its tables tells of";

/// Which bytes stay where they are, which become zeros, which sections move up.
pub(super) struct Regions {
    /// Everything in front of it stays in its place.
    pub(super) fixed_end: u64,
    /// Bytes in front of it that become zeros, with those of the section headers when they are there: starts and ends, in
    /// order.
    pub(super) replaced: Vec<(u64, u64)>,
    /// Whether the section headers stay in their place; then nothing moves.
    pub(super) keeps_table: bool,
    /// The kept sections behind it, in the order they have in the file.
    pub(super) moved: Vec<usize>,
    /// Short pieces of the file that no table tells of: starts and ends.
    pub(super) gaps: Vec<(u64, u64)>,
}

impl Regions {
    /// Sorts out a file in which the sections marked in `removed` go.
    ///
    /// # Errors
    /// Why the file is left as it is, as a sentence without its subject.
    pub(super) fn of(layout: &Layout, removed: &[bool], length: u64) -> Result<Self, &'static str> {
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

        let (mut replaced, cut): (Vec<_>, Vec<_>) =
            gone.into_iter().partition(|(start, _)| *start < fixed_end);
        let mut tail: Vec<(u64, u64)> =
            loose.iter().map(|(start, end, _)| (*start, *end)).collect();
        tail.extend(&cut);
        let table = layout.sections_range;
        let mut keeps_table = false;
        if table.0 >= fixed_end {
            tail.push(table);
        } else if !overlap(&[table], &covered)
            && !overlap(&[table], &sorted_ranges(layout, |index| !removed[index]))
        {
            keeps_table = tail.is_empty();
            replaced.push(table);
            replaced.sort_unstable();
        }
        tail.sort_unstable();
        tail.push((length, length));
        let mut gaps = Vec::new();
        let mut end = fixed_end;
        for (start, next_end) in tail {
            if start < end {
                return Err("two of its sections share bytes");
            }
            if start - end > GAP_LIMIT {
                return Err(UNTOLD);
            }
            gaps.push((end, start));
            end = next_end;
        }
        if keeps_table {
            fixed_end = length;
        }
        Ok(Self {
            fixed_end,
            replaced,
            keeps_table,
            moved: loose.into_iter().map(|(_, _, index)| index).collect(),
            gaps,
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

/// The sections that stay, with their numbers.
pub(super) fn kept<'a>(
    layout: &'a Layout,
    removed: &'a [bool],
) -> impl Iterator<Item = (&'a Section, usize)> {
    let sections = layout.sections.iter().enumerate();
    sections
        .filter(|(index, _)| !removed[*index])
        .map(|(index, section)| (section, index))
}

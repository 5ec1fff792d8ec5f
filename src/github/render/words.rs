//! Small phrases that plans and outcomes share.

use super::escape::code;
use crate::model::{LayerName, Region, Target};
use crate::plan::{Alignment, Outcome, SkipReason, SkippedRegion, THROW_AWAY_LIMIT};
use std::collections::BTreeMap;

/// `1 layer`, `2 layers`: for nouns with a regular plural.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// `2 layers × 4 targets`, or `5 builds of 2 layers` when the layers do not have equally many targets.
pub(super) fn extent<'a>(builds: impl IntoIterator<Item = (&'a LayerName, Target)>) -> String {
    let mut targets: BTreeMap<&LayerName, usize> = BTreeMap::new();
    for (layer, _) in builds {
        *targets.entry(layer).or_default() += 1;
    }
    let layers = count(targets.len(), "layer");
    let first = targets.values().next().copied().unwrap_or_default();
    if targets.values().all(|number| *number == first) {
        format!("{layers} × {}", count(first, "target"))
    } else {
        format!("{} of {layers}", count(targets.values().sum(), "build"))
    }
}

/// `34 regions`, or `2 to 34 regions`.
pub(super) fn region_span(counts: impl IntoIterator<Item = usize>) -> String {
    let counts: Vec<usize> = counts.into_iter().collect();
    let least = counts.iter().min().copied().unwrap_or_default();
    let most = counts.iter().max().copied().unwrap_or_default();
    if least == most {
        count(most, "region")
    } else {
        format!("{least} to {most} regions")
    }
}

/// The first `shown` items, then how many more there are.
pub(super) fn listed<T>(items: &[T], shown: usize, show: impl Fn(&T) -> String) -> String {
    let mut texts: Vec<String> = items.iter().take(shown).map(show).collect();
    if items.len() > shown {
        let more = items.len() - shown;
        texts.push(format!("and {more} more"));
        let last = texts.split_off(texts.len() - 1).concat();
        return format!("{} {last}", texts.join(", "));
    }
    texts.join(", ")
}

/// Regions as code, the first `shown` of them.
pub(super) fn regions(regions: &[Region], shown: usize) -> String {
    listed(regions, shown, |region| code(region.as_str()))
}

/// What bringing regions to the same version number takes.
pub(super) fn alignment_words(
    alignment: &Alignment,
    regions: impl Fn(&[Region]) -> String,
) -> String {
    let mut words = Vec::new();
    if alignment.throw_away > 0 {
        words.push(format!(
            "brought to version number {} by up to {} that are deleted at once in each region",
            alignment.to,
            count(
                usize::try_from(alignment.throw_away).unwrap_or(usize::MAX),
                "version"
            )
        ));
    }
    if !alignment.too_far.is_empty() {
        words.push(format!(
            "not brought to version number {} in {}: that takes more than {THROW_AWAY_LIMIT} versions",
            alignment.to,
            regions(&alignment.too_far)
        ));
    }
    words.join(", ")
}

/// Targets as code.
pub(super) fn targets(targets: &[Target]) -> String {
    listed(targets, targets.len(), |target| code(&target.to_string()))
}

/// `12.3 MiB`, and `12.3 KiB` for what would hardly show in MiB.
#[must_use]
pub fn size(bytes: u64) -> String {
    let kibibytes = bytes as f64 / 1024.0;
    if kibibytes < 102.4 {
        format!("{kibibytes:.1} KiB")
    } else {
        format!("{:.1} MiB", kibibytes / 1024.0)
    }
}

/// `12.3 MiB (25 %)`: how much of a limit is used, rounded up so that what is too large never reads 100 %.
pub(super) fn share_of(bytes: u64, limit: u64) -> String {
    let percent = bytes.saturating_mul(100).div_ceil(limit);
    let mark = match percent {
        0..80 => "",
        80..=100 => " ⚠️",
        _ => " ❌",
    };
    format!("{} ({percent} %){mark}", size(bytes))
}

/// The first 12 characters of a commit id.
pub(super) fn short_sha(sha: &str) -> String {
    sha.chars().take(12).collect()
}

/// The first word as a sentence begins it.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + chars.as_str()
    })
}

/// What happens to versions that are not current any more.
pub(super) fn usable_for(days: u32) -> String {
    if days == 0 {
        "removed with the next clean-up".to_owned()
    } else {
        format!(
            "usable for another {}",
            count(usize::try_from(days).unwrap_or(usize::MAX), "day")
        )
    }
}

/// Where an outcome's layer was not published to because of what came after the plan, and why.
pub(super) fn skipped(outcome: &Outcome, shown: usize) -> String {
    let mut reasons: BTreeMap<SkipReason, Vec<Region>> = BTreeMap::new();
    for SkippedRegion { region, reason } in &outcome.skipped {
        reasons.entry(*reason).or_default().push(region.clone());
    }
    let texts = reasons
        .iter()
        .map(|(reason, of)| format!("skipped in {}: {reason}", regions(of, shown)));
    texts.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ZIPPED_LIMIT;

    #[test]
    fn extents_say_what_is_equal() {
        let [a, b]: [LayerName; 2] = ["a", "b"].map(|name| name.parse().unwrap());
        let [x, y]: [Target; 2] = ["p3.12", "p3.13"].map(|target| target.parse().unwrap());
        assert_eq!(
            extent([(&a, x), (&a, y), (&b, x), (&b, y)]),
            "2 layers × 2 targets"
        );
        assert_eq!(extent([(&a, x)]), "1 layer × 1 target");
        assert_eq!(extent([(&a, x), (&a, y), (&b, x)]), "3 builds of 2 layers");
        assert_eq!(region_span([3, 3]), "3 regions");
        assert_eq!(region_span([1, 3]), "1 to 3 regions");
    }

    #[test]
    fn shares_round_up() {
        assert_eq!(share_of(ZIPPED_LIMIT / 4, ZIPPED_LIMIT), "12.5 MiB (25 %)");
        assert_eq!(share_of(ZIPPED_LIMIT, ZIPPED_LIMIT), "50.0 MiB (100 %) ⚠️");
        assert_eq!(
            share_of(ZIPPED_LIMIT + 1, ZIPPED_LIMIT),
            "50.0 MiB (101 %) ❌"
        );
    }

    #[test]
    fn small_sizes_are_told_in_kibibytes() {
        assert_eq!(size(9_728), "9.5 KiB");
        assert_eq!(size(104_857), "102.4 KiB");
        assert_eq!(size(104_858), "0.1 MiB");
        assert_eq!(share_of(9_728, ZIPPED_LIMIT), "9.5 KiB (1 %)");
    }

    #[test]
    fn lists_count_what_they_leave_out() {
        let show = |number: &i32| number.to_string();
        assert_eq!(listed(&[1, 2, 3], 3, show), "1, 2, 3");
        assert_eq!(listed(&[1, 2, 3], 1, show), "1 and 2 more");
    }
}

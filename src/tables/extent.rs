//! How much of a version goes away on a day: another zip with the same version, or the same zip elsewhere, may stay.

use super::rows::Row;
use crate::model::{Region, Target};
use std::collections::{BTreeMap, BTreeSet};

/// Regions or targets named one by one; where there are more, they are counted.
pub(super) const SHOWN: usize = 6;

/// How much of a version goes away, of all that there is of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// All that is left.
    Whole,
    /// What another zip with the same version took the place of, everywhere.
    Earlier,
    /// All that is left for these targets; it stays for others.
    Targets,
    /// All that is left for these targets in these regions, sorted; it stays in others.
    Regions(Vec<String>),
    /// None of these: earlier zips in some places, or other regions for other targets.
    Mixed,
}

/// When the last zip with a version goes in a place: never, which sorts last, or on a day.
type Last = (bool, String);

/// What stays of versions, to tell how much of them goes.
pub(super) struct Staying<'r>(BTreeMap<(&'r str, Target, &'r Region), Last>);

impl<'r> Staying<'r> {
    /// Of everything that is usable of a layer.
    pub(super) fn of(rows: &[&'r Row<'_>]) -> Self {
        let mut staying: BTreeMap<_, Last> = BTreeMap::new();
        for row in rows {
            let last = staying
                .entry((row.version, row.target, row.region))
                .or_default();
            let this = (row.expires_at.is_none(), row.expiry_date());
            *last = std::mem::take(last).max(this);
        }
        Self(staying)
    }

    /// How much goes with these rows, which have one version and one last day and are all that there is with both.
    pub(super) fn without(&self, ending: &[&'r Row<'_>]) -> Extent {
        let Some(first) = ending.first() else {
            return Extent::Whole;
        };
        let day: Last = (false, first.expiry_date());
        let goes: BTreeSet<(Target, &Region)> =
            ending.iter().map(|row| (row.target, row.region)).collect();
        let of_version = self.0.iter().filter(|((it, ..), _)| *it == first.version);
        let stays: BTreeSet<(Target, &Region)> = of_version
            .filter(|(_, last)| **last > day)
            .map(|((_, target, region), _)| (*target, *region))
            .collect();
        if goes.is_subset(&stays) {
            return Extent::Earlier;
        }
        if !goes.is_disjoint(&stays) {
            return Extent::Mixed;
        }
        let targets: BTreeSet<Target> = goes.iter().map(|(target, _)| *target).collect();
        let regions: BTreeSet<&Region> = goes.iter().map(|(_, region)| *region).collect();
        let elsewhere = || stays.iter().filter(|(target, _)| targets.contains(target));
        if stays.is_empty() {
            Extent::Whole
        } else if elsewhere().next().is_none() {
            Extent::Targets
        } else if elsewhere().all(|(_, region)| !regions.contains(region)) {
            Extent::Regions(regions.into_iter().map(Region::to_string).collect())
        } else {
            Extent::Mixed
        }
    }
}

impl Extent {
    /// That much of a version, within a sentence that names the targets.
    #[must_use]
    pub fn of(&self, version: &str) -> String {
        match self {
            Self::Whole | Self::Targets => version.to_owned(),
            Self::Earlier => format!("an earlier build of {version}"),
            Self::Regions(regions) => {
                let regions: Vec<&str> = regions.iter().map(String::as_str).collect();
                format!(
                    "{version} in {}",
                    names_or_count(&regions, "regions", SHOWN)
                )
            }
            Self::Mixed => format!("some builds of {version}"),
        }
    }

    /// That much of a version goes away: the beginning of a sentence that names the targets.
    #[must_use]
    pub fn goes_away(&self, version: &str) -> String {
        match self {
            Self::Whole | Self::Targets | Self::Regions(_) => {
                format!("{} goes away", self.of(version))
            }
            Self::Earlier => format!("An earlier build of {version} goes away"),
            Self::Mixed => format!("Some builds of {version} go away"),
        }
    }

    /// The same as a title, which names targets only where the version stays.
    #[must_use]
    pub fn title<'t>(
        &self,
        version: &str,
        targets: impl IntoIterator<Item = &'t Target>,
    ) -> String {
        if !matches!(self, Self::Targets | Self::Regions(_)) {
            return self.goes_away(version);
        }
        let targets: Vec<String> = targets.into_iter().map(Target::to_string).collect();
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let targets = names_or_count(&targets, "targets", SHOWN);
        format!("{} for {targets} goes away", self.of(version))
    }
}

/// So many names, or how many there are.
pub(super) fn names_or_count(names: &[&str], what: &str, shown: usize) -> String {
    if names.len() > shown {
        format!("{} {what}", names.len())
    } else {
        names.join(", ")
    }
}

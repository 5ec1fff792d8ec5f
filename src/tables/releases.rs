//! What happened to a layer, as people speak of it: a version came out, a layer was retired, a version goes away.
//!
//! The store has a row for each target and region; nobody wants to hear of one version 200 times. Versions of a layer
//! that came out within a day of each other are one release, with all their targets.

use super::extent::{Extent, Staying};
use super::rows::{Row, by};
use crate::model::{Digest, Region, Target, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Targets that follow within this time belong to the release: a target that failed at first is made up for.
const ONE_RELEASE: i64 = 86_400;
/// How long before it expires a version is warned of.
pub const WARNING_DAYS: u32 = 30;
const SECONDS_PER_DAY: i64 = 86_400;

/// A zip that came out for one target.
#[derive(Debug, Clone)]
pub(super) struct Zip<'r, 'a> {
    pub(super) target: Target,
    pub(super) digest: &'a Digest,
    /// When it could first be used, in any region.
    pub(super) since: Timestamp,
    /// Its rows, one for each region, at least one.
    pub(super) rows: Vec<&'r Row<'a>>,
    /// A row of the zip that came out for the target before it, should that still be usable.
    pub(super) previous: Option<&'r Row<'a>>,
}

impl<'a> Zip<'_, 'a> {
    /// What came out first sorts first. Time is told in whole seconds: within one, what was superseded came before what
    /// superseded it, and a lower version number before a higher one.
    fn order(&self) -> (Timestamp, Target, bool, u64, &'a Digest) {
        let is_latest = self.rows.iter().any(|row| row.latest);
        let number = self.rows.iter().map(|row| row.number).max();
        (
            self.since,
            self.target,
            is_latest,
            number.unwrap_or(0),
            self.digest,
        )
    }
}

/// A version of a layer that came out, for one or more targets.
#[derive(Debug, Clone)]
pub(super) struct Release<'r, 'a> {
    pub(super) version: &'a str,
    /// When its first target could first be used.
    pub(super) published: Timestamp,
    /// When the last of its ARNs was added.
    pub(super) updated: Timestamp,
    /// In the order they came out; at least one.
    pub(super) zips: Vec<Zip<'r, 'a>>,
}

/// The releases of one layer, newest first.
pub(super) fn releases<'r, 'a>(rows: &[&'r Row<'a>]) -> Vec<Release<'r, 'a>> {
    let mut releases: Vec<Release<'r, 'a>> = Vec::new();
    for zip in zips(rows) {
        let version = zip.rows.first().map_or("", |row| row.version);
        let latest = zip.rows.iter().map(|row| row.since).max();
        let updated = latest.unwrap_or(zip.since);
        let open = releases.iter_mut().rev().find(|release| {
            release.version == version
                && zip.since.unix() - release.published.unix() <= ONE_RELEASE
                && release.zips.iter().all(|other| other.target != zip.target)
        });
        match open {
            Some(release) => {
                release.updated = release.updated.max(updated);
                release.zips.push(zip);
            }
            None => releases.push(Release {
                version,
                published: zip.since,
                updated,
                zips: vec![zip],
            }),
        }
    }
    releases.reverse();
    releases
}

/// The zips of one layer in the order they came out.
fn zips<'r, 'a>(rows: &[&'r Row<'a>]) -> Vec<Zip<'r, 'a>> {
    let mut zips: Vec<Zip<'r, 'a>> = by(rows, |row| (row.target, row.digest))
        .into_iter()
        .filter_map(|((target, digest), rows)| {
            let since = rows.iter().map(|row| row.since).min()?;
            Some(Zip {
                target,
                digest,
                since,
                rows,
                previous: None,
            })
        })
        .collect();
    zips.sort_by_key(Zip::order);
    let mut before: BTreeMap<Target, &'r Row<'a>> = BTreeMap::new();
    for zip in &mut zips {
        if let Some(row) = zip.rows.first() {
            zip.previous = before.insert(zip.target, row);
        }
    }
    zips
}

/// Versions of one layer that share a last day.
#[derive(Debug, Clone)]
pub(super) struct Ending<'r, 'a> {
    pub(super) version: &'a str,
    /// When the last of them goes away.
    pub(super) expires_at: Timestamp,
    pub(super) targets: BTreeSet<Target>,
    /// At least one.
    pub(super) rows: Vec<&'r Row<'a>>,
    /// How much of the version goes with them.
    pub(super) extent: Extent,
    /// Another version to use instead, where it is the latest in every place that loses this one.
    pub(super) instead: Option<&'a str>,
}

/// What was retired of one layer: for these targets there is no latest version any more, only the last one there was.
pub(super) fn retired<'r, 'a>(rows: &[&'r Row<'a>]) -> Vec<Ending<'r, 'a>> {
    let mut last = Vec::new();
    for rows in by(rows, |row| row.target).into_values() {
        // Rows are newest first.
        if let Some(newest) = rows.first().filter(|row| !row.latest) {
            last.extend(rows.iter().filter(|row| row.digest == newest.digest));
        }
    }
    endings(&last, rows)
}

/// What is left of one layer and goes away soon, or should be gone already; the earliest first.
pub(super) fn ending_soon<'r, 'a>(rows: &[&'r Row<'a>], today: Timestamp) -> Vec<Ending<'r, 'a>> {
    let soon: Vec<&'r Row<'a>> = rows
        .iter()
        .copied()
        .filter(|row| row.expires_at.is_some_and(|end| is_soon(end, today)))
        .collect();
    endings(&soon, rows)
}

/// The last moment whose versions are warned of on a day.
#[must_use]
pub fn warned_until(today: Timestamp) -> Timestamp {
    let day = today.unix().div_euclid(SECONDS_PER_DAY) + i64::from(WARNING_DAYS);
    Timestamp::from_unix((day + 1) * SECONDS_PER_DAY - 1)
}

/// Whether something that ends then is warned of; whole days, so that the answer changes at midnight UTC only.
pub(super) fn is_soon(end: Timestamp, today: Timestamp) -> bool {
    end <= warned_until(today)
}

fn endings<'r, 'a>(ending: &[&'r Row<'a>], all: &[&'r Row<'a>]) -> Vec<Ending<'r, 'a>> {
    if ending.is_empty() {
        return Vec::new();
    }
    let staying = Staying::of(all);
    by(ending, |row| (row.expiry_date(), row.version))
        .into_iter()
        .filter_map(|((_, version), rows)| {
            Some(Ending {
                version,
                expires_at: rows.iter().filter_map(|row| row.expires_at).max()?,
                targets: rows.iter().map(|row| row.target).collect(),
                extent: staying.without(&rows),
                instead: replacement(all, &rows),
                rows,
            })
        })
        .collect()
}

/// Another version, where it is the latest for every target and region of what ends.
fn replacement<'a>(all: &[&Row<'a>], ending: &[&Row<'a>]) -> Option<&'a str> {
    let places: BTreeSet<(Target, &Region)> =
        ending.iter().map(|row| (row.target, row.region)).collect();
    let latest = all
        .iter()
        .filter(|row| row.latest && places.contains(&(row.target, row.region)));
    let (versions, replaced): (BTreeSet<&'a str>, BTreeSet<(Target, &Region)>) = latest
        .map(|row| (row.version, (row.target, row.region)))
        .unzip();
    let is_one = versions.len() == 1 && replaced == places;
    let another = |version: &&str| ending.iter().all(|row| row.version != *version);
    versions.first().copied().filter(|_| is_one).filter(another)
}

/// ARNs that differ in nothing but the region, which stands in them as `REGION`, and those regions.
///
/// The highest version number first; where all regions have the same number there is one.
pub(super) fn arn_patterns<'a>(rows: &[&Row<'a>]) -> Vec<(String, BTreeSet<&'a str>)> {
    let mut patterns: BTreeMap<(Reverse<u64>, String), BTreeSet<&'a str>> = BTreeMap::new();
    for row in rows {
        let pattern = row
            .arn
            .replacen(&format!(":{}:", row.region), ":REGION:", 1);
        patterns
            .entry((Reverse(row.number), pattern))
            .or_default()
            .insert(row.region.as_str());
    }
    patterns
        .into_iter()
        .map(|((_, pattern), regions)| (pattern, regions))
        .collect()
}

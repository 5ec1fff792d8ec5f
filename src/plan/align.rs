//! Whether regions that are behind can be brought to the version number that the others have.
//!
//! AWS counts the versions of a layer up in each region for itself, and a number is never used again. A region that is
//! behind gets to a number by publishing versions that are deleted at once.

use super::Wanted;
use crate::model::{LayerVersion, Region};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Versions that are published and deleted for the sake of a number, at most, for one layer, target and region. Each
/// costs two calls of the 15 a second that AWS allows.
pub const THROW_AWAY_LIMIT: u64 = 50;

/// The number that regions which are behind are brought to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alignment {
    /// The version number.
    pub to: u64,
    /// The most versions that one region takes to get there, as far as is known.
    pub throw_away: u64,
    /// Regions that are further behind than [`THROW_AWAY_LIMIT`]: they get the number that comes next; sorted.
    pub too_far: Vec<Region>,
    /// The highest number that was ever recorded in each of the regions, where there was one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reached: BTreeMap<Region, u64>,
}

/// What is to be aligned when a zip is published to `regions` and is live in `already`; `versions` are all those of the
/// layer and target that were ever recorded. `None` when every region would get the same number anyway.
pub(super) fn alignment(
    wanted: &Wanted,
    regions: &[Region],
    already: &[Region],
    live: &[&LayerVersion],
    versions: &[&LayerVersion],
) -> Option<Alignment> {
    if !wanted.aligned {
        return None;
    }
    let mut newest: BTreeMap<&Region, u64> = BTreeMap::new();
    for version in versions {
        if let Some(arn) = &version.arn
            && arn.layer == wanted.published_name
        {
            let newest = newest.entry(&version.key.region).or_default();
            *newest = (*newest).max(arn.version);
        }
    }
    let current = live
        .iter()
        .filter(|version| already.contains(&version.key.region))
        .filter_map(|version| version.arn.as_ref())
        .map(|arn| arn.version)
        .max();
    let to = current.or_else(|| newest.values().max().map(|newest| newest + 1))?;
    let mut alignment = Alignment {
        to,
        throw_away: 0,
        too_far: Vec::new(),
        reached: BTreeMap::new(),
    };
    for region in regions {
        let reached = newest.get(region).copied();
        alignment
            .reached
            .extend(reached.map(|number| (region.clone(), number)));
        let next = reached.unwrap_or_default() + 1;
        let behind = to.saturating_sub(next);
        if behind > THROW_AWAY_LIMIT {
            alignment.too_far.push(region.clone());
        } else {
            alignment.throw_away = alignment.throw_away.max(behind);
        }
    }
    (alignment.throw_away > 0 || !alignment.too_far.is_empty()).then_some(alignment)
}

//! What the registry has, against what the store says.

use super::listing::Listing;
use super::{Finding, Verified, Wrong};
use crate::model::{
    Digest, LayerArn, LayerName, LayerState, LayerVersion, Policy, Region, Visibility,
};
use crate::pipeline::by_region::in_all_regions;
use crate::pipeline::{Desired, StepFailure, Workshop};
use crate::registry::RegistryError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Reads every live and deprecated version back, all regions at once, and lists what the account has under the policy's
/// prefix. A region that cannot be read is said and nothing of it counts as wrong.
///
/// # Errors
/// When the store fails, or the registry cannot say which regions it has.
pub async fn observe(workshop: &Workshop, desired: &Desired) -> Result<Verified, StepFailure> {
    let look = Look::begin(workshop).await?;
    let mut verified = Verified::default();
    read_back(workshop, desired, &look.rows, &mut verified).await;
    let listing = Listing::begin(workshop, desired, &look, &verified).await?;
    verified.add(listing.read_all(workshop, desired).await);
    verified.sort();
    Ok(verified)
}

/// A look at what is recorded, which may take longer than a function on AWS may: it is done part by part.
pub(in crate::pipeline) struct Look {
    /// What should be there, sorted by layer.
    pub(super) rows: Vec<LayerVersion>,
}

/// The versions of some layers.
pub(in crate::pipeline) struct Part<'a> {
    rows: &'a [LayerVersion],
    until: &'a LayerName,
}

/// What reading a part back came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::pipeline) struct PartRead {
    /// The last layer of the part.
    pub(in crate::pipeline) until: LayerName,
    /// What is known of it.
    pub(in crate::pipeline) verified: Verified,
}

impl Look {
    /// Asks the store what should be there.
    ///
    /// # Errors
    /// When it fails.
    pub(in crate::pipeline) async fn begin(workshop: &Workshop) -> Result<Self, StepFailure> {
        let mut rows = usable(workshop).await?;
        rows.sort_by(|a, b| a.key.layer.cmp(&b.key.layer));
        Ok(Self { rows })
    }

    /// The layers that come next, whole ones, until a region has so many versions of them; `None` after the last layer.
    pub(in crate::pipeline) fn part(
        &self,
        after: Option<&LayerName>,
        versions: usize,
    ) -> Option<Part<'_>> {
        let start = after.map_or(0, |after| {
            self.rows.partition_point(|row| row.key.layer <= *after)
        });
        let rest = &self.rows[start..];
        let mut of_region: BTreeMap<&Region, usize> = BTreeMap::new();
        let mut length = 0;
        for layer in rest.chunk_by(|a, b| a.key.layer == b.key.layer) {
            for row in layer {
                *of_region.entry(&row.key.region).or_default() += 1;
            }
            length += layer.len();
            if of_region.values().any(|count| *count >= versions) {
                break;
            }
        }
        let rows = &rest[..length];
        let until = &rows.last()?.key.layer;
        Some(Part { rows, until })
    }
}

/// Drops what was found about versions that were recorded, superseded or deleted since: it may have been true in between
/// only. So may be who should use a version, when the policy then, which the look went by, and the policy now differ on
/// that. What is left over from aligning is left alone while an intent may have to count on from it.
///
/// The caller has the turn to publish.
///
/// # Errors
/// When the store fails.
pub async fn still_wrong(
    workshop: &Workshop,
    verified: &mut Verified,
    then: &Policy,
    now: &Policy,
) -> Result<(), StepFailure> {
    let intents = workshop.store.intents().await?;
    let recorded: BTreeSet<LayerArn> = usable(workshop)
        .await?
        .into_iter()
        .filter_map(|row| row.arn)
        .collect();
    verified.findings.retain(|finding| match finding.wrong {
        Wrong::Unknown { .. } => !recorded.contains(&finding.arn),
        Wrong::ThrowAway => !intents.iter().any(|it| {
            it.key.region == finding.arn.region && it.key.published_name == finding.arn.layer
        }),
        Wrong::Missing | Wrong::OtherDigest { .. } => recorded.contains(&finding.arn),
        Wrong::NotShared | Wrong::SharedOtherwise => {
            recorded.contains(&finding.arn) && then.visibility == now.visibility
        }
    });
    Ok(())
}

/// Reads a part back; a region that was not read before is left alone.
pub(in crate::pipeline) async fn read_part(
    workshop: &Workshop,
    desired: &Desired,
    part: Part<'_>,
    before: &Verified,
) -> PartRead {
    let rows = part.rows.iter();
    let read = rows.filter(|row| before.is_read(&row.key.region));
    let read: Vec<LayerVersion> = read.cloned().collect();
    let mut verified = Verified::default();
    read_back(workshop, desired, &read, &mut verified).await;
    PartRead {
        until: part.until.clone(),
        verified,
    }
}

async fn usable(workshop: &Workshop) -> Result<Vec<LayerVersion>, StepFailure> {
    let mut rows = workshop.store.layer_versions().await?;
    rows.retain(|row| matches!(row.state, LayerState::Live | LayerState::Deprecated));
    Ok(rows)
}

async fn read_back(
    workshop: &Workshop,
    desired: &Desired,
    rows: &[LayerVersion],
    verified: &mut Verified,
) {
    let visibility = &desired.policy.visibility;
    let rows: Vec<(&LayerArn, &LayerVersion)> = rows
        .iter()
        .filter_map(|row| Some((row.arn.as_ref()?, row)))
        .collect();
    let work = rows
        .iter()
        .map(|(arn, row)| (arn.region.clone(), (*arn, row.key.digest)))
        .collect();
    let results = in_all_regions(work, |(arn, digest)| {
        check(workshop, arn, digest, visibility)
    })
    .await;
    for ((arn, row), result) in rows.into_iter().zip(results) {
        match result {
            Ok(None) => verified.checked += 1,
            Ok(Some(wrong)) => {
                verified.checked += 1;
                verified.findings.push(Finding {
                    is_live: row.state == LayerState::Live,
                    ..Finding::new(arn.clone(), wrong)
                });
            }
            Err(error) => verified.not_read(&error),
        }
    }
}

async fn check(
    workshop: &Workshop,
    arn: &LayerArn,
    digest: Digest,
    visibility: &Visibility,
) -> Result<Option<Wrong>, RegistryError> {
    let registry = &workshop.registry;
    let Some(found) = registry.read(arn).await? else {
        return Ok(Some(Wrong::Missing));
    };
    if found.digest != Some(digest) {
        let found = found.digest;
        return Ok(Some(Wrong::OtherDigest { found }));
    }
    if registry.is_shared(arn, visibility).await? {
        return Ok(None);
    }
    Ok(Some(if registry.reaches(arn, visibility).await? {
        Wrong::SharedOtherwise
    } else {
        Wrong::NotShared
    }))
}

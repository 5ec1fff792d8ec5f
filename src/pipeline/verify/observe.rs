//! What the registry has, against what the store says.

use super::{Finding, Known, Verified, Wrong};
use crate::model::{
    BuildRecord, Digest, LayerArn, LayerName, LayerPrefix, LayerState, LayerVersion, Policy,
    Region, Visibility, is_published_under, layer_description, published_layer_name,
};
use crate::pipeline::aligning::THROW_AWAY;
use crate::pipeline::by_region::in_all_regions;
use crate::pipeline::{Desired, StepFailure, Workshop};
use crate::registry::{PublishedVersion, RegistryError};
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
    look.finish(workshop, desired, verified).await
}

/// A look at what is recorded, which may take longer than a function on AWS may: it is done part by part.
pub(in crate::pipeline) struct Look {
    /// What should be there, sorted by layer.
    rows: Vec<LayerVersion>,
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

    /// Lists what the account has besides, when everything was read back.
    ///
    /// # Errors
    /// When the store fails, or the registry cannot say which regions it has.
    pub(in crate::pipeline) async fn finish(
        &self,
        workshop: &Workshop,
        desired: &Desired,
        mut verified: Verified,
    ) -> Result<Verified, StepFailure> {
        let builds = workshop.store.builds().await?;
        list(workshop, desired, &self.rows, &builds, &mut verified).await?;
        verified.findings.sort_by(|a, b| a.arn.cmp(&b.arn));
        verified.unverified.sort_by(|a, b| a.region.cmp(&b.region));
        Ok(verified)
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

/// Looks for versions that nobody recorded, in every region that layers go to or went to.
async fn list(
    workshop: &Workshop,
    desired: &Desired,
    rows: &[LayerVersion],
    builds: &[BuildRecord],
    verified: &mut Verified,
) -> Result<(), StepFailure> {
    let offered = workshop.registry.regions().await?;
    let policy = &desired.policy;
    let mut names: BTreeMap<Region, BTreeSet<&str>> = policy
        .regions_for(None, &offered)
        .0
        .into_iter()
        .chain(
            desired
                .layers
                .values()
                .flat_map(|request| policy.regions_for(request.regions.as_deref(), &offered).0),
        )
        .map(|region| (region, BTreeSet::new()))
        .collect();
    // Names of an earlier prefix are known from what was published under them.
    for row in rows {
        let names = names.entry(row.key.region.clone()).or_default();
        names.insert(&row.key.published_name);
    }
    names.retain(|region, _| verified.is_read(region));
    let recorded: BTreeSet<&LayerArn> = rows.iter().filter_map(|row| row.arn.as_ref()).collect();
    let work = names
        .into_iter()
        .map(|(region, names)| (region.clone(), (region, names)))
        .collect();
    let (recorded, prefix) = (&recorded, &policy.prefix);
    let results = in_all_regions(work, |(region, names)| async move {
        unknown_in(workshop, &region, prefix, names, recorded).await
    })
    .await;
    for result in results {
        match result {
            Ok(unknown) => verified.findings.extend(
                unknown
                    .into_iter()
                    .map(|version| finding(desired, builds, version)),
            ),
            Err(error) => verified.not_read(&error),
        }
    }
    Ok(())
}

/// Versions of a region that nobody recorded, digests included.
async fn unknown_in(
    workshop: &Workshop,
    region: &Region,
    prefix: &LayerPrefix,
    names: BTreeSet<&str>,
    recorded: &BTreeSet<&LayerArn>,
) -> Result<Vec<PublishedVersion>, RegistryError> {
    let registry = &workshop.registry;
    let mut names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
    let there = registry.layers(region, prefix.as_str()).await?.into_iter();
    names.extend(there.filter(|name| is_published_under(prefix, name)));
    let work = names.iter().map(|name| (region.clone(), name)).collect();
    let listed = in_all_regions(work, |name| registry.versions(region, name)).await;
    let mut unknown = Vec::new();
    for versions in listed {
        let versions = versions?.into_iter();
        for version in versions.filter(|version| !recorded.contains(&version.arn)) {
            // Gone since it was listed: then it is nobody's concern.
            unknown.extend(registry.read(&version.arn).await?);
        }
    }
    Ok(unknown)
}

fn finding(desired: &Desired, builds: &[BuildRecord], version: PublishedVersion) -> Finding {
    if version.description == THROW_AWAY {
        return Finding::new(version.arn, Wrong::ThrowAway);
    }
    let prefix = &desired.policy.prefix;
    let build = builds.iter().find(|build| {
        version.digest == Some(build.artifact.digest)
            && version.description
                == layer_description(&build.layer, &build.version, &build.artifact.digest)
            && version.arn.layer == published_layer_name(prefix, build.target, &build.layer)
    });
    Finding::new(
        version.arn,
        Wrong::Unknown {
            description: version.description,
            digest: version.digest,
            of: build.map(|build| Known {
                layer: build.layer.clone(),
                target: build.target,
                version: build.version.clone(),
            }),
        },
    )
}

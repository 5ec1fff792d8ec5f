//! What the account has under the names of the catalog, and nobody recorded.

use super::observe::Look;
use super::{Finding, Known, Verified, Wrong};
use crate::model::{
    BuildRecord, LayerArn, Region, is_published_under, layer_description, published_layer_name,
};
use crate::pipeline::aligning::THROW_AWAY;
use crate::pipeline::by_region::in_all_regions;
use crate::pipeline::{Desired, StepFailure, Workshop};
use crate::registry::{PublishedVersion, RegistryError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// The names to ask for, in every region that layers go to or went to. Each is a question of its own, and a large catalog has
/// more of them in a region than a function on AWS has time for: they are asked for part by part, in their order.
pub(in crate::pipeline) struct Listing<'a> {
    names: BTreeMap<Region, BTreeSet<String>>,
    recorded: BTreeSet<&'a LayerArn>,
    builds: Vec<BuildRecord>,
    /// Regions that did not say which names they have.
    failed: Verified,
}

/// What asking for a part of the names came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::pipeline) struct NamesRead {
    /// The last name of the part; `None` when no name comes after it.
    pub(in crate::pipeline) until: Option<String>,
    /// What is known of them.
    pub(in crate::pipeline) verified: Verified,
}

impl<'a> Listing<'a> {
    /// Asks which names there are; a region that was not read before is left alone.
    ///
    /// # Errors
    /// When the store fails, or the registry cannot say which regions it has.
    pub(in crate::pipeline) async fn begin(
        workshop: &Workshop,
        desired: &Desired,
        look: &'a Look,
        before: &Verified,
    ) -> Result<Self, StepFailure> {
        let builds = workshop.store.builds().await?;
        let offered = workshop.registry.regions().await?;
        let policy = &desired.policy;
        let requests = desired.layers.values();
        let requested =
            requests.flat_map(|request| policy.regions_for(request.regions.as_deref(), &offered).0);
        let general = policy.regions_for(None, &offered).0.into_iter();
        let mut names: BTreeMap<Region, BTreeSet<String>> = general
            .chain(requested)
            .map(|region| (region, BTreeSet::new()))
            .collect();
        // Names of an earlier prefix are known from what was published under them.
        for row in &look.rows {
            let names = names.entry(row.key.region.clone()).or_default();
            if !names.contains(&row.key.published_name) {
                names.insert(row.key.published_name.clone());
            }
        }
        names.retain(|region, _| before.is_read(region));
        let work = names.keys().map(|region| (region.clone(), region));
        let prefix = &policy.prefix;
        let there = in_all_regions(work.collect(), |region| {
            workshop.registry.layers(region, prefix.as_str())
        })
        .await;
        let mut failed = Verified::default();
        for (names, there) in names.values_mut().zip(there) {
            match there {
                Ok(there) => {
                    let ours = there.into_iter();
                    names.extend(ours.filter(|name| is_published_under(prefix, name)));
                }
                Err(error) => failed.not_read(&error),
            }
        }
        names.retain(|region, _| failed.is_read(region));
        let rows = look.rows.iter();
        Ok(Self {
            names,
            recorded: rows.filter_map(|row| row.arn.as_ref()).collect(),
            builds,
            failed,
        })
    }

    /// Asks for the names that come next, until a region has so many of them; a region that was not read before is left alone.
    pub(in crate::pipeline) async fn read(
        &self,
        workshop: &Workshop,
        desired: &Desired,
        after: Option<&str>,
        names: usize,
        before: &Verified,
    ) -> NamesRead {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest: BTreeMap<&Region, Vec<&str>> = self
            .names
            .iter()
            .filter(|(region, _)| before.is_read(region))
            .map(|(region, all)| {
                let rest = all.range::<str, _>((from, Bound::Unbounded));
                // One more than may be asked for shows where the next part begins.
                let rest = rest.map(String::as_str).take(names.saturating_add(1));
                (region, rest.collect())
            })
            .collect();
        // The region whose names lie closest to each other ends the part for all of them.
        let next = rest.values().filter_map(|rest| rest.get(names)).min();
        let next = next.copied();
        let of_part = rest.into_iter().map(|(region, mut rest)| {
            rest.retain(|name| next.is_none_or(|next| *name < next));
            (region, rest)
        });
        let of_part: BTreeMap<&Region, Vec<&str>> = of_part.collect();
        let last = of_part.values().filter_map(|names| names.last()).max();
        let until = next.and(last).map(|last| (*last).to_owned());
        NamesRead {
            until,
            verified: self.unknown(workshop, desired, of_part).await,
        }
    }

    /// Asks for all names.
    pub(super) async fn read_all(&self, workshop: &Workshop, desired: &Desired) -> Verified {
        let nothing = Verified::default();
        let read = self.read(workshop, desired, None, usize::MAX, &nothing);
        read.await.verified
    }

    async fn unknown(
        &self,
        workshop: &Workshop,
        desired: &Desired,
        names: BTreeMap<&Region, Vec<&str>>,
    ) -> Verified {
        let mut verified = self.failed.clone();
        let work = names.into_iter();
        let work = work.map(|(region, names)| (region.clone(), (region, names)));
        let results = in_all_regions(work.collect(), |(region, names)| {
            unknown_in(workshop, region, names, &self.recorded)
        })
        .await;
        for result in results {
            match result {
                Ok(unknown) => {
                    let unknown = unknown.into_iter();
                    let found = unknown.map(|version| finding(desired, &self.builds, version));
                    verified.findings.extend(found);
                }
                Err(error) => verified.not_read(&error),
            }
        }
        verified
    }
}

/// Versions of a region that nobody recorded, digests included.
async fn unknown_in(
    workshop: &Workshop,
    region: &Region,
    names: Vec<&str>,
    recorded: &BTreeSet<&LayerArn>,
) -> Result<Vec<PublishedVersion>, RegistryError> {
    let registry = &workshop.registry;
    let work = names.into_iter().map(|name| (region.clone(), name));
    let listed = in_all_regions(work.collect(), |name| registry.versions(region, name)).await;
    let mut unknown = Vec::new();
    for versions in listed {
        let versions = versions?.into_iter().map(|version| version.arn);
        unknown.extend(versions.filter(|arn| !recorded.contains(arn)));
    }
    let work = unknown.iter().map(|arn| (region.clone(), arn)).collect();
    let read = in_all_regions(work, |arn| registry.read(arn)).await;
    // Gone since it was listed: then it is nobody's concern.
    read.into_iter().filter_map(Result::transpose).collect()
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

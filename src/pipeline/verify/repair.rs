//! Mending what was found.
//!
//! A live version that is gone leaves the tables first and is published anew then, by the same road as any publication.
//! After a crash in between, whoever comes next finds it missing where it is live elsewhere: the same run taken up again,
//! the next repair, and an apply, which the sweep starts after a run that left a loss. A version that nobody recorded is
//! adopted when its zip and description are those of a known build, and left alone otherwise: somebody else may need it.

use super::{Finding, Known, Mended, Verified, Wrong};
use crate::model::{
    BuildRecord, Digest, LayerArn, LayerName, LayerState, LayerVersion, Region, SlotKey, Target,
    Visibility,
};
use crate::pipeline::by_region::in_all_regions;
use crate::pipeline::publishing::publish;
use crate::pipeline::visibility::{settle_visibility, share_exactly};
use crate::pipeline::{Desired, StepFailure, Workshop, recorded};
use crate::plan::{Outcome, Publication, Reason, plan, wanted};
use crate::registry::RegistryError;
use std::collections::{BTreeMap, BTreeSet};

/// Where something was to be published.
type Tried = BTreeSet<(LayerName, Target, Region)>;

/// Mends every finding as far as it can be mended, and notes what became of it; then publishes what is missing beside
/// that. The caller has the turn to publish and has dropped what is [no longer wrong](super::still_wrong).
///
/// # Errors
/// When the store fails, or a zip cannot be read for a reason that may pass.
pub async fn repair(
    workshop: &Workshop,
    desired: &Desired,
    verified: &mut Verified,
) -> Result<(), StepFailure> {
    // What an earlier repair could not share is in no table, and may be shared by now.
    settle_visibility(workshop, &desired.policy).await?;
    let findings = &mut verified.findings;
    mend_permissions(workshop, desired, findings).await?;
    adopt(workshop, desired, findings).await?;
    delete_throw_aways(workshop, findings).await;
    // Before they are marked: what was published nowhere is no longer among the builds.
    let builds = workshop.store.builds().await?;
    let rows: BTreeMap<LayerArn, LayerVersion> = workshop
        .store
        .layer_versions()
        .await?
        .into_iter()
        .filter_map(|row| Some((row.arn.clone()?, row)))
        .collect();
    let lost: Vec<LayerArn> = findings
        .iter_mut()
        .filter(|finding| finding.is_lost())
        .map(|finding| {
            finding.mended = Mended::Forgotten;
            finding.arn.clone()
        })
        .collect();
    workshop.store.mark_deleted(&lost).await?;
    let live = lost
        .iter()
        .filter_map(|arn| rows.get(arn))
        .filter(|row| row.state == LayerState::Live);
    let mut tried = Tried::new();
    let places: BTreeMap<LayerArn, usize> = (findings.iter().enumerate())
        .map(|(place, finding)| (finding.arn.clone(), place))
        .collect();
    for (publication, arns) in publications(workshop, desired, &builds, live).await? {
        tried.extend(slots(&publication));
        let outcome = publish(workshop, &publication, desired).await?;
        for (region, lost) in publication.regions.iter().zip(arns) {
            let place = places.get(&lost);
            let Some(finding) = place.and_then(|place| findings.get_mut(*place)) else {
                continue;
            };
            let new = outcome.published.iter().find(|arn| arn.region == *region);
            let failure = outcome.failed.iter().find(|it| it.region == *region);
            finding.mended = match (new, failure) {
                (Some(arn), _) => Mended::Republished(arn.clone()),
                (None, Some(failure)) => Mended::Failed(failure.message.clone()),
                (None, None) => Mended::Forgotten,
            };
        }
    }
    verified.backfilled = backfill(workshop, desired, verified, &tried).await?;
    Ok(())
}

fn slots(publication: &Publication) -> impl Iterator<Item = (LayerName, Target, Region)> {
    let build = &publication.build;
    let slot = move |region: &Region| (build.layer.clone(), build.target, region.clone());
    publication.regions.iter().map(slot)
}

/// Publishes what is live in some regions and missing in others that it is wanted in, as an apply would, and what an earlier
/// repair began to publish, be it live nowhere else. Regions that were not read, and what was tried just now, are left to the
/// next one.
async fn backfill(
    workshop: &Workshop,
    desired: &Desired,
    verified: &Verified,
    tried: &Tried,
) -> Result<Vec<Outcome>, StepFailure> {
    let store = &workshop.store;
    let versions = recorded(&**store, &desired.policy, None).await?;
    let builds = store.builds().await?;
    let offered = workshop.registry.regions().await?;
    let wanted = wanted(&desired.layers, &desired.policy, &offered, &builds);
    let plan = plan(&wanted, &builds, &versions, &desired.held);
    let intents = versions
        .iter()
        .filter(|row| row.state == LayerState::Intent);
    let begun: BTreeSet<(&LayerName, Target, Digest)> = intents
        .map(|row| (&row.key.layer, row.key.target, row.key.digest))
        .collect();
    let is_begun =
        |build: &BuildRecord| begun.contains(&(&build.layer, build.target, build.artifact.digest));
    let mut outcomes = Vec::new();
    let missing = plan.publications().map(|(_, publication)| publication);
    for publication in missing.filter(|it| it.reason == Reason::Backfill || is_begun(&it.build)) {
        let regions: Vec<Region> = slots(publication)
            .filter(|slot| verified.is_read(&slot.2) && !tried.contains(slot))
            .map(|(_, _, region)| region)
            .collect();
        if regions.is_empty() {
            continue;
        }
        let publication = Publication {
            regions,
            // What is not wanted any more is retired by an apply, which says so.
            leaves: Vec::new(),
            ..publication.clone()
        };
        outcomes.push(publish(workshop, &publication, desired).await?);
    }
    Ok(outcomes)
}

/// What lost live versions are published anew as, with the ARN that was lost in each of its regions. Those that are not
/// asked for any more, and those whose build is not known, are left to the next plan.
async fn publications<'a>(
    workshop: &Workshop,
    desired: &Desired,
    builds: &[BuildRecord],
    lost: impl Iterator<Item = &'a LayerVersion>,
) -> Result<Vec<(Publication, Vec<LayerArn>)>, StepFailure> {
    let offered = workshop.registry.regions().await?;
    let is_wanted = |row: &LayerVersion| match desired.layers.get(&row.key.layer) {
        Some(request) => {
            let (regions, _) = desired
                .policy
                .regions_for(request.regions.as_deref(), &offered);
            request.targets.contains(&row.key.target) && regions.contains(&row.key.region)
        }
        None => desired.held.contains(&row.key.layer),
    };
    // A zip under a name, wherever it was lost.
    let mut groups: BTreeMap<(&LayerName, Target, Digest, &str), BTreeMap<Region, LayerArn>> =
        BTreeMap::new();
    for row in lost.filter(|row| is_wanted(row)) {
        let Some(arn) = &row.arn else { continue };
        let key = &row.key;
        let group = (&key.layer, key.target, key.digest, &*key.published_name);
        let regions = groups.entry(group).or_default();
        regions.insert(row.key.region.clone(), arn.clone());
    }
    let by_zip: BTreeMap<(&LayerName, Target, Digest), &BuildRecord> = builds
        .iter()
        .map(|build| ((&build.layer, build.target, build.artifact.digest), build))
        .collect();
    let publications = groups.into_iter().filter_map(|(group, regions)| {
        let (layer, target, digest, published_name) = group;
        let build = *by_zip.get(&(layer, target, digest))?;
        let (regions, arns): (Vec<Region>, Vec<LayerArn>) = regions.into_iter().unzip();
        let publication = Publication {
            reason: Reason::Backfill,
            build: build.clone(),
            published_name: published_name.to_owned(),
            regions,
            already: Vec::new(),
            leaves: Vec::new(),
            previous_version: None,
            changes: Vec::new(),
            alignment: None,
        };
        Some((publication, arns))
    });
    Ok(publications.collect())
}

async fn mend_permissions(
    workshop: &Workshop,
    desired: &Desired,
    findings: &mut [Finding],
) -> Result<(), StepFailure> {
    let visibility = &desired.policy.visibility;
    let of_interest =
        |finding: &Finding| matches!(finding.wrong, Wrong::NotShared | Wrong::SharedOtherwise);
    let results = for_each(findings, of_interest, |arn| async move {
        share_exactly(workshop, &arn, visibility).await
    })
    .await;
    for (place, result) in results {
        let Some(finding) = findings.get_mut(place) else {
            continue;
        };
        finding.mended = match result {
            Ok(()) => {
                let store = &workshop.store;
                store.record_visibility(&finding.arn, visibility).await?;
                Mended::Shared
            }
            Err(error) => {
                // What not all may use who should is not listed, and whoever brings permissions in order finds it.
                if finding.wrong == Wrong::NotShared {
                    let store = &workshop.store;
                    let found = Visibility::Private;
                    store.record_visibility(&finding.arn, &found).await?;
                }
                Mended::Failed(error.reason())
            }
        };
    }
    Ok(())
}

async fn adopt(
    workshop: &Workshop,
    desired: &Desired,
    findings: &mut [Finding],
) -> Result<(), StepFailure> {
    let policy = &desired.policy;
    let of_interest =
        |finding: &Finding| matches!(finding.wrong, Wrong::Unknown { of: Some(_), .. });
    // What is recorded is listed, and what is listed is shared.
    let results = for_each(findings, of_interest, |arn| async move {
        share_exactly(workshop, &arn, &policy.visibility).await
    })
    .await;
    for (place, result) in results {
        let Some(finding) = findings.get_mut(place) else {
            continue;
        };
        let Wrong::Unknown {
            digest: Some(digest),
            of:
                Some(Known {
                    layer,
                    target,
                    version,
                }),
            ..
        } = &finding.wrong
        else {
            continue;
        };
        if let Err(error) = result {
            finding.mended = Mended::Failed(error.reason());
            continue;
        }
        let key = SlotKey {
            layer: layer.clone(),
            target: *target,
            region: finding.arn.region.clone(),
            digest: *digest,
            published_name: finding.arn.layer.clone(),
        };
        let now = workshop.now();
        let expires_at = now.plus_days(policy.expire_after_days);
        workshop
            .store
            .adopt(
                &key,
                version,
                &finding.arn,
                &policy.visibility,
                now,
                expires_at,
            )
            .await?;
        finding.mended = Mended::Adopted;
    }
    Ok(())
}

async fn delete_throw_aways(workshop: &Workshop, findings: &mut [Finding]) {
    let of_interest = |finding: &Finding| finding.wrong == Wrong::ThrowAway;
    let results = for_each(findings, of_interest, |arn| async move {
        workshop.registry.delete(&arn).await
    })
    .await;
    for (place, result) in results {
        if let Some(finding) = findings.get_mut(place) {
            finding.mended = match result {
                Ok(()) => Mended::Deleted,
                Err(error) => Mended::Failed(error.reason()),
            };
        }
    }
}

/// Does something about some findings; answers with their places.
async fn for_each<F>(
    findings: &[Finding],
    of_interest: impl Fn(&Finding) -> bool,
    work: impl Fn(LayerArn) -> F,
) -> Vec<(usize, Result<(), RegistryError>)>
where
    F: Future<Output = Result<(), RegistryError>>,
{
    let chosen: Vec<(usize, LayerArn)> = findings
        .iter()
        .enumerate()
        .filter(|(_, finding)| of_interest(finding))
        .map(|(place, finding)| (place, finding.arn.clone()))
        .collect();
    let items = chosen
        .iter()
        .map(|(_, arn)| (arn.region.clone(), arn.clone()))
        .collect();
    let results = in_all_regions(items, work).await;
    chosen
        .into_iter()
        .map(|(place, _)| place)
        .zip(results)
        .collect()
}

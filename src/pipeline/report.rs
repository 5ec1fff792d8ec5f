//! What people are told of layers that needed nothing, and of those that failed as a whole.

use super::StepFailure;
use super::publishing::nowhere;
use crate::model::{LayerArn, LayerName, LayerState, LayerVersion, Region, Target};
use crate::plan::{Action, Outcome, Plan, Publication, RegionFailure};
use std::collections::{BTreeMap, BTreeSet};

/// What is live of the layers that somebody asked about and that needed nothing: the ARNs are what they came for.
/// `versions` are at least theirs.
#[must_use]
pub(super) fn outcomes_of_kept(
    plan: &Plan,
    asked: &BTreeSet<LayerName>,
    versions: &[LayerVersion],
) -> Vec<Outcome> {
    let mut live: BTreeMap<(&LayerName, Target), Vec<&LayerVersion>> = BTreeMap::new();
    for version in versions {
        if version.state == LayerState::Live {
            let slot = (&version.key.layer, version.key.target);
            live.entry(slot).or_default().push(version);
        }
    }
    let kept = plan.entries.iter().filter(|entry| {
        matches!(entry.action, Action::Keep { .. }) && asked.contains(&entry.layer)
    });
    kept.filter_map(|entry| {
        let live = live.get(&(&entry.layer, entry.target))?;
        let first = live.first()?;
        Some(Outcome {
            layer: entry.layer.clone(),
            target: entry.target,
            version: first.version.clone(),
            digest: first.key.digest,
            published: live
                .iter()
                .filter_map(|version| version.arn.clone())
                .collect(),
            already: Vec::new(),
            failed: Vec::new(),
            not_enabled: Vec::new(),
            skipped: Vec::new(),
        })
    })
    .collect()
}

/// The outcome of a publication whose step failed as a whole: what is recorded as live is, and it failed everywhere else that
/// it was to get to, or to leave.
pub(super) fn outcome_of_failed(
    publication: &Publication,
    failure: &StepFailure,
    recorded: &[LayerVersion],
) -> Outcome {
    let build = &publication.build;
    let is_it = |row: &&LayerVersion| {
        let key = &row.key;
        row.state == LayerState::Live
            && (&key.layer, key.target) == (&build.layer, build.target)
            && key.digest == build.artifact.digest
            && key.published_name == publication.published_name
            && publication.regions.contains(&key.region)
    };
    let mut published: Vec<LayerArn> = recorded
        .iter()
        .filter(is_it)
        .filter_map(|row| row.arn.clone())
        .collect();
    published.sort();
    let mut outcome = nowhere(publication, &failure.message, failure.transient);
    let is_live = |region: &Region| published.iter().any(|arn| arn.region == *region);
    outcome.failed.retain(|failed| !is_live(&failed.region));
    let left = publication.leaves.iter().map(|region| RegionFailure {
        region: region.clone(),
        message: failure.message.clone(),
        transient: failure.transient,
    });
    outcome.failed.extend(left);
    outcome.failed.sort_by(|a, b| a.region.cmp(&b.region));
    outcome.published = published;
    outcome
}

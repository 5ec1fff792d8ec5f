//! What people are told of layers that needed nothing.

use crate::model::{LayerName, LayerState, LayerVersion, Target};
use crate::plan::{Action, Outcome, Plan};
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
        })
    })
    .collect()
}

//! What people are told of layers that needed nothing.

use crate::model::{LayerName, LayerState, LayerVersion};
use crate::plan::{Action, Outcome, Plan};
use std::collections::BTreeSet;

/// What is live of the layers that somebody asked about and that needed nothing: the ARNs are what they came for.
#[must_use]
pub(super) fn outcomes_of_kept(
    plan: &Plan,
    asked: &BTreeSet<LayerName>,
    versions: &[LayerVersion],
) -> Vec<Outcome> {
    let kept = plan.entries.iter().filter(|entry| {
        matches!(entry.action, Action::Keep { .. }) && asked.contains(&entry.layer)
    });
    kept.filter_map(|entry| {
        let live: Vec<&LayerVersion> = versions
            .iter()
            .filter(|version| {
                version.state == LayerState::Live
                    && version.key.layer == entry.layer
                    && version.key.target == entry.target
            })
            .collect();
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

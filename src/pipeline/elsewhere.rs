//! What the last apply left undone, which a pull request on other layers is told of.
//!
//! Comparing everything that is wanted with everything that is live takes the longer the more there is. An apply has just
//! done so: it writes down what it could not do, and only that is compared again.

use super::{Bot, Desired, StepFailure, recorded};
use crate::model::{LayerName, OfferedRegions, RunKind, RunState, StepState, Target};
use crate::plan::{Action, Outcome, Plan, plan, wanted};
use std::collections::{BTreeMap, BTreeSet};

/// The step of an apply, or an upgrade, that says so.
pub(super) const STEP: &str = "undone";

/// Layers and the targets for which they are not as they should be.
pub(super) type Undone = BTreeMap<LayerName, BTreeSet<Target>>;

/// What is not done of a plan that was carried out: what cannot be had, and what failed in a region.
pub(super) fn undone(plan: &Plan, outcomes: &[Outcome]) -> Undone {
    let failed: BTreeSet<(&LayerName, Target)> = outcomes
        .iter()
        .filter(|outcome| !outcome.failed.is_empty())
        .map(|outcome| (&outcome.layer, outcome.target))
        .collect();
    let mut undone = Undone::new();
    for entry in &plan.entries {
        let is_undone = match entry.action {
            Action::Build | Action::Blocked { .. } => true,
            Action::Publish(_) => failed.contains(&(&entry.layer, entry.target)),
            Action::Keep { .. } | Action::Retire { .. } => false,
        };
        if is_undone {
            let targets = undone.entry(entry.layer.clone()).or_default();
            targets.insert(entry.target);
        }
    }
    undone
}

/// How many layers × targets, those of `changed` aside, the last apply left undone and are so still. None while an apply is
/// at work: it takes care of what there is.
pub(super) async fn undone_elsewhere(
    bot: &Bot,
    desired: &Desired,
    changed: &BTreeSet<LayerName>,
    offered: &OfferedRegions,
) -> Result<usize, StepFailure> {
    let mut undone = of_last_apply(bot).await?;
    undone.retain(|layer, _| !changed.contains(layer));
    if undone.is_empty() {
        return Ok(0);
    }
    let layers: BTreeSet<LayerName> = undone.keys().cloned().collect();
    let store = &bot.workshop.store;
    let (versions, builds) = (
        recorded(&**store, &desired.policy, Some(&layers)).await?,
        store.builds_of(&layers).await?,
    );
    let requests = desired.requests_of(&layers);
    let wanted = wanted(&requests, &desired.policy, offered, &builds);
    let plan = plan(&wanted, &builds, &versions, &desired.held);
    let still = plan.entries.iter().filter(|entry| {
        !matches!(entry.action, Action::Keep { .. })
            && (undone.get(&entry.layer)).is_some_and(|targets| targets.contains(&entry.target))
    });
    Ok(still.count())
}

async fn of_last_apply(bot: &Bot) -> Result<Undone, StepFailure> {
    let store = &bot.workshop.store;
    let mut runs = store.runs_of_kind(RunKind::Apply, 1).await?;
    runs.extend(store.runs_of_kind(RunKind::Upgrade, 1).await?);
    if runs.iter().any(|run| run.state == RunState::Open) {
        return Ok(Undone::new());
    }
    let Some(last) = runs.iter().max_by_key(|run| run.created_at) else {
        return Ok(Undone::new());
    };
    // One that failed before it got there says nothing.
    let step = store.step(&last.id, STEP).await?;
    let done = step.filter(|step| step.state == StepState::Done);
    Ok(done
        .and_then(|step| serde_json::from_value(step.output).ok())
        .unwrap_or_default())
}

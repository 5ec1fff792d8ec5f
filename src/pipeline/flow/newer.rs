//! What went live after a run had made its plan.
//!
//! A run that was cut short goes on by its plan, be it hours later, and somebody else may have published meanwhile: from a
//! command line, or by a run that came after it. An older version never takes the place of theirs, and where something is asked
//! for again it is not retired.

use super::Steps;
use crate::model::{LayerState, Region, RunKind, Timestamp};
use crate::pipeline::{Carried, Desired, StepFailure};
use crate::plan::{Action, Entry, RegionFailure};
use crate::store::Store;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What is left to do of an entry of a plan.
pub(in crate::pipeline) struct Current<'e> {
    /// The entry, less the regions that it came too late for.
    pub(in crate::pipeline) entry: Cow<'e, Entry>,
    /// These regions.
    late: BTreeSet<Region>,
}

impl<'e> Current<'e> {
    /// For an entry of the plan that a run has made, and what is asked for by now.
    ///
    /// # Errors
    /// When the store fails, or the registry cannot say which regions it has.
    pub(in crate::pipeline) async fn of_run(
        steps: &Steps<'_>,
        entry: &'e Entry,
        now: &Desired,
    ) -> Result<Self, StepFailure> {
        if let Action::Retire { version, regions } = &entry.action
            && now.asks_for(&entry.layer, entry.target)
        {
            let mut current = Self::whole(entry);
            current.entry.to_mut().action = Action::Keep {
                version: version.clone(),
                regions: regions.clone(),
            };
            return Ok(current);
        }
        let mut current = Self::of_plan(steps, entry).await?;
        let has_leaves = matches!(&entry.action, Action::Publish(it) if !it.leaves.is_empty());
        if has_leaves
            && let Some(request) = now.layers.get(&entry.layer)
            && let Action::Publish(publication) = &mut current.entry.to_mut().action
        {
            let offered = steps.bot.workshop.registry.regions().await?;
            let regions = request.regions.as_deref();
            let wanted = now.policy.regions_for(regions, &offered).0;
            publication.leaves.retain(|region| !wanted.contains(region));
        }
        Ok(current)
    }

    async fn of_plan(steps: &Steps<'_>, entry: &'e Entry) -> Result<Self, StepFailure> {
        let plan = match steps.run.kind {
            RunKind::Upgrade => "upgrade",
            _ => "plan",
        };
        let planned_at = steps.journal.finished_at(plan).await?;
        Self::of(steps.bot.workshop.store.as_ref(), entry, planned_at).await
    }

    /// Asks the store what is live now. `planned_at` is when the plan was ready; without it nothing can be told.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::pipeline) async fn of(
        store: &dyn Store,
        entry: &'e Entry,
        planned_at: Option<Timestamp>,
    ) -> Result<Self, StepFailure> {
        let mut current = Self::whole(entry);
        let (Action::Publish(publication), Some(planned_at)) = (&entry.action, planned_at) else {
            return Ok(current);
        };
        let layers = BTreeSet::from([entry.layer.clone()]);
        let rows = store.layer_versions_of(&layers).await?.into_iter();
        let newer = rows.filter(|row| {
            row.key.target == entry.target
                && row.state == LayerState::Live
                && row.key.digest != publication.build.artifact.digest
                && row.live_at.is_some_and(|live_at| live_at > planned_at)
        });
        let newer: BTreeSet<Region> = newer.map(|row| row.key.region).collect();
        let regions = publication.regions.iter().cloned();
        current.late = regions.filter(|region| newer.contains(region)).collect();
        if !current.late.is_empty()
            && let Action::Publish(publication) = &mut current.entry.to_mut().action
        {
            let late = &current.late;
            publication.regions.retain(|region| !late.contains(region));
        }
        Ok(current)
    }

    fn whole(entry: &'e Entry) -> Self {
        Self {
            entry: Cow::Borrowed(entry),
            late: BTreeSet::new(),
        }
    }

    /// What carrying it out came to, with the regions that it came too late for.
    pub(in crate::pipeline) fn told(&self, mut carried: Carried) -> Carried {
        if let Carried::Published(outcome) = &mut carried {
            outcome.failed.extend(self.late.iter().map(|region| {
                RegionFailure {
                    region: region.clone(),
                    message:
                        "another version went live there after this one was planned, and stays"
                            .to_owned(),
                    transient: false,
                }
            }));
        }
        carried
    }
}

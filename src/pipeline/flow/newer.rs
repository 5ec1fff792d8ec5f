//! What became of the ground of a plan after it was made.
//!
//! A run that was cut short goes on by its plan, be it hours later, and meanwhile somebody else may have published, from a
//! command line or by a run that came after it, or merged. An older version never takes the place of theirs, nothing is
//! published where nobody wants it any more, and what is asked for again is not retired.

use super::Steps;
use crate::model::{LayerState, Region, RunKind, Timestamp};
use crate::pipeline::{Carried, Desired, StepFailure};
use crate::plan::{Action, Entry, RegionFailure};
use crate::store::Store;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

const SUPERSEDED: &str = "another version went live there after this one was planned, and stays";
const UNWANTED: &str = "nobody asks for it there any more";

/// What is left to do of an entry of a plan.
pub(in crate::pipeline) struct Current<'e> {
    /// The entry, less the regions that it came too late for.
    pub(in crate::pipeline) entry: Cow<'e, Entry>,
    /// These regions, and why.
    late: BTreeMap<Region, &'static str>,
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
        let is_asked_for = now.asks_for(&entry.layer, entry.target);
        match &entry.action {
            Action::Publish(_) => {}
            Action::Retire { version, regions } if is_asked_for => {
                let mut current = Self::whole(entry);
                current.entry.to_mut().action = Action::Keep {
                    version: version.clone(),
                    regions: regions.clone(),
                };
                return Ok(current);
            }
            _ => return Ok(Self::whole(entry)),
        }
        let mut current = Self::of_plan(steps, entry).await?;
        if !is_asked_for {
            current.leave_out(UNWANTED, |_| true);
            return Ok(current);
        }
        let then = steps.desired().await?;
        let is_as_planned = then.is_some_and(|then| {
            then.layers.get(&entry.layer) == now.layers.get(&entry.layer)
                && then.policy == now.policy
        });
        if is_as_planned {
            return Ok(current);
        }
        let offered = steps.bot.workshop.registry.regions().await?;
        let Some(wanted) = now.wanted_in(&entry.layer, entry.target, &offered) else {
            return Ok(current);
        };
        current.leave_out(UNWANTED, |region| !wanted.contains(region));
        if let Action::Publish(publication) = &entry.action
            && publication.leaves.iter().any(|it| wanted.contains(it))
            && let Action::Publish(publication) = &mut current.entry.to_mut().action
        {
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
        current.leave_out(SUPERSEDED, |region| newer.contains(region));
        Ok(current)
    }

    /// Takes regions out of those that are published to.
    fn leave_out(&mut self, why: &'static str, is_left_out: impl Fn(&Region) -> bool) {
        let Action::Publish(publication) = &self.entry.action else {
            return;
        };
        let regions = publication.regions.iter();
        let left_out: Vec<Region> = regions.filter(|it| is_left_out(it)).cloned().collect();
        if left_out.is_empty() {
            return;
        }
        if let Action::Publish(publication) = &mut self.entry.to_mut().action {
            publication.regions.retain(|it| !left_out.contains(it));
        }
        let left_out = left_out.into_iter().map(|region| (region, why));
        self.late.extend(left_out);
    }

    fn whole(entry: &'e Entry) -> Self {
        Self {
            entry: Cow::Borrowed(entry),
            late: BTreeMap::new(),
        }
    }

    /// What carrying it out came to, with the regions that it came too late for.
    pub(in crate::pipeline) fn told(&self, mut carried: Carried) -> Carried {
        if let Carried::Published(outcome) = &mut carried {
            let late = self.late.iter().map(|(region, why)| RegionFailure {
                region: region.clone(),
                message: (*why).to_owned(),
                transient: false,
            });
            outcome.failed.extend(late);
        }
        carried
    }
}

//! What is left to do of a plan when a run comes to it.
//!
//! A run that was cut short goes on by its plan, be it hours later, and meanwhile somebody else may have published, from a
//! command line or by a run that came after it, or merged. An older version never takes the place of theirs, nothing becomes
//! live where nobody wants it any more, and what is asked for again is not retired.

use super::Steps;
use crate::model::{LayerState, Region, RunKind, Timestamp};
use crate::pipeline::{Carried, Desired, StepFailure};
use crate::plan::{Action, Entry, SkipReason, SkippedRegion};
use crate::store::Store;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What is left to do of an entry of a plan.
pub(in crate::pipeline) struct Current<'e> {
    /// The entry, less the regions that are skipped.
    pub(in crate::pipeline) entry: Cow<'e, Entry>,
    /// These regions.
    skipped: Vec<SkippedRegion>,
    /// Where the very version of the entry is live.
    live: BTreeSet<Region>,
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
        let then = steps.desired().await?;
        let is_as_planned = then.is_some_and(|then| {
            then.layers.get(&entry.layer) == now.layers.get(&entry.layer)
                && then.policy == now.policy
        });
        if is_as_planned && is_asked_for {
            return Ok(current);
        }
        let offered = steps.bot.workshop.registry.regions().await?;
        let wanted = now.wanted_in(&entry.layer, entry.target, &offered);
        // One whose request file cannot be read stays where it is, and leaves nothing.
        let is_wanted = |region: &Region| wanted.as_ref().is_none_or(|it| it.contains(region));
        let live = current.live.clone();
        current.skip(SkipReason::Unwanted, |region| {
            // What an earlier try made live is told as live.
            !is_wanted(region) && !live.contains(region)
        });
        if let Action::Publish(publication) = &entry.action
            && publication.leaves.iter().any(is_wanted)
            && let Action::Publish(publication) = &mut current.entry.to_mut().action
        {
            publication.leaves.retain(|region| !is_wanted(region));
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
        let Action::Publish(publication) = &entry.action else {
            return Ok(current);
        };
        let layers = BTreeSet::from([entry.layer.clone()]);
        let rows = store.layer_versions_of(&layers).await?.into_iter();
        let live =
            rows.filter(|row| row.key.target == entry.target && row.state == LayerState::Live);
        let mut newer = BTreeSet::new();
        for row in live {
            let digest = publication.build.artifact.digest;
            if row.key.digest != digest {
                let came_after = |planned_at| row.live_at.is_some_and(|it| it > planned_at);
                if planned_at.is_some_and(came_after) {
                    newer.insert(row.key.region);
                }
            } else if row.key.published_name == publication.published_name {
                current.live.insert(row.key.region);
            }
        }
        current.skip(SkipReason::Superseded, |region| newer.contains(region));
        Ok(current)
    }

    /// Takes regions out of those that are published to.
    fn skip(&mut self, reason: SkipReason, is_skipped: impl Fn(&Region) -> bool) {
        let Action::Publish(publication) = &self.entry.action else {
            return;
        };
        let regions = publication.regions.iter();
        let skipped: Vec<Region> = regions.filter(|it| is_skipped(it)).cloned().collect();
        if skipped.is_empty() {
            return;
        }
        if let Action::Publish(publication) = &mut self.entry.to_mut().action {
            publication.regions.retain(|it| !skipped.contains(it));
        }
        let skipped = skipped
            .into_iter()
            .map(|region| SkippedRegion { region, reason });
        self.skipped.extend(skipped);
    }

    fn whole(entry: &'e Entry) -> Self {
        Self {
            entry: Cow::Borrowed(entry),
            skipped: Vec::new(),
            live: BTreeSet::new(),
        }
    }

    /// What carrying it out came to, with the regions that were skipped.
    pub(in crate::pipeline) fn told(&self, mut carried: Carried) -> Carried {
        if let Carried::Published(outcome) = &mut carried {
            outcome.skipped.extend(self.skipped.iter().cloned());
            outcome.skipped.sort_by(|a, b| a.region.cmp(&b.region));
        }
        carried
    }
}

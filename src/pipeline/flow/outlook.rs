//! What should be live and what is known of it, as the stages that build and plan look at it.

use super::attempt::Item;
use super::steps::Steps;
use crate::model::{BuildRecord, LayerName, LayerRequest, OfferedRegions, RunKind, Target};
use crate::pipeline::build_task::{BuildTask, incomplete};
use crate::pipeline::{Desired, SourceBuilds, StepFailure};
use crate::plan::{BuildState, Wanted, plan, wanted};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a run is about, at the time it is looked at.
pub(in crate::pipeline) struct Outlook<'s> {
    pub(in crate::pipeline) desired: &'s Desired,
    /// What should be live, sorted by layer, then target.
    pub(in crate::pipeline) wanted: Vec<Wanted>,
    /// What was built of it before.
    pub(in crate::pipeline) builds: Vec<BuildRecord>,
    /// The regions there are.
    pub(in crate::pipeline) offered: OfferedRegions,
    mode: Mode,
}

/// What is to be built of what is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing: there is too much of it.
    Nothing,
    /// What was never built.
    Missing(SourceBuilds),
    /// Everything, as far as there is something new.
    Everything,
}

impl<'s> Outlook<'s> {
    /// The outlook of a run; `None` when the policy cannot be read. A pull request's has the layers that it touches and no
    /// others, however many there are.
    pub(in crate::pipeline) async fn of(steps: &'s Steps<'_>) -> Result<Option<Self>, StepFailure> {
        let Some(desired) = steps.desired().await? else {
            return Ok(None);
        };
        let workshop = &steps.bot.workshop;
        let store = &workshop.store;
        let of_changed: BTreeMap<LayerName, LayerRequest>;
        let (layers, builds, mode) = match steps.run.kind {
            RunKind::Plan => {
                let read = steps.pull_request().await?;
                if read.waits_for.is_some() {
                    return Ok(None);
                }
                of_changed = desired.requests_of(&read.changed);
                let limit = desired.policy.limits.layers_per_pull_request;
                let mode = if read.changed.len() <= limit {
                    Mode::Missing(SourceBuilds::AfterMerge)
                } else {
                    Mode::Nothing
                };
                (&of_changed, store.builds_of(&read.changed).await?, mode)
            }
            RunKind::Upgrade => (&desired.layers, store.builds().await?, Mode::Everything),
            RunKind::Apply | RunKind::Expire | RunKind::Verify => {
                let mode = Mode::Missing(SourceBuilds::Permitted);
                (&desired.layers, store.builds().await?, mode)
            }
        };
        let offered = workshop.registry.regions().await?;
        Ok(Some(Self {
            desired,
            wanted: wanted(layers, &desired.policy, &offered, &builds),
            builds,
            offered,
            mode,
        }))
    }

    /// Whether something has to be built before more can be said of it.
    pub(super) fn is_to_be_built(&self, wanted: &Wanted) -> bool {
        match self.mode {
            Mode::Nothing => false,
            Mode::Missing(_) => matches!(wanted.build, BuildState::Unknown),
            Mode::Everything => true,
        }
    }

    /// What has to be built, each with all that building it needs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn tasks(
        &self,
        steps: &Steps<'_>,
    ) -> Result<BTreeMap<Item, BuildTask>, StepFailure> {
        let incomplete = self.incomplete(steps).await?;
        let to_build = self.wanted.iter().filter(|it| self.is_to_be_built(it));
        let tasks = to_build
            .filter_map(|wanted| {
                let request = self.desired.layers.get(&wanted.layer)?;
                let policy = &self.desired.policy;
                let task = match self.mode {
                    Mode::Missing(sources) => BuildTask::new(wanted, request, policy, sources),
                    Mode::Nothing | Mode::Everything => BuildTask {
                        needs_zip: incomplete.contains(&(wanted.layer.clone(), wanted.target)),
                        ..BuildTask::upgrade(wanted, request, policy, SourceBuilds::Permitted)
                    },
                };
                Some((Item::new(wanted.layer.clone(), wanted.target), task))
            })
            .collect();
        Ok(tasks)
    }

    /// What is built and not live everywhere it should be, where new releases are looked for.
    async fn incomplete(
        &self,
        steps: &Steps<'_>,
    ) -> Result<BTreeSet<(LayerName, Target)>, StepFailure> {
        if self.mode != Mode::Everything {
            return Ok(BTreeSet::new());
        }
        let versions = steps.bot.workshop.store.layer_versions().await?;
        let plan = plan(&self.wanted, &self.builds, &versions, &self.desired.held);
        Ok(incomplete(&plan))
    }
}

//! What the stages of a run do, one at a time: the same for every engine.

use super::attempt::{Answer, Item};
use super::newer::Current;
use super::outlook::Outlook;
use super::{Stage, is_of};
use crate::model::{Run, RunId, RunKind};
use crate::pipeline::apply::{self, BranchRead};
use crate::pipeline::build_task::{self, BuildTask};
use crate::pipeline::journal::Journal;
use crate::pipeline::publishing::{carry_out_kept, carry_out_rebuilt};
use crate::pipeline::pull_request::{self, Planned, PullRequestRead};
use crate::pipeline::scheduled::{self, UpgradePlan};
use crate::pipeline::{Bot, Carried, Desired, StepFailure, TaskKey};
use crate::plan::{Action, BuildFailure, BuildState, Entry, Plan};
use futures::{FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _, stream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// Task and result bodies under way at once.
const CONCURRENT_BODIES: usize = 32;

/// A run and everything that its steps need; what they read of the journal is kept for the next one.
pub struct Steps<'a> {
    pub(in crate::pipeline) bot: &'a Bot,
    pub(in crate::pipeline) run: &'a Run,
    pub(in crate::pipeline) journal: Journal<'a>,
    /// What was found to be built, and at which stage, where the same process builds it.
    tasks: Mutex<BTreeMap<(Stage, Item), Arc<BuildTask>>>,
    pull_request: OnceCell<PullRequestRead>,
    branch: OnceCell<BranchRead>,
    pub(super) reread: OnceCell<BranchRead>,
    plan: OnceCell<Plan>,
    /// When whoever carries them out is cut off.
    ends_at: Option<Instant>,
}

impl<'a> Steps<'a> {
    /// The steps of a run that is carried out here from one end to the other.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of_run(bot: &'a Bot, run: &'a Run) -> Result<Self, StepFailure> {
        let journal = Journal::open(&bot.workshop, run).await?;
        Ok(Self::with(bot, run, journal))
    }

    /// One step of a run; the others are carried out elsewhere.
    #[must_use]
    pub fn of_one_step(bot: &'a Bot, run: &'a Run) -> Self {
        Self::with(bot, run, Journal::open_for_a_step(&bot.workshop, run))
    }

    /// The same by somebody who is cut off after a time.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.ends_at = Instant::now().checked_add(time);
        self
    }

    /// The time until whoever carries them out is cut off; `None` when that is not to be feared.
    pub(in crate::pipeline) fn time_left(&self) -> Option<Duration> {
        let ends_at = self.ends_at?;
        Some(ends_at.saturating_duration_since(Instant::now()))
    }

    fn with(bot: &'a Bot, run: &'a Run, journal: Journal<'a>) -> Self {
        // A region that was given up on may answer by now.
        if run.kind.publishes() {
            bot.workshop.registry.ask_again();
        }
        Self {
            bot,
            run,
            journal,
            tasks: Mutex::default(),
            pull_request: OnceCell::new(),
            branch: OnceCell::new(),
            reread: OnceCell::new(),
            plan: OnceCell::new(),
            ends_at: None,
        }
    }

    /// Carries out one stage, for one item where the stage has items. What was done before is not done again.
    ///
    /// # Errors
    /// When it could not be done; the journal says why.
    pub async fn perform(&self, stage: Stage, item: Option<&Item>) -> Result<Answer, StepFailure> {
        if !is_of(self.run.kind, stage) {
            let name = stage.name();
            return Err(StepFailure::lasting(format!(
                "a run of this kind has no stage `{name}`"
            )));
        }
        let nothing = |()| Answer::default();
        match stage {
            // The engine's own: who keeps the turn differs.
            Stage::Turn => Ok(Answer::default()),
            Stage::Read if self.run.kind == RunKind::Plan => {
                self.pull_request().await.map(|_| Answer::default())
            }
            Stage::Read => self.branch().await.map(|_| Answer::default()),
            Stage::Announce => pull_request::announce(self).await.map(nothing),
            Stage::Prepare => self.prepare().boxed().await,
            Stage::Build | Stage::Rebuild => {
                self.build(stage, needed(item)?).boxed().await.map(nothing)
            }
            Stage::Plan => self.make_plan().boxed().await,
            Stage::Publish => self.publish(needed(item)?).boxed().await.map(nothing),
            Stage::PublishRebuilt => {
                let published = self.publish_rebuilt(needed(item)?).boxed();
                published.await.map(nothing)
            }
            Stage::Settle => apply::settle(self).boxed().await.map(nothing),
            Stage::Observe => scheduled::observe(self).boxed().await.map(nothing),
            Stage::Reread => self.read_again().await.map(nothing),
            Stage::Repair => scheduled::repair(self).boxed().await.map(nothing),
            Stage::Expire => scheduled::delete_expired(self).boxed().await.map(nothing),
            Stage::Tables => apply::commit(self).boxed().await.map(nothing),
            Stage::Parameters => apply::put_public_names(self).await.map(nothing),
            Stage::Notify => apply::notify(self).await.map(nothing),
            Stage::Owners => scheduled::tell_owners(self).await.map(nothing),
            Stage::Answer if self.run.kind == RunKind::Plan => {
                pull_request::answer(self).await.map(nothing)
            }
            Stage::Answer => apply::answer(self).boxed().await.map(nothing),
        }
    }

    /// What reading the pull request found.
    pub(in crate::pipeline) async fn pull_request(&self) -> Result<&PullRequestRead, StepFailure> {
        let read = || self.journal.step("read", pull_request::read(self).boxed());
        self.pull_request.get_or_try_init(read).await
    }

    /// What reading the default branch found.
    pub(in crate::pipeline) async fn branch(&self) -> Result<&BranchRead, StepFailure> {
        let read = || self.journal.step("read", apply::read(self).boxed());
        self.branch.get_or_try_init(read).await
    }

    /// What the run plans for; nothing when the policy cannot be read.
    pub(in crate::pipeline) async fn desired(&self) -> Result<Option<&Desired>, StepFailure> {
        Ok(match self.run.kind {
            RunKind::Plan => self.pull_request().await?.desired.as_ref(),
            RunKind::Apply | RunKind::Upgrade => self.branch().await?.desired.as_ref(),
            RunKind::Expire | RunKind::Verify => {
                let read = || self.journal.step("reread", apply::read(self).boxed());
                let now = self.reread.get_or_try_init(read).await?;
                now.desired.as_ref()
            }
        })
    }

    /// The plan that the run carries out, once it is made.
    pub(in crate::pipeline) async fn plan(&self) -> Result<&Plan, StepFailure> {
        let read = || async {
            let plan = match self.run.kind {
                RunKind::Upgrade => {
                    let upgrade: Option<UpgradePlan> = self.journal.output("upgrade").await?;
                    upgrade.map(|it| it.plan)
                }
                RunKind::Plan => {
                    let planned: Option<Planned> = self.journal.output("plan").await?;
                    planned.map(|it| it.plan)
                }
                _ => self.journal.output("plan").await?,
            };
            Ok(plan.unwrap_or_default())
        };
        self.plan.get_or_try_init(read).await
    }

    /// Whether the pull request that the run has now was answered; a run without one has nobody to answer there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_answered(&self) -> Result<bool, StepFailure> {
        if self.run.kind != RunKind::Apply {
            return Ok(true);
        }
        let answered: Option<()> = self.journal.output(&apply::answered(self.run)).await?;
        Ok(answered.is_some())
    }

    async fn prepare(&self) -> Result<Answer, StepFailure> {
        let Some(outlook) = Outlook::of(self).await? else {
            return Ok(Answer::default());
        };
        let tasks = outlook.tasks(self).await?;
        let items = tasks.keys().cloned().collect();
        let left: Vec<_> = tasks
            .into_iter()
            .map(|(item, task)| self.leave(Stage::Build, item, task))
            .collect();
        stream::iter(left)
            .buffer_unordered(CONCURRENT_BODIES)
            .try_collect::<()>()
            .await?;
        Ok(Answer { items })
    }

    /// Leaves a task for whoever builds.
    async fn leave(&self, stage: Stage, item: Item, task: BuildTask) -> Result<(), StepFailure> {
        if let Some(handover) = &self.bot.workshop.handover {
            let key = task_key(&self.run.id, stage, &item)?;
            return Ok(handover.put_task(&key, &task).await?);
        }
        let mut known = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((stage, item), Arc::new(task));
        Ok(())
    }

    async fn build(&self, stage: Stage, item: &Item) -> Result<(), StepFailure> {
        let task = {
            let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.get(&(stage, item.clone())).cloned()
        };
        let name = item.step(stage);
        let Some(task) = task else {
            return Err(StepFailure::lasting(format!("{name} was not prepared")));
        };
        let bench = &self.bot.workshop.bench;
        let build = async { Ok(build_task::perform(bench, &task).await) };
        let _: BuildState = self.journal.step(&name, build).await?;
        Ok(())
    }

    /// What building came to for everything that had to be built, in the order of `wanted`; for the rest what was known.
    pub(in crate::pipeline) async fn built(
        &self,
        outlook: &Outlook<'_>,
    ) -> Result<Vec<BuildState>, StepFailure> {
        let states = outlook.wanted.iter().map(|wanted| async {
            if outlook.is_to_be_built(wanted) {
                let item = Item::new(wanted.layer.clone(), wanted.target);
                self.built_one(Stage::Build, &item).await
            } else {
                Ok(wanted.build.clone())
            }
        });
        stream::iter(states.collect::<Vec<_>>())
            .buffered(CONCURRENT_BODIES)
            .try_collect()
            .await
    }

    /// Writes down why there is no answer to a stage that builds, unless it left one before its function died.
    ///
    /// # Errors
    /// When the store or the place of results does not answer.
    pub async fn leave_unanswered(
        &self,
        stage: Stage,
        item: &Item,
        why: BuildFailure,
    ) -> Result<(), StepFailure> {
        self.built_or(stage, item, why).await.map(|_| ())
    }

    /// What a stage that builds came to for an item.
    async fn built_one(&self, stage: Stage, item: &Item) -> Result<BuildState, StepFailure> {
        let unanswered = BuildFailure {
            message: "the function that builds it ended without an answer: it may have run out of memory or time".to_owned(),
            package: None,
            transient: true,
        };
        self.built_or(stage, item, unanswered).await
    }

    async fn built_or(
        &self,
        stage: Stage,
        item: &Item,
        unanswered: BuildFailure,
    ) -> Result<BuildState, StepFailure> {
        let name = item.step(stage);
        let fetch = async {
            let Some(handover) = &self.bot.workshop.handover else {
                return Err(StepFailure::transient(format!("{name} was not built")));
            };
            let key = task_key(&self.run.id, stage, item)?;
            match handover.result(&key).await {
                Err(error) if error.is_missing() => Ok(BuildState::Failed(unanswered)),
                result => Ok(result?),
            }
        };
        self.journal.fetched(&name, fetch).await
    }

    async fn make_plan(&self) -> Result<Answer, StepFailure> {
        let outlook = Outlook::of(self).await?;
        match self.run.kind {
            RunKind::Plan => {
                let plan = pull_request::plan(self, outlook).boxed();
                let _: Planned = self.journal.step("plan", plan).await?;
                return Ok(Answer::default());
            }
            RunKind::Upgrade => {
                let plan = scheduled::plan_upgrade(self, outlook).boxed();
                let _: UpgradePlan = self.journal.step("upgrade", plan).await?;
            }
            _ if outlook.is_none() => {}
            _ => {
                let _: Plan = self
                    .journal
                    .step("plan", apply::plan_all(self, outlook).boxed())
                    .await?;
            }
        }
        let to_carry_out = self.plan().await?.entries.iter();
        Ok(Answer {
            items: to_carry_out
                .filter(|entry| is_carried_out(entry))
                .map(|entry| Item::new(entry.layer.clone(), entry.target))
                .collect(),
        })
    }

    async fn publish(&self, item: &Item) -> Result<(), StepFailure> {
        let (entry, desired) = self.to_carry_out(item).await?;
        let current = Current::of_run(self, entry, desired).boxed().await?;
        let work = carry_out_kept(&self.bot.workshop, &current.entry, desired);
        let work = work.map_ok(|carried| current.told(carried)).boxed();
        let name = item.step(Stage::Publish);
        let carried: Result<Carried, StepFailure> = self.journal.step(&name, work).await;
        let lost = match carried {
            Err(failure) if failure.artifact_lost => failure,
            carried => return carried.map(|_| ()),
        };
        // It was made by what was asked for then, and only that makes it again.
        if let (Action::Publish(publication), Some(then)) = (&entry.action, self.desired().await?)
            && let Some(request) = then.layers.get(&item.layer)
        {
            let task = BuildTask::again(publication, request, &then.policy);
            self.leave(Stage::Rebuild, item.clone(), task).await?;
        }
        Err(lost)
    }

    async fn publish_rebuilt(&self, item: &Item) -> Result<(), StepFailure> {
        let (entry, desired) = self.to_carry_out(item).await?;
        let current = Current::of_run(self, entry, desired).boxed().await?;
        let rebuilt = self.built_one(Stage::Rebuild, item).await?;
        let work = carry_out_rebuilt(&self.bot.workshop, &current.entry, desired, &rebuilt);
        let work = work.map_ok(|carried| current.told(carried)).boxed();
        let name = item.step(Stage::Publish);
        let _: Carried = self.journal.step(&name, work).await?;
        Ok(())
    }

    /// The entry of the plan for an item, with what is asked for.
    async fn to_carry_out(&self, item: &Item) -> Result<(&Entry, &Desired), StepFailure> {
        let (plan, desired) = (self.plan().await?, self.desired_now().await?);
        let place = (&item.layer, item.target);
        let found = plan
            .entries
            .binary_search_by(|entry| (&entry.layer, entry.target).cmp(&place));
        match (found, desired) {
            (Ok(index), Some(desired)) => Ok((&plan.entries[index], desired)),
            _ => {
                let step = item.step(Stage::Publish);
                Err(StepFailure::lasting(format!("{step} is not in the plan")))
            }
        }
    }
}

/// Where the task of an item is left at a stage that builds, and its result.
///
/// # Errors
/// When the run's id is none that may be part of a key.
pub fn task_key(run: &str, stage: Stage, item: &Item) -> Result<TaskKey, StepFailure> {
    let run = run.parse::<RunId>();
    Ok(TaskKey {
        run: run.map_err(|error| StepFailure::lasting(error.to_string()))?,
        stage,
        layer: item.layer.clone(),
        target: item.target,
    })
}

/// Whether an entry of a plan is something to do, so that [`Stage::Publish`] has an item for it.
pub(in crate::pipeline) fn is_carried_out(entry: &Entry) -> bool {
    matches!(entry.action, Action::Publish(_) | Action::Retire { .. })
}

fn needed(item: Option<&Item>) -> Result<&Item, StepFailure> {
    item.ok_or_else(|| StepFailure::lasting("the step names no layer and target"))
}

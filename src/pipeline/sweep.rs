//! What nobody said: lost webhooks, and what failed for a reason that may have passed.

use super::StepFailure;
use super::apply::BranchRead;
use super::expiry::{is_news, versions_with_leaving};
use super::intake::{Intake, last_plan, made_by};
use super::journal::Journal;
use super::tables::run_trailer;
use super::undone::{is_unanswered, left_lost, left_out, may_work_by_now};
use super::watching::gauges;
use crate::model::{Run, RunKind, RunState, StepRecord};

/// Closed pull requests that a sweep looks at, those that changed last.
const SWEPT_CLOSED: usize = 50;
/// Applies that are looked through for the one that made a commit.
const RECENT: usize = 50;
/// How long runs are kept: a year, and time to look at what a yearly one did the last time.
const RUNS_FOR_DAYS: u32 = 400;
/// Runs that one sweep removes: of a long past, each takes its part.
const PRUNED_AT_ONCE: usize = 100;
/// The pause after a first try that left something undone; it doubles with every further one.
const FIRST_PAUSE: i64 = 300;
/// The longest pause: a day.
const LONGEST_PAUSE: i64 = 86_400;

impl Intake {
    /// Looks at GitHub for open pull requests whose head nobody planned or whose plan failed, closed ones that are still
    /// being planned or were merged unnoticed, and a default branch that nobody applied; at the last apply for what is
    /// worth another try; and at the last reading back for what it left lost.
    ///
    /// # Errors
    /// When GitHub or the store cannot be read.
    pub async fn sweep(&self) -> Result<(), StepFailure> {
        // Before anything can fail: what the numbers tell of may be what fails.
        let workshop = &self.bot.workshop;
        for gauge in gauges(&*workshop.store, workshop.now()).await? {
            gauge.send();
        }
        self.prune().await?;
        self.keep_what_is_intended().await?;
        let branch = self.bot.github.repository().await?.default_branch;
        for pull_request in self.bot.github.open_pull_requests().await? {
            let planned = self
                .is_planned(pull_request.number, &pull_request.head_sha)
                .await?;
            if pull_request.base_ref == branch && !planned {
                self.plan(
                    pull_request.number,
                    &pull_request.head_sha,
                    &pull_request.base_sha,
                    false,
                )
                .await?;
            }
        }
        self.sweep_closed(&branch).await?;
        let applies = self.recent_applies().await?;
        let head = self.bot.github.branch_head(&branch).await?;
        if !self.is_known(&head, &applies).await? {
            self.apply(&head, None, false).await?;
        }
        let last = applies
            .iter()
            .rfind(|run| matches!(run.kind, RunKind::Apply | RunKind::Upgrade));
        match last {
            Some(last)
                if self.is_worth_another_try(last).await?
                    || self.is_warning_due(last).await?
                    || self.is_loss_left(last, &applies).await? =>
            {
                // What an upgrade left undone is what an apply finds missing.
                let of_apply = last.kind == RunKind::Apply;
                let commit = if of_apply { &last.head_sha } else { &head };
                self.apply(commit, last.pull_request, true).await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether these runs, oldest first, have taken care of a commit: one was for it; or it is one's own commit, on top of one
    /// that was taken care of. Somebody may have pushed between what a run read and what it committed.
    async fn is_known(&self, head: &str, applies: &[Run]) -> Result<bool, StepFailure> {
        let mut commit = head.to_owned();
        for _ in 0..RECENT {
            if applies.iter().any(|run| run.head_sha == commit) {
                return Ok(true);
            }
            let Some(run) = self.maker_of(&commit, applies).await? else {
                return Ok(commit == head && self.is_just_pushed(head, applies).await);
            };
            // One that is at it is looked at when it has ended.
            if run.state == RunState::Open {
                return Ok(true);
            }
            let Some(parent) = self.bot.github.parent_of(&commit).await? else {
                return Ok(true);
            };
            if self.has_planned(run, &parent).await? {
                return Ok(true);
            }
            commit = parent;
        }
        Ok(true)
    }

    /// The run that made a commit, by its journal: the newest is the likeliest.
    async fn maker_of<'r>(
        &self,
        commit: &str,
        applies: &'r [Run],
    ) -> Result<Option<&'r Run>, StepFailure> {
        for run in applies.iter().rev() {
            if made_by(&*self.bot.workshop.store, &run.id, commit).await? {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    /// Whether a run carried out all that a commit asks for.
    async fn has_planned(&self, run: &Run, commit: &str) -> Result<bool, StepFailure> {
        if !matches!(run.kind, RunKind::Apply | RunKind::Upgrade) {
            return Ok(false);
        }
        let journal = Journal::open_for_a_step(&self.bot.workshop, run);
        let read: Option<BranchRead> = journal.output("read").await?;
        Ok(read.is_some_and(|read| read.commit == commit))
    }

    /// Removes what nobody asks for any more: runs that ended long ago, with their journals.
    async fn prune(&self) -> Result<(), StepFailure> {
        let workshop = &self.bot.workshop;
        let before = workshop.now().minus_days(RUNS_FOR_DAYS);
        let pruned = workshop.store.prune_runs(before, PRUNED_AT_ONCE).await?;
        if pruned > 0 {
            tracing::info!(
                pruned,
                "removed {pruned} runs that are older than {RUNS_FOR_DAYS} days"
            );
        }
        Ok(())
    }

    /// Has the zips that intents stand for stay on this machine: they are published as soon as their region answers.
    async fn keep_what_is_intended(&self) -> Result<(), StepFailure> {
        let workshop = &self.bot.workshop;
        let artifacts = workshop.bench.builder.artifacts();
        if artifacts.are_here_only() {
            let intents = workshop.store.intents().await?;
            artifacts.need(intents.iter().map(|intent| intent.key.digest).collect());
        }
        Ok(())
    }

    /// Whether a run that is at it made a commit and has not written that down yet: after a crash its push may be there
    /// before its journal says so.
    async fn is_just_pushed(&self, head: &str, applies: &[Run]) -> bool {
        for run in applies.iter().filter(|run| run.state == RunState::Open) {
            let line = run_trailer(&run.id);
            let changes = self.bot.catalog.changes_of(head, &line).await;
            if changes.is_ok_and(|paths| paths.is_some()) {
                return true;
            }
        }
        false
    }

    async fn sweep_closed(&self, branch: &str) -> Result<(), StepFailure> {
        let closed = self
            .bot
            .github
            .recently_closed_pull_requests(SWEPT_CLOSED)
            .await?;
        for pull_request in closed.iter().filter(|it| it.base_ref == branch) {
            // Nobody is told of the merges of a time before the bot: it never heard of those pull requests.
            let runs = self.bot.workshop.store.runs_of(pull_request.number).await?;
            let planning = runs
                .iter()
                .any(|run| run.kind == RunKind::Plan && run.state == RunState::Open);
            let unnoticed = pull_request.merged
                && !runs.is_empty()
                && !runs.iter().any(|run| run.kind == RunKind::Apply);
            if planning || unnoticed {
                self.closed(pull_request.number, pull_request.merge_commit_sha.clone())
                    .await?;
            }
        }
        Ok(())
    }

    async fn is_planned(&self, number: u64, head: &str) -> Result<bool, StepFailure> {
        let runs = self.bot.workshop.store.runs_of(number).await?;
        // A plan that a person cancelled is not started again behind their back. One that failed is, after a pause: GitHub
        // may have been away, and then nobody was told of the failure either.
        Ok(last_plan(&runs).is_some_and(|run| {
            run.head_sha == head
                && match run.state {
                    RunState::Superseded => false,
                    RunState::Failed => !self.pause_is_over(run),
                    RunState::Open | RunState::Done | RunState::Cancelled => true,
                }
        }))
    }

    /// The last runs that may have committed the tables, oldest first.
    async fn recent_applies(&self) -> Result<Vec<Run>, StepFailure> {
        let store = &self.bot.workshop.store;
        let mut applies = Vec::new();
        for kind in RunKind::ALL.into_iter().filter(|kind| kind.publishes()) {
            let mut runs = store.runs_of_kind(kind, RECENT).await?;
            runs.retain(|run| {
                matches!(
                    run.state,
                    RunState::Open | RunState::Done | RunState::Failed
                )
            });
            // Oldest first: the order of those of one second.
            applies.extend(runs.into_iter().rev());
        }
        applies.sort_by_key(|run| run.created_at);
        Ok(applies.split_off(applies.len().saturating_sub(RECENT)))
    }

    /// Whether it is time for the attempt after this one.
    fn pause_is_over(&self, run: &Run) -> bool {
        let attempt = run.id.rsplit('-').next();
        let attempt = attempt.and_then(|attempt| attempt.parse().ok());
        let pause = pause_after(attempt.unwrap_or(1));
        self.bot.workshop.now().unix() - run.created_at.unix() >= pause
    }

    /// Whether something goes away soon that the tables of the last apply could not warn of.
    async fn is_warning_due(&self, run: &Run) -> Result<bool, StepFailure> {
        let workshop = &self.bot.workshop;
        let now = workshop.now();
        if run.state == RunState::Open || run.created_at.date() == now.date() {
            return Ok(false);
        }
        let versions = versions_with_leaving(workshop).await?;
        Ok(is_news(&versions, run.created_at, now))
    }

    /// Whether what was read back since the last apply left a loss. `runs` are the last ones, oldest first.
    async fn is_loss_left(&self, last: &Run, runs: &[Run]) -> Result<bool, StepFailure> {
        let verify = runs.iter().rfind(|run| run.kind == RunKind::Verify);
        let Some(verify) = verify.filter(|run| run.state != RunState::Open) else {
            return Ok(false);
        };
        if last.state == RunState::Open {
            return Ok(false);
        }
        let steps = self.bot.workshop.store.steps(&verify.id).await?;
        Ok(left_lost(&steps).is_some_and(|left_at| left_at >= last.created_at))
    }

    /// Whether an apply that ended left something undone that may work by now, and its pause is over.
    async fn is_worth_another_try(&self, run: &Run) -> Result<bool, StepFailure> {
        if run.state == RunState::Open || !self.pause_is_over(run) {
            return Ok(false);
        }
        let steps = self.bot.workshop.store.steps(&run.id).await?;
        Ok(run.state == RunState::Failed
            || (run.state == RunState::Done && is_unanswered(&steps))
            || steps.iter().any(may_work_by_now)
            || self.is_enabled_since(&steps).await)
    }

    /// Whether the account has enabled a region that an apply left out because it had not.
    async fn is_enabled_since(&self, steps: &[StepRecord]) -> bool {
        let left_out = left_out(steps);
        if left_out.is_empty() {
            return false;
        }
        // A registry that cannot tell is asked again at the next sweep.
        let offered = self.bot.workshop.registry.regions().await;
        offered.is_ok_and(|offered| {
            left_out
                .iter()
                .any(|region| offered.enabled.contains(region))
        })
    }
}

/// Seconds between the beginning of an attempt, counted from 1, and the next one.
fn pause_after(attempt: u32) -> i64 {
    let doublings = attempt.saturating_sub(1).min(16);
    FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_day() {
        assert_eq!([1, 2, 3].map(pause_after), [300, 600, 1200]);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }
}

//! What nobody said: lost webhooks, and what failed for a reason that may have passed.

use super::intake::{Intake, made_by};
use super::{Carried, StepFailure};
use crate::model::{Run, RunKind, RunState, StepRecord, StepState};
use crate::plan::Plan;

/// Applies that are looked through for the one that made a commit.
const RECENT: usize = 50;
/// The pause after a first try that left something undone; it doubles with every further one.
const FIRST_PAUSE: i64 = 300;
/// The longest pause: a day.
const LONGEST_PAUSE: i64 = 86_400;

impl Intake {
    /// Looks at GitHub for open pull requests whose head nobody planned and a default branch that nobody applied, and
    /// at the last apply for what is worth another try.
    ///
    /// # Errors
    /// When GitHub or the store cannot be read.
    pub async fn sweep(&self) -> Result<(), StepFailure> {
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
        let applies = self.recent_applies().await?;
        let head = self.bot.github.branch_head(&branch).await?;
        let mut is_known = false;
        for run in &applies {
            is_known |= run.head_sha == head
                || made_by(&self.bot.workshop.store.steps(&run.id).await?, &head);
        }
        if !is_known {
            self.apply(&head, None, false).await?;
        }
        match applies.last() {
            Some(last) if self.is_worth_another_try(last).await? => {
                self.apply(&last.head_sha, last.pull_request, true).await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn is_planned(&self, number: u64, head: &str) -> Result<bool, StepFailure> {
        let runs = self.bot.workshop.store.runs_of(number).await?;
        // A run that a person cancelled or that failed for good is not started again behind their back.
        Ok(runs.iter().any(|run| {
            run.kind == RunKind::Plan && run.head_sha == head && run.state != RunState::Superseded
        }))
    }

    /// The last applies, oldest first.
    async fn recent_applies(&self) -> Result<Vec<Run>, StepFailure> {
        let store = &self.bot.workshop.store;
        let mut applies = Vec::new();
        for state in [RunState::Open, RunState::Done, RunState::Failed] {
            applies.extend(
                store
                    .runs_in(state)
                    .await?
                    .into_iter()
                    .filter(|run| run.kind == RunKind::Apply),
            );
        }
        applies.sort_by_key(|run| run.created_at);
        Ok(applies.split_off(applies.len().saturating_sub(RECENT)))
    }

    /// Whether an apply that ended left something undone that may work by now, and its pause is over.
    async fn is_worth_another_try(&self, run: &Run) -> Result<bool, StepFailure> {
        if run.state == RunState::Open {
            return Ok(false);
        }
        let attempt: u32 = run
            .id
            .rsplit('-')
            .next()
            .and_then(|attempt| attempt.parse().ok())
            .unwrap_or(1);
        let pause = FIRST_PAUSE
            .saturating_mul(1 << attempt.saturating_sub(1).min(16))
            .min(LONGEST_PAUSE);
        if self.bot.workshop.now().unix() - run.created_at.unix() < pause {
            return Ok(false);
        }
        let steps = self.bot.workshop.store.steps(&run.id).await?;
        Ok(run.state == RunState::Failed || steps.iter().any(may_work_by_now))
    }
}

/// Whether a step left something undone for a reason that may have passed.
fn may_work_by_now(step: &StepRecord) -> bool {
    if step.name == "tables" {
        return step.state == StepState::Failed;
    }
    if step.name == "plan" {
        let plan: Option<Plan> = serde_json::from_value(step.output.clone()).ok();
        return plan.is_some_and(|plan| plan.blocked().any(|(_, failure)| failure.transient));
    }
    match serde_json::from_value(step.output.clone()) {
        Ok(Carried::Published(outcome)) => outcome.failed.iter().any(|failure| failure.transient),
        _ => false,
    }
}

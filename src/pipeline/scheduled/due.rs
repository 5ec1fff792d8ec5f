//! When something is to be done next, by what the store says was done last.

use super::UpgradePlan;
use crate::model::{Policy, Run, RunKind, RunState, Schedule, Timestamp};
use crate::pipeline::StepFailure;
use crate::pipeline::apply::BranchRead;
use crate::pipeline::intake::Intake;
use crate::pipeline::journal::Journal;
use crate::pipeline::undone::is_unanswered;

const DAY: i64 = 86_400;
/// After a run that failed, and did not get to its end in all its tries.
const AFTER_FAILURE: i64 = 3_600;
/// Runs looked through for the policy as it was read last.
const RECENT: usize = 5;

/// Seconds between two looks for new releases; a month is 30 days.
fn between_upgrades(schedule: Schedule) -> Option<i64> {
    match schedule {
        Schedule::Never => None,
        Schedule::Daily => Some(DAY),
        Schedule::Weekly => Some(7 * DAY),
        Schedule::Monthly => Some(30 * DAY),
    }
}

/// Whether a kind of run is due. `last` is the last one of its kind; without one, the time counts from `first`, when the
/// store's first run of any kind was written down. However long the program was away, one run is due and not many.
fn is_due(last: Option<&Run>, first: Timestamp, period: i64, now: Timestamp) -> bool {
    let (since, pause) = match last {
        None => (first, period),
        Some(run) => match run.state {
            RunState::Open => return false,
            RunState::Failed => (run.created_at, AFTER_FAILURE.min(period)),
            RunState::Done | RunState::Superseded | RunState::Cancelled => (run.created_at, period),
        },
    };
    now.unix() - since.unix() >= pause
}

impl Intake {
    /// Starts those of some kinds of runs that time has made due: an upgrade as often as the policy says, and once a day deleting what has expired
    /// and reading back what is published. Calling it often costs nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start_what_is_due(&self, kinds: &[RunKind]) -> Result<(), StepFailure> {
        let (store, now) = (&self.bot.workshop.store, self.bot.workshop.now());
        let Some(first) = store.first_run_at().await? else {
            return Ok(());
        };
        for &kind in kinds {
            let last = store.runs_of_kind(kind, 1).await?.pop();
            // Nothing is due sooner, whatever the policy says.
            if !is_due(last.as_ref(), first, DAY, now) {
                continue;
            }
            let period = match kind {
                RunKind::Upgrade => self.between_upgrades(last.as_ref()).await?,
                _ => Some(DAY),
            };
            if period.is_some_and(|period| is_due(last.as_ref(), first, period, now)) {
                self.start_scheduled(kind).await?;
            }
        }
        Ok(())
    }

    /// Seconds between upgrades by the policy as it was read last; a day after one that did not get to everything.
    async fn between_upgrades(&self, last: Option<&Run>) -> Result<Option<i64>, StepFailure> {
        let Some(policy) = self.policy_read_last().await? else {
            return Ok(None);
        };
        let period = between_upgrades(policy.upgrade);
        let Some(last) = last else {
            return Ok(period);
        };
        let journal = Journal::open_for_a_step(&self.bot.workshop, last);
        let unfinished = journal
            .output::<UpgradePlan>("upgrade")
            .await?
            .is_some_and(|upgrade| upgrade.not_rebuilt.iter().any(|it| it.failure.transient))
            || is_unanswered(&self.bot.workshop.store.steps(&last.id).await?);
        Ok(period.map(|period| if unfinished { DAY.min(period) } else { period }))
    }

    async fn policy_read_last(&self) -> Result<Option<Policy>, StepFailure> {
        let store = &self.bot.workshop.store;
        let mut runs = Vec::new();
        for kind in [RunKind::Apply, RunKind::Upgrade, RunKind::Expire] {
            runs.extend(store.runs_of_kind(kind, RECENT).await?);
        }
        runs.sort_by_key(|run| std::cmp::Reverse(run.created_at));
        for run in &runs {
            let journal = Journal::open_for_a_step(&self.bot.workshop, run);
            let name = match run.kind {
                RunKind::Expire => "reread",
                _ => "read",
            };
            let read: Option<BranchRead> = journal.output(name).await?;
            if let Some(desired) = read.and_then(|it| it.desired) {
                return Ok(Some(desired.policy));
            }
        }
        Ok(None)
    }

    async fn start_scheduled(&self, kind: RunKind) -> Result<String, StepFailure> {
        let (store, now) = (&self.bot.workshop.store, self.bot.workshop.now());
        let prefix = format!("{}-{}-", kind.name(), now.date());
        let mut attempt = 1;
        while store.run(&format!("{prefix}{attempt}")).await?.is_some() {
            attempt += 1;
        }
        let run = Run {
            id: format!("{prefix}{attempt}"),
            kind,
            pull_request: None,
            head_sha: String::new(),
            base_sha: None,
            state: RunState::Open,
            detail: None,
            created_at: now,
        };
        tracing::info!(run = %run.id, "run {} is due", run.id);
        self.create_and_start(&run).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: RunState, created_at: i64) -> Run {
        Run {
            id: "expire-1".to_owned(),
            kind: RunKind::Expire,
            pull_request: None,
            head_sha: String::new(),
            base_sha: None,
            state,
            detail: None,
            created_at: Timestamp::from_unix(created_at),
        }
    }

    #[test]
    fn a_run_is_due_a_period_after_the_last_one_and_sooner_after_a_failure() {
        let due = |last: Option<&Run>, now| {
            is_due(
                last,
                Timestamp::from_unix(0),
                DAY,
                Timestamp::from_unix(now),
            )
        };
        assert!(!due(None, DAY - 1) && due(None, DAY));
        let done = run(RunState::Done, 50 * DAY);
        assert!(!due(Some(&done), 51 * DAY - 1) && due(Some(&done), 51 * DAY));
        let failed = run(RunState::Failed, 50 * DAY);
        assert!(!due(Some(&failed), 50 * DAY + 3_599));
        assert!(due(Some(&failed), 50 * DAY + 3_600));
        assert!(!due(Some(&run(RunState::Open, 0)), 50 * DAY));
    }

    #[test]
    fn never_is_never() {
        let days = |schedule| between_upgrades(schedule).map(|seconds| seconds / DAY);
        assert_eq!(days(Schedule::Never), None);
        assert_eq!(
            [Schedule::Daily, Schedule::Weekly, Schedule::Monthly].map(days),
            [Some(1), Some(7), Some(30)]
        );
    }
}

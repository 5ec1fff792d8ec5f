//! What time sets off: looking for new releases, deleting what has expired, reading back what is published.
//!
//! Each is a run with a journal, like an apply: killed anywhere, it goes on from there. The tables are rendered and
//! committed at the end of each, which also restores those that somebody edited.

mod due;
mod owners;

use super::apply::{BranchRead, commit_tables, publish_all, read_commit};
use super::journal::Journal;
use super::tables::plain_message;
use super::telling::tell;
use super::verify::{self, Mended, Verified};
use super::{
    Bot, Desired, Expired, NotRebuilt, SourceBuilds, StepFailure, commit_message, expire,
    keep_known, upgrade_wanted,
};
use crate::github::render::count;
use crate::model::{Run, RunKind};
use crate::plan::{BuildState, Plan, plan, wanted};
use futures::future::join_all;
use serde::{Deserialize, Serialize};

/// A plan with new releases in it, and what could not be rebuilt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UpgradePlan {
    pub(super) plan: Plan,
    pub(super) not_rebuilt: Vec<NotRebuilt>,
}

/// Carries out a scheduled run.
///
/// # Errors
/// When a step could not be done; the journal keeps what was done. What fails in a region, or of one layer, is no error of
/// the run.
pub(in crate::pipeline) async fn execute(bot: &Bot, run: &Run) -> Result<(), StepFailure> {
    let journal = Journal::open(&bot.workshop, run).await?;
    let read: BranchRead = journal.step("read", read(bot)).await?;
    let Some(desired) = &read.desired else {
        tracing::warn!(run = %run.id, "the policy at {} cannot be read: nothing is done", read.commit);
        return Ok(());
    };
    match run.kind {
        RunKind::Plan | RunKind::Apply => {
            Err(StepFailure::lasting("the run is none that time sets off"))
        }
        RunKind::Upgrade => upgrade(bot, run, &journal, desired).await,
        RunKind::Expire => {
            let expired: Expired = journal
                .step("expire", expire(&bot.workshop, desired))
                .await?;
            let message = match expired.deleted.len() {
                0 => commit_message(&[], &[], &run.id),
                gone => plain_message(
                    &format!("Layers: {} expired", count(gone, "version")),
                    &run.id,
                ),
            };
            journal
                .step("tables", commit_tables(bot, run, desired, &message))
                .await?;
            tell(bot, &journal, &desired.policy).await?;
            Ok(())
        }
        RunKind::Verify => verify_and_repair(bot, run, &journal, desired).await,
    }
}

async fn read(bot: &Bot) -> Result<BranchRead, StepFailure> {
    let branch = bot.github.repository().await?.default_branch;
    let commit = bot.github.branch_head(&branch).await?;
    read_commit(bot, commit).await
}

async fn upgrade(
    bot: &Bot,
    run: &Run,
    journal: &Journal<'_>,
    desired: &Desired,
) -> Result<(), StepFailure> {
    let upgraded: UpgradePlan = journal
        .step("upgrade", plan_upgrade(bot, journal, desired))
        .await?;
    let done = publish_all(bot, journal, desired, &upgraded.plan).await?;
    let message = commit_message(&done.outcomes, &done.retired, &run.id);
    journal
        .step("tables", commit_tables(bot, run, desired, &message))
        .await?;
    tell(bot, journal, &desired.policy).await?;
    journal
        .step("owners", owners::tell(bot, desired, &upgraded.not_rebuilt))
        .await
}

/// Resolves everything anew, each layer × target as a step of its own, and plans with what came of it.
async fn plan_upgrade(
    bot: &Bot,
    journal: &Journal<'_>,
    desired: &Desired,
) -> Result<UpgradePlan, StepFailure> {
    let store = &bot.workshop.store;
    let (versions, builds) = (store.layer_versions().await?, store.builds().await?);
    let offered = bot.workshop.registry.regions().await?;
    let mut wanted = wanted(&desired.layers, &desired.policy, &offered, &builds);
    let states = wanted.iter().map(|wanted| async {
        let Some(request) = desired.layers.get(&wanted.layer) else {
            return Ok(wanted.build.clone());
        };
        let name = format!("build/{}/{}", wanted.layer, wanted.target);
        let (workshop, policy) = (&bot.workshop, &desired.policy);
        let state = upgrade_wanted(workshop, wanted, request, policy, SourceBuilds::Permitted);
        journal.step(&name, async { Ok(state.await) }).await
    });
    let states: Vec<Result<BuildState, StepFailure>> = join_all(states).await;
    let mut not_rebuilt = Vec::new();
    for (wanted, state) in wanted.iter_mut().zip(states) {
        let state = state?;
        if let Some(request) = desired.layers.get(&wanted.layer) {
            not_rebuilt.extend(keep_known(wanted, request, state));
        }
    }
    for NotRebuilt {
        layer,
        target,
        failure,
    } in &not_rebuilt
    {
        tracing::warn!(%layer, %target, reason = %failure.message, "{layer} could not be rebuilt for {target}: {}", failure.message);
    }
    Ok(UpgradePlan {
        plan: plan(&wanted, &builds, &versions, &desired.held),
        not_rebuilt,
    })
}

/// `then` is what the branch asked for before the look.
async fn verify_and_repair(
    bot: &Bot,
    run: &Run,
    journal: &Journal<'_>,
    then: &Desired,
) -> Result<(), StepFailure> {
    let workshop = &bot.workshop;
    let seen: Verified = journal
        .step("observe", verify::observe(workshop, then))
        .await?;
    let turn = workshop.store.turn_to_publish().await?;
    // Looking takes long, and a run that was killed may go on much later: mended is by what the branch asks for now,
    // which for that reason is in no journal.
    let now = read(bot).await?;
    let Some(desired) = &now.desired else {
        tracing::warn!(run = %run.id, "the policy at {} cannot be read: nothing is mended", now.commit);
        return Ok(());
    };
    let mended = async {
        let mut verified = seen;
        let (then, now) = (&then.policy, &desired.policy);
        verify::still_wrong(workshop, &mut verified, then, now).await?;
        verify::repair(workshop, desired, &mut verified).await?;
        Ok::<_, StepFailure>(verified)
    };
    let mended = journal.step("repair", mended);
    let verified: Verified = turn.during(mended).await??;
    for finding in &verified.findings {
        tracing::warn!(arn = %finding.arn, "{} is {}; {}", finding.arn, finding.wrong, finding.mended);
    }
    let gone = verified.findings.iter().filter(|finding| {
        matches!(
            finding.mended,
            Mended::Forgotten | Mended::Republished(_) | Mended::Adopted
        )
    });
    let message = match gone.count() {
        0 => commit_message(&verified.backfilled, &[], &run.id),
        changed => plain_message(
            &format!(
                "Layers: {} not as recorded, mended",
                count(changed, "version")
            ),
            &run.id,
        ),
    };
    journal
        .step("tables", commit_tables(bot, run, desired, &message))
        .await?;
    tell(bot, journal, &desired.policy).await?;
    Ok(())
}

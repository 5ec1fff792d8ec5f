//! Applying the default branch: build, publish, tables, commit, and the answer on the pull request that was merged.
//!
//! Whatever commit set a run off, it carries out what the default branch asks for now: an older state is never
//! brought back by a run that was late or repeated.

use super::elsewhere::{STEP, undone};
use super::expiry::tell_of_expiry;
use super::flow::{Item, Outlook, Stage, Steps, is_carried_out};
use super::intake::{GITHUB_LAGS, short};
use super::journal::Journal;
use super::pull_request::{PullRequestRead, check_report, files_at, say};
use super::report::{outcome_of_failed, outcomes_of_kept};
use super::tables::{self, Extent, run_trailer};
use super::visibility::list_meanwhile;
use super::{
    Bot, Carried, Desired, Shared, StepFailure, building, commit_message, put_parameters,
    read_tree, recorded, scheduled, settle_expiries, settle_intents, settle_visibility,
    write_notifications,
};
use crate::github::render::{self, OutcomeView, TablesResult};
use crate::gitrepo::Committed;
use crate::model::{LayerName, Policy, Problem, Run, RunKind, Target};
use crate::plan::{Action, Entry, Outcome, ParametersOutcome, Plan, plan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What reading the default branch found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BranchRead {
    pub(super) commit: String,
    pub(super) desired: Option<Desired>,
    problems: Vec<Problem>,
}

/// What became of the tables.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TablesStep {
    Unchanged,
    Pushed { commit: String, paths: Vec<String> },
}

/// What carrying out a plan came to.
#[derive(Default)]
struct Done {
    outcomes: Vec<Outcome>,
    retired: Vec<(LayerName, Target, usize)>,
    /// What was to be retired and is asked for again.
    kept: BTreeSet<(LayerName, Target)>,
}

/// What the journal says of every entry of the plan that was to be carried out, and the store of what was tried in vain.
async fn done(steps: &Steps<'_>) -> Result<Done, StepFailure> {
    let mut done = Done::default();
    let plan = steps.plan().await?;
    for entry in plan.entries.iter().filter(|entry| is_carried_out(entry)) {
        let name = step_of(entry);
        match steps.journal.output(&name).await? {
            Some(Carried::Published(outcome)) => done.outcomes.push(outcome),
            Some(Carried::Retired(versions)) => {
                done.retired
                    .push((entry.layer.clone(), entry.target, versions));
            }
            Some(Carried::Nothing) => {
                done.kept.insert((entry.layer.clone(), entry.target));
            }
            None => {
                if let Action::Publish(publication) = &entry.action {
                    let failure = steps.journal.failure(&name).await?;
                    let failure = failure.unwrap_or_else(|| {
                        StepFailure::transient("publishing it ended without an answer")
                    });
                    let layer = BTreeSet::from([entry.layer.clone()]);
                    let store = &steps.bot.workshop.store;
                    let recorded = store.layer_versions_of(&layer).await?;
                    done.outcomes
                        .push(outcome_of_failed(publication, &failure, &recorded));
                }
            }
        }
    }
    Ok(done)
}

/// The step that carries out an entry of a plan.
pub(super) fn step_of(entry: &Entry) -> String {
    Item::new(entry.layer.clone(), entry.target).step(Stage::Publish)
}

/// Plans everything that the branch asks for, with what building came to.
pub(super) async fn plan_all(
    steps: &Steps<'_>,
    outlook: Option<Outlook<'_>>,
) -> Result<Plan, StepFailure> {
    let Some(mut outlook) = outlook else {
        return Ok(Plan::default());
    };
    let states = steps.built(&outlook).await?;
    building::settle_all(&mut outlook.wanted, &outlook.desired.layers, states);
    let store = &*steps.bot.workshop.store;
    list_meanwhile(store, &outlook.desired.policy).await?;
    let versions = recorded(store, &outlook.desired.policy, None).await?;
    let held = &outlook.desired.held;
    Ok(plan(&outlook.wanted, &outlook.builds, &versions, held))
}

/// After everything was published: writes down what was left undone, and brings permissions and expiry dates to what the
/// policy and the requests say.
pub(super) async fn settle(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let Some(desired) = steps.desired_now().await? else {
        return Ok(());
    };
    let (plan, workshop) = (steps.plan().await?, &steps.bot.workshop);
    let done = done(steps).await?;
    let journal = &steps.journal;
    journal
        .step(STEP, async { Ok(undone(plan, &done.outcomes)) })
        .await?;
    // At every try: the tables, which come next, leave out what is for others than is asked for by then.
    journal
        .step_again("permissions", settle_visibility(workshop, &desired.policy))
        .await?;
    settle_intents(workshop, desired, plan).await?;
    settle_expiries(workshop, desired).await
}

/// Commits the tables, with a message that says what the run did.
pub(super) async fn commit(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let Some(desired) = steps.desired_now().await? else {
        return Ok(());
    };
    let message = match steps.run.kind {
        RunKind::Plan | RunKind::Apply | RunKind::Upgrade => {
            let done = done(steps).await?;
            commit_message(&done.outcomes, &done.retired, &steps.run.id)
        }
        RunKind::Expire => scheduled::expiry_message(steps).await?,
        RunKind::Verify => scheduled::repair_message(steps).await?,
    };
    let commit = commit_tables(steps.bot, steps.run, desired, &message);
    let _: TablesStep = steps.journal.step("tables", commit).await?;
    Ok(())
}

/// Brings the public names in Parameter Store up to date.
pub(super) async fn put_public_names(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let Some(desired) = steps.desired_now().await? else {
        return Ok(());
    };
    let put = put_parameters(&steps.bot.workshop, &desired.policy);
    let _: ParametersOutcome = steps.journal.step("parameters", put).await?;
    Ok(())
}

/// Writes messages of what happened, and keeps the issue about what goes away right.
pub(super) async fn notify(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let Some(desired) = steps.desired_now().await? else {
        return Ok(());
    };
    let policy = &desired.policy;
    let write = write_notifications(&steps.bot.workshop, policy);
    let _: usize = steps.journal.step("notify", write).await?;
    tell_of_expiry(steps.bot, policy).await;
    Ok(())
}

/// What became of the tables, as the journal has it.
async fn tables_result(steps: &Steps<'_>) -> Result<TablesResult, StepFailure> {
    if steps.desired().await?.is_none() {
        return Ok(TablesResult::NotTried);
    }
    Ok(match steps.journal.output("tables").await? {
        Some(TablesStep::Unchanged) => TablesResult::Unchanged,
        Some(TablesStep::Pushed { commit, paths }) => TablesResult::Pushed { commit, paths },
        None => {
            let silent = || StepFailure::transient("committing them ended without an answer");
            let failure = steps.journal.failure("tables").await?;
            let failure = failure.unwrap_or_else(silent);
            TablesResult::Failed {
                message: failure.message,
                transient: failure.transient,
            }
        }
    })
}

/// What the default branch asks for now.
pub(super) async fn read(steps: &Steps<'_>) -> Result<BranchRead, StepFailure> {
    let (bot, run) = (steps.bot, steps.run);
    let branch = bot.github.repository().await?.default_branch;
    let commit = bot.github.branch_head(&branch).await?;
    // What time sets off is about no commit.
    if run.head_sha.is_empty() {
        return read_commit(bot, commit).await;
    }
    let age = bot.workshop.now().unix() - run.created_at.unix();
    if commit != run.head_sha
        && age < GITHUB_LAGS
        && bot
            .github
            .merge_base(&commit, &run.head_sha)
            .await
            .is_ok_and(|base| base == commit)
    {
        return Err(StepFailure::transient(format!(
            "GitHub shows {} as the head of {branch}, which is older than {}",
            short(&commit),
            short(&run.head_sha)
        )));
    }
    read_commit(bot, commit).await
}

/// What the default branch asks for after it was read before. Nothing is read anew when the same commit is its head, and
/// neither when GitHub shows one that came before it so soon that it may lag.
pub(super) async fn read_again(steps: &Steps<'_>) -> Result<BranchRead, StepFailure> {
    let (bot, journal) = (steps.bot, &steps.journal);
    let (name, before) = match journal.output::<BranchRead>("reread").await? {
        Some(before) => ("reread", before),
        None => ("read", steps.branch().await?.clone()),
    };
    let branch = bot.github.repository().await?.default_branch;
    let commit = bot.github.branch_head(&branch).await?;
    if commit == before.commit {
        return Ok(before);
    }
    let now = bot.workshop.now().unix();
    let read_at = journal.finished_at(name).await?;
    if read_at.is_some_and(|read_at| now - read_at.unix() < GITHUB_LAGS) {
        let base = bot.github.merge_base(&commit, &before.commit).await;
        match base.map_err(StepFailure::from) {
            Ok(base) if base == commit => return Ok(before),
            Err(failure) if failure.transient => return Err(failure),
            // Without a history in common, neither came before the other.
            Ok(_) | Err(_) => {}
        }
    }
    read_commit(bot, commit).await
}

/// What a commit of the default branch asks for.
async fn read_commit(bot: &Bot, commit: String) -> Result<BranchRead, StepFailure> {
    let files = files_at(bot, &commit).await?;
    let (desired, problems) = read_tree(&files, files.get(Policy::PATH));
    Ok(BranchRead {
        commit,
        desired,
        problems,
    })
}

/// Commits the tables as the store has them now. A verification renders all of them anew, whatever is noted of them.
async fn commit_tables(
    bot: &Bot,
    run: &Run,
    desired: &Desired,
    message: &str,
) -> Result<TablesStep, StepFailure> {
    let extent = match run.kind {
        RunKind::Verify => Extent::Everything,
        RunKind::Plan | RunKind::Apply | RunKind::Upgrade | RunKind::Expire => Extent::Changes,
    };
    Ok(
        match tables::commit(&bot.workshop, &bot.catalog, desired, message, extent).await? {
            Committed::Unchanged { head, .. } => pushed_before(bot, run, head).await?,
            Committed::Pushed { commit, paths, .. } => TablesStep::Pushed { commit, paths },
        },
    )
}

/// A push may arrive although the bot never heard so, because it or the connection died: then the head is this run's
/// own commit.
async fn pushed_before(bot: &Bot, run: &Run, head: String) -> Result<TablesStep, StepFailure> {
    let changes = bot.catalog.changes_of(&head, &run_trailer(&run.id)).await?;
    Ok(match changes {
        Some(paths) => TablesStep::Pushed {
            commit: head,
            paths,
        },
        None => TablesStep::Unchanged,
    })
}

/// Answers on the commit and on the pull request that was merged, should the run have one.
pub(super) async fn answer(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let (bot, run, journal) = (steps.bot, steps.run, &steps.journal);
    let (read, plan) = (steps.branch().await?, steps.plan().await?);
    let Done {
        mut outcomes,
        retired,
        kept,
    } = done(steps).await?;
    let plan = &plan.keeping(&kept);
    let tables = tables_result(steps).await?;
    let shared: Option<Shared> = journal.output("permissions").await?;
    let permissions = shared.unwrap_or_default().failures_by_region();
    let parameters: Option<ParametersOutcome> = journal.output("parameters").await?;
    let parameters = parameters.unwrap_or_default();
    let planned = last_read_of_pull_request(bot, run).await?;
    let nothing = BTreeSet::new();
    let asked = planned.as_ref().map_or(&nothing, |read| &read.changed);
    let live = bot.workshop.store.layer_versions_of(asked).await?;
    outcomes.extend(outcomes_of_kept(plan, asked, &live));
    outcomes.sort_by(|a, b| (&a.layer, a.target).cmp(&(&b.layer, b.target)));
    let default_policy = Policy::default();
    let now = steps.desired_now().await?;
    let policy = now.map_or(&default_policy, |now| &now.policy);
    let marker = render::marker("pull_request", run.pull_request.unwrap_or_default());
    let rendered = render::render_outcome(&OutcomeView {
        marker: &marker,
        commit_sha: &read.commit,
        plan,
        outcomes: &outcomes,
        problems: &read.problems,
        retired: &retired,
        tables: &tables,
        permissions: &permissions,
        parameters: &parameters,
        run: &run.id,
        repository_url: bot.workshop.repository_page.as_deref(),
        policy,
        usable_until: Some(bot.workshop.now().plus_days(policy.expire_after_days)),
    });
    // On the commit that set the run off, whatever came after it: every commit has a run of its own.
    let report = check_report(run, &run.head_sha, &rendered);
    journal
        .step("check", async { Ok(bot.github.put_check(&report).await?) })
        .await?;
    if let Some(number) = run.pull_request
        && hears_of_it(bot, number, planned.as_ref()).await?
    {
        journal
            .step(
                &format!("comment/{}", place(run)),
                say(bot, number, &marker, &rendered.comment),
            )
            .await?;
    }
    journal.step(&answered(run), async { Ok(()) }).await
}

/// A pull request's answer has a place of its own, so that one that is attached to a finished run is still told.
fn place(run: &Run) -> String {
    run.pull_request.map_or_else(
        || "commit".to_owned(),
        |number| format!("pull-request-{number}"),
    )
}

/// The step that says that everything was said.
pub(super) fn answered(run: &Run) -> String {
    format!("answered/{}", place(run))
}

/// What the last plan of the run's pull request read.
async fn last_read_of_pull_request(
    bot: &Bot,
    run: &Run,
) -> Result<Option<PullRequestRead>, StepFailure> {
    let Some(number) = run.pull_request else {
        return Ok(None);
    };
    let runs = bot.workshop.store.runs_of(number).await?;
    for planned in runs.iter().rev().filter(|run| run.kind == RunKind::Plan) {
        let journal = Journal::open_for_a_step(&bot.workshop, planned);
        if let Some(read) = journal.output::<PullRequestRead>("read").await? {
            return Ok(Some(read));
        }
    }
    Ok(None)
}

/// Whether a pull request is told what its merge came to: one that has nothing to do with layers hears nothing, unless
/// it was told something before. One that nobody planned may have to do with them.
async fn hears_of_it(
    bot: &Bot,
    number: u64,
    planned: Option<&PullRequestRead>,
) -> Result<bool, StepFailure> {
    if planned.is_none_or(|read| read.relevant) {
        return Ok(true);
    }
    let conversation = bot.workshop.store.conversation(number).await?;
    Ok(conversation.is_some_and(|conversation| conversation.comment_id.is_some()))
}

//! Applying the default branch: build, publish, tables, commit, and the answer on the pull request that was merged.
//!
//! Whatever commit set a run off, it carries out what the default branch asks for now: an older state is never
//! brought back by a run that was late or repeated.

use super::elsewhere::{STEP, undone};
use super::intake::{GITHUB_LAGS, short};
use super::journal::Journal;
use super::outcomes_of_kept;
use super::pull_request::{PullRequestRead, build_missing, check_report, files_at, say};
use super::tables::run_trailer;
use super::telling::tell;
use super::{
    Bot, Carried, Desired, SourceBuilds, StepFailure, carry_out, commit_message, read_tree,
    render_tables, settle_expiries, settle_intents, settle_visibility,
};
use crate::github::render::{self, OutcomeView, TablesResult};
use crate::gitrepo::Committed;
use crate::model::{LayerName, Policy, Problem, Run, RunKind, Target};
use crate::plan::{Action, Entry, Outcome, ParametersOutcome, Plan, plan, wanted};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Layers × targets published at once; each goes to all its regions at once.
const CONCURRENT_PUBLICATIONS: usize = 4;

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

/// Applies the default branch and answers on the pull request, should the run have one.
///
/// # Errors
/// When a step could not be done; the journal keeps what was done. A region that failed is not an error of the run, nor
/// are, with `last_try`, tables that could not be committed for a reason that may pass: what is live is told all the same.
pub async fn execute(bot: &Bot, run: &Run, last_try: bool) -> Result<(), StepFailure> {
    let journal = Journal::open(&bot.workshop, run).await?;
    bot.workshop.registry.ask_again();
    let read: BranchRead = journal.step("read", read(bot, run)).await?;
    let Some(desired) = &read.desired else {
        return finish(
            bot,
            run,
            &journal,
            &read,
            &Plan::default(),
            &[],
            &[],
            TablesResult::NotTried,
            &ParametersOutcome::default(),
        )
        .await;
    };
    let plan: Plan = journal
        .step("plan", make_plan(bot, &journal, desired))
        .await?;

    let done = publish_all(bot, &journal, desired, &plan).await?;
    let (outcomes, retired) = (done.outcomes, done.retired);
    let message = commit_message(&outcomes, &retired, &run.id);
    let tables = match journal
        .step("tables", commit_tables(bot, run, desired, &message))
        .await
    {
        Ok(TablesStep::Unchanged) => TablesResult::Unchanged,
        Ok(TablesStep::Pushed { commit, paths }) => TablesResult::Pushed { commit, paths },
        Err(failure) if failure.transient && !last_try => return Err(failure),
        Err(failure) => TablesResult::Failed {
            message: failure.message,
            transient: failure.transient,
        },
    };
    let parameters = tell(bot, &journal, &desired.policy).await?;
    finish(
        bot,
        run,
        &journal,
        &read,
        &plan,
        &outcomes,
        &retired,
        tables,
        &parameters,
    )
    .await
}

/// What carrying out a plan came to.
pub(super) struct Done {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) retired: Vec<(LayerName, Target, usize)>,
}

/// Carries out every entry of a plan as a step, then brings permissions and expiry dates to what the policy and the
/// requests say.
pub(super) async fn publish_all(
    bot: &Bot,
    journal: &Journal<'_>,
    desired: &Desired,
    plan: &Plan,
) -> Result<Done, StepFailure> {
    let work: Vec<_> = plan
        .entries
        .iter()
        .map(|entry| publish_entry(bot, journal, desired, entry))
        .collect();
    let results: Vec<Result<Carried, StepFailure>> = stream::iter(work)
        .buffered(CONCURRENT_PUBLICATIONS)
        .collect()
        .await;
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut retired: Vec<(LayerName, Target, usize)> = Vec::new();
    let mut failure = None;
    for (entry, result) in plan.entries.iter().zip(results) {
        match result {
            Ok(Carried::Published(outcome)) => outcomes.push(outcome),
            Ok(Carried::Retired(versions)) => {
                retired.push((entry.layer.clone(), entry.target, versions))
            }
            Ok(Carried::Nothing) => {}
            Err(error) => failure = Some(error),
        }
    }
    // What did get published is recorded; the run is taken up again from the journal for the rest.
    if let Some(failure) = failure {
        return Err(failure);
    }
    journal
        .step(STEP, async { Ok(undone(plan, &outcomes)) })
        .await?;
    let workshop = &bot.workshop;
    journal
        .step("permissions", settle_visibility(workshop, &desired.policy))
        .await?;
    settle_intents(workshop, &desired.policy, plan).await?;
    settle_expiries(workshop, desired).await?;
    Ok(Done { outcomes, retired })
}

async fn read(bot: &Bot, run: &Run) -> Result<BranchRead, StepFailure> {
    let branch = bot.github.repository().await?.default_branch;
    let commit = bot.github.branch_head(&branch).await?;
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

/// What a commit of the default branch asks for.
pub(super) async fn read_commit(bot: &Bot, commit: String) -> Result<BranchRead, StepFailure> {
    let files = files_at(bot, &commit).await?;
    let (desired, problems) = read_tree(&files, files.get(Policy::PATH));
    Ok(BranchRead {
        commit,
        desired,
        problems,
    })
}

async fn make_plan(
    bot: &Bot,
    journal: &Journal<'_>,
    desired: &Desired,
) -> Result<Plan, StepFailure> {
    let store = &bot.workshop.store;
    let (versions, builds) = (store.layer_versions().await?, store.builds().await?);
    let offered = bot.workshop.registry.regions().await?;
    let mut wanted = wanted(&desired.layers, &desired.policy, &offered, &builds);
    build_missing(bot, journal, desired, &mut wanted, SourceBuilds::Permitted).await?;
    Ok(plan(&wanted, &builds, &versions, &desired.held))
}

async fn publish_entry(
    bot: &Bot,
    journal: &Journal<'_>,
    desired: &Desired,
    entry: &Entry,
) -> Result<Carried, StepFailure> {
    match entry.action {
        Action::Publish(_) | Action::Retire { .. } => {
            let name = format!("publish/{}/{}", entry.layer, entry.target);
            journal
                .step(&name, carry_out(&bot.workshop, entry, desired))
                .await
        }
        Action::Keep { .. } | Action::Build | Action::Blocked { .. } => Ok(Carried::Nothing),
    }
}

/// Commits the tables as the store has them now.
pub(super) async fn commit_tables(
    bot: &Bot,
    run: &Run,
    desired: &Desired,
    message: &str,
) -> Result<TablesStep, StepFailure> {
    let files = render_tables(&bot.workshop, desired).await?;
    let render = move |_: &crate::gitrepo::Snapshot<'_>| Ok(files.clone());
    let folder = desired.policy.tables.path.as_str();
    Ok(
        match bot
            .catalog
            .commit_folder(folder, message, bot.workshop.now(), render)
            .await?
        {
            Committed::Unchanged { head } => pushed_before(bot, run, head).await?,
            Committed::Pushed { commit, paths } => TablesStep::Pushed { commit, paths },
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

#[expect(
    clippy::too_many_arguments,
    reason = "everything a result consists of, each its own kind of thing"
)]
async fn finish(
    bot: &Bot,
    run: &Run,
    journal: &Journal<'_>,
    read: &BranchRead,
    plan: &Plan,
    outcomes: &[Outcome],
    retired: &[(LayerName, Target, usize)],
    tables: TablesResult,
    parameters: &ParametersOutcome,
) -> Result<(), StepFailure> {
    let planned = last_read_of_pull_request(bot, run).await?;
    let nothing = BTreeSet::new();
    let asked = planned.as_ref().map_or(&nothing, |read| &read.changed);
    let live = bot.workshop.store.layer_versions_of(asked).await?;
    let mut outcomes = outcomes.to_vec();
    outcomes.extend(outcomes_of_kept(plan, asked, &live));
    outcomes.sort_by(|a, b| (&a.layer, a.target).cmp(&(&b.layer, b.target)));
    let default_policy = Policy::default();
    let policy = read
        .desired
        .as_ref()
        .map_or(&default_policy, |desired| &desired.policy);
    // A pull request's answer has a place of its own, so that one that is attached to a finished run is still told.
    let place = run.pull_request.map_or_else(
        || "commit".to_owned(),
        |number| format!("pull-request-{number}"),
    );
    let marker = render::marker("pull_request", run.pull_request.unwrap_or_default());
    let rendered = render::render_outcome(&OutcomeView {
        marker: &marker,
        commit_sha: &read.commit,
        plan,
        outcomes: &outcomes,
        problems: &read.problems,
        retired,
        tables: &tables,
        parameters,
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
                &format!("comment/{place}"),
                say(bot, number, &marker, &rendered.comment),
            )
            .await?;
    }
    Ok(())
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
        let journal = Journal::open(&bot.workshop, planned).await?;
        if let Some(read) = journal.output::<PullRequestRead>("read") {
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

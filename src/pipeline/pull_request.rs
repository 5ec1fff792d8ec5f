//! Planning a pull request: what merging it would do, said on the pull request itself.
//!
//! Nothing is published and nothing that publishing reads is written; built zips and fetched wheels are kept under
//! their verified digests only. The policy is the base branch's.

use super::build_task::{BuildTask, perform};
use super::elsewhere::undone_elsewhere;
use super::journal::Journal;
use super::{Bot, Desired, SourceBuilds, StepFailure, building, read_policy, read_tree, retained};
use crate::github::render::{self, PlanView, Progress, Rendered};
use crate::github::{Annotation, CheckReport, CheckState, FileContent, Permission};
use crate::model::{Conversation, LayerName, PlanFrom, Policy, Problem, Run};
use crate::plan::{BuildState, Plan, THROW_AWAY_LIMIT, Wanted, plan, wanted};
use crate::request::{self, SourceFile};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What reading a pull request found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PullRequestRead {
    /// What the catalog would ask for after the merge; absent when the base branch's policy cannot be read.
    pub desired: Option<Desired>,
    /// What is wrong with the files that the pull request touches.
    pub problems: Vec<Problem>,
    /// The layers whose request files it adds, changes or removes.
    pub changed: BTreeSet<LayerName>,
    /// Whether it touches any file that Layersmith reads.
    pub relevant: bool,
    /// Whether it edits the policy, which takes effect only after the merge.
    pub policy_edited: bool,
    /// Whether the policy as it edits it has versions aligned: a region that it adds is published to after the merge only.
    #[serde(default)]
    pub aligns: bool,
    /// Whose pull request waits for `/layersmith ok`, when it does.
    pub waits_for: Option<String>,
}

/// Plans a pull request and answers on it.
///
/// # Errors
/// When a step could not be done; the journal keeps what was done.
pub async fn execute(bot: &Bot, run: &Run) -> Result<(), StepFailure> {
    let number = run
        .pull_request
        .ok_or_else(|| StepFailure::lasting("the run names no pull request"))?;
    let marker = render::marker("pull_request", number);
    let journal = Journal::open(&bot.workshop, run).await?;
    let read: PullRequestRead = journal.step("read", read(bot, run, number)).await?;
    let known = bot.workshop.store.conversation(number).await?;

    let rendered = if let Some(login) = &read.waits_for {
        render::render_waiting_for_approval(&marker, &run.head_sha, login)
    } else {
        if read.relevant {
            let working = render::render_working(
                &marker,
                &run.head_sha,
                "Reading the requests, resolving and building",
            );
            journal
                .step("announce", announce(bot, run, &working))
                .await?;
        }
        let planned = make_plan(bot, &journal, &read).await?;
        let notes: Vec<String> = read.aligns.then(aligning_note).into_iter().collect();
        let default_policy = Policy::default();
        render::render_plan(&PlanView {
            marker: &marker,
            head_sha: &run.head_sha,
            policy: read
                .desired
                .as_ref()
                .map_or(&default_policy, |desired| &desired.policy),
            plan: &planned.plan,
            problems: &read.problems,
            changed: &read.changed,
            policy_edited: read.policy_edited,
            waiting_elsewhere: planned.waiting_elsewhere,
            notes: &notes,
            repository_url: bot.workshop.repository_page.as_deref(),
        })
    };
    journal.step("check", conclude(bot, run, &rendered)).await?;
    // A pull request that has nothing to do with layers hears nothing, unless it was told something before.
    if read.relevant
        || known
            .as_ref()
            .is_some_and(|conversation| conversation.comment_id.is_some())
    {
        journal
            .step("comment", say(bot, number, &marker, &rendered.comment))
            .await?;
    }
    Ok(())
}

/// What aligning versions may take, said where the policy is edited: the regions that it adds are not planned here.
fn aligning_note() -> String {
    format!(
        "With `align_versions`, a region that is behind the others is brought to their version number: for each layer and target by up to {THROW_AWAY_LIMIT} versions that are published and deleted at once, and not at all if it takes more."
    )
}

async fn read(bot: &Bot, run: &Run, number: u64) -> Result<PullRequestRead, StepFailure> {
    let pull_request = bot.github.pull_request(number).await?;
    let base_sha = match &run.base_sha {
        Some(sha) => sha.clone(),
        None => pull_request.base_sha.clone(),
    };
    let fork_point = bot.github.merge_base(&base_sha, &run.head_sha).await?;
    let (base, head) = (
        files_at(bot, &base_sha).await?,
        files_at(bot, &run.head_sha).await?,
    );
    let before = if fork_point == base_sha {
        base.clone()
    } else {
        files_at(bot, &fork_point).await?
    };

    let touched: BTreeSet<&String> = before
        .keys()
        .chain(head.keys())
        .filter(|path| before.get(*path) != head.get(*path))
        .collect();
    // What the default branch will hold after the merge: its own files, with those the pull request touches replaced.
    let mut merged = base.clone();
    for path in &touched {
        match head.get(*path) {
            Some(content) => merged.insert((*path).clone(), content.clone()),
            None => merged.remove(*path),
        };
    }
    let (desired, mut problems) = read_tree(&merged, base.get(Policy::PATH));
    let policy_edited = touched.contains(&Policy::PATH.to_owned());
    let mut aligns = false;
    if let (true, Some(edited)) = (policy_edited, head.get(Policy::PATH)) {
        let (policy, mistakes) = read_policy(edited);
        aligns = policy.is_some_and(|policy| policy.align_versions);
        problems.retain(|problem| problem.path != Policy::PATH);
        problems.extend(mistakes);
    }
    // Without a policy nothing can be said of the files: then its mistakes are what there is to tell.
    problems.retain(|problem| touched.contains(&problem.path) || desired.is_none());
    let changed: BTreeSet<LayerName> = touched.iter().filter_map(|path| layer_of(path)).collect();
    if let Some(desired) = &desired
        && changed.len() > desired.policy.limits.layers_per_pull_request
    {
        let limit = desired.policy.limits.layers_per_pull_request;
        let path = touched.first().map_or(Policy::PATH, |path| path.as_str());
        let message = format!(
            "this pull request changes {} layers; the policy allows {limit} at a time",
            changed.len()
        );
        problems.push(
            Problem::error(path, crate::model::Location::START, message)
                .with_hint("split it into several pull requests"),
        );
    }
    problems.sort();
    let waits_for = match &desired {
        Some(desired)
            if desired.policy.plan_pull_requests_from == PlanFrom::Collaborators
                && !touched.is_empty() =>
        {
            waits_for(bot, run, number, &pull_request.author).await?
        }
        _ => None,
    };
    Ok(PullRequestRead {
        desired,
        problems,
        changed,
        relevant: !touched.is_empty(),
        policy_edited,
        aligns,
        waits_for,
    })
}

/// The author's login when the pull request has to wait: they may not write, and nobody who may said `ok` to this head.
async fn waits_for(
    bot: &Bot,
    run: &Run,
    number: u64,
    author: &crate::github::Person,
) -> Result<Option<String>, StepFailure> {
    let approved = bot
        .workshop
        .store
        .conversation(number)
        .await?
        .and_then(|conversation| conversation.approved_sha);
    if approved.as_deref() == Some(run.head_sha.as_str()) {
        return Ok(None);
    }
    let permission = bot.github.permission_of(&author.login, author.id).await?;
    Ok((permission < Permission::Write).then(|| author.login.clone()))
}

fn layer_of(path: &str) -> Option<LayerName> {
    if !request::is_request_path(path) {
        return None;
    }
    path.rsplit('/').next()?.split_once('.')?.0.parse().ok()
}

/// The files that have a say, by path.
pub(super) async fn files_at(
    bot: &Bot,
    sha: &str,
) -> Result<BTreeMap<String, SourceFile>, StepFailure> {
    let files = bot.github.files_at(sha, retained).await?;
    Ok(files
        .into_iter()
        .map(|(path, content)| {
            let file = match content {
                FileContent::Bytes(bytes) => SourceFile::Bytes(bytes.to_vec()),
                FileContent::TooLarge { size } => SourceFile::TooLarge { size },
                FileContent::Symlink | FileContent::Submodule => SourceFile::Elsewhere,
            };
            (path, file)
        })
        .collect())
}

/// The plan of the layers that a pull request touches, which reads nothing of the others: there may be thousands.
struct Planned {
    plan: Plan,
    waiting_elsewhere: usize,
}

async fn make_plan(
    bot: &Bot,
    journal: &Journal<'_>,
    read: &PullRequestRead,
) -> Result<Planned, StepFailure> {
    let Some(desired) = &read.desired else {
        return Ok(Planned {
            plan: Plan::default(),
            waiting_elsewhere: 0,
        });
    };
    let store = &bot.workshop.store;
    let changed = &read.changed;
    let (versions, builds) = (
        store.layer_versions_of(changed).await?,
        store.builds_of(changed).await?,
    );
    let offered = bot.workshop.registry.regions().await?;
    let requests = desired.requests_of(changed);
    let mut wanted = wanted(&requests, &desired.policy, &offered, &builds);
    if changed.len() <= desired.policy.limits.layers_per_pull_request {
        build_missing(bot, journal, desired, &mut wanted, SourceBuilds::AfterMerge).await?;
    }
    Ok(Planned {
        plan: plan(&wanted, &builds, &versions, &desired.held),
        waiting_elsewhere: undone_elsewhere(bot, desired, changed, &offered).await?,
    })
}

/// Resolves and builds what is not known yet, each layer × target as a step of its own.
pub(super) async fn build_missing(
    bot: &Bot,
    journal: &Journal<'_>,
    desired: &Desired,
    wanted: &mut [Wanted],
    sources: SourceBuilds,
) -> Result<(), StepFailure> {
    let builds = wanted.iter().map(|wanted| async {
        let (BuildState::Unknown, Some(request)) =
            (&wanted.build, desired.layers.get(&wanted.layer))
        else {
            return Ok(wanted.build.clone());
        };
        let name = format!("build/{}/{}", wanted.layer, wanted.target);
        let (bench, policy) = (&bot.workshop.bench, &desired.policy);
        let build = async {
            let task = BuildTask::new(wanted, request, policy, sources);
            Ok(perform(bench, &task).await)
        };
        journal.step(&name, build).await
    });
    let states: Vec<Result<BuildState, StepFailure>> = join_all(builds).await;
    for (wanted, state) in wanted.iter_mut().zip(states) {
        let state = state?;
        match desired.layers.get(&wanted.layer) {
            Some(request) => building::settle(wanted, request, state),
            None => wanted.build = state,
        }
    }
    Ok(())
}

async fn announce(bot: &Bot, run: &Run, working: &Progress) -> Result<(), StepFailure> {
    let report = CheckReport {
        head_sha: run.head_sha.clone(),
        external_id: run.id.clone(),
        state: CheckState::InProgress,
        title: working.title.clone(),
        summary: working.summary.clone(),
        text: None,
        annotations: Vec::new(),
        details_url: None,
    };
    Ok(bot.github.put_check(&report).await?)
}

/// Concludes the check run of the head.
async fn conclude(bot: &Bot, run: &Run, rendered: &Rendered) -> Result<(), StepFailure> {
    bot.github
        .put_check(&check_report(run, &run.head_sha, rendered))
        .await?;
    Ok(())
}

/// The check run that says what was rendered.
pub(super) fn check_report(run: &Run, sha: &str, rendered: &Rendered) -> CheckReport {
    let check = &rendered.check;
    CheckReport {
        head_sha: sha.to_owned(),
        external_id: run.id.clone(),
        state: CheckState::Completed(check.conclusion),
        title: check.title.clone(),
        summary: check.summary.clone(),
        text: check.text.clone(),
        annotations: check.annotations.iter().map(Annotation::from).collect(),
        details_url: None,
    }
}

/// Writes the living comment, and remembers which one it is.
pub(super) async fn say(
    bot: &Bot,
    number: u64,
    marker: &str,
    comment: &str,
) -> Result<(), StepFailure> {
    let store = &bot.workshop.store;
    let known = store.conversation(number).await?;
    let known_id = known
        .as_ref()
        .and_then(|conversation| conversation.comment_id);
    let comment_id = bot
        .github
        .put_comment(number, marker, comment, known_id)
        .await?;
    // Read again: somebody may have approved the head while the comment was on its way.
    let approved_sha = store
        .conversation(number)
        .await?
        .and_then(|conversation| conversation.approved_sha);
    store
        .put_conversation(&Conversation {
            pull_request: number,
            comment_id: Some(comment_id),
            approved_sha,
        })
        .await?;
    Ok(())
}

//! Planning a pull request: what merging it would do, said on the pull request itself.
//!
//! Nothing is published and nothing that publishing reads is written; built zips and fetched wheels are kept under
//! their verified digests only. The policy is the base branch's.

use super::elsewhere::undone_elsewhere;
use super::flow::{Outlook, Steps};
use super::{Bot, Desired, StepFailure, building, read_policy, read_tree, recorded, retained};
use crate::github::render::{self, PlanView, Rendered};
use crate::github::{Annotation, CheckReport, CheckState, FileContent, Permission};
use crate::model::{Conversation, LayerName, PlanFrom, Policy, Problem, Run};
use crate::plan::{Plan, THROW_AWAY_LIMIT, plan as make_plan};
use crate::request::{self, SourceFile};
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

/// The plan of the layers that a pull request touches, which reads nothing of the others: there may be thousands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// Layers × targets of others that the last apply left undone.
    waiting_elsewhere: usize,
}

/// Says that the work has begun, where there is any.
pub(super) async fn announce(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let read = steps.pull_request().await?;
    if !read.relevant || read.waits_for.is_some() {
        return Ok(());
    }
    let run = steps.run;
    let working = render::render_working(
        &marker(run)?,
        &run.head_sha,
        "Reading the requests, resolving and building",
    );
    let report = CheckReport {
        head_sha: run.head_sha.clone(),
        external_id: run.id.clone(),
        state: CheckState::InProgress,
        title: working.title,
        summary: working.summary,
        text: None,
        annotations: Vec::new(),
        details_url: None,
    };
    let put = async { Ok(steps.bot.github.put_check(&report).await?) };
    steps.journal.step("announce", put).await
}

/// Plans with what building came to. Without an outlook there is nothing to plan.
pub(super) async fn plan(
    steps: &Steps<'_>,
    outlook: Option<Outlook<'_>>,
) -> Result<Planned, StepFailure> {
    let Some(mut outlook) = outlook else {
        return Ok(Planned::default());
    };
    let states = steps.built(&outlook).await?;
    building::settle_all(&mut outlook.wanted, &outlook.desired.layers, states);
    let changed = &steps.pull_request().await?.changed;
    let store = &*steps.bot.workshop.store;
    let versions = recorded(store, &outlook.desired.policy, Some(changed)).await?;
    let Outlook {
        desired,
        wanted,
        builds,
        offered,
        ..
    } = &outlook;
    Ok(Planned {
        plan: make_plan(wanted, builds, &versions, &desired.held),
        waiting_elsewhere: undone_elsewhere(steps.bot, desired, changed, offered).await?,
    })
}

/// Answers on the pull request: concludes the check run, then writes the comment.
pub(super) async fn answer(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let (bot, run) = (steps.bot, steps.run);
    let number = number(run)?;
    let marker = marker(run)?;
    let read = steps.pull_request().await?;
    let known = bot.workshop.store.conversation(number).await?;
    let rendered = if let Some(login) = &read.waits_for {
        render::render_waiting_for_approval(&marker, &run.head_sha, login)
    } else {
        let planned: Option<Planned> = steps.journal.output("plan").await?;
        let planned = planned.unwrap_or_default();
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
    let conclude = conclude(bot, run, &rendered);
    steps.journal.step("check", conclude).await?;
    // A pull request that has nothing to do with layers hears nothing, unless it was told something before.
    if read.relevant
        || known
            .as_ref()
            .is_some_and(|conversation| conversation.comment_id.is_some())
    {
        let say = say(bot, number, &marker, &rendered.comment);
        steps.journal.step("comment", say).await?;
    }
    Ok(())
}

fn number(run: &Run) -> Result<u64, StepFailure> {
    run.pull_request
        .ok_or_else(|| StepFailure::lasting("the run names no pull request"))
}

fn marker(run: &Run) -> Result<String, StepFailure> {
    Ok(render::marker("pull_request", number(run)?))
}

/// What aligning versions may take, said where the policy is edited: the regions that it adds are not planned here.
fn aligning_note() -> String {
    format!(
        "With `align_versions`, a region that is behind the others is brought to their version number: for each layer and target by up to {THROW_AWAY_LIMIT} versions that are published and deleted at once, and not at all if it takes more."
    )
}

/// Reads a pull request: what the catalog would ask for after the merge, and what is wrong with it.
pub(super) async fn read(steps: &Steps<'_>) -> Result<PullRequestRead, StepFailure> {
    let (bot, run) = (steps.bot, steps.run);
    let number = number(run)?;
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

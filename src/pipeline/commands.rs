//! What people ask for in comments: `/layersmith plan`, `retry`, `cancel`, `ok`, `status`, `help`.
//!
//! `ok` and `retry` need write permission, asked of GitHub at that moment by user id.

use super::StepFailure;
use super::intake::{Intake, short};
use crate::github::render;
use crate::github::{Command, Permission, Person, PullRequest, Reaction, parse_commands};
use crate::model::{Conversation, RunKind, RunState};

/// Carries out the commands of one comment; what came of them, for the log.
pub(super) async fn handle(
    intake: &Intake,
    number: u64,
    comment_id: u64,
    author: &Person,
    body: &str,
) -> Result<String, StepFailure> {
    let commands = parse_commands(body);
    if commands.is_empty() {
        return Ok("no command".to_owned());
    }
    // A reaction is a courtesy: one that cannot be left must not keep the command from being carried out.
    if let Err(error) = intake.bot.github.react(comment_id, Reaction::Eyes).await {
        tracing::warn!("no reaction on comment {comment_id}: {error}");
    }
    let mut replies = Vec::new();
    let mut outcomes = Vec::new();
    // Whether a try anew would do something a second time: start another run, or find nothing left to cancel.
    let mut acted = false;
    for command in commands {
        let answer = match command {
            Ok(command) => match carry_out(intake, number, author, command).await {
                Ok(answer) => answer,
                Err(failure) if acted => {
                    tracing::warn!(
                        "a command of comment {comment_id} was not carried out: {failure}"
                    );
                    outcomes.push(failure.message);
                    break;
                }
                Err(failure) => return Err(failure),
            },
            Err(unknown) => Answer::say(render::render_unknown_command(
                &unknown.text,
                unknown.suggestion.map(Command::word),
            )),
        };
        acted |= answer.acted;
        outcomes.push(answer.outcome);
        replies.extend(answer.reply);
    }
    if !replies.is_empty() {
        let marker = render::marker("reply", comment_id);
        let body = format!("{marker}\n{}", replies.join("\n\n---\n\n"));
        match intake.bot.github.reply(number, &marker, &body).await {
            Err(error) if acted => {
                tracing::warn!("comment {comment_id} is not answered: {error}");
            }
            result => {
                result?;
            }
        }
    }
    Ok(outcomes.join("; "))
}

struct Answer {
    outcome: String,
    reply: Option<String>,
    /// Whether something was started or stopped.
    acted: bool,
}

impl Answer {
    fn say(reply: String) -> Self {
        Self {
            outcome: "answered".to_owned(),
            reply: Some(reply),
            acted: false,
        }
    }

    fn done(outcome: String) -> Self {
        Self {
            outcome,
            reply: None,
            acted: true,
        }
    }
}

async fn carry_out(
    intake: &Intake,
    number: u64,
    author: &Person,
    command: Command,
) -> Result<Answer, StepFailure> {
    match command {
        Command::Help => Ok(Answer::say(render::render_help())),
        Command::Status => {
            let runs = intake.bot.workshop.store.runs_of(number).await?;
            Ok(Answer::say(render::render_status(&runs)))
        }
        Command::Plan => {
            let pull_request = intake.bot.github.pull_request(number).await?;
            plan_again(intake, &pull_request).await
        }
        Command::Cancel => cancel(intake, number).await,
        Command::Ok | Command::Retry => {
            let permission = intake
                .bot
                .github
                .permission_of(&author.login, author.id)
                .await?;
            if permission < Permission::Write {
                return Ok(Answer::say(render::render_not_allowed(
                    &author.login,
                    "write",
                )));
            }
            let pull_request = intake.bot.github.pull_request(number).await?;
            if command == Command::Retry {
                retry(intake, &pull_request).await
            } else {
                approve(intake, &pull_request).await
            }
        }
    }
}

async fn plan_again(intake: &Intake, pull_request: &PullRequest) -> Result<Answer, StepFailure> {
    if !pull_request.is_open {
        return Ok(Answer::say(
            "This pull request is closed: there is nothing to plan.".to_owned(),
        ));
    }
    // Another branch's policy is not the catalog's: whoever may push to it would decide what is planned with.
    if !intake.is_to_default_branch(pull_request).await? {
        return Ok(Answer::say(
            "Only pull requests to the default branch are planned.".to_owned(),
        ));
    }
    let outcome = intake
        .plan(
            pull_request.number,
            &pull_request.head_sha,
            &pull_request.base_sha,
            true,
        )
        .await?;
    Ok(Answer::done(outcome))
}

async fn retry(intake: &Intake, pull_request: &PullRequest) -> Result<Answer, StepFailure> {
    match &pull_request.merge_commit_sha {
        Some(commit) if pull_request.merged => {
            let outcome = intake
                .apply(commit, Some(pull_request.number), true)
                .await?;
            Ok(Answer::done(outcome))
        }
        _ => plan_again(intake, pull_request).await,
    }
}

/// The approval is for one head: a push revokes it.
async fn approve(intake: &Intake, pull_request: &PullRequest) -> Result<Answer, StepFailure> {
    let store = &intake.bot.workshop.store;
    let known = store.conversation(pull_request.number).await?;
    let conversation = Conversation {
        pull_request: pull_request.number,
        comment_id: known.and_then(|conversation| conversation.comment_id),
        approved_sha: Some(pull_request.head_sha.clone()),
    };
    store.put_conversation(&conversation).await?;
    tracing::info!(
        pull_request = pull_request.number,
        "head {} was approved",
        short(&pull_request.head_sha)
    );
    plan_again(intake, pull_request).await
}

async fn cancel(intake: &Intake, number: u64) -> Result<Answer, StepFailure> {
    let mut stopped = 0;
    for run in intake.bot.workshop.store.runs_of(number).await? {
        // What is being published is brought to its end: half of it would help nobody.
        if run.kind == RunKind::Plan && run.state == RunState::Open {
            intake
                .engine
                .stop(&run, RunState::Cancelled, "cancelled by a comment")
                .await?;
            stopped += 1;
        }
    }
    match stopped {
        0 => Ok(Answer::say("Nothing is being planned here. What is being published after a merge cannot be cancelled.".to_owned())),
        _ => Ok(Answer {
            acted: true,
            ..Answer::say("Cancelled. `/layersmith plan` starts again.".to_owned())
        }),
    }
}

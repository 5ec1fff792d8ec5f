//! Issues: listed with the pull requests, as GitHub does, written and closed.

use serde_json::Value;

use super::comments::LONGEST_BODY;
use crate::github::auth::Caller;
use crate::github::call::{Answer, Call, Outcome};
use crate::github::issue_shapes;
use crate::github::pull_shapes;
use crate::github::state::Issue;

/// Characters of a title. GitHub enforces it; its description does not mention it.
const LONGEST_TITLE: usize = 256;

/// Newest first. Pull requests are issues, too, and carry the key `pull_request`.
pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let repository = call.repository();
    let asked = call.query.get("state").map_or("open", String::as_str);
    let creator = call.query.get("creator");
    let mut found: Vec<(u64, Value)> = Vec::new();
    let fits = |open: bool, author: &String| {
        (asked == "all" || (asked == "open") == open)
            && creator.is_none_or(|creator| creator == author)
    };
    for issue in repository.issues.values() {
        if fits(issue.open, &issue.author) {
            let shown = issue_shapes::issue(call.state, repository, issue);
            found.push((issue.number, shown));
        }
    }
    for pull in repository.pulls.values() {
        if fits(pull.open, &pull.author) {
            let shown = pull_shapes::issue(call.state, repository, pull);
            found.push((pull.number, shown));
        }
    }
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    Ok(call.listed(found.into_iter().map(|(_, shown)| shown).collect()))
}

pub(super) fn create(call: &mut Call<'_>) -> Outcome {
    let title = call.text("title").unwrap_or_default();
    check_title(&title)?;
    let body = call.text("body");
    check_body(body.as_deref())?;
    let author = call.actor()?.login;
    let by_app = matches!(call.caller, Caller::Installation { .. });
    let (id, now) = (call.state.next_id(), call.state.tick_text());
    let repository = call.repository_mut();
    let number = repository.next_number;
    repository.next_number += 1;
    let issue = Issue {
        id,
        number,
        title,
        body,
        author,
        open: true,
        state_reason: None,
        created_at: now.clone(),
        updated_at: now,
        closed_at: None,
        by_app,
    };
    repository.issues.insert(number, issue);
    shown(call, number, 201)
}

pub(super) fn get(call: &mut Call<'_>) -> Outcome {
    let number = call.number("issue_number")?;
    shown(call, number, 200)
}

/// Whoever wrote it, or may write to the repository, may change it.
pub(super) fn update(call: &mut Call<'_>) -> Outcome {
    let number = call.number("issue_number")?;
    let actor = call.actor()?.login;
    let by_app = matches!(call.caller, Caller::Installation { .. });
    let may = by_app || call.may_write(&actor);
    let (title, body, state) = (call.text("title"), call.text("body"), call.text("state"));
    let reason = call.text("state_reason");
    if let Some(title) = &title {
        check_title(title)?;
    }
    check_body(body.as_deref())?;
    let now = call.state.tick_text();
    let issue = call
        .repository_mut()
        .issues
        .get_mut(&number)
        .ok_or_else(Answer::not_found)?;
    if !may && issue.author != actor {
        return Err(Answer::refused(
            403,
            "Must have admin rights to Repository.",
        ));
    }
    issue.updated_at.clone_from(&now);
    issue.title = title.unwrap_or_else(|| issue.title.clone());
    issue.body = body.or_else(|| issue.body.clone());
    match state.as_deref() {
        Some("closed") => {
            issue.open = false;
            issue.closed_at = Some(now);
            issue.state_reason = Some(reason.unwrap_or_else(|| "completed".to_owned()));
        }
        Some("open") if !issue.open => {
            issue.open = true;
            issue.closed_at = None;
            issue.state_reason = Some("reopened".to_owned());
        }
        _ => {}
    }
    shown(call, number, 200)
}

fn check_title(title: &str) -> Result<(), Answer> {
    if title.trim().is_empty() {
        return Err(Answer::unprocessable(
            "Issue",
            "title",
            "title can't be blank",
        ));
    }
    if title.chars().count() > LONGEST_TITLE {
        return Err(Answer::unprocessable(
            "Issue",
            "title",
            "title is too long (maximum is 256 characters)",
        ));
    }
    Ok(())
}

fn check_body(body: Option<&str>) -> Result<(), Answer> {
    if body.is_some_and(|body| body.chars().count() > LONGEST_BODY) {
        return Err(Answer::unprocessable(
            "Issue",
            "body",
            "body is too long (maximum is 65536 characters)",
        ));
    }
    Ok(())
}

fn shown(call: &Call<'_>, number: u64, status: u16) -> Outcome {
    let repository = call.repository();
    let issue = repository
        .issues
        .get(&number)
        .ok_or_else(Answer::not_found)?;
    Ok(Answer::with(
        status,
        issue_shapes::issue(call.state, repository, issue),
    ))
}

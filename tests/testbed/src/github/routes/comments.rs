//! Conversations: comments and reactions.

use serde_json::{Value, json};

use crate::github::auth::Caller;
use crate::github::call::{Answer, Call, Outcome};
use crate::github::shapes::{self, known_user, node_id};
use crate::github::state::Comment;
use crate::github::webhooks;

/// Characters. GitHub enforces it; its description does not mention it.
pub(crate) const LONGEST_BODY: usize = 65_536;

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let number = known_pull(call)?;
    let repository = call.repository();
    let since = call.query.get("since");
    let comments = repository
        .comments
        .values()
        .filter(|comment| comment.pull == number)
        .filter(|comment| since.is_none_or(|since| comment.updated_at >= *since));
    let items = comments
        .map(|comment| shapes::comment(call.state, repository, comment))
        .collect();
    Ok(call.listed(items))
}

pub(super) fn create(call: &mut Call<'_>) -> Outcome {
    let number = known_pull(call)?;
    let body = checked_body(call)?;
    let author = call.actor()?.login;
    let by_app = matches!(call.caller, Caller::Installation { .. });
    let (id, now) = (call.state.next_id(), call.state.tick_text());
    let comment = Comment {
        id,
        pull: number,
        author: author.clone(),
        body,
        created_at: now.clone(),
        updated_at: now,
        reactions: Vec::new(),
        by_app,
    };
    let name = call.repository_name();
    call.repository_mut().comments.insert(id, comment);
    if call.state.announce_api_comments {
        webhooks::comment(call.state, &name, id, "created", &author, None);
    }
    shown(call, id, 201)
}

pub(super) fn get(call: &mut Call<'_>) -> Outcome {
    let id = call.number("comment_id")?;
    shown(call, id, 200)
}

pub(super) fn update(call: &mut Call<'_>) -> Outcome {
    let id = own_comment(call)?;
    let body = checked_body(call)?;
    let now = call.state.tick_text();
    let name = call.repository_name();
    let comment = call
        .repository_mut()
        .comments
        .get_mut(&id)
        .ok_or_else(Answer::not_found)?;
    let before = std::mem::replace(&mut comment.body, body);
    comment.updated_at = now;
    let author = comment.author.clone();
    if call.state.announce_api_comments {
        webhooks::comment(call.state, &name, id, "edited", &author, Some(&before));
    }
    shown(call, id, 200)
}

pub(super) fn delete(call: &mut Call<'_>) -> Outcome {
    let id = own_comment(call)?;
    call.repository_mut().comments.remove(&id);
    Ok(Answer::with(204, Value::Null))
}

pub(super) fn reactions(call: &mut Call<'_>) -> Outcome {
    let id = call.number("comment_id")?;
    let comment = call
        .repository()
        .comments
        .get(&id)
        .ok_or_else(Answer::not_found)?;
    let items = comment
        .reactions
        .iter()
        .enumerate()
        .map(|(index, (login, content))| reaction(call, id, index, login, content))
        .collect();
    Ok(call.listed(items))
}

/// 201 for a new reaction, 200 when this account gave it before.
pub(super) fn react(call: &mut Call<'_>) -> Outcome {
    let id = call.number("comment_id")?;
    let login = call.actor()?.login;
    let content = call.text("content").unwrap_or_default();
    let comment = call
        .repository_mut()
        .comments
        .get_mut(&id)
        .ok_or_else(Answer::not_found)?;
    let given = (login.clone(), content.clone());
    let before = comment.reactions.iter().position(|one| *one == given);
    let index = before.unwrap_or(comment.reactions.len());
    if before.is_none() {
        comment.reactions.push(given);
    }
    let status = if before.is_some() { 200 } else { 201 };
    Ok(Answer::with(
        status,
        reaction(call, id, index, &login, &content),
    ))
}

fn reaction(call: &Call<'_>, comment: u64, index: usize, login: &str, content: &str) -> Value {
    let id = comment * 100 + index as u64;
    let created = call
        .repository()
        .comments
        .get(&comment)
        .map(|comment| comment.created_at.clone());
    json!({"id": id, "node_id": node_id("Reaction", id), "user": known_user(call.state, login), "content": content, "created_at": created})
}

fn known_pull(call: &Call<'_>) -> Result<u64, Answer> {
    let number = call.number("issue_number")?;
    if call.repository().pulls.contains_key(&number) {
        Ok(number)
    } else {
        Err(Answer::not_found())
    }
}

fn checked_body(call: &Call<'_>) -> Result<String, Answer> {
    let body = call.text("body").unwrap_or_default();
    if body.trim().is_empty() {
        return Err(Answer::unprocessable(
            "IssueComment",
            "body",
            "body cannot be blank",
        ));
    }
    if body.chars().count() > LONGEST_BODY {
        return Err(Answer::unprocessable(
            "IssueComment",
            "body",
            "body is too long (maximum is 65536 characters)",
        ));
    }
    Ok(body)
}

/// The comment in the path, when the caller wrote it.
fn own_comment(call: &mut Call<'_>) -> Result<u64, Answer> {
    let id = call.number("comment_id")?;
    let actor = call.actor()?.login;
    let comment = call
        .repository()
        .comments
        .get(&id)
        .ok_or_else(Answer::not_found)?;
    if comment.author == actor {
        Ok(id)
    } else {
        Err(Answer::refused(
            403,
            "Must have admin rights to Repository.",
        ))
    }
}

fn shown(call: &Call<'_>, id: u64, status: u16) -> Outcome {
    let repository = call.repository();
    let comment = repository.comments.get(&id).ok_or_else(Answer::not_found)?;
    Ok(Answer::with(
        status,
        shapes::comment(call.state, repository, comment),
    ))
}

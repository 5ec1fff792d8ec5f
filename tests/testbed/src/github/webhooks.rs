//! What web hooks say: payloads in GitHub's form, queued for delivery.
//!
//! Every payload starts from one of GitHub's own examples of that event, so it carries every field a receiver may
//! look at; what the double knows is laid over it.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::history::Commit;
use super::pull_shapes::{full_pull, issue};
use super::shapes::{self, known_user, node_id, over, page};
use super::state::{Delivery, DeliveryMode, Repository, State};
use super::templates::{laid_over, template};
use crate::support::timestamp;

/// The commit id that means "none" in push events.
pub(crate) const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Queues a `pull_request` event; `more` is what this action adds to the payload.
pub(crate) fn pull_request(
    state: &mut State,
    repository: &str,
    number: u64,
    action: &str,
    sender: &str,
    more: Value,
) {
    let base = state.repository(repository);
    let pull = &base.pulls[&number];
    let ours = over(
        json!({"action": action, "number": number, "pull_request": full_pull(state, base, pull)}),
        more,
    );
    queue(
        state,
        "pull_request",
        Some(action),
        Some(repository),
        sender,
        ours,
    );
}

/// Queues an `issue_comment` event; `before` is the body an edit replaced.
pub(crate) fn comment(
    state: &mut State,
    repository: &str,
    id: u64,
    action: &str,
    sender: &str,
    before: Option<&str>,
) {
    let base = state.repository(repository);
    let comment = &base.comments[&id];
    let mut ours = json!({
        "action": action, "issue": issue(state, base, &base.pulls[&comment.pull]), "comment": shapes::comment(state, base, comment),
    });
    if let Some(before) = before {
        ours["changes"] = json!({"body": {"from": before}});
    }
    queue(
        state,
        "issue_comment",
        Some(action),
        Some(repository),
        sender,
        ours,
    );
}

/// Queues a `push` event for one branch. `pusher` is an account, or `None` for the deploy key.
pub(crate) fn push(
    state: &mut State,
    repository: &str,
    branch: &str,
    before: Option<&str>,
    after: Option<&str>,
    pusher: Option<&str>,
) {
    let base = state.repository(repository);
    let sender = pusher.unwrap_or(&base.owner).to_owned();
    let commits: Vec<Value> = after
        .map(|after| new_commits(base, branch, before, after))
        .unwrap_or_default();
    let (from, to) = (before.unwrap_or(NO_COMMIT), after.unwrap_or(NO_COMMIT));
    let forced = before.zip(after).is_some_and(|(before, after)| {
        base.git.merge_base(before, after).as_deref() != Some(before)
    });
    let pusher = match pusher {
        Some(login) => json!({"name": login, "email": state.known_user(login).identity().email}),
        None => json!({"name": "deploy key", "email": null}),
    };
    let ours = json!({
        "ref": format!("refs/heads/{branch}"), "before": from, "after": to, "created": before.is_none(), "deleted": after.is_none(),
        "forced": forced, "base_ref": null, "compare": format!("{}/compare/{}...{}", page(base), &from[..12], &to[..12]),
        "head_commit": commits.last(), "commits": commits, "pusher": pusher,
    });
    queue(state, "push", None, Some(repository), &sender, ours);
}

/// Queues the `ping` a new hook is greeted with.
pub(crate) fn ping(state: &mut State) {
    let id = state.hook.id;
    let now = timestamp(OffsetDateTime::now_utc());
    let hook = json!({
        "type": "App", "id": id, "name": "web", "active": true, "events": shapes::EVENTS, "app_id": state.app.id,
        "config": {"content_type": "json", "url": state.hook.url, "insecure_ssl": "0", "secret": "********"}, "updated_at": now, "created_at": now,
    });
    let sender = state.app.owner.clone();
    queue(
        state,
        "ping",
        None,
        None,
        &sender,
        json!({"zen": "Design for failure.", "hook_id": id, "hook": hook}),
    );
}

/// Queues the delivery of this GUID once more.
pub(crate) fn queue_again(state: &mut State, guid: &str) -> u64 {
    let found = state
        .deliveries
        .iter()
        .rfind(|delivery| delivery.guid == guid);
    let mut again = found
        .unwrap_or_else(|| panic!("the double never made a delivery {guid}"))
        .clone();
    again.id = state.next_id();
    again.redelivery = true;
    let (id, lost) = (again.id, state.hook.mode == DeliveryMode::Lost);
    record(state, again, lost);
    id
}

fn queue(
    state: &mut State,
    event: &str,
    action: Option<&str>,
    repository: Option<&str>,
    sender: &str,
    ours: Value,
) {
    let mut ours = over(ours, json!({"sender": known_user(state, sender)}));
    let mut names = Map::new();
    let mut repository_id = None;
    let mut installed = true;
    if let Some(base) = repository.map(|name| state.repository(name)) {
        ours["repository"] = if event == "push" {
            push_repository(state, base)
        } else {
            shapes::repository(state, base)
        };
        names.insert("Codertocat/Hello-World".to_owned(), json!(base.full_name()));
        names.insert("Codertocat".to_owned(), json!(base.owner));
        repository_id = Some(base.id);
        installed = base.installed;
    }
    if installed {
        let id = state.app.installation_id;
        ours["installation"] = json!({"id": id, "node_id": node_id("IntegrationInstallation", id)});
    }
    let mut payload = laid_over(template(event, action), ours, &names);
    if let Some(object) = payload.as_object_mut() {
        // Of examples that come from an organization or from another kind of hook.
        object.retain(|key, _| {
            key != "organization"
                && (key != "repository" || repository.is_some())
                && (key != "installation" || installed)
        });
    }
    let id = state.next_id();
    let delivery = Delivery {
        id,
        guid: format!("{id:08x}-7c0f-11f0-8000-{id:012x}"),
        event: event.to_owned(),
        action: action.map(str::to_owned),
        payload,
        redelivery: false,
        delivered_at: timestamp(OffsetDateTime::now_utc()),
        status: 0,
        answer: String::new(),
        seconds: 0.0,
        repository_id,
    };
    let lost = state.hook.mode == DeliveryMode::Lost || state.hook.url.is_none();
    let twice = state.hook.mode == DeliveryMode::Twice;
    record(state, delivery.clone(), lost);
    if twice {
        let again = Delivery {
            id: state.next_id(),
            ..delivery
        };
        record(state, again, lost);
    }
}

fn record(state: &mut State, mut delivery: Delivery, lost: bool) {
    (delivery.status, delivery.answer) = if lost {
        (502, "failed to connect to host".to_owned())
    } else {
        (0, String::new())
    };
    if !lost {
        state.outbox.push(delivery.id);
    }
    state.deliveries.push(delivery);
}

/// In push events a repository's times are seconds and its owner has a name.
fn push_repository(state: &State, base: &Repository) -> Value {
    let seconds = |text: &str| {
        OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
            .map_or(0, OffsetDateTime::unix_timestamp)
    };
    let owner = state.known_user(&base.owner);
    let named = json!({"name": owner.login, "email": owner.identity().email});
    over(
        shapes::repository(state, base),
        json!({
            "url": page(base), "created_at": seconds(&base.created_at), "pushed_at": seconds(&base.pushed_at), "stargazers": 0,
            "master_branch": base.default_branch, "owner": over(shapes::user(state, &owner), named),
        }),
    )
}

/// The commits a push brought, oldest first.
fn new_commits(base: &Repository, branch: &str, before: Option<&str>, after: &str) -> Vec<Value> {
    let known: Vec<String> = match before {
        Some(before) => vec![format!("^{before}")],
        None => base
            .known_branches
            .iter()
            .filter(|(name, _)| **name != format!("refs/heads/{branch}"))
            .map(|(_, sha)| format!("^{sha}"))
            .collect(),
    };
    let mut arguments = vec![after, "--max-count=2048"];
    arguments.extend(known.iter().map(String::as_str));
    base.git
        .log(&arguments)
        .iter()
        .rev()
        .map(|commit| pushed_commit(base, commit))
        .collect()
}

fn pushed_commit(base: &Repository, commit: &Commit) -> Value {
    let from = commit
        .parents
        .first()
        .map_or("4b825dc642cb6eb9a060e54bf8d69288fbee4904", String::as_str);
    let changes = base.git.changes(from, &commit.sha);
    let named = |wanted: &[&str]| {
        changes
            .iter()
            .filter(|change| wanted.contains(&change.status))
            .map(|change| change.path.clone())
            .collect::<Vec<_>>()
    };
    let mut removed = named(&["removed"]);
    removed.extend(changes.iter().filter_map(|change| change.previous.clone()));
    let person = |who: &super::git::Identity| json!({"name": who.name, "email": who.email, "username": who.name});
    json!({
        "id": commit.sha, "tree_id": commit.tree, "distinct": true, "message": commit.message, "timestamp": commit.committer_date,
        "url": format!("{}/commit/{}", page(base), commit.sha), "author": person(&commit.author), "committer": person(&commit.committer),
        "added": named(&["added", "renamed"]), "removed": removed, "modified": named(&["modified", "changed"]),
    })
}

//! Web hooks: payloads in GitHub's form, signed, delivered, recorded.
//!
//! Every payload starts from one of GitHub's own examples of that event, so it carries every field a receiver may
//! look at; what the double knows is laid over it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::Shared;
use super::git::Commit;
use super::pull_shapes::{full_pull, issue};
use super::shapes::{self, known_user, node_id, over, page};
use super::state::{Delivery, DeliveryMode, Hook, Repository, State};
use crate::support::{cache_directory, timestamp, write_whole};
use crate::tools::webhook_examples;

/// After these seconds without an answer GitHub calls a delivery failed.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// `ours` over the example: objects key by key, everything else as a whole. What stays of the example gets our names.
fn laid_over(example: &Value, ours: Value, names: &Map<String, Value>) -> Value {
    match (example, ours) {
        (Value::Object(example), Value::Object(mut ours)) => {
            let mut result = Map::new();
            for (key, value) in example {
                let merged = match ours.remove(key) {
                    Some(own) => laid_over(value, own, names),
                    None => renamed(value, names),
                };
                result.insert(key.clone(), merged);
            }
            result.extend(ours);
            Value::Object(result)
        }
        (_, ours) => ours,
    }
}

fn renamed(value: &Value, names: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => {
            // Longest first, so that a full name is not taken for its owner.
            let mut text = text.clone();
            for (old, new) in names.iter().rev() {
                text = text.replace(old, new.as_str().unwrap_or_default());
            }
            Value::String(text)
        }
        Value::Array(items) => items.iter().map(|item| renamed(item, names)).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (key.clone(), renamed(value, names)))
            .collect(),
        other => other.clone(),
    }
}

/// GitHub's example of an event; of an action without one, that of the event's first.
fn template(event: &str, action: Option<&str>) -> &'static Value {
    static TEMPLATES: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    let templates = TEMPLATES.get_or_init(load_templates);
    let exact = format!("{event} {}", action.unwrap_or_default());
    let found = templates.get(&exact).or_else(|| {
        templates
            .iter()
            .find(|(name, _)| name.split(' ').next() == Some(event))
            .map(|(_, value)| value)
    });
    found.unwrap_or_else(|| panic!("GitHub's examples lack the event {event}"))
}

fn load_templates() -> BTreeMap<String, Value> {
    const EVENTS: [&str; 4] = ["pull_request", "push", "issue_comment", "ping"];
    let source = webhook_examples().unwrap_or_else(|missing| panic!("{missing}"));
    let size = fs::metadata(&source).map_or(0, |metadata| metadata.len());
    let kept = cache_directory().join(format!("webhook-templates-1-{size}.json"));
    if let Ok(bytes) = fs::read(&kept)
        && let Ok(templates) = serde_json::from_slice(&bytes)
    {
        return templates;
    }
    let bytes = fs::read(&source)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", source.display()));
    let all: Vec<Value> =
        serde_json::from_slice(&bytes).expect("GitHub's examples are a JSON list");
    let mut templates: BTreeMap<String, Value> = BTreeMap::new();
    for event in all
        .iter()
        .filter(|event| EVENTS.iter().any(|name| event["name"] == **name))
    {
        for example in event["examples"].as_array().into_iter().flatten() {
            let name = format!(
                "{} {}",
                event["name"].as_str().unwrap_or_default(),
                example["action"].as_str().unwrap_or_default()
            );
            // Those for an App are the fuller ones.
            let better = templates.get(&name).is_none_or(|held| {
                held.get("installation").is_none() && example.get("installation").is_some()
            });
            if better {
                templates.insert(name, example.clone());
            }
        }
    }
    write_whole(
        &kept,
        &serde_json::to_vec(&templates).expect("templates are JSON"),
    );
    templates
}

/// The value of `X-Hub-Signature-256`.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    let digits: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={digits}")
}

impl Shared {
    /// Sends what waits, in order, unless that is to be done by hand.
    pub(crate) async fn send_waiting(self: &Arc<Self>) {
        if self.lock().hook.mode != DeliveryMode::Manual {
            self.send_all().await;
        }
    }

    /// Sends what waits, in order, whatever the mode.
    pub(crate) async fn send_all(self: &Arc<Self>) {
        // One sender at a time, so that deliveries keep their order.
        let _turn = self.courier.lock().await;
        loop {
            let next = {
                let mut state = self.lock();
                (!state.outbox.is_empty()).then(|| state.outbox.remove(0))
            };
            let Some(id) = next else { return };
            self.send(id).await;
        }
    }

    async fn send(&self, id: u64) {
        let (delivery, url, body, signature, hook_id) = {
            let state = self.lock();
            let delivery = state
                .deliveries
                .iter()
                .find(|delivery| delivery.id == id)
                .expect("what waits was recorded")
                .clone();
            let Hook {
                id: hook_id,
                url,
                secret,
                ..
            } = &state.hook;
            let body = delivery.payload.to_string();
            let signature = signature(secret, body.as_bytes());
            (
                delivery,
                url.clone().unwrap_or_default(),
                body,
                signature,
                *hook_id,
            )
        };
        let started = Instant::now();
        let sent = self
            .client
            .post(url)
            .timeout(PATIENCE)
            .header("content-type", "application/json")
            .header("user-agent", "GitHub-Hookshot/044aadd")
            .header("x-github-delivery", &delivery.guid)
            .header("x-github-event", &delivery.event)
            .header("x-github-hook-id", hook_id)
            .header("x-github-hook-installation-target-type", "integration")
            .header("x-hub-signature-256", signature)
            .body(body)
            .send()
            .await;
        let (status, answer) = match sent {
            Ok(response) => (
                response.status().as_u16(),
                response.text().await.unwrap_or_default(),
            ),
            Err(error) => (502, error.to_string()),
        };
        let mut state = self.lock();
        let recorded = state
            .deliveries
            .iter_mut()
            .find(|delivery| delivery.id == id)
            .expect("deliveries are never removed");
        (recorded.status, recorded.answer, recorded.seconds) =
            (status, answer, started.elapsed().as_secs_f64());
        recorded.delivered_at = timestamp(OffsetDateTime::now_utc());
    }
}

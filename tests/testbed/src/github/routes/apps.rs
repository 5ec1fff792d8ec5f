//! Apps, accounts, repositories and GitHub itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::github::auth::Caller;
use crate::github::call::{Answer, Call, Outcome};
use crate::github::shapes;
use crate::github::state::{Delivery, InstallationToken};
use crate::github::webhooks;
use crate::support::timestamp;

pub(super) fn app(call: &mut Call<'_>) -> Outcome {
    Ok(Answer::ok(shapes::over(
        shapes::app(call.state),
        json!({"installations_count": 1}),
    )))
}

pub(super) fn installations(call: &mut Call<'_>) -> Outcome {
    Ok(call.listed(vec![shapes::installation(call.state)]))
}

pub(super) fn installation(call: &mut Call<'_>) -> Outcome {
    known_installation(call)?;
    Ok(Answer::ok(shapes::installation(call.state)))
}

pub(super) fn repository_installation(call: &mut Call<'_>) -> Outcome {
    if !call.repository().installed {
        return Err(Answer::not_found());
    }
    Ok(Answer::ok(shapes::installation(call.state)))
}

pub(super) fn create_token(call: &mut Call<'_>) -> Outcome {
    known_installation(call)?;
    let permissions = asked_permissions(call)?;
    let repositories = asked_repositories(call)?;
    let expires_at = OffsetDateTime::now_utc() + call.state.app.token_lifetime;
    let text = format!("ghs_{:036}", call.state.next_id());
    let selection = if repositories.is_some() {
        "selected"
    } else {
        "all"
    };
    let body = json!({
        "token": text, "expires_at": timestamp(expires_at), "permissions": permissions, "repository_selection": selection,
    });
    call.state.tokens.insert(
        text,
        InstallationToken {
            expires_at,
            permissions,
            repositories,
        },
    );
    Ok(Answer::with(201, body))
}

/// A token has the App's permissions, or fewer when fewer are asked for.
fn asked_permissions(call: &Call<'_>) -> Result<BTreeMap<String, String>, Answer> {
    let all = &call.state.app.permissions;
    let Some(asked) = call.body["permissions"].as_object() else {
        return Ok(all.clone());
    };
    asked
        .iter()
        .map(|(name, level)| {
            let level = level.as_str().unwrap_or_default();
            let covered = all
                .get(name)
                .is_some_and(|granted| granted == level || granted == "write" && level == "read");
            let refused = || {
                Answer::refused(
                    422,
                    "The permissions requested are not granted to this installation.",
                )
            };
            covered
                .then(|| (name.clone(), level.to_owned()))
                .ok_or_else(refused)
        })
        .collect()
}

fn asked_repositories(call: &Call<'_>) -> Result<Option<Vec<String>>, Answer> {
    let installed = call
        .state
        .repositories
        .values()
        .filter(|repository| repository.installed);
    let names = call.body["repositories"].as_array();
    let ids = call.body["repository_ids"].as_array();
    if names.is_none() && ids.is_none() {
        return Ok(None);
    }
    let asked = |name: &str, id: u64| {
        names.is_some_and(|names| names.iter().any(|one| one == name))
            || ids.is_some_and(|ids| ids.iter().any(|one| one.as_u64() == Some(id)))
    };
    let found: Vec<String> = installed
        .filter(|repository| asked(&repository.name, repository.id))
        .map(|repository| repository.full_name())
        .collect();
    if found.len() < names.map_or(0, Vec::len) + ids.map_or(0, Vec::len) {
        return Err(Answer::refused(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        ));
    }
    Ok(Some(found))
}

fn known_installation(call: &Call<'_>) -> Result<(), Answer> {
    if call.number("installation_id")? == call.state.app.installation_id {
        Ok(())
    } else {
        Err(Answer::not_found())
    }
}

pub(super) fn deliveries(call: &mut Call<'_>) -> Outcome {
    let mut items: Vec<Value> = call
        .state
        .deliveries
        .iter()
        .rev()
        .filter(|delivery| delivery.status != 0)
        .map(|one| listed(call, one))
        .collect();
    if let Some(wanted) = call.query.get("status") {
        items.retain(|item| (item["status"] == "OK") == (wanted == "success"));
    }
    // Pages of this list are found by cursor: the id below which the next one starts.
    if let Some(below) = call
        .query
        .get("cursor")
        .and_then(|text| text.parse::<u64>().ok())
    {
        items.retain(|item| item["id"].as_u64() < Some(below));
    }
    let size = call
        .query
        .get("per_page")
        .and_then(|text| text.parse().ok())
        .unwrap_or(30);
    let more = items.len() > size;
    items.truncate(size);
    let mut answer = Answer::ok(Value::Array(items));
    if more && let Some(last) = answer.body.as_array().and_then(|items| items.last()) {
        let link = format!(
            "<{}{}?per_page={size}&cursor={}>; rel=\"next\"",
            call.state.api_url, call.path, last["id"]
        );
        answer.headers.push(("link".to_owned(), link));
    }
    Ok(answer)
}

pub(super) fn delivery(call: &mut Call<'_>) -> Outcome {
    let delivery = known_delivery(call)?;
    let headers = json!({"X-GitHub-Delivery": delivery.guid, "X-GitHub-Event": delivery.event});
    let body = json!({
        "url": call.state.hook.url.as_deref().unwrap_or_default(), "request": {"headers": headers, "payload": delivery.payload},
        "response": {"headers": {}, "payload": delivery.answer},
    });
    Ok(Answer::ok(shapes::over(listed(call, delivery), body)))
}

pub(super) fn redeliver(call: &mut Call<'_>) -> Outcome {
    let guid = known_delivery(call)?.guid.clone();
    webhooks::queue_again(call.state, &guid);
    Ok(Answer::with(202, json!({})))
}

fn known_delivery<'a>(call: &'a Call<'_>) -> Result<&'a Delivery, Answer> {
    let id = call.number("delivery_id")?;
    call.state
        .deliveries
        .iter()
        .find(|delivery| delivery.id == id)
        .ok_or_else(Answer::not_found)
}

fn listed(call: &Call<'_>, delivery: &Delivery) -> Value {
    let status = match delivery.status {
        200..=299 => "OK",
        502 => "failed to connect to host",
        _ => "Invalid HTTP Response",
    };
    json!({
        "id": delivery.id, "guid": delivery.guid, "delivered_at": delivery.delivered_at, "redelivery": delivery.redelivery,
        "duration": delivery.seconds, "status": status, "status_code": delivery.status, "event": delivery.event, "action": delivery.action,
        "installation_id": call.state.app.installation_id, "repository_id": delivery.repository_id, "throttled_at": null,
    })
}

pub(super) fn meta(call: &mut Call<'_>) -> Outcome {
    Ok(Answer::ok(
        json!({"verifiable_password_authentication": false, "ssh_keys": call.state.ssh_host_keys}),
    ))
}

pub(super) fn rate_limit(_call: &mut Call<'_>) -> Outcome {
    let reset = (OffsetDateTime::now_utc() + Duration::HOUR).unix_timestamp();
    let rate = json!({"limit": 5000, "remaining": 4999, "reset": reset, "used": 1});
    Ok(Answer::ok(
        json!({"resources": {"core": rate, "search": rate, "graphql": rate}, "rate": rate}),
    ))
}

pub(super) fn current_user(call: &mut Call<'_>) -> Outcome {
    match &call.caller {
        Caller::Person(_) => {
            let actor = call.actor()?;
            Ok(Answer::ok(shapes::public_user(call.state, &actor)))
        }
        Caller::Installation { .. } => Err(Answer::refused(
            403,
            "Resource not accessible by integration",
        )),
        Caller::App | Caller::Anonymous => Err(Answer::refused(401, "Requires authentication")),
    }
}

pub(super) fn user_by_id(call: &mut Call<'_>) -> Outcome {
    let id = call.number("account_id")?;
    let account = call
        .state
        .users
        .values()
        .find(|account| account.id == id)
        .ok_or_else(Answer::not_found)?;
    Ok(Answer::ok(shapes::public_user(call.state, account)))
}

pub(super) fn user_by_login(call: &mut Call<'_>) -> Outcome {
    let account = call
        .state
        .users
        .get(call.parameter("username"))
        .ok_or_else(Answer::not_found)?;
    Ok(Answer::ok(shapes::public_user(call.state, account)))
}

pub(super) fn repository(call: &mut Call<'_>) -> Outcome {
    Ok(Answer::ok(shapes::full_repository(
        call.state,
        call.repository(),
    )))
}

/// Only who may write to a repository is told what others may (docs.github.com, "Get repository permissions for a user").
pub(super) fn permission(call: &mut Call<'_>) -> Outcome {
    if let Caller::Person(login) = &call.caller
        && !call.may_write(login)
    {
        return Err(Answer::refused(
            403,
            "Must have push access to view collaborator permission.",
        ));
    }
    let account = call
        .state
        .users
        .get(call.parameter("username"))
        .cloned()
        .ok_or_else(Answer::not_found)?;
    let permission = call.repository().permission(&account.login);
    Ok(Answer::ok(shapes::permission(
        call.state, &account, permission,
    )))
}

//! What is set up before a bot works: deploy keys, the repository's web hook, Apps made from a manifest.

use serde_json::{Value, json};

use super::{Operation, apps, operation, read, write};
use crate::github::auth::Access;
use crate::github::call::{Answer, Call, Outcome};
use crate::github::shapes;
use crate::github::state::DeployKey;

const ADMINISTRATION: &[&str] = &["administration"];
const HOOKS: &[&str] = &["repository_hooks"];

pub(super) static OPERATIONS: &[Operation] = &[
    operation(
        "get",
        "/repos/{owner}/{repo}/keys",
        read(ADMINISTRATION),
        keys,
    ),
    operation(
        "post",
        "/repos/{owner}/{repo}/keys",
        write(ADMINISTRATION),
        add_key,
    ),
    operation("get", "/repos/{owner}/{repo}/hooks", read(HOOKS), hooks),
    operation(
        "get",
        "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries",
        read(HOOKS),
        deliveries,
    ),
    operation(
        "post",
        "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts",
        write(HOOKS),
        redeliver,
    ),
    operation(
        "post",
        "/app-manifests/{code}/conversions",
        Access::Anyone,
        convert,
    ),
];

fn keys(call: &mut Call<'_>) -> Outcome {
    let keys = call.repository().deploy_keys.clone();
    let listed = keys.iter().map(|key| shape(call, key)).collect();
    Ok(call.listed(listed))
}

fn add_key(call: &mut Call<'_>) -> Outcome {
    let given = call.text("key").unwrap_or_default();
    let words: Vec<&str> = given.split_whitespace().collect();
    let [
        kind @ ("ssh-ed25519" | "ssh-rsa" | "ecdsa-sha2-nistp256"),
        data,
        ..,
    ] = words[..]
    else {
        let message = "key is invalid. You must supply a key in OpenSSH public key format";
        return Err(Answer::unprocessable("PublicKey", "key", message));
    };
    let key = format!("{kind} {data}");
    // A key is good for one repository only.
    let in_use = call
        .state
        .repositories
        .values()
        .any(|repository| repository.deploy_keys.iter().any(|known| known.key == key));
    if in_use {
        let message = "key is already in use";
        return Err(Answer::unprocessable("PublicKey", "key", message));
    }
    let added = DeployKey {
        id: call.state.next_id(),
        title: call.text("title").unwrap_or_default(),
        key,
        read_only: call.body["read_only"].as_bool().unwrap_or(true),
        created_at: call.state.tick_text(),
    };
    let answer = shape(call, &added);
    call.repository_mut().deploy_keys.push(added);
    Ok(Answer::with(201, answer))
}

fn shape(call: &Call<'_>, key: &DeployKey) -> Value {
    let url = format!(
        "{}/repos/{}/keys/{}",
        call.state.api_url,
        call.repository_name(),
        key.id
    );
    json!({
        "id": key.id, "key": key.key, "url": url, "title": key.title, "verified": true, "created_at": key.created_at,
        "read_only": key.read_only, "added_by": call.repository().owner, "last_used": null, "enabled": true,
    })
}

/// One, which leads where the App's leads: the double has no second one.
fn hooks(call: &mut Call<'_>) -> Outcome {
    let id = call.state.hook.id;
    let url = format!(
        "{}/repos/{}/hooks/{id}",
        call.state.api_url,
        call.repository_name()
    );
    let hook = json!({
        "type": "Repository", "id": id, "name": "web", "active": true, "events": shapes::EVENTS,
        "config": {"content_type": "json", "insecure_ssl": "0", "url": call.state.hook.url, "secret": "********"},
        "updated_at": "2026-01-02T03:04:05Z", "created_at": "2026-01-02T03:04:05Z", "url": url, "test_url": format!("{url}/test"),
        "ping_url": format!("{url}/pings"), "deliveries_url": format!("{url}/deliveries"),
        "last_response": {"code": null, "status": "unused", "message": null},
    });
    Ok(call.listed(vec![hook]))
}

fn deliveries(call: &mut Call<'_>) -> Outcome {
    known_hook(call)?;
    apps::deliveries(call)
}

fn redeliver(call: &mut Call<'_>) -> Outcome {
    known_hook(call)?;
    apps::redeliver(call)
}

fn known_hook(call: &Call<'_>) -> Result<(), Answer> {
    if call.number("hook_id")? == call.state.hook.id {
        Ok(())
    } else {
        Err(Answer::not_found())
    }
}

/// The code is good once. From now on the double's App is the new one.
fn convert(call: &mut Call<'_>) -> Outcome {
    let code = call.parameter("code").to_owned();
    let manifest = call
        .state
        .manifests
        .remove(&code)
        .ok_or_else(Answer::not_found)?;
    let name = manifest["name"].as_str().unwrap_or_default();
    let permissions = manifest["default_permissions"].as_object();
    let id = call.state.next_id();
    let state = &mut *call.state;
    state.app.id = id;
    state.app.slug = name.to_lowercase().replace(' ', "-");
    state.app.permissions = permissions
        .into_iter()
        .flatten()
        .map(|(name, level)| (name.clone(), level.as_str().unwrap_or_default().to_owned()))
        .collect();
    state.hook.url = manifest["hook_attributes"]["url"]
        .as_str()
        .map(str::to_owned);
    let bot = state.app.bot();
    state.user(&bot);
    let secrets = json!({
        "client_id": format!("Iv1.{id:016x}"), "client_secret": "client-secret-of-the-test-bench",
        "webhook_secret": state.hook.secret, "pem": state.app.private_key_pem,
    });
    let answer = shapes::over(shapes::app(call.state), secrets);
    Ok(Answer::with(201, answer))
}

//! GitHub's own examples of payloads, and how what the double knows is laid over them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::support::{cache_directory, write_whole};
use crate::tools::webhook_examples;

/// `ours` over the example: objects key by key, everything else as a whole. What stays of the example gets our names.
pub(crate) fn laid_over(example: &Value, ours: Value, names: &Map<String, Value>) -> Value {
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
pub(crate) fn template(event: &str, action: Option<&str>) -> &'static Value {
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

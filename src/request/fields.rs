//! Takes a mapping apart: known keys once each, and values of the wanted kind.

use super::report::{Report, shown, suggestion};
use super::tree::{Node, Text, Value};
use crate::model::Location;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The most values a list of distinct words may have.
const ITEMS_LIMIT: usize = 200;

/// A key of a file, and a line that uses it rightly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// What a valid use looks like.
    pub(super) example: &'static str,
}

/// The entries of a mapping by key; problems with the keys themselves are reported already.
#[derive(Debug, Default)]
pub(super) struct Fields {
    values: BTreeMap<&'static str, Node>,
}

impl Fields {
    /// Sorts the entries of a mapping: unknown keys and second occurrences are errors.
    pub(super) fn new(entries: Vec<(Node, Node)>, known: &[Key], report: &mut Report<'_>) -> Self {
        let names: Vec<&str> = known.iter().map(|key| key.name).collect();
        let mut places: BTreeMap<String, Location> = BTreeMap::new();
        let mut values = BTreeMap::new();
        for (key, value) in entries {
            let name = match &key.value {
                Value::Text(text) => text.text.clone(),
                Value::Number(number) => number.clone(),
                Value::Truth(value) => value.to_string(),
                other => {
                    report.error(
                        key.location,
                        format!("a key must be text, found {}", other.kind()),
                        "use text such as `packages`",
                    );
                    continue;
                }
            };
            if let Some(first) = places.get(&name) {
                report.error(
                    key.location,
                    format!("the key `{}` is here a second time", shown(&name)),
                    format!("keep one of them; the first is on line {}", first.line),
                );
                continue;
            }
            match known.iter().find(|key| key.name == name) {
                Some(key) => {
                    values.insert(key.name, value);
                }
                None => report.error(
                    key.location,
                    format!("unknown key `{}`", shown(&name)),
                    if name == "<<" {
                        "merge keys are not supported; write the keys out".to_owned()
                    } else {
                        suggestion(&name, &names)
                    },
                ),
            }
            places.insert(name, key.location);
        }
        Self { values }
    }

    /// The value of a key; `None` when it is absent, or has no value, which is an error.
    pub(super) fn take(&mut self, key: Key, report: &mut Report<'_>) -> Option<Node> {
        let node = self.values.remove(key.name)?;
        if matches!(node.value, Value::Nothing) {
            report.error(
                node.location,
                format!("`{}` has no value", key.name),
                format!("write for example `{}`, or remove the line", key.example),
            );
            return None;
        }
        Some(node)
    }

    /// Whether the key is there, with a value or without.
    pub(super) fn has(&self, key: Key) -> bool {
        self.values.contains_key(key.name)
    }
}

/// Reports a value of the wrong kind.
pub(super) fn wrong_kind(node: &Node, key: Key, wanted: &str, report: &mut Report<'_>) {
    let hint = match &node.value {
        Value::Number(number) if wanted == "text" => {
            format!("write it in quotes: `\"{}\"`", shown(number))
        }
        Value::Truth(value) if wanted == "text" => format!("write it in quotes: `\"{value}\"`"),
        _ => format!("write for example `{}`", key.example),
    };
    report.error(
        node.location,
        format!(
            "`{}` must be {wanted}, found {}",
            key.name,
            node.value.kind()
        ),
        hint,
    );
}

/// Text; anything else is an error.
pub(super) fn text(node: &Node, key: Key, report: &mut Report<'_>) -> Option<Text> {
    if let Value::Text(text) = &node.value {
        return Some(text.clone());
    }
    wrong_kind(node, key, "text", report);
    None
}

/// A list; anything else, and an empty one, is an error.
pub(super) fn list(node: Node, key: Key, report: &mut Report<'_>) -> Option<Vec<Node>> {
    match node.value {
        Value::List(items) if !items.is_empty() => Some(items),
        Value::List(_) => {
            report.error(
                node.location,
                format!("`{}` is an empty list", key.name),
                format!("write for example `{}`", key.example),
            );
            None
        }
        _ => {
            wrong_kind(&node, key, "a list", report);
            None
        }
    }
}

/// An item of a list as text; a number counts as it is written, so `3.10` is not `3.1`.
pub(super) fn word(item: &Node, key: Key, report: &mut Report<'_>) -> Option<String> {
    match &item.value {
        Value::Text(text) => Some(text.text.trim().to_owned()),
        Value::Number(number) => Some(number.clone()),
        other => {
            let message = format!("`{}` must list texts, found {}", key.name, other.kind());
            report.error(
                item.location,
                message,
                format!("write for example `{}`", key.example),
            );
            None
        }
    }
}

/// A whole number within bounds; anything else is an error.
pub(super) fn whole_number(
    node: &Node,
    key: Key,
    bounds: RangeInclusive<u32>,
    report: &mut Report<'_>,
) -> Option<u32> {
    let Value::Number(number) = &node.value else {
        wrong_kind(node, key, "a whole number", report);
        return None;
    };
    let value = number.parse().ok().filter(|value| bounds.contains(value));
    if value.is_none() {
        report.error(
            node.location,
            format!("`{}` cannot be `{}`", key.name, shown(number)),
            format!(
                "use a whole number from {} to {}",
                bounds.start(),
                bounds.end()
            ),
        );
    }
    value
}

/// A list of distinct words, each checked by `parse` (which reports what is wrong with it), in the order of the file.
pub(super) fn distinct<T: PartialEq>(
    node: Node,
    key: Key,
    report: &mut Report<'_>,
    mut parse: impl FnMut(&str, Location, &mut Report<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let at = node.location;
    let items = list(node, key, report)?;
    if items.len() > ITEMS_LIMIT {
        report.error(
            at,
            format!("`{}` lists {} values", key.name, items.len()),
            format!("list at most {ITEMS_LIMIT}"),
        );
        return None;
    }
    let mut values = Vec::new();
    for item in items {
        let Some(text) = word(&item, key, report) else {
            continue;
        };
        let Some(value) = parse(&text, item.location, report) else {
            continue;
        };
        if values.contains(&value) {
            report.warning(
                item.location,
                format!("`{}` lists `{}` twice", key.name, shown(&text)),
                "remove one of them",
            );
        } else {
            values.push(value);
        }
    }
    (!values.is_empty()).then_some(values)
}

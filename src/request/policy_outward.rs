//! The policy's values about telling others: who is notified, and public names in Parameter Store.

use super::fields::{Fields, Key, list, text, wrong_kind};
use super::report::{Report, shown};
use super::tree::{Node, Value};
use crate::model::{Destination, InvalidValue, ParameterPath};

const SNS: Key = Key {
    name: "sns",
    example: "sns: arn:aws:sns:eu-west-1:123456789012:layers",
};
const WEBHOOK: Key = Key {
    name: "webhook",
    example: "webhook: https://hooks.example.com/layers",
};
const PATH: Key = Key {
    name: "path",
    example: "path: /layersmith",
};
/// Everybody is told of everything by this process.
const DESTINATIONS_LIMIT: usize = 20;

/// A list of `{sns: …}` and `{webhook: …}`.
pub(super) fn notify(node: Node, key: Key, report: &mut Report<'_>) -> Option<Vec<Destination>> {
    let at = node.location;
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        // Nobody is told, which is a fair thing to write.
        return Some(Vec::new());
    }
    let items = list(node, key, report)?;
    if items.len() > DESTINATIONS_LIMIT {
        report.error(
            at,
            format!("`{}` lists {} destinations", key.name, items.len()),
            format!("list at most {DESTINATIONS_LIMIT}; an SNS topic passes on to many"),
        );
        return None;
    }
    let mut destinations = Vec::new();
    for item in items {
        let at = item.location;
        let Some(destination) = destination(item, key, report) else {
            continue;
        };
        if destinations.contains(&destination) {
            report.warning(at, "this destination is listed twice", "remove one of them");
        } else {
            destinations.push(destination);
        }
    }
    Some(destinations)
}

fn destination(item: Node, key: Key, report: &mut Report<'_>) -> Option<Destination> {
    let at = item.location;
    let Value::Mapping(entries) = item.value else {
        let (message, hint) = match &item.value {
            Value::Text(text) if text.text.starts_with("arn:") => (
                format!("`{}` lists a text", key.name),
                format!("write `- sns: {}`", shown(&text.text)),
            ),
            Value::Text(_) => (
                format!("`{}` lists a text", key.name),
                format!("write for example `- {}`", WEBHOOK.example),
            ),
            other => (
                format!("`{}` must list mappings, found {}", key.name, other.kind()),
                format!("write for example `- {}`", SNS.example),
            ),
        };
        report.error(at, message, hint);
        return None;
    };
    let mut fields = Fields::new(entries, &[SNS, WEBHOOK], report);
    if fields.has(SNS) == fields.has(WEBHOOK) {
        report.error(
            at,
            format!(
                "an item of `{}` must name either `sns` or `webhook`",
                key.name
            ),
            format!("write for example `- {}`", SNS.example),
        );
        return None;
    }
    let mut parsed = |key: Key, parse: fn(&str) -> Result<Destination, InvalidValue>| {
        let node = fields.take(key, report)?;
        let value = text(&node, key, report)?.text;
        match parse(value.trim()) {
            Ok(destination) => Some(destination),
            Err(_) if key.name == SNS.name => {
                report.error(
                    node.location,
                    format!("`{}` is not the ARN of an SNS topic", shown(&value)),
                    format!("write for example `{}`", key.example),
                );
                None
            }
            Err(InvalidValue(message)) => {
                report.error(
                    node.location,
                    message,
                    format!("write for example `{}`; secrets do not belong in this file, the signing key is a setting", key.example),
                );
                None
            }
        }
    };
    parsed(SNS, Destination::sns).or_else(|| parsed(WEBHOOK, Destination::webhook))
}

/// `true`, `false` or `{path: /…}`; the inner `None` is no parameters.
pub(super) fn parameters(
    node: Node,
    key: Key,
    report: &mut Report<'_>,
) -> Option<Option<ParameterPath>> {
    match node.value {
        Value::Truth(true) => Some(Some(ParameterPath::default())),
        Value::Truth(false) => Some(None),
        Value::Mapping(entries) => {
            let mut fields = Fields::new(entries, &[PATH], report);
            if !fields.has(PATH) {
                report.error(
                    node.location,
                    format!("`{}` does not say where", key.name),
                    format!(
                        "write for example `{{{}}}`, or `true` for just that",
                        PATH.example
                    ),
                );
                return None;
            }
            let node = fields.take(PATH, report)?;
            let value = text(&node, PATH, report)?.text;
            let trimmed = value.strip_suffix('/').unwrap_or(&value);
            match trimmed.parse() {
                Ok(path) => Some(Some(path)),
                Err(InvalidValue(_)) => {
                    let plain = trimmed.trim_start_matches('/').to_ascii_lowercase();
                    let hint = if plain.starts_with("aws") || plain.starts_with("ssm") {
                        "AWS keeps names that begin with `aws` or `ssm` for itself".to_owned()
                    } else {
                        format!(
                            "write up to 12 levels of letters, digits, `.`, `_` and `-`, such as `{}`",
                            PATH.example
                        )
                    };
                    report.error(
                        node.location,
                        format!("`{}` cannot begin the names of parameters", shown(&value)),
                        hint,
                    );
                    None
                }
            }
        }
        value => {
            let node = Node {
                location: node.location,
                value,
            };
            wrong_kind(&node, key, "`true`, `false` or `{path: …}`", report);
            None
        }
    }
}

//! The policy's values that have parts: visibility, index address, tables, limits.

use super::fields::{Fields, Key, distinct, text, whole_number, wrong_kind};
use super::report::{Report, is_plain, one_of, shown, suggestion};
use super::tree::{Node, Value};
use crate::model::{Limits, Location, TableFormat, TableSettings, Visibility};
use url::Url;

const ORGANIZATION: Key = key("organization", "visibility: {organization: o-abc1234567}");
const ACCOUNTS: Key = key("accounts", "visibility: {accounts: [\"123456789012\"]}");
const PATH: Key = key("path", "path: layers/arns");
const FORMATS: Key = key("formats", "formats: [md, csv, json, feed]");
const PACKAGES_PER_LAYER: Key = key("packages_per_layer", "packages_per_layer: 30");
const LAYERS_PER_PULL_REQUEST: Key = key("layers_per_pull_request", "layers_per_pull_request: 50");
const BUILD_SECONDS: Key = key("build_seconds", "build_seconds: 600");

const fn key(name: &'static str, example: &'static str) -> Key {
    Key { name, example }
}

/// `public`, `private`, `{organization: …}` or `{accounts: […]}`.
pub(super) fn visibility(node: Node, key: Key, report: &mut Report<'_>) -> Option<Visibility> {
    let at = node.location;
    match node.value {
        Value::Text(text) => match text.text.as_str() {
            "public" => Some(Visibility::Public),
            "private" => Some(Visibility::Private),
            other => {
                let hint = match other {
                    "organization" => format!("say which one: `{}`", ORGANIZATION.example),
                    "accounts" => format!("say which ones: `{}`", ACCOUNTS.example),
                    _ => suggestion(other, &["public", "private"]),
                };
                report.error(
                    at,
                    format!("`visibility` cannot be `{}`", shown(other)),
                    hint,
                );
                None
            }
        },
        Value::Mapping(entries) => {
            let mut fields = Fields::new(entries, &[ORGANIZATION, ACCOUNTS], report);
            if fields.has(ORGANIZATION) == fields.has(ACCOUNTS) {
                report.error(
                    at,
                    "`visibility` must name either `organization` or `accounts`",
                    format!("write for example `{}`", ORGANIZATION.example),
                );
                return None;
            }
            let organization = fields
                .take(ORGANIZATION, report)
                .and_then(|node| organization(&node, report))
                .map(Visibility::Organization);
            let accounts = fields
                .take(ACCOUNTS, report)
                .and_then(|node| distinct(node, ACCOUNTS, report, account))
                .map(|mut accounts| {
                    accounts.sort();
                    Visibility::Accounts(accounts)
                });
            organization.or(accounts)
        }
        value => {
            let node = Node {
                location: at,
                value,
            };
            let wanted = "`public`, `private`, `{organization: …}` or `{accounts: […]}`";
            wrong_kind(&node, key, wanted, report);
            None
        }
    }
}

/// `o-` and 10 to 32 lowercase letters and digits (AWS Organizations API, `Organization.Id`).
fn organization(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let value = text(node, ORGANIZATION, report)?.text;
    let valid = value.strip_prefix("o-").is_some_and(|id| {
        (10..=32).contains(&id.len())
            && id
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    });
    if !valid {
        report.error(
            node.location,
            format!("`{}` is not the id of an AWS organization", shown(&value)),
            "write `o-` and 10 to 32 lowercase letters and digits, such as `o-abc1234567`",
        );
    }
    valid.then_some(value)
}

/// 12 digits; a number counts as it is written, so that zeros at its beginning stay.
fn account(value: &str, at: Location, report: &mut Report<'_>) -> Option<String> {
    let digits: String = value.chars().filter(|c| *c != '-').collect();
    if digits.len() == 12 && digits.chars().all(|c| c.is_ascii_digit()) {
        return Some(digits);
    }
    report.error(
        at,
        format!("`{}` is not the id of an AWS account", shown(value)),
        "write its 12 digits in quotes, such as `\"123456789012\"`",
    );
    None
}

/// An http(s) address without credentials. The address is not repeated in messages: it may hold a password.
pub(super) fn index_url(node: &Node, key: Key, report: &mut Report<'_>) -> Option<String> {
    let value = text(node, key, report)?.text;
    let value = value.trim();
    let at = node.location;
    let example = format!("write for example `{}`", key.example);
    let url = Url::parse(value)
        .ok()
        .filter(|_| value.chars().all(is_plain));
    let Some(url) = url else {
        report.error(at, "`index_url` is not an address", example);
        return None;
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        report.error(
            at,
            "`index_url` must begin with `https://` or `http://`",
            example,
        );
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() || value.contains('@') {
        report.error(
            at,
            "`index_url` contains credentials, and this file is for everybody to read",
            "secrets do not belong in this file: take them out, revoke them, and give new ones to the bot in its settings",
        );
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        report.error(
            at,
            "`index_url` must end before `?` and `#`",
            "a token there is a secret, and secrets do not belong in this file",
        );
        return None;
    }
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && !local {
        report.warning(
            at,
            "`index_url` is not encrypted: whoever is on the way can change what is installed",
            "use `https://`",
        );
    }
    Some(value.to_owned())
}

/// Where the tables go and in which formats; absent parts stay as they are.
pub(super) fn tables(node: Node, key: Key, settings: &mut TableSettings, report: &mut Report<'_>) {
    let Some(mut fields) = parts(node, key, &[PATH, FORMATS], report) else {
        return;
    };
    if let Some(path) = fields
        .take(PATH, report)
        .and_then(|node| table_path(&node, report))
    {
        settings.path = path;
    }
    let formats = fields.take(FORMATS, report).and_then(|node| {
        distinct(node, FORMATS, report, |text, at, report| {
            let format = text.parse::<TableFormat>().ok();
            if format.is_none() {
                let hint = match text.to_ascii_lowercase().as_str() {
                    "markdown" => "did you mean `md`?".to_owned(),
                    "atom" | "rss" | "jsonfeed" => "did you mean `feed`?".to_owned(),
                    other => suggestion(other, &["md", "csv", "json", "feed"]),
                };
                report.error(at, format!("`{}` is not a table format", shown(text)), hint);
            }
            format
        })
    });
    if let Some(formats) = formats {
        settings.formats = formats;
    }
}

/// A folder of the repository that is safe to write generated files into, without a slash at either end.
fn table_path(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let value = text(node, PATH, report)?.text;
    let path = value.strip_suffix('/').unwrap_or(&value);
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let first = path
        .split('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let reason = if path.starts_with('/') {
        Some("must be relative to the repository")
    } else if path.split('/').any(|part| part == "..") {
        Some("must stay inside the repository")
    } else if path.len() > 200 || !path.split('/').all(plain) {
        Some("must be folders of letters, digits, `.`, `_` and `-`")
    } else if first == ".git" || first == ".github" {
        Some("must not be a folder that git or GitHub uses")
    } else if path.eq_ignore_ascii_case("layers") {
        Some("must not be the folder of the request files")
    } else {
        None
    };
    if let Some(reason) = reason {
        report.error(
            node.location,
            format!("the tables' path {reason}, found `{}`", shown(&value)),
            format!("write for example `{}`", PATH.example),
        );
        return None;
    }
    Some(path.to_owned())
}

/// The bounds; absent ones stay as they are.
pub(super) fn limits(node: Node, key: Key, limits: &mut Limits, report: &mut Report<'_>) {
    let known = [PACKAGES_PER_LAYER, LAYERS_PER_PULL_REQUEST, BUILD_SECONDS];
    let Some(mut fields) = parts(node, key, &known, report) else {
        return;
    };
    let mut number = |key, bounds| {
        let node = fields.take(key, report)?;
        whole_number(&node, key, bounds, report)
    };
    // The upper bounds are far above what fits into a layer, a comment and a Lambda function's 15 minutes.
    let packages = number(PACKAGES_PER_LAYER, 1..=200);
    let layers = number(LAYERS_PER_PULL_REQUEST, 1..=500);
    let seconds = number(BUILD_SECONDS, 1..=3600);
    if let Some(value) = packages.and_then(|value| usize::try_from(value).ok()) {
        limits.packages_per_layer = value;
    }
    if let Some(value) = layers.and_then(|value| usize::try_from(value).ok()) {
        limits.layers_per_pull_request = value;
    }
    if let Some(value) = seconds {
        limits.build_seconds = u64::from(value);
    }
}

/// The entries of a nested mapping.
fn parts(node: Node, key: Key, known: &[Key], report: &mut Report<'_>) -> Option<Fields> {
    let location = node.location;
    match node.value {
        Value::Mapping(entries) => Some(Fields::new(entries, known, report)),
        value => {
            let names: Vec<&str> = known.iter().map(|key| key.name).collect();
            let wanted = format!("a mapping with {}", one_of(&names));
            wrong_kind(&Node { location, value }, key, &wanted, report);
            None
        }
    }
}

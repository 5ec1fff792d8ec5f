//! One requirement of a layer: PEP 508 text → normal form.

use super::marker;
use super::report::{Report, is_plain, shown, shown_line};
use super::tree::{Node, Text, Value};
use crate::model::{Location, Requirement};
use pep508_rs::{Pep508ErrorSource, VersionOrUrl};
use std::str::FromStr;

/// The longest requirement that is read; bounds how deep the parentheses of a marker go.
const LENGTH_LIMIT: usize = 250;

/// Reads one item of `packages` or reports why it cannot be.
pub(super) fn requirement(item: &Node, report: &mut Report<'_>) -> Option<Requirement> {
    let at = item.location;
    let written = match &item.value {
        Value::Text(text) => text,
        Value::Mapping(entries) => {
            let hint = match entries
                .first()
                .map(|(key, value)| (&key.value, &value.value))
            {
                Some((Value::Text(name), Value::Number(version))) => {
                    format!("did you mean `{}=={}`?", shown(&name.text), shown(version))
                }
                _ => "write one requirement as text, such as `pyarrow>=15`".to_owned(),
            };
            report.error(at, "a package must be text, found a mapping", hint);
            return None;
        }
        other => {
            report.error(
                at,
                format!("a package must be text, found {}", other.kind()),
                "write a requirement such as `pyarrow>=15`",
            );
            return None;
        }
    };
    let text = written.text.trim();
    if let Some((message, hint)) = refusal(text) {
        report.error(at, message, hint);
        return None;
    }
    let (head, marker) = match text.split_once(';') {
        Some((head, marker)) => (head.trim_end(), Some(marker)),
        None => (text, None),
    };
    if let Some(marker) = marker
        && let Err(error) = marker::check(marker)
    {
        let place = place_in(written, at, text.len() - marker.len() + error.offset);
        let message = format!("the marker of `{}` is not one (PEP 508)", shown(head));
        report.error(place, message, error.hint);
        return None;
    }
    match pep508_rs::Requirement::<url::Url>::from_str(head) {
        Ok(parsed) => normal_form(&parsed, marker, at, report),
        Err(error) => {
            let place = place_in(written, at, error.start);
            let (message, hint) = match &error.message {
                Pep508ErrorSource::UrlError(_) => url_refused(),
                Pep508ErrorSource::String(words)
                | Pep508ErrorSource::UnsupportedRequirement(words) => (
                    format!("`{}` is not a requirement (PEP 508)", shown(head)),
                    advice(head, words),
                ),
            };
            report.error(place, message, hint);
            None
        }
    }
}

/// What is refused before the grammar is asked; nothing of an address is repeated, since it may hold a password.
fn refusal(text: &str) -> Option<(String, String)> {
    if text.is_empty() {
        return Some((
            "a package is empty".to_owned(),
            "write a requirement such as `pyarrow>=15`, or remove the line".to_owned(),
        ));
    }
    // Only addresses have an `@` in PEP 508. What follows it may be a password, so it is not repeated.
    if let Some((name, address)) = text.split_once('@') {
        let version = address.trim();
        let is_version = version.starts_with(|c: char| c.is_ascii_digit())
            && version
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '.');
        return Some(if is_version {
            (
                "a package is given with `@`".to_owned(),
                format!("did you mean `{}=={}`?", shown(name.trim()), shown(version)),
            )
        } else {
            url_refused()
        });
    }
    if text.contains("://") {
        return Some(url_refused());
    }
    if let Some(odd) = text.chars().find(|c| !c.is_ascii() || !is_plain(*c)) {
        return Some((
            format!(
                "`{}` contains the character U+{:04X}",
                shown(text),
                u32::from(odd)
            ),
            "requirements are one line of plain ASCII".to_owned(),
        ));
    }
    if text.len() > LENGTH_LIMIT {
        return Some((
            format!("a requirement of {} characters is not read", text.len()),
            format!("keep it within {LENGTH_LIMIT}"),
        ));
    }
    if text.starts_with('-') {
        return Some((
            format!("`{}` is an option, not a requirement", shown(text)),
            "options of installers have no place here; the policy names the index".to_owned(),
        ));
    }
    if text.starts_with(['.', '/', '~']) || text.ends_with(".whl") || text.ends_with(".tar.gz") {
        return Some((
            format!("`{}` is a file, not a requirement", shown(text)),
            "layers are made of releases on the package index: write `name==version`".to_owned(),
        ));
    }
    // The parser takes these names as they come and then panics on them.
    let names = text.split(['<', '>', '=', '!', '~', '(', ';']).next();
    if let Some(name) = names
        .unwrap_or_default()
        .split(|c: char| !is_name(c))
        .find(|name| name.ends_with(['-', '_', '.']))
    {
        return Some((
            format!("`{}` is not a name", shown(name)),
            "names end with a letter or a digit".to_owned(),
        ));
    }
    None
}

/// Whether a character can be part of the name of a package or extra.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

fn url_refused() -> (String, String) {
    (
        "a package is given by its address".to_owned(),
        "layers are made of releases on the package index, whose hashes can be checked: write `name==version`".to_owned(),
    )
}

/// What to write instead, or else the parser's own first line.
fn advice(text: &str, words: &str) -> String {
    let name: String = text.chars().take_while(|c| is_name(*c)).collect();
    let rest = text.get(name.len()..).unwrap_or_default().trim_start();
    let version = rest.trim_start_matches(['=', '^', '~', ':', ' ']);
    let version: String = version
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || ".*+!".contains(*c))
        .collect();
    if !name.is_empty() && version.starts_with(|c: char| c.is_ascii_digit()) {
        let single_equals = rest.starts_with('=') && !rest.starts_with("==");
        if single_equals || rest.starts_with(|c: char| c.is_ascii_digit()) {
            return format!("did you mean `{name}=={version}`?");
        }
        if rest.starts_with('^') {
            return format!("did you mean `{name}>={version}`?");
        }
    }
    if text.starts_with(['<', '>', '=', '!', '~']) {
        return "a name is missing; put requirements that contain a comma in quotes, such as `\"pyarrow>=15,<17\"`".to_owned();
    }
    format!(
        "write for example `pyarrow>=15` (the parser says `{}`)",
        shown_line(words)
    )
}

/// The place of a character of the trimmed text.
fn place_in(written: &Text, at: Location, index: usize) -> Location {
    let lead = written.text.chars().count() - written.text.trim_start().chars().count();
    // The parser may point behind the last character; the last one is then what to look at.
    let last = written.text.trim().chars().count().saturating_sub(1);
    written.location(at, lead + index.min(last))
}

/// Name, extras and versions in normal form; the marker as written, with its whitespace evened out.
fn normal_form(
    parsed: &pep508_rs::Requirement<url::Url>,
    marker: Option<&str>,
    at: Location,
    report: &mut Report<'_>,
) -> Option<Requirement> {
    let name = parsed.name.to_string();
    let mut normal = name.clone();
    let mut extras: Vec<String> = parsed.extras.iter().map(ToString::to_string).collect();
    extras.sort();
    extras.dedup();
    if !extras.is_empty() {
        normal.push_str(&format!("[{}]", extras.join(",")));
    }
    match &parsed.version_or_url {
        Some(VersionOrUrl::Url(_)) => {
            let (message, hint) = url_refused();
            report.error(at, message, hint);
            return None;
        }
        Some(VersionOrUrl::VersionSpecifier(specifiers)) => {
            let specifiers: Vec<String> = specifiers.iter().map(ToString::to_string).collect();
            normal.push_str(&specifiers.join(","));
        }
        None => {}
    }
    if let Some(marker) = marker {
        let words: Vec<&str> = marker.split_whitespace().collect();
        normal.push_str(&format!(" ; {}", words.join(" ")));
    }
    Some(Requirement {
        text: normal,
        name,
        location: at,
    })
}

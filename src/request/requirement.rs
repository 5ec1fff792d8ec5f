//! One requirement of a layer: PEP 508 text → normal form.

use super::report::{Report, is_plain, shown};
use super::tree::{Node, Text, Value};
use crate::model::{Location, Requirement};
use pep508_rs::{Pep508ErrorSource, VersionOrUrl};

/// The longest requirement that is read. Bounds the work that markers, whose evaluation can grow quickly, ask for.
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
    let mut warnings = Vec::new();
    let mut note = |_kind, warning: String| warnings.push(warning);
    match pep508_rs::Requirement::<url::Url>::parse_reporter(text, ".", &mut note) {
        Ok(parsed) => {
            for warning in warnings {
                report.warning(
                    at,
                    format!("the marker of `{}` does less than it seems", parsed.name),
                    shown(&warning),
                );
            }
            normal_form(text, &parsed, at, report)
        }
        Err(error) => {
            let place = place_in(written, at, error.start);
            let (message, hint) = match &error.message {
                Pep508ErrorSource::UrlError(_) => url_refused(),
                Pep508ErrorSource::String(words)
                | Pep508ErrorSource::UnsupportedRequirement(words) => (
                    format!("`{}` is not a requirement (PEP 508)", shown(text)),
                    advice(text, words),
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
    if text.contains("://") || text.starts_with("git+") {
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
    None
}

fn url_refused() -> (String, String) {
    (
        "a package is given by its address".to_owned(),
        "layers are made of releases on the package index, whose hashes can be checked: write `name==version`".to_owned(),
    )
}

/// What to write instead, or else the parser's own first line.
fn advice(text: &str, words: &str) -> String {
    let name: String = text
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .collect();
    let rest = text.get(name.len()..).unwrap_or_default().trim_start();
    let version = rest.trim_start_matches(['=', '@', '^', '~', ':', ' ']);
    let version: String = version
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || ".*+!".contains(*c))
        .collect();
    if !name.is_empty() && version.starts_with(|c: char| c.is_ascii_digit()) {
        let single_equals = rest.starts_with('=') && !rest.starts_with("==");
        if single_equals || rest.starts_with('@') || rest.starts_with(|c: char| c.is_ascii_digit())
        {
            return format!("did you mean `{name}=={version}`?");
        }
        if rest.starts_with('^') {
            return format!("did you mean `{name}>={version}`?");
        }
    }
    if text.starts_with(['<', '>', '=', '!', '~']) {
        return "a name is missing; put requirements that contain a comma in quotes, such as `\"pyarrow>=15,<17\"`".to_owned();
    }
    let first = words.lines().next().unwrap_or("unexpected text");
    let first: String = first.chars().filter(|c| is_plain(*c)).take(160).collect();
    format!("{first}; write for example `pyarrow>=15`")
}

/// The place of a character of the trimmed text.
fn place_in(written: &Text, at: Location, index: usize) -> Location {
    let lead = written.text.chars().count() - written.text.trim_start().chars().count();
    // The parser may point behind the last character; the last one is then what to look at.
    let last = written.text.trim().chars().count().saturating_sub(1);
    written.location(at, lead + index.min(last))
}

/// Name, extras and versions in normal form; the marker as written, with its whitespace evened out, because its
/// normal form can be exponentially longer.
fn normal_form(
    text: &str,
    parsed: &pep508_rs::Requirement<url::Url>,
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
    if let Some((_, marker)) = text.split_once(';') {
        let words: Vec<&str> = marker.split_whitespace().collect();
        normal.push_str(&format!(" ; {}", words.join(" ")));
    }
    Some(Requirement {
        text: normal,
        name,
        location: at,
    })
}

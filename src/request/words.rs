//! Values that are text: descriptions, licences, patterns, version prefixes, logins, package names.

use super::fields::{Key, text};
use super::report::{Report, is_plain, shown, shown_line};
use super::tree::Node;
use crate::model::{Location, normalize_package_name};
use globset::GlobBuilder;
use std::str::FromStr;

/// The longest pattern, version prefix or other item of a list.
const ITEM_LIMIT: usize = 200;
/// Characters with a meaning in Markdown, HTML or tables that no description needs; an `@` would notify somebody.
const MARKUP: &str = "<>`|\\[]@";

/// One line of plain text of at most `limit` characters; it is shown in comments, tables and AWS.
pub(super) fn line(node: &Node, key: Key, limit: usize, report: &mut Report<'_>) -> Option<String> {
    let value = text(node, key, report)?.text;
    let value = value.trim();
    let length = value.chars().count();
    let (message, hint) = if value.is_empty() {
        (
            format!("`{}` is empty", key.name),
            format!("write for example `{}`, or remove the line", key.example),
        )
    } else if value.contains(['\n', '\r']) {
        (
            format!("`{}` has more than one line", key.name),
            "write it on one line".to_owned(),
        )
    } else if let Some(odd) = value.chars().find(|c| !is_plain(*c)) {
        (
            format!(
                "`{}` contains the invisible character U+{:04X}",
                key.name,
                u32::from(odd)
            ),
            "remove it".to_owned(),
        )
    } else if let Some(mark) = value.chars().find(|c| MARKUP.contains(*c)) {
        let mark = if mark == '`' {
            "a backtick".to_owned()
        } else {
            format!("`{mark}`")
        };
        (
            format!("`{}` contains {mark}", key.name),
            "write plain text without markup".to_owned(),
        )
    } else if length > limit {
        (
            format!("`{}` has {length} characters", key.name),
            format!("shorten it to {limit}"),
        )
    } else {
        return Some(value.to_owned());
    };
    report.error(node.location, message, hint);
    None
}

/// A glob pattern of files below the layer's `python/`.
pub(super) fn pattern(value: &str, at: Location, report: &mut Report<'_>) -> Option<String> {
    let problem = if value.is_empty() || value.chars().count() > ITEM_LIMIT {
        Some((
            format!("a pattern must have 1 to {ITEM_LIMIT} characters"),
            "write for example `**/tests/**`".to_owned(),
        ))
    } else if value.chars().any(|c| !is_plain(c)) || value.contains('\\') {
        Some((
            format!(
                "the pattern `{}` contains a character that no file of a layer has",
                shown(value)
            ),
            "separate folders with `/`".to_owned(),
        ))
    } else if value.starts_with('/') || value.split('/').any(|part| part == ".." || part == ".") {
        let bare = value.trim_start_matches(['/', '.']);
        Some((
            format!("the pattern `{}` matches nothing", shown(value)),
            format!(
                "patterns are relative to the layer's `python/` folder: `{}`",
                shown(bare)
            ),
        ))
    } else {
        None
    };
    if let Some((message, hint)) = problem {
        report.error(at, message, hint);
        return None;
    }
    let matcher = match GlobBuilder::new(value).literal_separator(true).build() {
        Ok(glob) => glob.compile_matcher(),
        Err(error) => {
            report.error(
                at,
                format!(
                    "`{}` is not a pattern (the parser says `{}`)",
                    shown(value),
                    shown_line(&error.kind().to_string())
                ),
                "write for example `**/tests/**`",
            );
            return None;
        }
    };
    // A pattern that takes both of these unrelated files takes everything.
    if matcher.is_match("a/b/c.py") && matcher.is_match("x/y/z/0.so") {
        report.error(
            at,
            format!("the pattern `{}` leaves out every file", shown(value)),
            "name a folder or an ending, such as `**/tests/**` or `**/*.pyi`",
        );
        return None;
    }
    if matcher.is_match("name-1.0.dist-info/METADATA") {
        report.warning(
            at,
            format!(
                "the pattern `{}` leaves out packages' metadata",
                shown(value)
            ),
            "some packages look up their own version in `*.dist-info` and fail without it",
        );
    }
    Some(value.to_owned())
}

/// A version prefix such as `2.2`.
pub(super) fn version_prefix(value: &str, at: Location, report: &mut Report<'_>) -> Option<String> {
    let bare = value
        .trim_start_matches(['=', '~', '>', '<', '^', 'v', ' '])
        .trim_end_matches(['*', '.', 'x']);
    if bare == value && value.len() <= ITEM_LIMIT && is_version(value) {
        return Some(value.to_owned());
    }
    let hint = if is_version(bare) && bare.len() <= ITEM_LIMIT {
        format!("write the beginning of the version alone: `\"{bare}\"`")
    } else {
        "write the beginning of a version, such as `\"2.2\"`".to_owned()
    };
    let message = format!("`{}` is not the beginning of a version", shown(value));
    report.error(at, message, hint);
    None
}

fn is_version(value: &str) -> bool {
    value.is_ascii() && pep440_rs::Version::from_str(value).is_ok()
}

/// A person's GitHub login, with or without `@`.
pub(super) fn login(value: &str, at: Location, report: &mut Report<'_>) -> Option<String> {
    let name = value.strip_prefix('@').unwrap_or(value);
    // GitHub: letters, digits and single hyphens, 39 at most. Old accounts may end with a hyphen.
    let valid = (1..=39).contains(&name.len())
        && !name.starts_with('-')
        && !name.contains("--")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if valid {
        return Some(name.to_lowercase());
    }
    let hint = if name.contains('/') {
        "name people: teams cannot be owners"
    } else {
        "write a login such as `octocat`: letters, digits and single hyphens, at most 39"
    };
    let message = format!("`{}` is not a GitHub login", shown(value));
    report.error(at, message, hint);
    None
}

/// The normalised name of a package (PEP 503).
pub(super) fn package_name(value: &str, at: Location, report: &mut Report<'_>) -> Option<String> {
    let edge = |c: char| c.is_ascii_alphanumeric();
    let valid = value.len() <= ITEM_LIMIT
        && value.starts_with(edge)
        && value.ends_with(edge)
        && value.chars().all(|c| edge(c) || "-_.".contains(c));
    if valid {
        return Some(normalize_package_name(value));
    }
    let bare: String = value
        .chars()
        .take_while(|c| edge(*c) || "-_.".contains(*c))
        .collect();
    let bare = bare.trim_matches(['-', '_', '.']);
    let hint = if bare.is_empty() {
        "write a name such as `pandasql`".to_owned()
    } else {
        format!("write the name alone: `{}`", shown(bare))
    };
    let message = format!("`{}` is not a package name (PEP 508)", shown(value));
    report.error(at, message, hint);
    None
}

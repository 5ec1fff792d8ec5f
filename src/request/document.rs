//! Bytes of a file → a tree of placed values, within budgets: the bytes come from strangers.

use super::report::{Report, shown_line};
use super::tree::{Node, Raw, Value, location};
use crate::model::Location;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Options, Spanned, UserMessageFormatter};

/// The largest file that is read at all; larger ones are refused before they are parsed. Thirty requirements with
/// comments stay below 4 KiB.
pub(super) const FILE_LIMIT: usize = 64 * 1024;
/// Lists and mappings inside one another; the deepest valid file has three.
const DEPTH_LIMIT: usize = 16;
/// Anchors, and aliases of them, in one file; no file needs one.
const ALIAS_LIMIT: usize = 16;
/// Values in one file, after aliases are followed.
const VALUE_LIMIT: usize = 10_000;

/// Reads a file; `None` when it cannot be read as YAML, which the report then says.
pub(super) fn read(bytes: &[u8], report: &mut Report<'_>) -> Option<Node> {
    if bytes.len() > FILE_LIMIT {
        let (message, hint) = too_large(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        report.error(Location::START, message, hint);
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            report.error(
                place_of_byte(bytes, error.valid_up_to()),
                "the file is not UTF-8 text",
                "save it in the UTF-8 encoding",
            );
            return None;
        }
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(raw) => Some(Node::new(raw, text)),
        // A file of comments alone holds no value, and is as empty as one of no bytes.
        Err(Error::Eof { .. }) => Some(Node {
            location: Location::START,
            value: Value::Nothing,
        }),
        Err(error) => {
            explain(&error, text, report);
            None
        }
    }
}

/// What is said of a file over the limit, and what to do about it.
pub(super) fn too_large(size: u64) -> (String, String) {
    (
        format!("the file has {size} bytes and is not read"),
        format!("keep it below {} KiB", FILE_LIMIT / 1024),
    )
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // One more, so that the depth budget, whose message is clearer, is the one that is hit.
            flow_nesting_limit: DEPTH_LIMIT + 1,
            max_depth: DEPTH_LIMIT,
            max_aliases: ALIAS_LIMIT,
            max_anchors: ALIAS_LIMIT,
            max_nodes: VALUE_LIMIT,
            max_events: 2 * VALUE_LIMIT,
            max_recorded_anchor_events: VALUE_LIMIT,
            max_recorded_anchor_bytes: FILE_LIMIT,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: VALUE_LIMIT,
            max_replay_stack_depth: DEPTH_LIMIT,
        },
        // Both occurrences reach the tree, so that the second one can be pointed at.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        ignore_binary_tag_for_string: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// Says what keeps a file from being YAML, with a hint from the line that it happened on.
fn explain(error: &Error, text: &str, report: &mut Report<'_>) {
    let at = error.location().map_or(Location::START, location);
    let error = innermost(error);
    let (message, hint) = match error {
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => (
            format!("lists and mappings are nested more than {DEPTH_LIMIT} deep"),
            "no key needs more than three levels".to_owned(),
        ),
        Error::Budget {
            breach:
                BudgetBreach::Aliases { .. }
                | BudgetBreach::Anchors { .. }
                | BudgetBreach::AliasAnchorRatio { .. }
                | BudgetBreach::RecordedAnchorEvents { .. }
                | BudgetBreach::RecordedAnchorBytes { .. },
            ..
        }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => (
            format!("more than {ALIAS_LIMIT} anchors (`&name`) or aliases (`*name`)"),
            "write the values out".to_owned(),
        ),
        Error::RecursiveReferencesRequireWeakTypes { .. } => (
            "an alias (`*name`) stands inside what it refers to".to_owned(),
            "write the values out".to_owned(),
        ),
        Error::Budget { .. } => (
            format!("the file holds more than {VALUE_LIMIT} values"),
            "shorten it".to_owned(),
        ),
        Error::MultipleDocuments { .. } => (
            "the file holds several YAML documents".to_owned(),
            "remove the line `---` and what follows: one file describes one thing".to_owned(),
        ),
        error => {
            let words = error.render_with_formatter(&UserMessageFormatter);
            (
                format!(
                    "this is not valid YAML (the parser says `{}`)",
                    shown_line(without_place(&words))
                ),
                hint_for_line(text, at),
            )
        }
    };
    report.error(at, message, hint);
}

/// The error itself, without the wrappers that say how it was reached.
fn innermost(error: &Error) -> &Error {
    let mut error = error.without_snippet();
    while let Error::AliasError { error: inner, .. } = error {
        error = inner.without_snippet();
    }
    error
}

/// The parser's words without the place it adds: a problem has its own.
fn without_place(words: &str) -> &str {
    words
        .split_once(" at line ")
        .map_or(words, |(words, _)| words)
        .trim_end_matches([',', ':', ' '])
}

/// What usually causes a syntax error on a line that looks like this one.
fn hint_for_line(text: &str, at: Location) -> String {
    let index = usize::try_from(at.line).unwrap_or(1).saturating_sub(1);
    let lines: Vec<&str> = text.lines().collect();
    let line = |index: usize| lines.get(index).copied().unwrap_or_default();
    // An error is often noticed on the line after the one that causes it.
    let near = || [line(index), line(index.saturating_sub(1))].into_iter();
    if near()
        .chain([line(index + 1)])
        .any(|line| line.trim_start_matches(' ').starts_with('\t'))
    {
        return "indent with spaces: YAML does not allow tabs there".to_owned();
    }
    for line in near() {
        let starts = line
            .split([' ', '[', ',', '-'])
            .filter_map(|word| word.chars().next());
        if let Some(mark) = starts.into_iter().find(|c| "*&!@%`".contains(*c)) {
            let mark = if mark == '`' {
                "a backtick".to_owned()
            } else {
                format!("`{mark}`")
            };
            return format!("write texts that begin with {mark} in quotes");
        }
    }
    if near().any(|line| line.matches('"').count() % 2 == 1) {
        return "close the quotes on the line they begin on".to_owned();
    }
    if near().any(|line| line.matches(['[', '{']).count() > DEPTH_LIMIT) {
        return "no key needs more than three levels of lists and mappings".to_owned();
    }
    if near().any(|line| line.matches('[').count() != line.matches(']').count()) {
        return "close the list with `]`".to_owned();
    }
    if near().any(|line| line.matches('[').count() > 1) {
        return "in a list in brackets, texts that contain `[`, `]` or `,` need quotes".to_owned();
    }
    if near().any(|line| line.matches(": ").count() > 1) {
        return "write texts that contain `: ` in quotes".to_owned();
    }
    "write one `key: value` a line; lists as `[a, b]` or one `- item` a line".to_owned()
}

/// Line and column of a byte, all bytes before which are UTF-8.
fn place_of_byte(bytes: &[u8], index: usize) -> Location {
    let before = String::from_utf8_lossy(bytes.get(..index).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |tail| tail.chars().count())
        + 1;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Location {
        line: number(line),
        column: number(column),
    }
}

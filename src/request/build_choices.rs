//! What a request says about how its layer is built: bytecode, and what is left out.

use super::fields::{Key, distinct, wrong_kind};
use super::report::{Report, shown, suggestion};
use super::tree::{Node, Value};
use crate::model::{Bytecode, Location, SlimKind};

/// Which bytecode is shipped.
pub(super) fn bytecode(node: &Node, key: Key, report: &mut Report<'_>) -> Option<Bytecode> {
    match &node.value {
        Value::Truth(true) => Some(Bytecode::All),
        Value::Truth(false) => Some(Bytecode::None),
        Value::Text(text) => match text.text.as_str() {
            "imported" => Some(Bytecode::Imported),
            other => {
                report.error(
                    node.location,
                    format!("`bytecode` cannot be `{}`", shown(other)),
                    match other.to_ascii_lowercase().as_str() {
                        "true" | "yes" | "on" | "all" => {
                            "did you mean `true`, without quotes?".to_owned()
                        }
                        "false" | "no" | "off" | "none" => {
                            "did you mean `false`, without quotes?".to_owned()
                        }
                        other => suggestion(other, &["true", "false", "imported"]),
                    },
                );
                None
            }
        },
        _ => {
            wrong_kind(node, key, "`true`, `false` or `imported`", report);
            None
        }
    }
}

/// The kinds of files left out: `true` for all of them, `false` for none, or a list.
pub(super) fn slim(node: Node, key: Key, report: &mut Report<'_>) -> Option<Vec<SlimKind>> {
    match &node.value {
        Value::Truth(true) => Some(SlimKind::ALL.to_vec()),
        Value::Truth(false) => Some(Vec::new()),
        Value::Text(text) => {
            report.error(
                node.location,
                format!("`slim` cannot be `{}`", shown(&text.text)),
                "use `true`, `false` or a list such as `[tests, headers]`",
            );
            None
        }
        Value::List(_) => {
            let mut kinds = distinct(node, key, report, slim_kind)?;
            kinds.sort_unstable();
            Some(kinds)
        }
        _ => {
            wrong_kind(&node, key, "`true`, `false` or a list", report);
            None
        }
    }
}

fn slim_kind(text: &str, at: Location, report: &mut Report<'_>) -> Option<SlimKind> {
    let known = SlimKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    if known.is_none() {
        let names = SlimKind::ALL.map(SlimKind::as_str);
        report.error(
            at,
            format!("`slim` knows no `{}`", shown(text)),
            suggestion(text, &names),
        );
    }
    known
}

/// `true` or `false`.
pub(super) fn truth(node: &Node, key: Key, report: &mut Report<'_>) -> Option<bool> {
    if let Value::Truth(value) = node.value {
        return Some(value);
    }
    wrong_kind(node, key, "`true` or `false`", report);
    None
}

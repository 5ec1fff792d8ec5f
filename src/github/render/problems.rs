//! Problems as a table with links to their lines, and as annotations.

use super::build_notes;
use super::document::Block;
use super::escape::{cut, prose};
use super::links::Links;
use super::words::{count, listed};
use crate::model::{LayerName, Level, Location, Problem, Target};
use crate::plan::{Action, Entry, Plan};
use std::collections::{BTreeMap, BTreeSet};

/// Rows that are shown without unfolding.
const OPEN_ROWS: usize = 25;
/// Characters of a message and of a hint in the table; the annotation has more.
const MESSAGE_LIMIT: usize = 600;
/// Characters of an annotation's message; GitHub takes 64 KB (REST API, "Check runs").
const ANNOTATION_LIMIT: usize = 8_000;

/// Warnings of the audit fill the check run up to the 50 annotations that GitHub shows at once (REST API, "Check runs").
const ANNOTATIONS_ROOM: usize = 50;

/// Errors first, then by file and place; repeated ones once.
pub(super) fn sorted(problems: &[Problem]) -> Vec<Problem> {
    let mut sorted: Vec<Problem> = problems.to_vec();
    sorted.sort_by(|a, b| (a.level, a).cmp(&(b.level, b)));
    sorted.dedup();
    sorted
}

/// `2 mistakes and 1 warning`.
pub(super) fn tally(problems: &[Problem]) -> String {
    let errors = errors(problems);
    let warnings = problems.len() - errors;
    match (errors, warnings) {
        (_, 0) => count(errors, "mistake"),
        (0, _) => count(warnings, "warning"),
        _ => format!(
            "{} and {}",
            count(errors, "mistake"),
            count(warnings, "warning")
        ),
    }
}

pub(super) fn errors(problems: &[Problem]) -> usize {
    let is_error = |problem: &&Problem| problem.level == Level::Error;
    problems.iter().filter(is_error).count()
}

/// The table of problems; it gets shorter by showing half of the rows, then half of those.
pub(super) fn block(problems: &[Problem], links: Links<'_>, sha: &str) -> Option<Block> {
    let line = format!("- {} in the request files", tally(problems));
    if problems.is_empty() {
        return None;
    }
    let rows: Vec<String> = problems
        .iter()
        .map(|problem| row(problem, links, sha))
        .collect();
    let mut forms = Vec::new();
    let mut shown = rows.len();
    while shown > 0 {
        forms.push(table(&rows, shown));
        shown /= 2;
    }
    forms.push(line);
    Some(Block {
        name: "the list of mistakes".to_owned(),
        forms,
    })
}

fn table(rows: &[String], shown: usize) -> String {
    const HEAD: &str = "| | Where | What is wrong | Write instead |\n|---|---|---|---|\n";
    let open = shown.min(OPEN_ROWS);
    let mut text = format!("{HEAD}{}", rows[..open].join("\n"));
    if shown > open {
        text.push_str(&format!(
            "\n\n<details><summary>{} more</summary>\n\n{HEAD}{}\n\n</details>",
            shown - open,
            rows[open..shown].join("\n")
        ));
    }
    if shown < rows.len() {
        text.push_str(&format!(
            "\n\n{} more: each stands on its line as an annotation of the check run.",
            rows.len() - shown
        ));
    }
    text
}

fn row(problem: &Problem, links: Links<'_>, sha: &str) -> String {
    let mark = match problem.level {
        Level::Error => "❌",
        Level::Warning => "⚠️",
    };
    let Location { line, column } = problem.location;
    let label = format!("{}:{line}:{column}", cut(&problem.path, 200));
    let place = links.file(sha, &problem.path, Some(line), &label);
    let message = prose(&cut(&problem.message, MESSAGE_LIMIT));
    let hint = problem.hint.as_deref().unwrap_or_default();
    let hint = prose(&cut(hint, MESSAGE_LIMIT));
    format!("| {mark} | {place} | {message} | {hint} |")
}

/// Everything worth a mark on a line: the problems, and what cannot be built at the place that asks for it.
pub(super) fn annotations(
    problems: &[Problem],
    plan: &Plan,
    concerns: impl Fn(&Entry) -> bool + Copy,
) -> Vec<Problem> {
    let mut blocked: BTreeMap<(&str, Location, &str, &str), BTreeSet<Target>> = BTreeMap::new();
    for entry in plan.entries.iter().filter(|entry| concerns(entry)) {
        if let (Action::Blocked { failure, .. }, Some((path, location))) =
            (&entry.action, &entry.request)
        {
            let key = (
                path.as_str(),
                *location,
                entry.layer.as_str(),
                failure.message.as_str(),
            );
            blocked.entry(key).or_default().insert(entry.target);
        }
    }
    let mut all = problems.to_vec();
    all.extend(
        blocked
            .into_iter()
            .map(|((path, location, layer, message), targets)| {
                let targets: Vec<Target> = targets.into_iter().collect();
                let targets = listed(&targets, targets.len(), Target::to_string);
                let message = format!("{layer} is not possible for {targets}: {message}");
                Problem::error(path, location, message)
            }),
    );
    let room = ANNOTATIONS_ROOM.saturating_sub(all.len());
    all.extend(audit_warnings(plan, concerns).into_iter().take(room));
    let mut all = sorted(&all);
    for problem in &mut all {
        problem.message = cut(&problem.message, ANNOTATION_LIMIT);
    }
    all
}

/// What the audit warns of, at the package that it is about, else at the first one.
fn audit_warnings(plan: &Plan, concerns: impl Fn(&Entry) -> bool) -> Vec<Problem> {
    let mut by_layer: BTreeMap<&LayerName, Vec<&Entry>> = BTreeMap::new();
    for entry in plan.entries.iter().filter(|entry| concerns(entry)) {
        by_layer.entry(&entry.layer).or_default().push(entry);
    }
    let mut warnings = Vec::new();
    for (layer, entries) in by_layer {
        let Some((path, first)) = entries.iter().find_map(|entry| entry.request.as_ref()) else {
            continue;
        };
        for (finding, targets) in build_notes::warnings(&entries) {
            let package = finding.package.as_deref().unwrap_or_default();
            let location = entries
                .iter()
                .find_map(|entry| entry.packages.get(package))
                .unwrap_or(first);
            let targets = listed(&targets, targets.len(), Target::to_string);
            let message = format!("{layer} for {targets}: {}", finding.message);
            warnings.push(Problem::warning(path, *location, message));
        }
    }
    warnings
}

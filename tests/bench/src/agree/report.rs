//! The comparison as a report.

use super::case::{Comparison, Imports, Outcome, Setting};
use super::rules::{Difference, Kind};
use super::slimmed::Slimmed;
use std::collections::BTreeMap;

/// One case in one line, for whoever waits.
pub(super) fn one_line(outcome: &Outcome) -> String {
    let what = format!("{} {}", outcome.case.package, outcome.case.target());
    let compared = match &outcome.comparison {
        Comparison::Compared { files, differences } => {
            let unexplained: Vec<String> = differences
                .iter()
                .filter(|difference| difference.rule.is_none())
                .map(named)
                .collect();
            if unexplained.is_empty() {
                format!("{files} files agree")
            } else {
                format!("DIFFERS: {}", first(&unexplained))
            }
        }
        Comparison::NeitherBuilt { .. } => "cannot be had, by neither".to_owned(),
        Comparison::OnlyInstalled { ours } => format!("NOT BUILT: {ours}"),
        Comparison::OnlyBuilt { installer } => format!("NOT INSTALLED: {installer}"),
    };
    let failed = outcome.failed_imports().into_iter();
    let failed: Vec<String> = failed
        .map(|(module, error, why)| {
            let mark = if why.is_some() { "explained" } else { "FAILED" };
            format!("import {module} {mark}: {error}")
        })
        .collect();
    let imported = match &outcome.imports {
        Imports::NotHere => String::new(),
        Imports::Tried {
            modules, failed, ..
        } => {
            format!(", {} of {modules} modules import", modules - failed.len())
        }
    };
    let slimmed = match &outcome.slimmed {
        None => String::new(),
        Some(Slimmed::NotBuilt(why)) => format!(", NOT BUILT BY DEFAULT: {why}"),
        Some(Slimmed::Built { differences, .. }) => {
            format!(", {} files differ by default", differences.len())
        }
    };
    let failed = if failed.is_empty() {
        String::new()
    } else {
        format!("; {}", first(&failed))
    };
    format!("{what}: {compared}{imported}{slimmed}{failed}")
}

/// The whole report.
pub(super) fn markdown(setting: &Setting<'_>, outcomes: &[Outcome]) -> String {
    let versions = setting.programs.versions.iter();
    let versions: Vec<String> = versions
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let mut text = format!(
        "# Layers against `uv pip install --target`\n\n{}; modules imported with Python {}.\n\n",
        versions.join(", "),
        setting.interpreters.versions().join(", ")
    );
    totals(&mut text, outcomes);
    explained(&mut text, outcomes);
    unexplained(&mut text, outcomes);
    not_had(&mut text, outcomes);
    imports(&mut text, outcomes);
    text
}

fn totals(text: &mut String, outcomes: &[Outcome]) {
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
    let compared = count(|outcome| matches!(outcome.comparison, Comparison::Compared { .. }));
    let fine = count(Outcome::is_fine);
    let neither = count(|outcome| matches!(outcome.comparison, Comparison::NeitherBuilt { .. }));
    let (mut files, mut modules, mut layers, mut failed) = (0, 0, 0, 0);
    for outcome in outcomes {
        if let Comparison::Compared { files: some, .. } = &outcome.comparison {
            files += some;
        }
        if let Imports::Tried {
            modules: some,
            failed: bad,
            ..
        } = &outcome.imports
        {
            layers += 1;
            modules += some;
            failed += bad.len();
        }
    }
    text.push_str(&format!(
        "| | |\n|---|---|\n| packages × targets | {} |\n| as they should be | {fine} |\n| layers compared | {compared} |\n\
         | files compared | {files} |\n| neither we nor uv can make | {neither} |\n| layers imported from | {layers} |\n\
         | modules imported | {} of {modules} |\n",
        outcomes.len(),
        modules - failed
    ));
}

fn differences(outcomes: &[Outcome]) -> impl Iterator<Item = (&Outcome, &Difference)> {
    outcomes.iter().flat_map(|outcome| {
        let found = match &outcome.comparison {
            Comparison::Compared { differences, .. } => differences.as_slice(),
            _ => &[],
        };
        let by_default = match &outcome.slimmed {
            Some(Slimmed::Built { differences, .. }) => differences.as_slice(),
            Some(Slimmed::NotBuilt(_)) | None => &[],
        };
        let found = found.iter().chain(by_default);
        found.map(move |difference| (outcome, difference))
    })
}

fn explained(text: &mut String, outcomes: &[Outcome]) {
    let mut rules: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (_, difference) in differences(outcomes) {
        if let Some(rule) = &difference.rule {
            rules.entry(rule).or_insert((0, &difference.path)).0 += 1;
        }
    }
    text.push_str("\n## Differences that are meant\n\n| why | files | such as |\n|---|---|---|\n");
    for (rule, (count, example)) in rules {
        text.push_str(&format!("| {rule} | {count} | `{example}` |\n"));
    }
}

fn unexplained(text: &mut String, outcomes: &[Outcome]) {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (outcome, difference) in differences(outcomes) {
        if difference.rule.is_none() {
            let key = format!("{} {}", outcome.case.package, named(difference));
            found.entry(key).or_default().push(outcome.case.target());
        }
    }
    text.push_str("\n## Differences that are not explained\n\n");
    if found.is_empty() {
        text.push_str("None.\n");
    }
    for (what, targets) in found {
        text.push_str(&format!("- {what}: {}\n", targets.join(", ")));
    }
}

fn not_had(text: &mut String, outcomes: &[Outcome]) {
    text.push_str("\n## Layers that were not made\n\n| package | target | who could not | why |\n|---|---|---|---|\n");
    for outcome in outcomes {
        let (who, why) = match &outcome.comparison {
            Comparison::Compared { .. } => match &outcome.slimmed {
                Some(Slimmed::NotBuilt(why)) => ("**we, by default**", why),
                Some(Slimmed::Built { .. }) | None => continue,
            },
            Comparison::NeitherBuilt { ours } => ("neither", ours),
            Comparison::OnlyInstalled { ours } => ("**we alone**", ours),
            Comparison::OnlyBuilt { installer } => ("**uv alone**", installer),
        };
        let why = why.lines().next().unwrap_or_default().replace('|', "\\|");
        text.push_str(&format!(
            "| {} | {} | {who} | {why} |\n",
            outcome.case.package,
            outcome.case.target()
        ));
    }
}

fn imports(text: &mut String, outcomes: &[Outcome]) {
    text.push_str(
        "\n## Modules that do not import\n\n| layer | module | error | why |\n|---|---|---|---|\n",
    );
    for outcome in outcomes {
        for (module, error, why) in outcome.failed_imports() {
            let error = error.lines().next().unwrap_or_default().replace('|', "\\|");
            text.push_str(&format!(
                "| {} {} | `{module}` | {error} | {} |\n",
                outcome.case.package,
                outcome.case.target(),
                why.unwrap_or("**not explained**")
            ));
        }
    }
}

fn named(difference: &Difference) -> String {
    let how = match difference.kind {
        Kind::OnlyInstalled => "is missing from the layer",
        Kind::OnlyOurs => "is only in the layer",
        Kind::Content => "has other bytes",
        Kind::Executable => "is executable on one side only",
        Kind::Record => "is not as `RECORD` says",
    };
    format!("`{}` {how}", difference.path)
}

fn first(of: &[String]) -> String {
    const SHOWN: usize = 3;
    let mut shown = of
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if of.len() > SHOWN {
        shown.push_str(&format!("; and {} more", of.len() - SHOWN));
    }
    shown
}

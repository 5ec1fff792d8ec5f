//! What is told of a layer's builds besides their size: what the audit found, what was left out, what weighs most,
//! bytecode and the import test. What several targets have alike is said once.

use super::escape::{code, cut, fenced, prose};
use super::words::{count, listed, size, targets};
use crate::model::{
    BuildRecord, BuildReport, Bytecode, Finding, ImportTest, Severity, Slimmed, Target,
    UNZIPPED_LIMIT, Weight, ZIPPED_LIMIT,
};
use crate::plan::{Action, Entry};
use std::collections::BTreeMap;

/// Warnings shown without unfolding.
const OPEN_WARNINGS: usize = 5;
/// Findings of one kind shown at all.
const SHOWN_FINDINGS: usize = 40;
/// Characters shown of a finding or a reason.
const SENTENCE_LIMIT: usize = 800;
/// The last lines shown of a traceback, and characters of each.
const TRACE_LINES: usize = 15;
const TRACE_LINE_LIMIT: usize = 300;
/// Packages named as the heaviest.
const SHOWN_WEIGHTS: usize = 5;
/// The share of a limit, in percent, from which it is told without unfolding what weighs most.
const HEAVY: u64 = 60;

/// What was built for an entry, and why it may not be published.
pub(super) fn build_of(entry: &Entry) -> Option<(&BuildRecord, Option<&str>)> {
    match &entry.action {
        Action::Publish(publication) => Some((&publication.build, None)),
        Action::Blocked { failure, build } => build
            .as_deref()
            .map(|build| (build, Some(&*failure.message))),
        Action::Keep { .. } | Action::Build | Action::Retire { .. } => None,
    }
}

/// What everybody should see, as Markdown; empty when there is nothing special.
pub(super) fn open(entries: &[&Entry]) -> Option<String> {
    let mut told = Told::default();
    for entry in entries {
        let Some((build, refused)) = build_of(entry) else {
            continue;
        };
        told.targets.push(entry.target);
        let report = &build.artifact.report;
        for finding in &report.findings {
            match finding.severity {
                // Those that the reason says already are not repeated.
                Severity::Error if refused.is_some_and(|why| why.contains(&finding.message)) => {}
                Severity::Error => told.add(Kind::Error, sentence(&finding.message), entry.target),
                Severity::Warning => {
                    told.add(Kind::Warning, sentence(&finding.message), entry.target);
                }
                Severity::Note => {}
            }
        }
        if let Some(reason) = &report.bytecode.reason {
            told.add(
                Kind::Fact,
                format!("Bytecode: {}", sentence(reason)),
                entry.target,
            );
        }
        match &report.import_test {
            ImportTest::Skipped { reason } => told.add(
                Kind::Fact,
                format!("Importing was not tested: {}", sentence(reason)),
                entry.target,
            ),
            ImportTest::Failed { module, trace } => told.add(
                Kind::Trace,
                format!(
                    "The end of what Python said when {} was imported",
                    code(&cut(module, 100))
                ) + ":\n\n"
                    + &fenced(&last_lines(trace)),
                entry.target,
            ),
            ImportTest::NotRun | ImportTest::Passed { .. } => {}
        }
        let artifact = &build.artifact;
        let share = |bytes: u64, limit: u64| bytes.saturating_mul(100) / limit;
        let is_heavy = share(artifact.size, ZIPPED_LIMIT) >= HEAVY
            || share(artifact.unzipped_size, UNZIPPED_LIMIT) >= HEAVY;
        if is_heavy && let Some(heaviest) = heaviest(&report.weights) {
            let text = format!("What weighs most: {heaviest}.");
            told.add(Kind::Fact, text, entry.target);
        }
    }
    let mut parts = told.list();
    parts.extend(left_out(entries).map(|text| format!("- {text}")));
    let list = parts.join("\n");
    let mut whole: Vec<String> = (!list.is_empty()).then_some(list).into_iter().collect();
    whole.extend(told.folded_warnings());
    whole.extend(told.traces());
    (!whole.is_empty()).then(|| whole.join("\n\n"))
}

/// The rest about one build, to stand behind its digest: `; bytecode of 812 modules by …; …`.
pub(super) fn rest(build: &BuildRecord) -> String {
    let report = &build.artifact.report;
    let mut parts = Vec::new();
    let bytecode = &report.bytecode;
    let modules = usize::try_from(bytecode.files).unwrap_or(usize::MAX);
    let compiler = bytecode
        .compiler
        .as_deref()
        .map(|compiler| code(&cut(compiler, 80)));
    let by = compiler.map_or_else(String::new, |compiler| format!(" by {compiler}"));
    match bytecode.included {
        Bytecode::None => {}
        Bytecode::All => parts.push(format!("bytecode of {}{by}", count(modules, "module"))),
        Bytecode::Imported => parts.push(format!(
            "bytecode of the {} that importing loads{by}",
            count(modules, "module")
        )),
    }
    if let ImportTest::Passed { modules } = &report.import_test {
        let names = listed(modules, 5, |module| code(&cut(module, 80)));
        parts.push(format!("imported without an error: {names}"));
    }
    parts.extend(heaviest(&report.weights).map(|weights| format!("weighs most: {weights}")));
    parts.extend(
        report
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Note)
            .take(SHOWN_FINDINGS)
            .map(|finding| sentence(&finding.message).trim_end_matches('.').to_owned()),
    );
    parts.iter().map(|part| format!("; {part}")).collect()
}

/// Warnings by target, as annotations and the terminal tell them: each once with its targets.
pub(super) fn warnings<'a>(entries: &[&'a Entry]) -> Vec<(&'a Finding, Vec<Target>)> {
    let mut found: Vec<(&Finding, Vec<Target>)> = Vec::new();
    for entry in entries {
        let report = build_of(entry).map(|(build, _)| &build.artifact.report);
        let findings = report.map(|report: &BuildReport| report.findings.iter());
        for finding in findings.into_iter().flatten() {
            if finding.severity != Severity::Warning {
                continue;
            }
            match found.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, targets)) => targets.push(entry.target),
                None => found.push((finding, vec![entry.target])),
            }
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Error,
    Warning,
    Fact,
    Trace,
}

/// Texts of each kind in the order they came, each once with its targets.
#[derive(Default)]
struct Told {
    targets: Vec<Target>,
    texts: BTreeMap<Kind, Vec<(String, Vec<Target>)>>,
}

impl Told {
    fn add(&mut self, kind: Kind, text: String, target: Target) {
        let texts = self.texts.entry(kind).or_default();
        match texts.iter_mut().find(|(known, _)| *known == text) {
            Some((_, targets)) => targets.push(target),
            None => texts.push((text, vec![target])),
        }
    }

    fn of(&self, kind: Kind) -> &[(String, Vec<Target>)] {
        self.texts.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// `: ` after the targets that it is about, nothing when it is about all of them.
    fn whose(&self, about: &[Target]) -> String {
        if about.len() == self.targets.len() {
            String::new()
        } else {
            format!("{}: ", targets(about))
        }
    }

    fn items(&self, kind: Kind, mark: &str, shown: std::ops::Range<usize>) -> Vec<String> {
        let texts = self.of(kind).iter().skip(shown.start);
        texts
            .take(shown.len())
            .map(|(text, about)| format!("- {mark}{}{text}", self.whose(about)))
            .collect()
    }

    fn list(&self) -> Vec<String> {
        let mut items = self.items(Kind::Error, "❌ ", 0..SHOWN_FINDINGS);
        items.extend(self.items(Kind::Warning, "⚠️ ", 0..OPEN_WARNINGS));
        items.extend(self.items(Kind::Fact, "", 0..SHOWN_FINDINGS));
        items
    }

    fn folded_warnings(&self) -> Option<String> {
        let all = self.of(Kind::Warning).len();
        let items = self.items(Kind::Warning, "⚠️ ", OPEN_WARNINGS..SHOWN_FINDINGS);
        let unseen = all.saturating_sub(SHOWN_FINDINGS);
        let more = (unseen > 0).then(|| format!("\n- and {unseen} more"));
        (!items.is_empty()).then(|| {
            format!(
                "<details><summary>⚠️ {}</summary>\n\n{}{}\n\n</details>",
                count(all - OPEN_WARNINGS, "more warning"),
                items.join("\n"),
                more.unwrap_or_default()
            )
        })
    }

    fn traces(&self) -> Vec<String> {
        let texts = self.of(Kind::Trace).iter();
        texts
            .map(|(text, about)| format!("{}{text}", self.whose(about)))
            .collect()
    }
}

fn sentence(text: &str) -> String {
    prose(&cut(text.trim(), SENTENCE_LIMIT))
}

/// The end of a traceback, where the reason stands.
pub(super) fn last_lines(trace: &str) -> String {
    let lines: Vec<String> = trace
        .trim_end()
        .lines()
        .rev()
        .take(TRACE_LINES)
        .map(|line| cut(line, TRACE_LINE_LIMIT))
        .collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

fn heaviest(weights: &[Weight]) -> Option<String> {
    (!weights.is_empty()).then(|| {
        listed(weights, SHOWN_WEIGHTS, |weight| {
            format!("{} {}", code(&weight.package), size(weight.unzipped))
        })
    })
}

/// `Left out: tests 14.0 MiB, headers 2.0 MiB.`, with the most of any target.
fn left_out(entries: &[&Entry]) -> Option<String> {
    let mut most: Vec<&Slimmed> = Vec::new();
    let mut differs = false;
    for report in entries
        .iter()
        .filter_map(|entry| build_of(entry))
        .map(|(build, _)| &build.artifact.report)
    {
        for slimmed in &report.slimmed {
            match most.iter_mut().find(|known| known.why == slimmed.why) {
                Some(known) => {
                    differs |= size(known.unzipped) != size(slimmed.unzipped);
                    if slimmed.unzipped > known.unzipped {
                        *known = slimmed;
                    }
                }
                None => most.push(slimmed),
            }
        }
    }
    most.sort_by_key(|slimmed| slimmed.why);
    let texts: Vec<String> = most.iter().map(|slimmed| slimmed_text(slimmed)).collect();
    let up_to = if differs {
        " (the most of any target)"
    } else {
        ""
    };
    (!texts.is_empty()).then(|| format!("Left out: {}{up_to}.", texts.join(", ")))
}

/// `tests 14.0 MiB`; without a size where it is not known.
pub(super) fn slimmed_text(slimmed: &Slimmed) -> String {
    if slimmed.unzipped == 0 {
        let number = usize::try_from(slimmed.files).unwrap_or(usize::MAX);
        format!("{} ({number})", slimmed.why)
    } else {
        format!("{} {}", slimmed.why, size(slimmed.unzipped))
    }
}

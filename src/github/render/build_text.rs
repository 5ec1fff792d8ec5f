//! A build for a terminal: everything that is known of it, a line each.

use super::build_notes::{last_lines, slimmed_text};
use super::escape::{cut, line};
use super::words::{count, listed, size};
use crate::model::{
    BuildRecord, Bytecode, BytecodeReport, ImportTest, Severity, UNZIPPED_LIMIT, ZIPPED_LIMIT,
};
use crate::plan::against_publishing;
use std::collections::BTreeMap;

/// Packages named as the heaviest.
const SHOWN_WEIGHTS: usize = 5;
/// Under the words of a row.
const SHIFT: &str = "\n             ";

/// What was built, and whether it would be published; `path` is where the zip is. With `is_staged`, zips above the limit
/// of a direct upload go through a bucket. Ends with a line end.
#[must_use]
pub fn build_as_text(build: &BuildRecord, path: &str, is_staged: bool) -> String {
    let artifact = &build.artifact;
    let report = &artifact.report;
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut text = format!(
        "{} {} {}\n",
        build.layer,
        line(&build.version),
        build.target
    );
    let mut row = |name: &str, value: &str| text.push_str(&format!("  {name:<10} {value}\n"));
    if is_staged && artifact.size > ZIPPED_LIMIT {
        row(
            "zipped",
            &format!("{}, through a bucket", size(artifact.size)),
        );
    } else {
        row("zipped", &of_limit(artifact.size, ZIPPED_LIMIT));
    }
    row(
        "unzipped",
        &of_limit(artifact.unzipped_size, UNZIPPED_LIMIT),
    );
    row(
        "holds",
        &format!(
            "{}, {}",
            count(number(artifact.files), "file"),
            count(artifact.pins.len(), "package")
        ),
    );
    if !report.weights.is_empty() {
        let heaviest = listed(&report.weights, SHOWN_WEIGHTS, |weight| {
            format!("{} {}", line(&weight.package), size(weight.unzipped))
        });
        row("heaviest", &heaviest);
    }
    row("licences", &licenses(build).join(SHIFT));
    if !report.slimmed.is_empty() {
        let left: Vec<String> = report.slimmed.iter().map(slimmed_text).collect();
        row("left out", &left.join(", "));
    }
    row("bytecode", &bytecode(&report.bytecode));
    row("import", &import(&report.import_test));
    if report.findings.is_empty() {
        row("audit", "nothing found");
    }
    for finding in &report.findings {
        let name = match finding.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        row(name, &line(&cut(&finding.message, 2_000)));
    }
    row("sha256", &artifact.digest.to_string());
    row("path", path);
    if let Some(failure) = against_publishing(build, is_staged) {
        row(
            "REFUSED",
            &format!(
                "built, but it would not be published: {}",
                line(&cut(&failure.message, 2_000))
            ),
        );
    }
    text
}

/// Lines for a plan: what differs from a build that needs no words.
pub(super) fn remarks(build: &BuildRecord) -> Vec<String> {
    let report = &build.artifact.report;
    let mut remarks: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Warning)
        .map(|finding| format!("warning: {}", line(&cut(&finding.message, 2_000))))
        .collect();
    if !report.slimmed.is_empty() {
        let left: Vec<String> = report.slimmed.iter().map(slimmed_text).collect();
        remarks.push(format!("left out: {}", left.join(", ")));
    }
    if report.bytecode.included != Bytecode::None || report.bytecode.reason.is_some() {
        remarks.push(format!("bytecode: {}", bytecode(&report.bytecode)));
    }
    if report.import_test != ImportTest::NotRun {
        remarks.push(format!("import: {}", import(&report.import_test)));
    }
    remarks
}

/// `27.5 MiB, 55 % of 50 MiB`, the share rounded up.
fn of_limit(bytes: u64, limit: u64) -> String {
    format!(
        "{}, {} % of {} MiB",
        size(bytes),
        bytes.saturating_mul(100).div_ceil(limit),
        limit / 1024 / 1024
    )
}

/// Each licence with its packages, those that are not known last.
fn licenses(build: &BuildRecord) -> Vec<String> {
    let mut known: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut unknown = Vec::new();
    for pin in &build.artifact.pins {
        match pin.license.as_deref() {
            Some(license) => known.entry(license).or_default().push(line(&pin.name)),
            None => unknown.push(line(&pin.name)),
        }
    }
    let mut rows: Vec<String> = known
        .into_iter()
        .map(|(license, names)| format!("{}: {}", cut(&line(license), 80), names.join(", ")))
        .collect();
    if !unknown.is_empty() {
        rows.push(format!("unknown: {}", unknown.join(", ")));
    }
    rows
}

fn bytecode(report: &BytecodeReport) -> String {
    let modules = count(
        usize::try_from(report.files).unwrap_or(usize::MAX),
        "module",
    );
    let mut text = match report.included {
        Bytecode::None => "none".to_owned(),
        Bytecode::All => modules,
        Bytecode::Imported => format!("{modules}, those that importing loads"),
    };
    if let Some(compiler) = &report.compiler {
        text.push_str(&format!(
            ", {}, compiled by {}",
            size(report.unzipped),
            line(compiler)
        ));
    }
    if let Some(reason) = &report.reason {
        text.push_str(&format!(" ({})", line(&cut(reason, 500))));
    }
    text
}

fn import(test: &ImportTest) -> String {
    match test {
        ImportTest::NotRun => "not tested".to_owned(),
        ImportTest::Passed { modules } => {
            format!("passed: {}", listed(modules, 10, |module| line(module)))
        }
        ImportTest::Skipped { reason } => format!("not tested: {}", line(&cut(reason, 500))),
        ImportTest::Failed { module, trace } => {
            let trace: Vec<String> = last_lines(trace)
                .lines()
                .map(|text| format!("{SHIFT}  {}", indented_line(text)))
                .collect();
            format!("FAILED: {}{}", line(module), trace.concat())
        }
    }
}

/// One line without control characters that keeps its indentation.
fn indented_line(text: &str) -> String {
    let indentation = text.len() - text.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(indentation), line(text))
}

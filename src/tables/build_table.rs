//! How the latest zips were built: bytecode, what was left out, the import test, warnings. Nothing where no build says.

use super::rows::{Row, by};
use super::text::{markdown, mebibytes, table};
use super::{Builds, spoken};
use crate::model::{BuildReport, Bytecode, BytecodeReport, ImportTest, Severity, Slimmed, Weight};

/// Packages named as the heaviest.
const SHOWN_WEIGHTS: usize = 3;

/// A row for each target, of the zip that is live in the most recently published region.
pub(super) fn render(builds: &Builds<'_>, latest: &[&Row<'_>]) -> Option<String> {
    let mut lines = Vec::new();
    let mut warnings = Vec::new();
    for (target, rows) in by(latest, |row| row.target) {
        let newest = rows.iter().max_by_key(|row| row.since);
        let Some(build) = newest.and_then(|row| builds.of(row)) else {
            continue;
        };
        let report = &build.artifact.report;
        if *report == BuildReport::default() {
            continue;
        }
        lines.push(vec![
            spoken(target),
            heaviest(&report.weights),
            bytecode(&report.bytecode),
            left_out(&report.slimmed),
            import(&report.import_test),
        ]);
        warnings.extend(
            report
                .findings
                .iter()
                .filter(|finding| finding.severity == Severity::Warning)
                .map(|finding| format!("- {}: {}\n", spoken(target), markdown(&finding.message))),
        );
    }
    if lines.is_empty() {
        return None;
    }
    let header = [
        "For",
        "Weighs most (unzipped)",
        "Bytecode",
        "Left out",
        "Import test",
    ];
    let mut text = format!("## How it was built\n\n{}", table(&header, &lines));
    if !warnings.is_empty() {
        text.push_str(&format!("\nWhat to look out for:\n\n{}", warnings.concat()));
    }
    Some(text)
}

fn heaviest(weights: &[Weight]) -> String {
    let weights = weights.iter().take(SHOWN_WEIGHTS);
    let texts: Vec<String> = weights
        .map(|weight| {
            format!(
                "{} {}",
                markdown(&weight.package),
                mebibytes(weight.unzipped)
            )
        })
        .collect();
    texts.join(", ")
}

/// `1200 modules by CPython 3.13.0`, or why there is none.
fn bytecode(report: &BytecodeReport) -> String {
    let by = report
        .compiler
        .as_deref()
        .map_or_else(String::new, |compiler| {
            format!(" by {}", markdown(compiler))
        });
    let plural = if report.files == 1 { "" } else { "s" };
    let modules = format!("{} module{plural}", report.files);
    let mut text = match report.included {
        Bytecode::None => "none".to_owned(),
        Bytecode::All => format!("{modules}{by}"),
        Bytecode::Imported => format!("{modules} that importing loads{by}"),
    };
    if let Some(reason) = &report.reason {
        text.push_str(&format!(": {}", markdown(reason)));
    }
    text
}

fn left_out(slimmed: &[Slimmed]) -> String {
    let texts: Vec<String> = slimmed
        .iter()
        .map(|slimmed| match slimmed.unzipped {
            0 => format!("{} ({})", slimmed.why, slimmed.files),
            bytes => format!("{} {}", slimmed.why, mebibytes(bytes)),
        })
        .collect();
    texts.join(", ")
}

fn import(test: &ImportTest) -> String {
    match test {
        ImportTest::NotRun => "not run".to_owned(),
        ImportTest::Passed { modules } => format!("passed: {}", markdown(&modules.join(", "))),
        ImportTest::Skipped { reason } => format!("not run: {}", markdown(reason)),
        // Never published; said nevertheless, should a build come to be judged anew.
        ImportTest::Failed { module, .. } => format!("{} cannot be imported", markdown(module)),
    }
}

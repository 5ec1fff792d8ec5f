//! What is inside a layer, as a page shows it: sizes, how it was built, packages and licences.

use crate::github::render::size;
use crate::model::{BuildRecord, Bytecode, ImportTest, Severity};
use maud::{Markup, html};

/// The part of a layer's page about one build.
pub(super) fn render(build: &BuildRecord) -> Markup {
    let artifact = &build.artifact;
    let report = &artifact.report;
    let left: Vec<String> = report
        .slimmed
        .iter()
        .map(|slimmed| match slimmed.unzipped {
            0 => format!("{} ({})", slimmed.why, slimmed.files),
            bytes => format!("{} {}", slimmed.why, size(bytes)),
        })
        .collect();
    let warnings = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Warning);
    html! {
        details {
            summary { "What is inside: " (size(artifact.size)) " zipped, " (size(artifact.unzipped_size)) " unzipped" }
            ul {
                li { "SHA-256 of the zip: " code { (artifact.digest) } }
                li { "Bytecode: " (bytecode(build)) }
                @if !left.is_empty() { li { "Left out: " (left.join(", ")) } }
                li { "Import test: " (import(&report.import_test)) }
                @for warning in warnings { li { "Look out: " (warning.message) } }
            }
            table {
                thead { tr { th { "Package" } th { "Version" } th { "Licence" } th { "Unzipped" } } }
                tbody { @for pin in &artifact.pins { tr {
                    td { (pin.name) } td { (pin.version) } td { (pin.license.as_deref().unwrap_or("unknown")) }
                    td { @if let Some(weight) = report.weights.iter().find(|weight| weight.package == pin.name) { (size(weight.unzipped)) } }
                } } }
            }
        }
    }
}

fn bytecode(build: &BuildRecord) -> String {
    let report = &build.artifact.report.bytecode;
    let by = report
        .compiler
        .as_deref()
        .map_or_else(String::new, |compiler| format!(" by {compiler}"));
    let mut text = match report.included {
        Bytecode::None => "none".to_owned(),
        Bytecode::All => format!("{} modules{by}", report.files),
        Bytecode::Imported => format!("{} modules that importing loads{by}", report.files),
    };
    if let Some(reason) = &report.reason {
        text.push_str(&format!(": {reason}"));
    }
    text
}

fn import(test: &ImportTest) -> String {
    match test {
        ImportTest::NotRun => "not run".to_owned(),
        ImportTest::Passed { modules } => format!("passed: {}", modules.join(", ")),
        ImportTest::Skipped { reason } => format!("not run: {reason}"),
        ImportTest::Failed { module, .. } => format!("{module} cannot be imported"),
    }
}

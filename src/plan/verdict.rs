//! Whether what was built may be published.

use super::BuildFailure;
use crate::model::{BuildRecord, BuildReport, ImportTest, UNZIPPED_LIMIT, ZIPPED_LIMIT};

/// Errors of the audit that are said in full; all of them are in the build's report.
const SHOWN_ERRORS: usize = 3;

/// What forbids publishing a build, in words for the person who asked for it. With `is_staged`, zips above the limit of a
/// direct upload go through a bucket.
#[must_use]
pub fn against_publishing(build: &BuildRecord, is_staged: bool) -> Option<BuildFailure> {
    let report = &build.artifact.report;
    let size = over_limit(build, is_staged);
    if size.is_none() && !report.is_forbidden() {
        return None;
    }
    let package = report.package_to_blame().map(str::to_owned);
    let errors = in_words(report);
    let message = match size {
        Some(size) if errors.is_empty() => size,
        Some(size) => format!("{} {}", sentence(&size), errors.join(" ")),
        None => errors.join(" "),
    };
    Some(BuildFailure {
        message,
        package,
        transient: false,
    })
}

/// The first errors as sentences, and how many more there are.
fn in_words(report: &BuildReport) -> Vec<String> {
    let errors = report.errors().count();
    let mut said: Vec<String> = report
        .errors()
        .take(SHOWN_ERRORS)
        .map(|finding| sentence(finding.message.trim()))
        .collect();
    match errors.saturating_sub(SHOWN_ERRORS) {
        0 => {}
        1 => said.push("The audit found 1 more error.".to_owned()),
        more => said.push(format!("The audit found {more} more errors.")),
    }
    if let ImportTest::Failed { module, trace } = &report.import_test {
        let last = trace.lines().rfind(|line| !line.trim().is_empty());
        said.push(match last {
            Some(last) => sentence(&format!("`{module}` cannot be imported: {}", last.trim())),
            None => format!("`{module}` cannot be imported."),
        });
    }
    said
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// Says so when a zip is larger than AWS Lambda takes.
fn over_limit(build: &BuildRecord, is_staged: bool) -> Option<String> {
    let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    if build.artifact.unzipped_size > UNZIPPED_LIMIT {
        return Some(format!(
            "unzipped it takes {:.1} MiB; AWS Lambda allows a function and all its layers 250 MiB together: ask for fewer packages, or leave files out with `exclude`",
            mebibytes(build.artifact.unzipped_size)
        ));
    }
    if build.artifact.size > ZIPPED_LIMIT && !is_staged {
        return Some(format!(
            "zipped it takes {:.1} MiB; AWS Lambda takes at most 50 MiB in a direct upload: ask for fewer packages, leave files out with `exclude`, or have the platform team set `staging: \"layersmith-{{account}}-{{region}}\"` in the policy, the name of a bucket in each region",
            mebibytes(build.artifact.size)
        ));
    }
    None
}

//! What is found in a layer that was assembled: the audit's view of it.

use super::assemble::Assembled;
use super::audit::{self, Audited, sizes};
use super::elf::WheelFacts;
use super::options::BuildOptions;
use crate::model::{Finding, LockedPackage, Severity};
use std::collections::BTreeMap;

/// Everything found, the gravest first; `notes` are what the import test has to say besides its outcome.
pub(crate) fn findings(
    assembled: &Assembled,
    size: u64,
    options: &BuildOptions<'_>,
    facts: &BTreeMap<String, WheelFacts>,
    locked: &[LockedPackage],
    notes: Vec<String>,
) -> Vec<Finding> {
    let package_of = |wheel: usize| {
        assembled
            .pins
            .get(wheel)
            .map_or("", |pin| pin.name.as_str())
    };
    let audited = Audited {
        target: options.target,
        now: options.today,
        requested: options.packages,
        files: assembled
            .files
            .iter()
            .map(|file| (file.path.as_str(), package_of(file.wheel)))
            .collect(),
        packages: facts
            .iter()
            .map(|(package, facts)| (package.as_str(), facts))
            .collect(),
        yanked: locked
            .iter()
            .filter_map(|package| {
                let reason = package.yanked.as_deref()?;
                Some((
                    package.name.as_str(),
                    Some(reason).filter(|text| !text.is_empty()),
                ))
            })
            .collect(),
    };
    let mut findings = audit::audit(&audited);
    findings.extend(sizes::size_findings(
        size,
        assembled.unzipped_size,
        &assembled.weights,
    ));
    findings.extend(notes.into_iter().map(|message| Finding {
        severity: Severity::Note,
        package: None,
        message,
    }));
    findings.sort();
    findings
}

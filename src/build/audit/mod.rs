//! Whether a layer can work on AWS Lambda, told before it is published and with none of its code run.
//!
//! Pure: values in, [`Finding`]s out. Each rule is a file of its own and looks at the same [`Audited`] layer.
//! Deliberately absent: reading wheels (that is `elf`), and what stops a build anyway, such as two packages that write one
//! path (that is `contents`).
#![cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the builder does not ask for it")
)]

mod abi_tags;
mod libraries;
mod machine;
mod requires_python;
mod runtime_dates;
mod runtime_libraries;
mod sizes;
mod stack;
mod symbol_versions;
#[cfg(test)]
mod test_layer;
mod text;
mod top_level;
mod unreadable;
mod yanked;

pub(crate) use sizes::size_findings;

use super::elf::{ElfFacts, WheelFacts};
use crate::model::{Finding, Severity, Target, Timestamp};
use std::collections::BTreeMap;

/// A layer as the audit sees it.
pub(crate) struct Audited<'a> {
    /// What it is for.
    pub(crate) target: Target,
    /// When it is looked at: whether a runtime's end is near depends on it.
    pub(crate) now: Timestamp,
    /// The packages that were asked for (normalised names, PEP 503).
    pub(crate) requested: &'a [String],
    /// Every file of it, relative to `python/`, with the package that brings it (normalised name). What was left out is
    /// absent.
    pub(crate) files: BTreeMap<&'a str, &'a str>,
    /// What is known of each package's wheel, by normalised name.
    pub(crate) packages: BTreeMap<&'a str, &'a WheelFacts>,
    /// The packages in it whose release was yanked (PEP 592), with the reason where one was given.
    pub(crate) yanked: BTreeMap<&'a str, Option<&'a str>>,
}

impl<'a> Audited<'a> {
    /// The shared objects and programs of the layer, package by package.
    fn elf(&self) -> impl Iterator<Item = (&'a str, &'a ElfFacts)> {
        let packages = self.packages.iter();
        packages.flat_map(|(package, facts)| {
            let there = |elf: &&ElfFacts| self.brings(package, &elf.path);
            facts.elf.iter().filter(there).map(|elf| (*package, elf))
        })
    }

    /// Those of them that the processor can run or load.
    fn native_elf(&self) -> impl Iterator<Item = (&'a str, &'a ElfFacts)> {
        let architecture = self.target.architecture;
        self.elf()
            .filter(move |(_, elf)| machine::is_native(elf, architecture))
    }

    /// Whether the layer has a package's file, and not another's in its place.
    fn brings(&self, package: &str, path: &str) -> bool {
        self.files.get(path) == Some(&package)
    }
}

/// Everything there is to say about a layer, the gravest first, then by package; the same for the same layer and day.
#[must_use]
pub(crate) fn audit(layer: &Audited<'_>) -> Vec<Finding> {
    let rules = [
        machine::check,
        symbol_versions::check,
        libraries::check,
        abi_tags::check,
        requires_python::check,
        top_level::check,
        yanked::check,
        runtime_dates::check,
        stack::check,
        unreadable::check,
    ];
    let mut findings: Vec<Finding> = rules.iter().flat_map(|rule| rule(layer)).collect();
    findings.sort();
    findings
}

/// A finding about a package.
fn about(severity: Severity, package: &str, message: String) -> Finding {
    Finding {
        severity,
        package: Some(package.to_owned()),
        message,
    }
}

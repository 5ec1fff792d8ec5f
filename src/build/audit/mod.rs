//! Whether a layer can work on AWS Lambda, told before it is published and with none of its code run.
//!
//! Pure: values in, [`Finding`]s out. Each rule is a file of its own and looks at the same [`Audited`] layer.
//! Deliberately absent: reading wheels (that is `elf`), and what stops a build anyway, such as two packages that write one
//! path (that is `contents`).

mod abi_tags;
mod libraries;
mod machine;
mod requires_python;
mod runtime_dates;
mod runtime_libraries;
pub(crate) mod sizes;
mod stack;
mod symbol_versions;
#[cfg(test)]
mod test_layer;
mod text;
mod top_level;
mod unreadable;
mod yanked;

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
    /// The shared objects and programs that a package brings to the layer.
    fn elf_of(
        &self,
        package: &'a str,
        facts: &'a WheelFacts,
    ) -> impl Iterator<Item = &'a ElfFacts> {
        let files = facts.elf.iter();
        files.filter(move |elf| self.brings(package, &elf.path))
    }

    /// All shared objects and programs of the layer that the processor can run or load, package by package.
    fn native_elf(&self) -> impl Iterator<Item = (&'a str, &'a ElfFacts)> {
        let architecture = self.target.architecture;
        let packages = self.packages.iter();
        packages.flat_map(move |(package, facts)| {
            let elf = self.elf_of(package, facts);
            elf.filter(move |elf| machine::is_native(elf, architecture))
                .map(|elf| (*package, elf))
        })
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

#[cfg(test)]
mod tests {
    use super::test_layer::{TestLayer, elf};
    use super::*;

    #[test]
    fn the_gravest_findings_come_first() {
        let mut layer = TestLayer::new("p3.10");
        layer.now = "2026-11-22T00:00:00Z".parse().unwrap();
        layer.requested = vec!["stub".to_owned()];
        layer
            .packages
            .insert("stub".to_owned(), WheelFacts::default());
        let mut fine = elf("fine/a.cpython-310-x86_64-linux-gnu.so");
        fine.needed.push("libc.so.6".to_owned());
        layer.add("fine", fine);
        let mut wrong = elf("wrong/a.abi3.so");
        wrong.machine = 183;
        layer.add("wrong", wrong);
        let told: Vec<(Severity, Option<String>)> = layer
            .check(audit)
            .into_iter()
            .map(|finding| (finding.severity, finding.package))
            .collect();
        assert_eq!(
            told,
            [
                (Severity::Error, Some("wrong".to_owned())),
                (Severity::Warning, None),
                (Severity::Warning, Some("stub".to_owned())),
            ]
        );
    }
}

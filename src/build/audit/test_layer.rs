//! Layers for the tests of the rules.

use super::Audited;
use crate::build::elf::{ElfFacts, ElfKind, ExtensionModule, WheelFacts};
use crate::model::{Finding, Target, Timestamp};
use std::collections::BTreeMap;

/// A layer that owns what [`Audited`] borrows.
pub(super) struct TestLayer {
    pub(super) target: Target,
    pub(super) now: Timestamp,
    pub(super) requested: Vec<String>,
    pub(super) packages: BTreeMap<String, WheelFacts>,
    pub(super) files: BTreeMap<String, String>,
    pub(super) yanked: BTreeMap<String, Option<String>>,
}

impl TestLayer {
    pub(super) fn new(target: &str) -> Self {
        Self {
            target: target.parse().unwrap(),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            requested: Vec::new(),
            packages: BTreeMap::new(),
            files: BTreeMap::new(),
            yanked: BTreeMap::new(),
        }
    }

    /// Adds a shared object to a package.
    pub(super) fn add(&mut self, package: &str, elf: ElfFacts) {
        self.files.insert(elf.path.clone(), package.to_owned());
        let facts = self.packages.entry(package.to_owned()).or_default();
        facts
            .extension_modules
            .extend(ExtensionModule::of(&elf.path));
        facts.elf.push(elf);
    }

    pub(super) fn check(&self, rule: impl Fn(&Audited<'_>) -> Vec<Finding>) -> Vec<Finding> {
        rule(&Audited {
            target: self.target,
            now: self.now,
            requested: &self.requested,
            files: self
                .files
                .iter()
                .map(|(path, package)| (&**path, &**package))
                .collect(),
            packages: self
                .packages
                .iter()
                .map(|(name, facts)| (&**name, facts))
                .collect(),
            yanked: self
                .yanked
                .iter()
                .map(|(name, why)| (&**name, why.as_deref()))
                .collect(),
        })
    }
}

/// A shared object for 64-bit x86 that needs nothing.
pub(super) fn elf(path: &str) -> ElfFacts {
    ElfFacts {
        path: path.to_owned(),
        size: 1000,
        kind: ElfKind::Shared,
        machine: 62,
        bits: 64,
        is_little_endian: true,
        soname: None,
        needed: Vec::new(),
        run_path: Vec::new(),
        versions: BTreeMap::new(),
        has_executable_stack: false,
        removable: 0,
    }
}

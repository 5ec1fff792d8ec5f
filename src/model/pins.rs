//! How the packages of two builds differ.

use super::Pin;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A package that differs between two builds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PinChange {
    /// Normalised name.
    pub name: String,
    /// The version before; absent when it is new.
    pub from: Option<String>,
    /// The version after; absent when it goes.
    pub to: Option<String>,
}

/// What changes from one set of packages to another, sorted by name.
#[must_use]
pub fn pin_changes(before: &[Pin], after: &[Pin]) -> Vec<PinChange> {
    let mut versions: BTreeMap<&str, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for pin in before {
        versions.entry(&pin.name).or_default().0 = Some(&pin.version);
    }
    for pin in after {
        versions.entry(&pin.name).or_default().1 = Some(&pin.version);
    }
    versions
        .into_iter()
        .filter(|(_, (from, to))| from != to)
        .map(|(name, (from, to))| PinChange {
            name: name.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        })
        .collect()
}

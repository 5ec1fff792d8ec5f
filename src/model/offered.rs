//! Which regions can be published to.

use super::Region;

/// The regions of a registry's partitions. One that stands in neither list may be tried all the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfferedRegions {
    /// Those that `all` means; sorted.
    pub enabled: Vec<Region>,
    /// Those that the account has not enabled; sorted.
    pub not_enabled: Vec<Region>,
}

impl OfferedRegions {
    /// All enabled.
    #[must_use]
    pub fn all(mut enabled: Vec<Region>) -> Self {
        enabled.sort();
        Self {
            enabled,
            not_enabled: Vec::new(),
        }
    }
}

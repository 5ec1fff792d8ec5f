//! What a resolution found: exact versions, and one wheel for each.

use super::Digest;
use serde::{Deserialize, Serialize};

/// A wheel to fetch (the binary distribution format, PEP 427).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WheelFile {
    /// File name, such as `six-1.17.0-py2.py3-none-any.whl`.
    pub filename: String,
    /// Where it is fetched from.
    pub url: String,
    /// What its bytes must hash to.
    pub sha256: Digest,
    /// Size in bytes, where the index says it.
    pub size: Option<u64>,
}

impl WheelFile {
    /// Stands between the URL of a source distribution and the name of a wheel that was built from it (as a fragment: RFC
    /// 3986, 3.5). Fetching such a URL gives the source.
    pub const BUILT: &str = "#built=";

    /// The URL of the source distribution that the wheel was built from, where it comes from no index.
    #[must_use]
    pub fn built_from(&self) -> Option<&str> {
        let (source, filename) = self.url.rsplit_once(Self::BUILT)?;
        (filename == self.filename).then_some(source)
    }
}

/// A package at a version, with the wheel picked for the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedPackage {
    /// Normalised name (PEP 503).
    pub name: String,
    /// Version (PEP 440).
    pub version: String,
    /// The wheel.
    pub wheel: WheelFile,
    /// The reason its authors gave when they withdrew the release (PEP 592), which may be empty; absent when they did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yanked: Option<String>,
}

/// Everything that goes into one layer for one target, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The packages, sorted by name, each name once.
    pub packages: Vec<LockedPackage>,
}

impl Lock {
    /// Whether both hold the same wheels, wherever those are fetched from and whatever was said of them since.
    #[must_use]
    pub fn has_same_wheels(&self, other: &Self) -> bool {
        let wheels = |lock: &Self| -> Vec<(String, String, Digest)> {
            let fields = |package: &LockedPackage| {
                let LockedPackage {
                    name,
                    version,
                    wheel,
                    ..
                } = package;
                (name.clone(), version.clone(), wheel.sha256)
            };
            lock.packages.iter().map(fields).collect()
        };
        wheels(self) == wheels(other)
    }

    /// The version a package is locked to.
    #[must_use]
    pub fn version_of(&self, name: &str) -> Option<&str> {
        self.packages
            .iter()
            .find(|package| package.name == name)
            .map(|package| package.version.as_str())
    }
}

/// A package name in normal form: lowercase, runs of `-`, `_` and `.` become one `-`.
///
/// Source: PEP 503, "Normalized Names".
#[must_use]
pub fn normalize_package_name(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.extend(c.to_lowercase());
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_from_source_is_told_by_its_url() {
        let of = |url: &str| WheelFile {
            filename: "a-1-py3-none-any.whl".to_owned(),
            url: url.to_owned(),
            sha256: Digest::of(b""),
            size: None,
        };
        let built = of("https://e.com/a-1.tar.gz#built=a-1-py3-none-any.whl");
        assert_eq!(built.built_from(), Some("https://e.com/a-1.tar.gz"));
        for other in [
            "https://e.com/a-1-py3-none-any.whl",
            "https://e.com/a-1.tar.gz#built=b-1-py3-none-any.whl",
        ] {
            assert_eq!(of(other).built_from(), None);
        }
    }

    #[test]
    fn names_are_normalised_as_pep_503_says() {
        for name in [
            "friendly-bard",
            "Friendly-Bard",
            "friendly.bard",
            "FRIENDLY-BARD",
            "friendly--bard",
            "FrIeNdLy-._.-bArD",
        ] {
            assert_eq!(normalize_package_name(name), "friendly-bard");
        }
    }
}

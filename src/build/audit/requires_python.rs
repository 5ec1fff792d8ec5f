//! Whether packages are for the layer's Python (`Requires-Python`, core metadata).

use super::text::code;
use super::{Audited, about};
use crate::model::{Finding, PythonVersion, Severity};
use pep440_rs::{Version, VersionSpecifiers};
use std::str::FromStr;

/// Patch releases tried; no minor version had more.
const PATCHES: u64 = 40;

/// Whether some patch release of a Python is among those asked for: which of them AWS Lambda runs changes over time.
fn allows(specifiers: &VersionSpecifiers, python: PythonVersion) -> bool {
    (0..PATCHES).any(|patch| {
        let version = Version::new([3, u64::from(python.minor()), patch]);
        specifiers.contains(&version)
    })
}

/// Packages for other Pythons. What is no specifier is passed over, as installers do.
pub(super) fn check(layer: &Audited<'_>) -> Vec<Finding> {
    let python = layer.target.python;
    let packages = layer.packages.iter();
    packages
        .filter_map(|(package, facts)| {
            let text = facts.requires_python.as_deref()?;
            let specifiers = VersionSpecifiers::from_str(text).ok()?;
            (!allows(&specifiers, python)).then(|| {
                let message = format!(
                    "{} is for Python {}, and the layer is for Python {python}. Ask for a version of it that supports Python {python}.",
                    code(package),
                    code(text)
                );
                about(Severity::Error, package, message)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::audit::test_layer::TestLayer;
    use crate::build::elf::WheelFacts;

    #[test]
    fn packages_for_other_pythons_are_errors() {
        let count = |requires: &str| {
            let mut layer = TestLayer::new("p3.13");
            let requires_python = Some(requires.to_owned());
            let facts = WheelFacts {
                requires_python,
                ..WheelFacts::default()
            };
            layer.packages.insert("x".to_owned(), facts);
            layer.check(check).len()
        };
        for right in [
            ">=3.8",
            ">=3.9,!=3.13.1",
            "~=3.10",
            ">=3.13.2",
            "==3.13.*",
            "sometimes",
            "<4",
        ] {
            assert_eq!(count(right), 0, "{right}");
        }
        for wrong in ["<3.13", ">=3.14", "==3.12.*", ">=2.7,<3", "!=3.13.*"] {
            assert_eq!(count(wrong), 1, "{wrong}");
        }
    }
}

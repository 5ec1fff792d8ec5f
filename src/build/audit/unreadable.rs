//! Extension modules that only begin like shared objects.

use super::text::code;
use super::{Audited, about};
use crate::build::elf::ExtensionModule;
use crate::model::{Finding, Severity};

/// Broken files count only where Python would load them: packages that read such files carry broken ones for their tests.
pub(super) fn check(layer: &Audited<'_>) -> Vec<Finding> {
    let packages = layer.packages.iter();
    packages
        .flat_map(|(package, facts)| {
            let broken = facts.unreadable.iter().filter(|file| {
                ExtensionModule::of(&file.path).is_some() && layer.brings(package, &file.path)
            });
            broken.map(|file| {
                let message = format!(
                    "{} of {} cannot be read as a shared object: {}. Importing it will fail.",
                    code(&file.path),
                    code(package),
                    file.reason
                );
                about(Severity::Warning, package, message)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::audit::test_layer::TestLayer;
    use crate::build::elf::{UnreadableElf, WheelFacts};

    #[test]
    fn broken_modules_are_told_and_broken_samples_are_not() {
        let mut layer = TestLayer::new("p3.13");
        let broken = |path: &str| {
            layer.files.insert(path.to_owned(), "x".to_owned());
            UnreadableElf {
                path: path.to_owned(),
                reason: "its header is cut off".to_owned(),
            }
        };
        let unreadable = ["x/a.abi3.so", "x/tests/sample.elf"].map(broken).to_vec();
        let facts = WheelFacts {
            unreadable,
            ..WheelFacts::default()
        };
        layer.packages.insert("x".to_owned(), facts);
        let findings = layer.check(check);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("`x/a.abi3.so`"));
    }
}

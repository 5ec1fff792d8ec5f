//! Whether extension modules are for the layer's Python (PEP 3149: the tag in their names).

use super::text::{code, first_of};
use super::{Audited, about};
use crate::build::elf::{AbiTag, ExtensionModule};
use crate::model::{Finding, Severity, Target};
use std::collections::BTreeMap;

/// Whether an interpreter of the target imports a file with this tag.
fn is_importable(tag: &AbiTag, target: Target) -> bool {
    let own = format!(
        "cpython-3{}-{}-linux-gnu",
        target.python.minor(),
        target.architecture.machine()
    );
    match tag {
        AbiTag::Stable => true,
        AbiTag::Interpreter(tag) => *tag == own,
    }
}

/// Modules that are there for other interpreters only.
pub(super) fn check(layer: &Audited<'_>) -> Vec<Finding> {
    let target = layer.target;
    let mut findings = Vec::new();
    for (package, facts) in &layer.packages {
        let mut modules: BTreeMap<&str, Vec<&ExtensionModule>> = BTreeMap::new();
        let there = facts
            .extension_modules
            .iter()
            .filter(|module| layer.brings(package, &module.path));
        for module in there {
            modules
                .entry(module.module_path())
                .or_default()
                .push(module);
        }
        let can_be_imported = |variants: &[&ExtensionModule]| {
            variants
                .iter()
                .any(|module| is_importable(&module.abi, target))
        };
        let total = modules.len();
        let useless: Vec<&str> = modules
            .iter()
            .filter(|(path, variants)| {
                // A variant without a tag, or the same module in Python, is imported in their place.
                !can_be_imported(variants)
                    && !layer.files.contains_key(format!("{path}.so").as_str())
                    && !layer.files.contains_key(format!("{path}.py").as_str())
            })
            .filter_map(|(_, variants)| variants.first())
            .map(|module| module.path.as_str())
            .collect();
        if useless.is_empty() {
            continue;
        }
        let what = format!(
            "{} of {} is for another interpreter than Python {} on {}",
            first_of(useless.iter().copied()),
            code(package),
            target.python,
            target.architecture
        );
        findings.push(if useless.len() == total {
            let message = format!(
                "{what}, and none of its extension modules is for this one: it cannot be imported. Ask for a version that has a wheel for it."
            );
            about(Severity::Error, package, message)
        } else {
            about(Severity::Warning, package, format!("{what}: it is not found when it is imported."))
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::audit::test_layer::{TestLayer, elf};

    fn findings(target: &str, paths: &[&str]) -> Vec<Finding> {
        let mut layer = TestLayer::new(target);
        paths.iter().for_each(|path| layer.add("x", elf(path)));
        layer.check(check)
    }

    #[test]
    fn modules_for_other_interpreters_only_are_errors() {
        let own = "x/a.cpython-313-x86_64-linux-gnu.so";
        let old = "x/b.cpython-312-x86_64-linux-gnu.so";
        assert_eq!(
            findings("p3.13", &[own, "x/c.abi3.so", "x.libs/libx.so.1"]),
            []
        );
        let only_old = findings("p3.13", &[old]);
        assert_eq!(only_old[0].severity, Severity::Error);
        insta::assert_snapshot!(only_old[0].message, @"`x/b.cpython-312-x86_64-linux-gnu.so` of `x` is for another interpreter than Python 3.13 on x86_64, and none of its extension modules is for this one: it cannot be imported. Ask for a version that has a wheel for it.");
        assert_eq!(
            findings("p3.13", &[own, old])[0].severity,
            Severity::Warning
        );
        // The same module for several interpreters.
        assert_eq!(
            findings("p3.13", &[own, "x/a.cpython-312-x86_64-linux-gnu.so"]),
            []
        );
        assert_eq!(findings("p3.13", &["x/b.so", old]), []);
        for other in [
            "x/a.cpython-313t-x86_64-linux-gnu.so",
            "x/a.pypy310-pp73-x86_64-linux-gnu.so",
            "x/a.cpython-313-x86_64-linux-musl.so",
            "x/a.cpython-313-aarch64-linux-gnu.so",
        ] {
            assert_eq!(findings("p3.13", &[other]).len(), 1, "{other}");
        }
    }
}

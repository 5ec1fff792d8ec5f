//! Shared objects that want a stack from which code can be run.

use super::machine::is_native;
use super::text::{code, first_of};
use super::{Audited, about};
use crate::model::{Finding, Severity};

/// One finding for each package with such files: loading one makes the stacks of the whole process executable, which
/// glibc refuses from 2.41 on.
pub(super) fn check(layer: &Audited<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let architecture = layer.target.architecture;
    for (package, facts) in &layer.packages {
        let mut files = layer
            .elf_of(package, facts)
            .filter(|elf| elf.has_executable_stack && is_native(elf, architecture))
            .map(|elf| elf.path.as_str())
            .peekable();
        if files.peek().is_none() {
            continue;
        }
        let message = format!(
            "{} of {} asks for an executable stack, which weakens the protection of the whole function and is refused by \
             newer systems. Tell its authors, or ask for another version.",
            first_of(files),
            code(package)
        );
        findings.push(about(Severity::Warning, package, message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::audit::test_layer::{TestLayer, elf};

    #[test]
    fn executable_stacks_are_told_once_for_each_package() {
        let mut layer = TestLayer::new("p3.13");
        layer.add("x", elf("x/fine.so"));
        assert_eq!(layer.check(check), []);
        for path in ["x/a.so", "x/b.so"] {
            let mut elf = elf(path);
            elf.has_executable_stack = true;
            layer.add("x", elf);
        }
        let findings = layer.check(check);
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0]
                .message
                .starts_with("`x/a.so` (and one more file) of `x`")
        );
    }
}

//! The processor that shared objects are for.

use super::text::{code, first_of};
use super::{Audited, about};
use crate::build::elf::{ElfFacts, ElfKind, ExtensionModule};
use crate::model::{Architecture, Finding, Severity};

/// `e_machine` of an architecture (System V ABI, the processors' supplements).
fn machine_of(architecture: Architecture) -> u16 {
    match architecture {
        Architecture::X86_64 => 62,
        Architecture::Arm64 => 183,
    }
}

/// The name of a processor by its `e_machine`; none for what is no processor that Linux runs on, such as a graphics card.
fn name_of(elf: &ElfFacts) -> Option<&'static str> {
    Some(match (elf.machine, elf.bits) {
        (3, _) => "32-bit x86",
        (62, 32) => "x32",
        (62, _) => "x86_64",
        (40, _) => "32-bit ARM",
        (183, _) => "arm64",
        (20 | 21, _) => "PowerPC",
        (22, _) => "IBM Z",
        (243, _) => "RISC-V",
        (258, _) => "LoongArch",
        (8, _) => "MIPS",
        _ => return None,
    })
}

/// Whether the loader of an architecture takes a file.
pub(super) fn is_native(elf: &ElfFacts, architecture: Architecture) -> bool {
    elf.machine == machine_of(architecture)
        && elf.bits == 64
        && elf.is_little_endian
        && matches!(elf.kind, ElfKind::Shared | ElfKind::Executable)
}

/// Extension modules for another processor, and packages with nothing for this one, cannot work. Some packages carry
/// helpers for several processors side by side; those of others are only dead weight.
pub(super) fn check(layer: &Audited<'_>) -> Vec<Finding> {
    let architecture = layer.target.architecture;
    let mut findings = Vec::new();
    for (package, facts) in &layer.packages {
        let own = || layer.elf_of(package, facts);
        let has_native = own().any(|elf| is_native(elf, architecture));
        let foreign: Vec<(&ElfFacts, &str)> = own()
            .filter(|elf| matches!(elf.kind, ElfKind::Shared | ElfKind::Executable))
            .filter(|elf| !is_native(elf, architecture))
            .filter_map(|elf| Some((elf, name_of(elf)?)))
            .collect();
        let module = foreign
            .iter()
            .find(|(elf, _)| ExtensionModule::of(&elf.path).is_some());
        let Some((_, machine)) = module.or(foreign.first()) else {
            continue;
        };
        if module.is_some() || !has_native {
            let grave = foreign
                .iter()
                .filter(|(elf, _)| module.is_none() || ExtensionModule::of(&elf.path).is_some());
            findings.push(about(
                Severity::Error,
                package,
                format!(
                    "{} of {} is for {machine} processors, and the layer is for {architecture}: it cannot be loaded. Ask \
                     for a version that has a wheel for {architecture}.",
                    first_of(grave.map(|(elf, _)| elf.path.as_str())),
                    code(package)
                ),
            ));
        } else {
            findings.push(about(
                Severity::Note,
                package,
                format!(
                    "{} of {} is for {machine} processors and is never loaded on {architecture}; `exclude` can leave it out.",
                    first_of(foreign.iter().map(|(elf, _)| elf.path.as_str())),
                    code(package)
                ),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::audit::test_layer::{TestLayer, elf};

    #[test]
    fn extension_modules_for_another_processor_are_errors() {
        let mut layer = TestLayer::new("p3.13-arm64");
        layer.add("numpy", elf("numpy/core.cpython-313-x86_64-linux-gnu.so"));
        layer.add("numpy", elf("numpy.libs/libopenblas.so.0"));
        let findings = layer.check(check);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].severity, Severity::Error);
        insta::assert_snapshot!(findings[0].message, @"`numpy/core.cpython-313-x86_64-linux-gnu.so` of `numpy` is for x86_64 processors, and the layer is for arm64: it cannot be loaded. Ask for a version that has a wheel for arm64.");
        layer.target = "p3.13".parse().unwrap();
        assert_eq!(layer.check(check), []);
    }

    #[test]
    fn helpers_for_other_processors_are_dead_weight() {
        let mut layer = TestLayer::new("p3.13");
        layer.add("debugpy", elf("debugpy/attach_amd64.so"));
        let mut other = elf("debugpy/attach_x86.so");
        (other.machine, other.bits) = (3, 32);
        layer.add("debugpy", other.clone());
        assert_eq!(layer.check(check)[0].severity, Severity::Note);
        let mut gpu = elf("debugpy/kernel.cubin");
        gpu.machine = 190;
        let mut layer = TestLayer::new("p3.13");
        layer.add("cuda", gpu);
        assert_eq!(layer.check(check), []);
        layer.add("cuda", other);
        assert_eq!(layer.check(check)[0].severity, Severity::Error);
    }
}

//! The versions of the C and C++ libraries that shared objects need.
//!
//! Amazon Linux 2023 has glibc 2.34 and the libstdc++ of GCC 11 (AL2023 user guide, "Core glibc" and "GCC"), Amazon Linux 2
//! has glibc 2.26 and that of GCC 7.3 (AL2 release notes). What those have: the GNU C++ library manual, "ABI Policy and Guidelines",
//! "History".

use super::libraries::{Found, Libraries};
use super::text::{code, first_of, system};
use super::{Audited, about};
use crate::model::{Finding, PythonVersion, Severity};
use std::collections::BTreeMap;

/// A dotted version.
type Version = Vec<u32>;

/// A family of symbol versions: its prefix and the newest that a runtime has.
fn newest(python: PythonVersion) -> [(&'static str, Version); 3] {
    let (major, minor) = python.glibc();
    let is_al2023 = (major, minor) >= (2, 34);
    [
        ("GLIBC_", vec![major.into(), minor.into()]),
        ("GLIBCXX_", vec![3, 4, if is_al2023 { 29 } else { 24 }]),
        ("CXXABI_", vec![1, 3, if is_al2023 { 13 } else { 11 }]),
    ]
}

/// A version of a family; none for names that are no numbers, which every release has.
fn version_of(name: &str, prefix: &str) -> Option<Version> {
    // The mark of files with compact relocations, which glibc 2.36 was the first to load.
    if name == "GLIBC_ABI_DT_RELR" && prefix == "GLIBC_" {
        return Some(vec![2, 36]);
    }
    let numbers = name.strip_prefix(prefix)?.split('.');
    numbers.map(|number| number.parse().ok()).collect()
}

/// Files that need a newer library than the runtime has: the loader refuses them.
pub(super) fn check(layer: &Audited<'_>) -> Vec<Finding> {
    let python = layer.target.python;
    let newest = newest(python);
    let libraries = Libraries::of(layer);
    // By package and family: the newest version needed, and the files that need one that is too new.
    let mut needed: BTreeMap<(&str, &str), (Version, &str, Vec<&str>)> = BTreeMap::new();
    for (package, elf) in layer.native_elf() {
        for (library, versions) in &elf.versions {
            // A library that the file finds in the layer has the versions it was built with. One that is somewhere else in
            // the layer is not what the loader takes: that is the runtime's.
            if matches!(libraries.find(package, elf, library), Found::Yes) {
                continue;
            }
            for (prefix, newest) in &newest {
                let too_new = versions
                    .iter()
                    .filter_map(|name| Some((version_of(name, prefix)?, name.as_str())))
                    .filter(|(version, _)| version > newest)
                    .max();
                let Some((version, name)) = too_new else {
                    continue;
                };
                let entry = needed.entry((package, prefix)).or_default();
                if entry.2.last() != Some(&elf.path.as_str()) {
                    entry.2.push(&elf.path);
                }
                if version > entry.0 {
                    (entry.0, entry.1) = (version, name);
                }
            }
        }
    }
    let findings = needed.into_iter().map(|((package, prefix), (_, name, files))| {
        let newest = newest.iter().find(|(other, _)| *other == prefix);
        let newest: Vec<String> =
            newest.map_or(Vec::new(), |(_, version)| version.iter().map(u32::to_string).collect());
        about(
            Severity::Error,
            package,
            format!(
                "{} of {} needs {}, and Python {python} on AWS Lambda runs on {}, which ends at `{prefix}{}`: it cannot be \
                 loaded. Ask for an older version of {}.",
                first_of(files.into_iter()),
                code(package),
                code(name),
                system(python),
                newest.join("."),
                code(package)
            ),
        )
    });
    findings.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::audit::test_layer::{TestLayer, elf};
    use crate::build::elf::ElfFacts;

    fn needs(path: &str, library: &str, versions: &[&str]) -> ElfFacts {
        let mut elf = elf(path);
        let versions = versions.iter().map(|version| (*version).to_owned());
        elf.versions.insert(library.to_owned(), versions.collect());
        elf
    }

    fn messages(target: &str, elf: ElfFacts) -> Vec<String> {
        let mut layer = TestLayer::new(target);
        layer.add("x", elf);
        layer
            .check(check)
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn versions_that_the_runtime_does_not_have_are_errors() {
        let glibc = |version: &str| needs("x/a.so", "libc.so.6", &["GLIBC_2.2.5", version]);
        assert_eq!(messages("p3.13", glibc("GLIBC_2.34")), Vec::<String>::new());
        insta::assert_snapshot!(messages("p3.13", glibc("GLIBC_2.38"))[0], @"`x/a.so` of `x` needs `GLIBC_2.38`, and Python 3.13 on AWS Lambda runs on Amazon Linux 2023, which ends at `GLIBC_2.34`: it cannot be loaded. Ask for an older version of `x`.");
        assert_eq!(messages("p3.11", glibc("GLIBC_2.27")).len(), 1);
        assert_eq!(messages("p3.11", glibc("GLIBC_2.17")).len(), 0);
        assert_eq!(messages("p3.13", glibc("GLIBC_ABI_DT_RELR")).len(), 1);
        assert_eq!(messages("p3.13", glibc("GLIBC_PRIVATE")).len(), 0);
    }

    #[test]
    fn the_cpp_library_is_that_of_the_systems_compiler() {
        let cpp = |version: &str| needs("x/a.so", "libstdc++.so.6", &[version]);
        for (target, version, count) in [
            ("p3.12", "GLIBCXX_3.4.29", 0),
            ("p3.12", "GLIBCXX_3.4.30", 1),
            ("p3.11", "GLIBCXX_3.4.24", 0),
            ("p3.11", "GLIBCXX_3.4.25", 1),
            ("p3.12", "CXXABI_1.3.13", 0),
            ("p3.12", "CXXABI_1.3.14", 1),
            ("p3.11", "CXXABI_1.3.12", 1),
            ("p3.12", "CXXABI_FLOAT128", 0),
        ] {
            assert_eq!(
                messages(target, cpp(version)).len(),
                count,
                "{target} {version}"
            );
        }
    }

    #[test]
    fn a_library_in_the_layer_has_what_it_has() {
        let mut layer = TestLayer::new("p3.13");
        layer.add("x", needs("x/a.so", "libstdc++.so.6", &["GLIBCXX_3.4.32"]));
        assert_eq!(layer.check(check).len(), 1);
        let mut own = elf("x.libs/libstdc++.so.6");
        own.soname = Some("libstdc++.so.6".to_owned());
        layer.add("x", own);
        assert_eq!(layer.check(check), []);
        // Another package's search path does not get there.
        let mut other = needs("y/a.so", "libstdc++.so.6", &["GLIBCXX_3.4.32"]);
        layer.add("y", other.clone());
        let findings = layer.check(check);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].package.as_deref(), Some("y"));
        other.path = "z/a.so".to_owned();
        other.run_path.push("$ORIGIN/../x.libs".to_owned());
        layer.add("z", other);
        assert_eq!(layer.check(check), findings);
    }
}

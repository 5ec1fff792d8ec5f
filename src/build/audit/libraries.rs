//! Whether the loader finds every library that the shared objects of a layer need (ld.so(8)).

use super::runtime_libraries::{alternative, has, known_missing};
use super::text::{code, first_of};
use super::{Audited, about};
use crate::build::elf::ElfFacts;
use crate::model::{Finding, Severity};
use std::collections::{BTreeMap, BTreeSet};

/// Where a layer's `python/` is on AWS Lambda.
const ROOT: &str = "/opt/python/";

/// Where a library was found.
pub(super) enum Found {
    /// Where the loader looks, or in the same package, which loads it by itself beforehand.
    Yes,
    /// In other packages only, and on nobody's search path.
    Elsewhere(BTreeSet<String>),
    No,
}

/// The files that need a library, and the other packages that bring it.
#[derive(Default)]
struct Elsewhere<'a> {
    files: Vec<&'a str>,
    packages: BTreeSet<String>,
}

/// The libraries of a layer.
pub(super) struct Libraries<'a> {
    /// Every native file, by path.
    paths: BTreeSet<&'a str>,
    /// The packages that bring a library, by the names it goes by.
    packages: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Libraries<'a> {
    pub(super) fn of(layer: &Audited<'a>) -> Self {
        let mut libraries = Self {
            paths: BTreeSet::new(),
            packages: BTreeMap::new(),
        };
        for (package, elf) in layer.native_elf() {
            libraries.paths.insert(&elf.path);
            let file = elf.path.rsplit('/').next();
            for name in elf.soname.as_deref().into_iter().chain(file) {
                libraries.packages.entry(name).or_default().insert(package);
            }
        }
        libraries
    }

    /// Where a file of a package finds a library.
    pub(super) fn find(&self, package: &str, elf: &ElfFacts, library: &str) -> Found {
        let on_path = elf
            .run_path
            .iter()
            .filter_map(|folder| resolve(folder, &elf.path))
            .any(|folder| self.paths.contains(join(&folder, library).as_str()));
        let Some(packages) = self.packages.get(library) else {
            return if on_path { Found::Yes } else { Found::No };
        };
        if on_path || packages.contains(package) {
            return Found::Yes;
        }
        Found::Elsewhere(
            packages
                .iter()
                .map(|package| (*package).to_owned())
                .collect(),
        )
    }
}

fn join(folder: &str, file: &str) -> String {
    if folder.is_empty() {
        file.to_owned()
    } else {
        format!("{folder}/{file}")
    }
}

/// A folder of a search path relative to the layer's `python/`; none when it is outside of it.
fn resolve(folder: &str, elf_path: &str) -> Option<String> {
    let own = elf_path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let origin = ["$ORIGIN", "${ORIGIN}"]
        .iter()
        .find_map(|origin| folder.strip_prefix(origin));
    let (start, rest) = match origin {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => (own, rest),
        _ => ("", folder.strip_prefix(ROOT)?),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(rest.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Libraries that are nowhere: one finding for each package and library, or for each package that has an alternative.
pub(super) fn check(layer: &Audited<'_>) -> Vec<Finding> {
    let libraries = Libraries::of(layer);
    let mut missing: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut elsewhere: BTreeMap<(&str, &str), Elsewhere<'_>> = BTreeMap::new();
    for (package, elf) in layer.native_elf() {
        for library in &elf.needed {
            if has(layer.target, library) {
                continue;
            }
            match libraries.find(package, elf, library) {
                Found::Yes => {}
                Found::Elsewhere(packages) => {
                    let entry = elsewhere.entry((package, library)).or_default();
                    entry.files.push(&elf.path);
                    entry.packages.extend(packages);
                }
                Found::No => missing
                    .entry((package, library))
                    .or_default()
                    .push(&elf.path),
            }
        }
    }
    let replaceable = |package: &str| alternative(package).is_some();
    let mut findings: Vec<Finding> = missing
        .iter()
        .filter(|((package, _), _)| !replaceable(package))
        .map(|((package, library), files)| {
            let message = missing_message(package, library, files);
            about(Severity::Warning, package, message)
        })
        .collect();
    for package in layer.packages.keys() {
        let libraries = missing.keys().filter(|(owner, _)| owner == package);
        let mut names = libraries.map(|(_, library)| *library).peekable();
        if let Some(other) = alternative(package)
            && names.peek().is_some()
        {
            let message = format!(
                "{} needs libraries that AWS Lambda does not have: {}. Ask for {} instead.",
                code(package),
                names.map(code).collect::<Vec<_>>().join(", "),
                code(other)
            );
            findings.push(about(Severity::Warning, package, message));
        }
    }
    let elsewhere = elsewhere.into_iter().map(|((package, library), Elsewhere { files, packages })| {
        let packages: Vec<String> = packages.iter().map(|package| code(package)).collect();
        about(
            Severity::Note,
            package,
            format!(
                "{} of {} needs {}, which is in {} only: it is found if that package is imported first.",
                first_of(files.into_iter()),
                code(package),
                code(library),
                packages.join(", ")
            ),
        )
    });
    findings.extend(elsewhere);
    findings
}

fn missing_message(package: &str, library: &str, files: &[&str]) -> String {
    let needs = format!(
        "{} of {} needs {}",
        first_of(files.iter().copied()),
        code(package),
        code(library)
    );
    let what = match known_missing(library) {
        Some(purpose) => format!("{needs} for {purpose}"),
        None => format!(
            "{needs}, which is not in the layer and not known to be part of AWS Lambda's runtime"
        ),
    };
    format!(
        "{what}. Where that file is used, loading it fails, unless another layer brings the library in its `lib/`."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::audit::test_layer::{TestLayer, elf};

    fn needs(path: &str, library: &str, run_path: &[&str]) -> ElfFacts {
        let mut elf = elf(path);
        elf.needed.push(library.to_owned());
        elf.run_path = run_path.iter().map(|folder| (*folder).to_owned()).collect();
        elf
    }

    #[test]
    fn libraries_are_found_where_the_loader_looks() {
        let mut layer = TestLayer::new("p3.13");
        layer.add("a", needs("a/x.so", "libc.so.6", &[]));
        layer.add(
            "a",
            needs(
                "a/sub/y.so",
                "libb-1.so.2",
                &["/nowhere", "$ORIGIN/../../b.libs"],
            ),
        );
        layer.add("b", elf("b.libs/libb-1.so.2"));
        layer.add("c", needs("c/x.so", "libb-1.so.2", &["/opt/python/b.libs"]));
        layer.add("b", needs("b/x.so", "libb-1.so.2", &[]));
        assert_eq!(layer.check(check), []);
        // Somebody else's library, on no search path.
        layer.add(
            "d",
            needs("d/x.so", "libb-1.so.2", &["$ORIGIN/../../../../b.libs"]),
        );
        let findings = layer.check(check);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].severity, Severity::Note);
        insta::assert_snapshot!(findings[0].message, @"`d/x.so` of `d` needs `libb-1.so.2`, which is in `b` only: it is found if that package is imported first.");
    }

    #[test]
    fn a_library_for_another_processor_is_none() {
        let mut layer = TestLayer::new("p3.13");
        layer.add("a", needs("a/x.so", "libb.so", &["$ORIGIN"]));
        let mut other = elf("a/libb.so");
        other.machine = 183;
        layer.add("a", other);
        assert_eq!(layer.check(check).len(), 1);
    }

    #[test]
    fn a_library_that_is_left_out_is_missing() {
        let mut layer = TestLayer::new("p3.13");
        layer.add("a", needs("a/x.so", "libb.so", &["$ORIGIN"]));
        layer.add("a", elf("a/libb.so"));
        assert_eq!(layer.check(check), []);
        layer.files.remove("a/libb.so");
        assert_eq!(layer.check(check).len(), 1);
    }

    #[test]
    fn missing_libraries_come_with_advice() {
        let mut layer = TestLayer::new("p3.13");
        layer.add("opencv-python", needs("cv2/cv2.abi3.so", "libGL.so.1", &[]));
        layer.add("opencv-python", needs("cv2/qt.so", "libX11.so.6", &[]));
        layer.add("shown", needs("shown/a.so", "libGL.so.1", &[]));
        layer.add("own", needs("own/a.so", "libown.so.7", &[]));
        layer.add("own", needs("own/b.so", "libown.so.7", &[]));
        let messages: Vec<String> = layer
            .check(check)
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        insta::assert_snapshot!(messages.join("\n"), @"
        `own/a.so` (and one more file) of `own` needs `libown.so.7`, which is not in the layer and not known to be part of AWS Lambda's runtime. Where that file is used, loading it fails, unless another layer brings the library in its `lib/`.
        `shown/a.so` of `shown` needs `libGL.so.1` for OpenGL, which AWS Lambda does not have. Where that file is used, loading it fails, unless another layer brings the library in its `lib/`.
        `opencv-python` needs libraries that AWS Lambda does not have: `libGL.so.1`, `libX11.so.6`. Ask for `opencv-python-headless` instead.
        ");
    }
}

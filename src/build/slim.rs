//! What a layer can do without, as long as leaving it out is safe.
//!
//! A path alone does not tell: `astropy` imports its own tests, `scikit-image` reads its own stubs. So a package's
//! sources are searched once for such uses, and the kinds of files they use stay.

use super::wheel::{Content, File, Wheel, named};
use super::zip_reader;
use crate::build::BuildError;
use crate::model::SlimKind;
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};
use std::io::{Read, Seek};
use std::sync::LazyLock;

/// The largest source that is searched; a larger one is taken to use everything.
pub(super) const SOURCE_LIMIT: u64 = 4 * 1024 * 1024;

/// Packages that the Python runtimes of AWS Lambda bring (AWS Lambda developer guide, "Building Lambda functions with
/// Python", "Runtime-included SDK versions": Boto3 and what it depends on).
pub(crate) const RUNTIME_PACKAGES: [&str; 7] = [
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "six",
    "urllib3",
];

/// An import of a module or package called `tests`: by statement (the module in group 1, or in group 2 the package it is
/// imported from) or by name (group 3).
static IMPORTS_TESTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?m)^[ \t]*(?:from|import)[ \t]+(?:\w[\w.]*[ \t]*,[ \t]*)*([\w.]*\btests)\b",
        r"|^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t(]+[\w, \t]*\btests\b",
        r#"|(?:import_module|__import__|get_module)\([^)\n]*?([\w.]*\btests)\b"#
    ))
    .ok()
});

/// Uses of stub files when the program runs: `lazy_loader` makes modules from them.
static READS_STUBS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"attach_stub|\.pyi["']"#).ok());

/// Which files of the kinds that layers can do without a package's own code uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedKinds {
    /// The folders of tests that it imports, relative to the layer's `python/`; an empty one stands for all. Sorted.
    pub(crate) tests: Vec<String>,
    /// Whether it reads its stubs.
    pub(crate) stubs: bool,
}

impl UsedKinds {
    /// Searches the sources of a wheel, its tests aside.
    ///
    /// # Errors
    /// [`BuildError::BadWheel`] and [`BuildError::Io`].
    pub(crate) fn of<R: Read + Seek>(wheel: &mut Wheel<R>) -> Result<Self, BuildError> {
        let Wheel {
            reader,
            files,
            filename,
            ..
        } = wheel;
        let mut used = Self::before_sources(files);
        for file in files.iter() {
            let Content::Copied(member) = &file.content else {
                continue;
            };
            if !is_searched(&file.path) {
                continue;
            }
            if member.size > SOURCE_LIMIT {
                used.unsearched();
                continue;
            }
            let source = zip_reader::read_member(reader, member, SOURCE_LIMIT)
                .map_err(|error| named(filename, error))?;
            used.search(&file.path, &source);
        }
        Ok(used.after_sources())
    }

    /// What the list of a wheel's files tells; its sources are to be searched next.
    pub(super) fn before_sources(files: &[File]) -> Self {
        let mut used = Self::default();
        let is_module = |path: &str| path.ends_with(".py") || path.ends_with(".so");
        if !files
            .iter()
            .any(|file| is_module(&file.path) && !is_test(&file.path))
        {
            // A wheel of nothing but tests is what was asked for.
            used.tests.push(String::new());
        }
        used
    }

    /// Searches a source.
    pub(super) fn search(&mut self, path: &str, source: &[u8]) {
        self.tests.extend(imported_tests(path, source));
        self.stubs = self.stubs
            || READS_STUBS
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(source));
    }

    /// Takes a source that is too large to be searched for one that uses everything.
    pub(super) fn unsearched(&mut self) {
        self.tests.push(String::new());
        self.stubs = true;
    }

    /// Adds what the search of other sources of the same wheel found.
    pub(super) fn add(&mut self, other: Self) {
        self.tests.extend(other.tests);
        self.stubs |= other.stubs;
    }

    /// All sources were searched.
    pub(super) fn after_sources(mut self) -> Self {
        self.tests.sort_unstable();
        self.tests.dedup();
        self
    }

    /// Whether a file must stay although its kind is left out.
    pub(crate) fn keeps(&self, kind: SlimKind, path: &str) -> bool {
        match kind {
            SlimKind::Tests => self
                .tests
                .iter()
                .any(|folder| folder.is_empty() || path.starts_with(folder)),
            SlimKind::Stubs => self.stubs,
            SlimKind::Headers | SlimKind::Docs | SlimKind::Debug => false,
        }
    }
}

/// Whether a file is a source that is searched.
pub(super) fn is_searched(path: &str) -> bool {
    path.ends_with(".py") && !is_test(path)
}

/// The folders of tests (with a slash at the end) that a source imports.
fn imported_tests(path: &str, source: &[u8]) -> Vec<String> {
    let Some(pattern) = IMPORTS_TESTS.as_ref() else {
        return vec![String::new()];
    };
    let package = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    pattern
        .captures_iter(source)
        .map(|found| {
            let text = |group| {
                found
                    .get(group)
                    .map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned())
            };
            let module = text(1)
                .or_else(|| text(3))
                .or_else(|| {
                    text(2).map(|from| {
                        let dot = if from.ends_with('.') { "" } else { "." };
                        format!("{from}{dot}tests")
                    })
                })
                .unwrap_or_default();
            folder_of(&module, package)
        })
        .collect()
}

/// The folder of a module called `…tests`; dots in front go up from the package, as in Python's `import` statement.
fn folder_of(module: &str, package: &str) -> String {
    let name = module.trim_start_matches('.');
    let dots = module.len() - name.len();
    let mut parts: Vec<&str> = Vec::new();
    if dots > 0 {
        parts = package.split('/').filter(|part| !part.is_empty()).collect();
        parts.truncate(parts.len().saturating_sub(dots - 1));
    }
    parts.extend(name.split('.').filter(|part| !part.is_empty()));
    // What follows the folder is inside of it.
    let end = parts.iter().position(|part| *part == "tests");
    parts.truncate(end.map_or(parts.len(), |end| end + 1));
    format!("{}/", parts.join("/"))
}

/// The kind of a file, by its path relative to the layer's `python/`. Debug sections are parts of files, and none here.
pub(crate) fn kind_of(path: &str) -> Option<SlimKind> {
    let mut parts = path.split('/');
    let name = parts.next_back().unwrap_or_default();
    let top = path.split('/').next().unwrap_or_default();
    if top.ends_with(".dist-info") {
        return None;
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    if is_test(path) {
        return Some(SlimKind::Tests);
    }
    match extension {
        Some("pyi") => Some(SlimKind::Stubs),
        Some("h" | "hh" | "hpp" | "hxx" | "pxd" | "pxi") => Some(SlimKind::Headers),
        Some("md" | "rst" | "ipynb") if parts.any(|part| matches!(part, "doc" | "docs")) => {
            Some(SlimKind::Docs)
        }
        _ if path.starts_with("share/doc/") || path.starts_with("share/man/") => {
            Some(SlimKind::Docs)
        }
        _ => None,
    }
}

/// Whether a file belongs to a package's tests: it lies in a folder called `tests`, or sets pytest up. A folder called
/// `test` may be the package itself, as `django.test` is.
pub(crate) fn is_test(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    folders.split('/').any(|folder| folder == "tests") || name == "conftest.py"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_path() {
        let kind = |path: &str| kind_of(path).map_or("", SlimKind::as_str);
        for (path, expected) in [
            ("pandas/tests/io/test_x.py", "tests"),
            ("tests/data.csv", "tests"),
            ("sklearn/conftest.py", "tests"),
            ("django/test/client.py", ""),
            ("pandas/core/frame.py", ""),
            ("pyarrow/include/arrow/api.h", "headers"),
            ("numpy/__init__.pxd", "headers"),
            ("a/__init__.pyi", "stubs"),
            ("a/py.typed", ""),
            ("a/docs/index.rst", "docs"),
            ("share/doc/a/README", "docs"),
            ("share/man/man1/a.1", "docs"),
            ("botocore/docs/service.py", ""),
            ("a/README.md", ""),
            ("a-1.dist-info/tests/x.h", ""),
        ] {
            assert_eq!(kind(path), expected, "{path}");
        }
    }

    #[test]
    fn imports_of_tests_are_seen() {
        let folders = |source: &str| imported_tests("a/b/c.py", source.as_bytes());
        for (source, folder) in [
            ("from .tests.runner import TestRunner", "a/b/tests/"),
            ("from ..tests import x", "a/tests/"),
            ("    from z.tests import helper", "z/tests/"),
            ("import a.tests", "a/tests/"),
            ("import os, a.tests.b", "a/tests/"),
            ("from . import tests", "a/b/tests/"),
            ("from a import (b, tests)", "a/tests/"),
            ("m = importlib.import_module('a.tests.b')", "a/tests/"),
            ("x = __import__(name + '.tests')", "a/b/tests/"),
        ] {
            assert_eq!(folders(source), [folder], "{source}");
        }
        for other in [
            "# from the tests",
            "tests = 1",
            "from a.testsuite import b",
            "import unittests",
            "'''import it for tests'''",
            "from a import b  # for tests",
        ] {
            assert_eq!(folders(other), [""; 0], "{other}");
        }
        let stubs = READS_STUBS.as_ref().unwrap();
        assert!(stubs.is_match(b"lazy.attach_stub(__name__, __file__)"));
        assert!(!stubs.is_match(b"# see the .pyi file"));
    }

    #[test]
    fn only_the_tests_that_are_imported_stay() {
        let used = UsedKinds {
            tests: vec!["a/tests/".to_owned()],
            stubs: false,
        };
        assert!(used.keeps(SlimKind::Tests, "a/tests/x.py"));
        assert!(!used.keeps(SlimKind::Tests, "a/b/tests/x.py"));
        assert!(!used.keeps(SlimKind::Stubs, "a/x.pyi"));
    }
}

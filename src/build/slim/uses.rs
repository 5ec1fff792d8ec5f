//! Which of the files that layers can do without a package's own code uses.

use super::patterns::{Named, PATTERNS};
use super::{is_searched, is_test, kind_of};
use crate::build::BuildError;
use crate::build::wheel::{Content, File, Wheel, named};
use crate::build::zip_reader;
use crate::model::SlimKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{Read, Seek};

/// The largest source that is searched; a larger one is taken to use everything.
pub(in crate::build) const SOURCE_LIMIT: u64 = 4 * 1024 * 1024;

/// Which files of the kinds that layers can do without a package's own code uses. Lists are sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedKinds {
    /// The folders of tests (with a slash at the end) and the `conftest.py` that it uses, relative to the layer's
    /// `python/`; an empty one stands for all of the wheel's own.
    pub(crate) tests: Vec<String>,
    /// Whether it reads its stubs.
    pub(crate) stubs: bool,
    /// The names of headers that it uses; an empty one stands for all.
    pub(crate) headers: Vec<String>,
    /// The same of texts of documentation.
    pub(crate) docs: Vec<String>,
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
        let mut search = Search::new(files);
        for file in files.iter() {
            let Content::Copied(member) = &file.content else {
                continue;
            };
            if !is_searched(&file.path) {
                continue;
            }
            if member.size > SOURCE_LIMIT {
                search.take_as_using_all();
                continue;
            }
            let source = zip_reader::read_member(reader, member, SOURCE_LIMIT)
                .map_err(|error| named(filename, error))?;
            search.source(&file.path, &source);
        }
        Ok(search.finish())
    }

    /// Whether a file must stay although its kind is left out.
    pub(crate) fn keeps(&self, kind: SlimKind, path: &str) -> bool {
        let is_named = |names: &[String]| {
            let name = path.rsplit('/').next().unwrap_or_default();
            names.iter().any(|used| used.is_empty() || used == name)
        };
        match kind {
            SlimKind::Tests => self.tests.iter().any(|place| path.starts_with(place)),
            SlimKind::Stubs => self.stubs,
            SlimKind::Headers => is_named(&self.headers),
            SlimKind::Docs => is_named(&self.docs),
            SlimKind::Debug => false,
        }
    }
}

/// Has each wheel keep what the code of another one uses of its tests, where both go into one layer.
pub(crate) fn unite<R>(wheels: &mut [Wheel<R>]) {
    let used = wheels.iter().flat_map(|wheel| &wheel.used.tests);
    let places: BTreeSet<String> = used.filter(|place| !place.is_empty()).cloned().collect();
    for wheel in wheels {
        let tests = &mut wheel.used.tests;
        tests.extend(places.iter().cloned());
        tests.sort_unstable();
        tests.dedup();
    }
}

/// The search of a wheel's sources.
pub(crate) struct Search {
    used: UsedKinds,
    has_headers: bool,
    has_docs: bool,
}

impl Search {
    /// Begins with what the list of a wheel's files tells.
    pub(crate) fn new(files: &[File]) -> Self {
        let mut used = UsedKinds::default();
        let is_module = |path: &str| path.ends_with(".py") || path.ends_with(".so");
        if !files
            .iter()
            .any(|file| is_module(&file.path) && !is_test(&file.path))
        {
            // A wheel of nothing but tests is what was asked for.
            used.tests.push(String::new());
        }
        let has = |kind| files.iter().any(|file| kind_of(&file.path) == Some(kind));
        Self {
            used,
            has_headers: has(SlimKind::Headers),
            has_docs: has(SlimKind::Docs),
        }
    }

    /// Searches a source.
    pub(crate) fn source(&mut self, path: &str, source: &[u8]) {
        let name = path.rsplit('/').next().unwrap_or_default();
        // Scripts that a wheel was built by name its tests and headers, and never run in a layer.
        if matches!(name, "setup.py" | "setup_package.py") {
            return;
        }
        let Some(patterns) = PATTERNS.as_ref() else {
            return self.take_as_using_all();
        };
        for named in patterns.tests(source) {
            self.used.tests.extend(places(&named, path));
        }
        self.used.stubs = self.used.stubs || patterns.reads_stubs(source);
        if self.has_headers {
            self.used.headers.extend(patterns.headers(source));
        }
        if self.has_docs {
            self.used.docs.extend(patterns.docs(source));
        }
    }

    /// Takes a source that is too large to be searched for one that uses everything.
    pub(crate) fn take_as_using_all(&mut self) {
        self.used.stubs = true;
        for list in self.lists() {
            list.push(String::new());
        }
    }

    /// Adds what the search of other sources of the same wheel found.
    pub(crate) fn add(&mut self, other: Self) {
        let UsedKinds {
            tests,
            stubs,
            headers,
            docs,
        } = other.used;
        self.used.stubs |= stubs;
        for (list, more) in self.lists().into_iter().zip([tests, headers, docs]) {
            list.extend(more);
        }
    }

    /// All sources were searched.
    pub(crate) fn finish(mut self) -> UsedKinds {
        for list in self.lists() {
            list.sort_unstable();
            list.dedup();
        }
        self.used
    }

    fn lists(&mut self) -> [&mut Vec<String>; 3] {
        let UsedKinds {
            tests,
            headers,
            docs,
            ..
        } = &mut self.used;
        [tests, headers, docs]
    }
}

/// Where the tests may be that the source at a path names.
fn places(named: &Named, path: &str) -> Vec<String> {
    let package = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    match named {
        Named::Module(module) => vec![place_of(module, package)],
        Named::Text(text) => places_of(text, package),
    }
}

/// The place of a module; dots in front go up from the package, as in Python's `import` statement.
fn place_of(module: &str, package: &str) -> String {
    let name = module.trim_start_matches('.');
    let dots = module.len() - name.len();
    let mut parts: Vec<&str> = Vec::new();
    if dots > 0 {
        parts = package.split('/').filter(|part| !part.is_empty()).collect();
        parts.truncate(parts.len().saturating_sub(dots - 1));
    }
    parts.extend(name.split('.').filter(|part| !part.is_empty()));
    place(&parts).unwrap_or_default()
}

/// The places that a string may mean: from the top, and from every folder that the source is in.
fn places_of(text: &str, package: &str) -> Vec<String> {
    let separators: &[char] = if text.contains(['/', '\\']) {
        &['/', '\\']
    } else {
        &['.', ':']
    };
    // What is put in later, as in `{name}.tests`, may be nothing; dots alone go up.
    let is_name = |part: &&str| {
        part.chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
            && part.chars().any(|c| c != '.')
    };
    let parts: Vec<&str> = text.split(separators).filter(is_name).collect();
    let mut folders: Vec<&str> = package.split('/').filter(|part| !part.is_empty()).collect();
    let mut found = Vec::new();
    loop {
        found.extend(place(&[folders.as_slice(), &parts].concat()));
        if folders.pop().is_none() {
            return found;
        }
    }
}

/// The first folder of tests on a path, or the `conftest.py`; what follows a folder is inside of it.
fn place(parts: &[&str]) -> Option<String> {
    let end = parts
        .iter()
        .position(|part| matches!(*part, "tests" | "conftest" | "conftest.py"))?;
    let ending = match parts[end] {
        "tests" => "/",
        "conftest" => ".py",
        _ => "",
    };
    Some(format!("{}{ending}", parts[..=end].join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used_by(path: &str, source: &str) -> Vec<String> {
        let mut search = Search {
            used: UsedKinds::default(),
            has_headers: true,
            has_docs: true,
        };
        search.source(path, source.as_bytes());
        search.finish().tests
    }

    #[test]
    fn imports_of_tests_are_seen() {
        for (source, place) in [
            ("from .tests.runner import TestRunner", "a/b/tests/"),
            ("from ..tests import x", "a/tests/"),
            ("    from z.tests import helper", "z/tests/"),
            ("import a.tests", "a/tests/"),
            ("import os, a.tests.b", "a/tests/"),
            ("import os as o, a.tests.b", "a/tests/"),
            ("from . import tests", "a/b/tests/"),
            ("from a import (b, tests)", "a/tests/"),
            ("from a import (\n    b,\n    tests,\n)", "a/tests/"),
            ("from a import \\\n    b, tests", "a/tests/"),
            ("try: from .tests import x", "a/b/tests/"),
            ("import os; import a.tests", "a/tests/"),
            ("from .conftest import x", "a/b/conftest.py"),
            ("from a import conftest", "a/conftest.py"),
            ("from größe.tests import x", "größe/tests/"),
        ] {
            assert_eq!(used_by("a/b/c.py", source), [place], "{source}");
        }
    }

    #[test]
    fn tests_named_by_strings_are_seen() {
        for (source, place) in [
            ("m = importlib.import_module('a.tests.b')", "a/tests/"),
            ("import_module(\n    \"z.tests\")", "z/tests/"),
            ("runpy.run_module(\"z.tests\")", "z/tests/"),
            ("files('z.tests.data')", "z/tests/"),
            ("x = __import__(name + '.tests')", "a/b/tests/"),
            ("x = f'{name}.tests'", "a/b/tests/"),
            ("Path(__file__).parent / \"tests\"", "a/b/tests/"),
            ("Path(__file__).parent.parent / 'tests' / 'x'", "a/tests/"),
            ("join(dirname(__file__), 'tests')", "a/b/tests/"),
            (
                "join(\n    dirname(__file__),\n    'tests',\n)",
                "a/b/tests/",
            ),
            (
                "join(\n    here,\n    'tests',\n    'x.csv',\n)",
                "a/b/tests/",
            ),
            ("here.joinpath('tests')", "a/b/tests/"),
            ("open('tests/data.json')", "a/b/tests/"),
            ("open('io/tests/data.json')", "a/io/tests/"),
            ("load('z.conftest')", "z/conftest.py"),
            ("open('z/conftest.py')", "a/z/conftest.py"),
        ] {
            let used = used_by("a/b/c.py", source);
            assert!(used.iter().any(|used| used == place), "{source}: {used:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_use_is_none() {
        for source in [
            "# from the tests",
            "tests = 1",
            "from a.testsuite import b",
            "import unittests",
            "'''import it for tests'''",
            "from a import b  # for tests",
            "extras = {'tests': []}",
            "name.startswith('a.tests.')",
            "glob('*/tests/test_*.py')",
            ">>> open('tests/data.json')",
            "# as in 'a.tests'",
            "mark = os.path.join(folder, 'tests')",
        ] {
            assert_eq!(used_by("a/b/c.py", source), [""; 0], "{source}");
        }
        let build = "config.add_data_dir('tests/data')";
        assert_eq!(used_by("a/b/setup.py", build), [""; 0]);
    }

    #[test]
    fn only_what_is_used_stays() {
        let used = UsedKinds {
            tests: vec!["a/b/conftest.py".to_owned(), "a/tests/".to_owned()],
            headers: vec!["x.h".to_owned()],
            docs: vec![String::new()],
            ..UsedKinds::default()
        };
        for (kind, path, stays) in [
            (SlimKind::Tests, "a/tests/x.py", true),
            (SlimKind::Tests, "a/b/tests/x.py", false),
            (SlimKind::Tests, "a/b/conftest.py", true),
            (SlimKind::Tests, "a/conftest.py", false),
            (SlimKind::Stubs, "a/x.pyi", false),
            (SlimKind::Headers, "a/include/x.h", true),
            (SlimKind::Headers, "a/include/xx.h", false),
            (SlimKind::Docs, "a/docs/x.md", true),
        ] {
            assert_eq!(used.keeps(kind, path), stays, "{path}");
        }
    }
}

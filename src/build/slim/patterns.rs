//! What the text of a Python source says of tests, headers and documentation.

use regex::bytes::{Captures, Match, Regex, RegexBuilder};
use std::sync::LazyLock;

/// Comes before anything else: hardly any source says so, and looking for words is much faster than all that follows.
const ANY_TESTS: &str = r"tests|conftest";
/// An import of a module or package called `tests` or `conftest`: the module in group 1, or in group 2 the package that
/// group 3 is imported from. A statement may follow another one, or a colon, on the same line.
const IMPORTS: &str = concat!(
    r"(?m)(?:^|[;:])[ \t]*(?:from|import)[ \t]+",
    r"(?:[\w\x80-\xFF][\w\x80-\xFF.]*(?:[ \t]+as[ \t]+[\w\x80-\xFF]+)?[ \t]*,[ \t]*)*([\w\x80-\xFF.]*\b(?:tests|conftest))\b",
    r"|(?:^|[;:])[ \t]*from[ \t]+([\w\x80-\xFF.]+)[ \t]+import\b[ \t\\\r\n]*(?:\([^)]*?|[\w\x80-\xFF, \t]*)\b(tests|conftest)\b",
);
/// A string with such a component: `"a.tests.data"`, `"tests/data"`. Patterns that stand for many names (`*`) are not
/// among them: they are for tools that look for tests.
const NAMES: &str = r#"["']((?:[^"'\s*]*[./\\:])?(?:tests|conftest)(?:[./\\:][^"'\n]*)?)["']"#;
/// The folder of tests as a part of a path. The bare word is many other things: an option, a key, a mark to skip frames by.
const JOINS: &str = concat!(
    r#"/[ \t]*["']tests["']"#,
    r#"|__file__[^\n]*["']tests["']|__file__[\s)]*,\s*["']tests["']"#,
    r#"|joinpath\([^\n]*["']tests["']|join\([^\n]*["']tests["'][ \t]*,"#,
    r#"|["']tests["'][ \t]*,\s*["'][^"'\n]*["']\s*,?\s*\)"#,
);
/// Uses of stub files when the program runs: `lazy_loader` makes modules from them.
const STUBS: &str = r#"attach_stub|\.pyi["']"#;
/// A string that names a header, or what headers end with.
const HEADERS: &str = r#"["']([^"'\n]*\.(?:h|hh|hpp|hxx|pxd|pxi))["']"#;
/// The folder of headers as a part of a path. An absolute one is on the machine that built the wheel.
const INCLUDE: &str = concat!(
    r#"["'](?:[^"'\s/:][^"'\s:]*/)?include/[^"'\s]*["']"#,
    r#"|(?:/[ \t]*|join(?:path)?\([^\n]*)["']include["']"#,
);
/// Says where a package's headers are, for compilers: they are not there when a function runs, and nothing else is read.
const GET_INCLUDE: &str = r"def get_include";
/// A string that names a text of documentation, or what these end with.
const DOCS: &str = r#"["']([^"'\s:]*\.(?:md|rst|ipynb))["']"#;
/// The folder of documentation, by itself or as a part of a path.
const DOCS_FOLDER: &str = r#"["'](?:[^"'\s:]*/)?(?:docs?|share)(?:/[^"'\s]*)?["']"#;

/// What a pattern may keep of the states it came through, in bytes, for each thread: there are many patterns.
const STATES: usize = 256 * 1024;

/// All of them. There is none when one cannot be compiled, which the tests would show: then everything is used.
pub(super) static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| Patterns::new().ok());

pub(super) struct Patterns {
    any_tests: Regex,
    imports: Regex,
    names: Regex,
    joins: Regex,
    stubs: Regex,
    headers: Regex,
    include: Regex,
    get_include: Regex,
    docs: Regex,
    docs_folder: Regex,
}

/// A module or path with `tests` or `conftest` in it, as a source names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Imported: dots in front go up from the package of the source.
    Module(String),
    /// In a string: a module or a path, and nobody knows from where.
    Text(String),
}

impl Patterns {
    fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            any_tests: pattern(ANY_TESTS)?,
            imports: pattern(IMPORTS)?,
            names: pattern(NAMES)?,
            joins: pattern(JOINS)?,
            stubs: pattern(STUBS)?,
            headers: pattern(HEADERS)?,
            include: pattern(INCLUDE)?,
            get_include: pattern(GET_INCLUDE)?,
            docs: pattern(DOCS)?,
            docs_folder: pattern(DOCS_FOLDER)?,
        })
    }

    /// The tests that a source names.
    pub(super) fn tests(&self, source: &[u8]) -> Vec<Named> {
        if !self.any_tests.is_match(source) {
            return Vec::new();
        }
        let mut named: Vec<Named> = self
            .imports
            .captures_iter(source)
            .map(|found| Named::Module(imported(&found)))
            .collect();
        let strings = self.names.captures_iter(source);
        let strings = strings.filter_map(|found| found.get(1));
        let strings = strings.filter(|found| !is_shown(source, found));
        let strings = strings.map(|found| text(&found));
        named.extend(strings.filter(|text| is_place(text)).map(Named::Text));
        let mut joins = self.joins.find_iter(source);
        if joins.any(|found| !is_shown(source, &found)) {
            named.push(Named::Text("tests/".to_owned()));
        }
        named
    }

    /// Whether a source reads stubs.
    pub(super) fn reads_stubs(&self, source: &[u8]) -> bool {
        self.stubs.is_match(source)
    }

    /// The names of headers that a source names; an empty one stands for all.
    pub(super) fn headers(&self, source: &[u8]) -> Vec<String> {
        let mut names = file_names(&self.headers, source);
        let mut folders = self.include.find_iter(source);
        if folders.any(|found| !is_shown(source, &found)) && !self.get_include.is_match(source) {
            names.push(String::new());
        }
        names
    }

    /// The names of texts of documentation that a source names; an empty one stands for all.
    pub(super) fn docs(&self, source: &[u8]) -> Vec<String> {
        let mut names = file_names(&self.docs, source);
        let mut folders = self.docs_folder.find_iter(source);
        if folders.any(|found| !is_shown(source, &found)) {
            names.push(String::new());
        }
        names
    }
}

/// Sources are bytes, and so are patterns: a byte above ASCII is a part of a name, whichever letter it belongs to.
fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .unicode(false)
        .dfa_size_limit(STATES)
        .build()
}

fn file_names(pattern: &Regex, source: &[u8]) -> Vec<String> {
    let found = pattern.captures_iter(source);
    let found = found.filter_map(|found| found.get(1));
    let found = found.filter(|found| !is_shown(source, found));
    found.map(|found| file_name(&text(&found))).collect()
}

fn text(found: &Match<'_>) -> String {
    String::from_utf8_lossy(found.as_bytes()).into_owned()
}

/// The module of an import.
fn imported(found: &Captures<'_>) -> String {
    let group = |number| found.get(number).map(|found| text(&found));
    match (group(1), group(2), group(3)) {
        (Some(module), ..) => module,
        (None, Some(from), Some(name)) if from.ends_with('.') => format!("{from}{name}"),
        (None, Some(from), Some(name)) => format!("{from}.{name}"),
        (None, ..) => String::new(),
    }
}

/// Whether a string says more than the bare word, and is no beginning of names (`"a.tests."`).
fn is_place(text: &str) -> bool {
    !matches!(text, "tests" | "conftest") && (text.contains('/') || !text.ends_with('.'))
}

/// Whether a match is in a comment, or in an example of how to use Python.
fn is_shown(source: &[u8], found: &Match<'_>) -> bool {
    let before = &source[..found.start()];
    let start = before.iter().rposition(|byte| *byte == b'\n');
    let line = before[start.map_or(0, |end| end + 1)..].trim_ascii_start();
    [b">>>".as_slice(), b"...", b"#"]
        .iter()
        .any(|mark| line.starts_with(mark))
}

/// The name at the end of a path; empty when only its ending is said, or a part of it is found out later.
fn file_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\', ' ']).next().unwrap_or_default();
    if name.starts_with('.') || name.contains(['*', '{', '%', '?']) {
        return String::new();
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns() -> &'static Patterns {
        PATTERNS.as_ref().unwrap()
    }

    #[test]
    fn headers_and_documentation_are_named_by_strings() {
        let headers = |source: &str| patterns().headers(source.as_bytes());
        for (source, names) in [
            ("read('a/_embedding.h')", &["_embedding.h"][..]),
            ("'#include \"x.h\"'", &["x.h"]),
            ("glob('*.hpp')", &[""]),
            ("path.endswith('.pxd')", &[""]),
            ("open(f'{name}.h')", &[""]),
            ("here / 'include'", &[""]),
            ("os.path.join(here, 'include')", &[""]),
            ("x = 'include/a'", &[""]),
        ] {
            assert_eq!(headers(source), names, "{source}");
        }
        for source in [
            "def get_include():\n    return join(here, 'include')",
            "mode = 'include'",
            "built_in = '/opt/include/x'",
            "# see 'x.h'",
            "x.h",
        ] {
            assert_eq!(headers(source), [""; 0], "{source}");
        }
        let docs = |source: &str| patterns().docs(source.as_bytes());
        assert_eq!(docs("open('usage.md')"), ["usage.md"]);
        assert_eq!(docs("open('docs/usage.md')"), ["usage.md", ""]);
        assert_eq!(docs("here / 'doc'"), [""]);
        assert_eq!(docs("join(prefix, 'share', 'man')"), [""]);
        assert_eq!(docs("see = 'https://a.example/docs/'"), [""; 0]);
        assert_eq!(docs(">>> open('docs/usage')"), [""; 0]);
    }

    #[test]
    fn stubs_are_read_by_those_who_say_so() {
        let reads = |source: &str| patterns().reads_stubs(source.as_bytes());
        assert!(reads("lazy.attach_stub(__name__, __file__)"));
        assert!(reads("path.with_suffix('.pyi')"));
        assert!(!reads("# see the .pyi file"));
    }
}

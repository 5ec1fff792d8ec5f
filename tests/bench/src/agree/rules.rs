//! Which differences are meant, and why.

use super::files::Files;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Something that is not the same in a layer and in an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Difference {
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Why it is meant; `None` when it is a mistake.
    pub(super) rule: Option<String>,
}

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Kind {
    /// The layer lacks it.
    OnlyInstalled,
    /// The installation lacks it.
    OnlyOurs,
    /// Other bytes.
    Content,
    /// The same bytes, executable in one of them only.
    Executable,
    /// The layer's `RECORD` does not fit its files.
    Record,
}

impl Difference {
    pub(super) fn unexplained(path: &str, kind: Kind) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            rule: None,
        }
    }
}

/// Both sides of a comparison.
pub(super) struct Installed<'a> {
    /// The scripts that the installer made.
    pub(super) scripts: &'a BTreeSet<String>,
    pub(super) ours: &'a Files,
    pub(super) theirs: &'a Files,
}

impl Installed<'_> {
    /// How a path differs, if it does.
    pub(super) fn difference(&self, path: &str) -> Option<Difference> {
        let kind = match (self.ours.get(path), self.theirs.get(path)) {
            (None, None) => return None,
            (None, Some(_)) => Kind::OnlyInstalled,
            (Some(_), None) => Kind::OnlyOurs,
            (Some(ours), Some(theirs)) if ours.digest != theirs.digest => Kind::Content,
            (Some(ours), Some(theirs)) if ours.is_executable != theirs.is_executable => {
                Kind::Executable
            }
            (Some(_), Some(_)) => return None,
        };
        Some(Difference {
            path: path.to_owned(),
            kind,
            rule: self.rule(path, kind).map(str::to_owned),
        })
    }

    fn rule(&self, path: &str, kind: Kind) -> Option<&'static str> {
        let dist_info_file = path
            .split_once(".dist-info/")
            .filter(|(folder, _)| !folder.contains('/'))
            .map(|(_, file)| file);
        match (kind, dist_info_file) {
            (Kind::Content, Some("RECORD")) => {
                Some("`RECORD` lists the files of the layer; it is checked by itself")
            }
            (Kind::Content, Some("INSTALLER")) => Some("`INSTALLER` names who installed"),
            (Kind::OnlyInstalled, Some("REQUESTED" | "direct_url.json" | "uv_cache.json")) => {
                Some("how something was installed has no use in a layer")
            }
            (Kind::OnlyInstalled, None) if path == ".lock" => {
                Some("uv's lock on the folder it installs into")
            }
            (Kind::OnlyInstalled, None)
                if path
                    .strip_prefix("bin/")
                    .is_some_and(|name| self.scripts.contains(name)) =>
            {
                Some("console scripts made from entry points have no use in a layer")
            }
            (Kind::Content, None)
                if path.starts_with("bin/") && self.same_after_first_line(path) =>
            {
                Some("a script's first line names an interpreter that every machine has")
            }
            _ => None,
        }
    }

    fn same_after_first_line(&self, path: &str) -> bool {
        let rest = |files: &Files| files.get(path)?.after_first_line.clone();
        let ours = rest(self.ours);
        ours.is_some() && ours == rest(self.theirs)
    }
}

/// How a path of a layer with the default options differs from that of the complete one, if it does; `origin` is what the
/// layer's manifest says of the file.
pub(super) fn difference_by_default(
    path: &str,
    complete: &Files,
    slim: &Files,
    origin: Option<&str>,
) -> Option<Difference> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_bytecode = path.contains("__pycache__/") && name.ends_with(".pyc");
    let bytecode = "bytecode is compiled beforehand";
    let (kind, rule) = match (complete.get(path), slim.get(path)) {
        (None, None) => return None,
        (Some(_), None) => (Kind::OnlyInstalled, left_out(path)),
        (None, Some(_)) => (Kind::OnlyOurs, is_bytecode.then_some(bytecode)),
        (Some(one), Some(other)) if one.digest == other.digest => return None,
        (Some(_), Some(_)) if path.ends_with(".dist-info/RECORD") => {
            let rule = "`RECORD` lists the files of the layer; it is checked by itself";
            (Kind::Content, Some(rule))
        }
        (Some(one), Some(other)) => {
            let rule = match origin {
                // What lies in the middle becomes zeros: it is the zip that is smaller.
                Some("stripped")
                    if name.contains(".so") && other.compressed_size < one.compressed_size =>
                {
                    Some("debug sections have no use in a layer")
                }
                // Of a wheel that brings bytecode of its own.
                Some("bytecode") if is_bytecode => Some(bytecode),
                _ => None,
            };
            (Kind::Content, rule)
        }
    };
    Some(Difference {
        path: path.to_owned(),
        kind,
        rule: rule.map(str::to_owned),
    })
}

/// Why a layer does without a file: by the kinds that the README names.
fn left_out(path: &str) -> Option<&'static str> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_in = |these: &[&str]| folders.split('/').any(|folder| these.contains(&folder));
    if is_in(&["tests"]) || name == "conftest.py" {
        return Some("tests have no use in a layer");
    }
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("pyi") => Some("type stubs have no use in a layer"),
        Some("h" | "hh" | "hpp" | "hxx" | "pxd" | "pxi") => Some("headers have no use in a layer"),
        Some("md" | "rst" | "ipynb") if is_in(&["doc", "docs"]) => {
            Some("documentation has no use in a layer")
        }
        _ if path.starts_with("share/doc/") || path.starts_with("share/man/") => {
            Some("documentation has no use in a layer")
        }
        _ => None,
    }
}

/// Why a module that a layer holds cannot be imported, where whoever asks for the layer is told: `told` are the build's
/// findings.
pub(super) fn why_not(error: &str, told: &[String]) -> Option<&'static str> {
    let error =
        error.strip_suffix(": cannot open shared object file: No such file or directory")?;
    let library = format!("`{}`", error.split_whitespace().last()?);
    told.iter()
        .any(|finding| finding.contains(&library))
        .then_some("it needs a library that nobody brings, and the audit says so")
}

#[cfg(test)]
mod tests {
    use super::super::files::Entry;
    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        let entry = |digest: &str| Entry {
            digest: digest.to_owned(),
            size: 1,
            compressed_size: Some(10 - digest.parse::<u64>().unwrap()),
            is_executable: false,
            after_first_line: None,
        };
        let files = of.iter();
        files
            .map(|(path, digest)| ((*path).to_owned(), entry(digest)))
            .collect()
    }

    #[test]
    fn a_missing_library_is_explained_by_a_finding_that_names_it() {
        let told = ["`x` needs `liba.so.1`, which is OpenGL".to_owned()];
        let error = |library: &str| {
            format!(
                "ImportError: {library}: cannot open shared object file: No such file or directory"
            )
        };
        assert!(why_not(&error("liba.so.1"), &told).is_some());
        for unexplained in [error("liba.so"), error("libb.so.1"), "liba.so.1".to_owned()] {
            assert_eq!(why_not(&unexplained, &told), None, "{unexplained}");
        }
        assert_eq!(why_not(&error("liba.so.1"), &[]), None);
    }

    #[test]
    fn a_layer_may_lack_what_it_can_do_without_and_nothing_else() {
        let complete = files(&[
            ("a/tests/x.py", "1"),
            ("a/x.py", "1"),
            ("a/x.pyi", "1"),
            ("a/x.h", "1"),
            ("a/docs/x.md", "1"),
            ("a/x.md", "1"),
            ("a/y.py", "1"),
            ("a/z.so", "1"),
            ("a/__pycache__/w.cpython-313.pyc", "1"),
            ("a-1.dist-info/RECORD", "1"),
        ]);
        let slim = files(&[
            ("a/y.py", "2"),
            ("a/z.so", "2"),
            ("a/__pycache__/w.cpython-313.pyc", "2"),
            ("a/__pycache__/y.cpython-313.pyc", "1"),
            ("a/z.py", "1"),
            ("a-1.dist-info/RECORD", "2"),
        ]);
        let explained_by = |path: &str, origin| {
            let found = difference_by_default(path, &complete, &slim, origin);
            found.map(|found| found.rule.is_some())
        };
        let explained = |path: &str| explained_by(path, None);
        for path in ["a/tests/x.py", "a/x.pyi", "a/x.h", "a/docs/x.md"] {
            assert_eq!(explained(path), Some(true), "{path}");
        }
        assert_eq!(explained("a/__pycache__/y.cpython-313.pyc"), Some(true));
        assert_eq!(explained("a-1.dist-info/RECORD"), Some(true));
        for path in ["a/x.py", "a/x.md", "a/y.py", "a/z.py"] {
            assert_eq!(explained(path), Some(false), "{path}");
        }
        assert_eq!(difference_by_default("a/y.py", &slim, &slim, None), None);
        for (path, right, wrong) in [
            ("a/z.so", "stripped", "bytecode"),
            ("a/__pycache__/w.cpython-313.pyc", "bytecode", "stripped"),
        ] {
            assert_eq!(explained_by(path, Some(right)), Some(true), "{path}");
            assert_eq!(explained_by(path, Some(wrong)), Some(false), "{path}");
            assert_eq!(explained(path), Some(false), "{path}");
        }
        for origin in ["stripped", "bytecode", "copied"] {
            assert_eq!(explained_by("a/y.py", Some(origin)), Some(false));
        }
    }

    #[test]
    fn what_is_meant_is_explained_and_nothing_else() {
        let ours = files(&[("a.py", "1"), ("b.py", "1"), ("a-1.dist-info/RECORD", "1")]);
        let theirs = files(&[
            ("a.py", "1"),
            ("b.py", "2"),
            ("bin/tool", "1"),
            ("bin/other", "1"),
            ("a-1.dist-info/RECORD", "2"),
            ("vendored/a-1.dist-info/REQUESTED", "2"),
        ]);
        let scripts = BTreeSet::from(["tool".to_owned()]);
        let both = Installed {
            scripts: &scripts,
            ours: &ours,
            theirs: &theirs,
        };
        let explained = |path| both.difference(path).map(|found| found.rule.is_some());
        assert_eq!(explained("a.py"), None);
        assert_eq!(explained("b.py"), Some(false));
        assert_eq!(explained("bin/tool"), Some(true));
        assert_eq!(explained("bin/other"), Some(false));
        assert_eq!(explained("a-1.dist-info/RECORD"), Some(true));
        assert_eq!(explained("vendored/a-1.dist-info/REQUESTED"), Some(false));
    }
}

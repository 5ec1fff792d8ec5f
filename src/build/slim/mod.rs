//! What a layer can do without, as long as leaving it out is safe.
//!
//! A path alone does not tell: `astropy` imports its own tests, `scikit-image` reads its own stubs. So a package's
//! sources are searched once for such uses, and what they use stays. Keeping too much is safe.

mod patterns;
mod uses;

pub(in crate::build) use uses::SOURCE_LIMIT;
pub(crate) use uses::{Search, UsedKinds, unite};

use crate::model::SlimKind;

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

/// Whether a file is a source that is searched.
pub(super) fn is_searched(path: &str) -> bool {
    path.ends_with(".py") && !is_test(path)
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
}

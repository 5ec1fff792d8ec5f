//! Files that a request leaves out.

use super::error::BuildError;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Patterns of files left out of a layer, relative to its `python/`.
///
/// As in `.gitignore`, `*` and `?` stay within one folder and `**` crosses them. What a package's `.dist-info` holds is
/// never left out: `importlib.metadata` needs it, and licences stand there.
#[derive(Debug, Clone)]
pub struct Exclude(GlobSet);

impl Exclude {
    /// Reads patterns.
    ///
    /// # Errors
    /// [`BuildError::BadPattern`].
    pub fn new(patterns: &[String]) -> Result<Self, BuildError> {
        let bad = |pattern: &str, error: &globset::Error| BuildError::BadPattern {
            pattern: pattern.to_owned(),
            reason: error.kind().to_string(),
        };
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(pattern)
                .literal_separator(true)
                .build()
                .map_err(|error| bad(pattern, &error))?;
            set.add(glob);
        }
        let set = set
            .build()
            .map_err(|error| bad(error.glob().unwrap_or_default(), &error))?;
        Ok(Self(set))
    }

    /// Whether a path is left out.
    #[must_use]
    pub fn leaves_out(&self, path: &str) -> bool {
        let top = path.split('/').next().unwrap_or_default();
        !top.ends_with(".dist-info") && self.0.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_work_as_in_gitignore() {
        let patterns = ["**/tests/**", "*.txt", "pandas/*/x.?"].map(str::to_owned);
        let exclude = Exclude::new(&patterns).unwrap();
        for left_out in ["a/tests/b/c.py", "tests/a.py", "a.txt", "pandas/io/x.c"] {
            assert!(exclude.leaves_out(left_out), "{left_out}");
        }
        for kept in [
            "a/test/b.py",
            "a/b.txt",
            "pandas/a/b/x.c",
            "a-1.dist-info/tests/METADATA",
        ] {
            assert!(!exclude.leaves_out(kept), "{kept}");
        }
    }

    #[test]
    fn a_malformed_pattern_is_named() {
        let error = Exclude::new(&["a[".to_owned()]).unwrap_err();
        assert!(
            error.to_string().starts_with("`a[` is not a pattern"),
            "{error}"
        );
    }
}

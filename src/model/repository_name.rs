//! The name of a repository: `owner/name`.

use super::InvalidValue;
use std::fmt;
use std::str::FromStr;

/// A repository on GitHub, `owner/name`. Two names that differ only in case are the same repository.
#[derive(Debug, Clone)]
pub struct RepositoryName {
    owner: String,
    name: String,
}

impl RepositoryName {
    /// The account it belongs to.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Its name within that account.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `full_name`, as GitHub writes it, is this repository.
    #[must_use]
    pub fn is(&self, full_name: &str) -> bool {
        full_name.eq_ignore_ascii_case(&self.to_string())
    }
}

impl FromStr for RepositoryName {
    type Err = InvalidValue;

    /// Owners are letters, digits and `-` (`_` in enterprise accounts), at most 39; names are letters, digits,
    /// `-`, `_` and `.`, at most 100, and neither `.` nor `..`: nothing in them needs escaping in a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || {
            InvalidValue(format!(
                "`{text}` is not a repository: write it as owner/name"
            ))
        };
        let (owner, name) = text.split_once('/').ok_or_else(invalid)?;
        let owner_is_valid = (1..=39).contains(&owner.len())
            && owner
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let name_is_valid = (1..=100).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && name != "."
            && name != "..";
        if owner_is_valid && name_is_valid {
            Ok(Self {
                owner: owner.to_owned(),
                name: name.to_owned(),
            })
        } else {
            Err(invalid())
        }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl PartialEq for RepositoryName {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.to_string())
    }
}

impl Eq for RepositoryName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_strict_and_compare_without_case() {
        let name: RepositoryName = "Octocat/Hello-World.rs".parse().unwrap();
        assert_eq!(name.to_string(), "Octocat/Hello-World.rs");
        assert!(name.is("octocat/hello-world.RS"));
        assert!(!name.is("octocat/hello-world"));
        for bad in [
            "", "a", "a/", "/b", "a/b/c", "a/..", "a b/c", "a/b?x", "é/b",
        ] {
            assert!(
                bad.parse::<RepositoryName>().is_err(),
                "{bad:?} was accepted"
            );
        }
    }
}

//! A run's id where it becomes part of a name elsewhere.

use super::{InvalidValue, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// The longest name that a part of an id is given to: an execution of AWS Step Functions (`StartExecution`, `name`).
const LIMIT: usize = 80;

/// The id of a run: 1 to 80 letters, digits, `-` and `_`, so that it is safe as a part of a key or a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if (1..=LIMIT).contains(&text.len()) && text.chars().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidValue(format!(
                "`{}` is not a run's id: 1 to {LIMIT} letters, digits, `-` and `_` are expected",
                text.escape_debug()
            )))
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(RunId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_no_path() {
        let id: RunId = "plan-7-0123abcd-4567ef01-1".parse().unwrap();
        assert_eq!(id.to_string(), "plan-7-0123abcd-4567ef01-1");
        for text in ["", "a/b", "..", "a b", "é", &"a".repeat(81)] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}

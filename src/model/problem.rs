//! What is wrong with a file somebody wrote, said so that the person can mend it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A place in a text file; both numbers count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Location {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing is published while it stands.
    Error,
    /// Worth a look; does not stop anything.
    Warning,
}

/// One problem in one file, with what to write instead where that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Path in the catalog repository, with `/`.
    pub path: String,
    /// Where in the file.
    pub location: Location,
    /// Error or warning.
    pub level: Level,
    /// What is wrong: one sentence, no trailing full stop needed.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Problem {
    /// An error at a place in a file.
    #[must_use]
    pub fn error(path: &str, location: Location, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            location,
            level: Level::Error,
            message: message.into(),
            hint: None,
        }
    }

    /// A warning at a place in a file.
    #[must_use]
    pub fn warning(path: &str, location: Location, message: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::error(path, location, message)
        }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Message and hint on one line: `unknown key `pakages`: did you mean `packages`?`.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}: {hint}", self.message),
            None => self.message.clone(),
        }
    }
}

/// `layers/pandas.yaml:3:5: error: message: hint`, as compilers write it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let Location { line, column } = self.location;
        write!(f, "{}:{line}:{column}: {level}: {}", self.path, self.text())
    }
}

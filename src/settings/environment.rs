//! The environment beyond the settings.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the environment says beyond the settings: read here, handed on as values.
pub struct Environment;

impl Environment {
    /// The value of a variable that a secret's reference names.
    #[must_use]
    pub fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// Every variable, for child processes that get a choice of them.
    #[must_use]
    pub fn variables() -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }

    /// The home folder.
    #[must_use]
    pub fn home() -> Option<PathBuf> {
        std::env::var_os("HOME").map(PathBuf::from)
    }

    /// Where programs are looked for.
    #[must_use]
    pub fn search_path() -> Option<OsString> {
        std::env::var_os("PATH")
    }
}

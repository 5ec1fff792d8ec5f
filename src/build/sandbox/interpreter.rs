//! The interpreter that runs inside.

use crate::model::PythonVersion;
use std::path::PathBuf;

/// A CPython of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The executable.
    pub path: PathBuf,
    /// Where its standard library is installed (`sys.base_prefix`).
    pub prefix: PathBuf,
    /// The full version, such as `3.13.0`.
    pub version: String,
    /// The minor version it is of.
    pub python: PythonVersion,
}

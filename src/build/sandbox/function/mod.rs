//! Isolation where no namespaces can be made, as on AWS Lambda: the function itself is the wall around what runs in it,
//! and a filter of system calls and a lack of privileges keep a stranger's code from the function's own.
//!
//! Our own executable is the launcher ([`confine()`]): it enters a session of its own, drops what it may do, installs the
//! filter and becomes the program. Such a program has no network, starts nothing that outlives it, signals and inspects no
//! process but itself, and cannot read the environment or the memory of the process that started it, which hides both.
//!
//! What it can do, and bubblewrap would not let it: read the function's own files, and write wherever its user may, where
//! the kernel is older than Linux 5.13. So whoever runs one build after another in the same function begins each with an
//! empty folder; see `.github/SECURITY.md`.

mod confine;
mod filter;
mod launch;
mod modes;

pub use confine::confine;
pub(super) use launch::{Launcher, WORD};
pub(super) use modes::ReadOnly;

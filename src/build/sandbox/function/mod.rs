//! Isolation where no namespaces can be made, as on AWS Lambda: the function itself is the wall around what runs in it,
//! and a filter of system calls and a lack of privileges keep a stranger's code from the function's own.
//!
//! Our own executable is the launcher ([`confine()`]): it enters a session of its own, drops what it may do, installs the
//! filter and becomes the program. Such a program has no network, starts nothing that outlives it, signals and inspects no
//! process but itself, and cannot read the environment or the memory of the process that started it, which hides both.
//!
//! Since Linux 5.13 the kernel also keeps it to the files that it needs. With an older one, such as AWS Lambda's, it can read
//! the function's own files and write wherever its user may, which bubblewrap would not let it. So whoever runs one build after another in the same function begins each with an
//! empty folder; see `.github/SECURITY.md`.

mod confine;
mod files;
mod filter;
mod launch;
mod modes;

pub use confine::confine;
pub use files::Reach;
pub(super) use launch::{Launcher, WORD};
pub(super) use modes::ReadOnly;
pub use modes::empty_folder;

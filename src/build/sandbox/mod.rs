//! Running a stranger's code with nothing at hand: importing what a layer holds, building a source distribution.
//!
//! [`Sandbox`] is bubblewrap (`bwrap`): new namespaces for users, processes, network, hostname and everything else that
//! has one, no capability, an environment of our own making, a file tree of the system's programs and one interpreter,
//! all read-only, and a bounded `/tmp`. `confine.py` is the first thing that runs inside; it sets the limits, and only
//! then hands over to a driver, which is what calls the stranger's code.
//!
//! Where no namespaces can be made, as on AWS Lambda, [`function`] confines instead.
//!
//! Deliberately absent: deciding when to run anything (that is `pipeline`), fetching (that is `Builder`), believing
//! what comes out: an answer is read as data, bounded, and a package that forges one fools the test of itself.

mod build_system;
mod control_group;
mod function;
mod import_test;
mod isolation;
mod processes;
mod run;
mod source_build;
mod unpack;
mod words;

#[cfg(test)]
mod tests;

use super::bytecode::Interpreter;
pub use build_system::BuildSystem;
pub use function::{Reach, confine, empty_folder};
pub use import_test::{ImportTested, test_import};
pub use isolation::{NoSandbox, Sandbox};
pub use source_build::{
    BuiltWheel, SourceBuildError, SourceDistribution, build_system, build_wheel,
};

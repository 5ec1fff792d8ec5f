//! Requirements × target → lock: exact versions, and for each the one wheel that suits the target best.
//!
//! The resolver proper is `uv`, run as a child process; this room hands it a closed environment, reads the
//! standard lock file it writes (PEP 751) and ranks the wheels listed there by the target's tags (PEP 425).
//! Deliberately absent: fetching wheels (that is `build`), deciding when to resolve (that is `pipeline`), and
//! building source distributions: only wheels are considered, so that resolving runs nobody's code.

mod error;
mod explain;
mod pylock;
mod resolver;
mod tags;
mod uv;
mod wheel_filename;

#[cfg(test)]
mod tests;

pub use error::ResolveError;
pub use resolver::{ResolveRequest, Resolver, ResolverSettings};
pub use tags::SupportedTags;
pub use wheel_filename::{BuildTag, WheelFilename};

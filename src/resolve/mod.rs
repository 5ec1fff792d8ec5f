//! Requirements × target → lock: exact versions, and for each the one wheel that suits the target best.
//!
//! The resolver proper is `uv`, run as a child process; this room hands it a closed environment, reads the
//! standard lock file it writes (PEP 751) and ranks the wheels listed there by the target's tags (PEP 425).
//! A lock answers the same request again while it is fresh; what cannot be resolved is told of the fewest requirements
//! that cannot, with what can be had instead. Deliberately absent: fetching wheels (that is `build`), deciding when to
//! resolve (that is `pipeline`), and building source distributions: they are found here, but only wheels are considered,
//! of the index and those that were built before, so that resolving runs nobody's code.

mod advice;
mod compile;
mod conflict;
mod error;
mod explain;
mod index;
mod interpreter;
mod lock_cache;
mod plain;
mod pylock;
mod requirements;
mod resolver;
mod source;
mod tags;
mod turns;
mod uv;
mod uv_cache;
mod wheel_filename;
mod yanked;

#[cfg(test)]
mod tests;

pub use error::{Alternatives, ResolveError};
pub use requirements::requirement;
pub use resolver::{BuiltWheel, ResolveRequest, Resolver, ResolverSettings};
pub use source::SourceDistribution;
pub use tags::SupportedTags;
pub use wheel_filename::{BuildTag, WheelFilename};

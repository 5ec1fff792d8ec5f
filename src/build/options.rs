//! What of a request decides a layer's bytes besides its lock.

use super::slim::RUNTIME_PACKAGES;
use crate::model::{Bytecode, Lock, LockedPackage, SlimKind, Target, Timestamp};

/// What of a request decides a layer's bytes besides its lock.
#[derive(Debug, Clone, Copy)]
pub struct BuildOptions<'a> {
    /// What the layer is for.
    pub target: Target,
    /// The packages asked for (normalised names, PEP 503); the others of the lock came with them.
    pub packages: &'a [String],
    /// Glob patterns of files left out, relative to the layer's `python/`; see [`super::Exclude`].
    pub exclude: &'a [String],
    /// Kinds of files left out where that is safe.
    pub slim: &'a [SlimKind],
    /// Whether packages that the Lambda runtime brings are left out, unless they are asked for.
    pub exclude_runtime: bool,
    /// Which bytecode is shipped.
    pub bytecode: Bytecode,
    /// Whether a zip above the limit of a direct upload can be published as well, through a bucket.
    pub is_staged: bool,
    /// The day it is built on, for what the audit says about dates; it decides no byte.
    pub today: Timestamp,
}

impl<'a> BuildOptions<'a> {
    /// Everything in, and no bytecode.
    #[must_use]
    pub fn plain(target: Target, today: Timestamp) -> Self {
        Self {
            target,
            packages: &[],
            exclude: &[],
            slim: &[],
            exclude_runtime: false,
            bytecode: Bytecode::None,
            is_staged: false,
            today,
        }
    }

    /// The packages of the lock that go into the layer, and those that are left out of it as the runtime's.
    pub(crate) fn packages_of<'l>(
        &self,
        lock: &'l Lock,
    ) -> (Vec<&'l LockedPackage>, Vec<&'l LockedPackage>) {
        let is_runtimes = |package: &LockedPackage| {
            self.exclude_runtime
                && RUNTIME_PACKAGES.contains(&package.name.as_str())
                && !self.packages.contains(&package.name)
        };
        lock.packages
            .iter()
            .partition(|package| !is_runtimes(package))
    }
}

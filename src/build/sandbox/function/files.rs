//! Which files a confined program reaches, where the kernel can keep it to some (Landlock, since Linux 5.13).

use landlock::{
    ABI, Access as _, AccessFs, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use std::path::PathBuf;

/// The newest version of the interface that is used; an older kernel does what it can.
const INTERFACE: ABI = ABI::V6;

/// What a program may do with files, besides what their modes say.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Files and folders that it may read and run; what is not there is left out.
    pub read: Vec<PathBuf>,
    /// Those that it may do anything with.
    pub write: Vec<PathBuf>,
}

impl Reach {
    /// Keeps this process to it for good, as far as the kernel can: before Linux 5.13 that is not at all, which `false`
    /// says. Where nothing is named, nothing is kept from it.
    ///
    /// # Errors
    /// When the kernel can and does not.
    pub(super) fn keep_to(&self) -> Result<bool, RulesetError> {
        if self.read.is_empty() && self.write.is_empty() {
            return Ok(false);
        }
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(INTERFACE))?
            .scope(Scope::from_all(INTERFACE))?
            .create()?
            .add_rules(path_beneath_rules(
                &self.read,
                AccessFs::from_read(INTERFACE),
            ))?
            .add_rules(path_beneath_rules(
                &self.write,
                AccessFs::from_all(INTERFACE),
            ))?
            .restrict_self()?;
        Ok(status.ruleset != RulesetStatus::NotEnforced)
    }
}

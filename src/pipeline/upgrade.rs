//! Looking for new releases of what is built already.

use super::Workshop;
use super::building::{Resolved, SourceBuilds, build_locked, resolve_wanted};
use crate::model::{LayerRequest, Policy};
use crate::plan::{BuildState, Wanted};

/// Resolves one layer for one target again, although its request is as it was. Where that comes to the wheels that the
/// known build is made of, nothing is fetched or built and the answer is that build; otherwise it is a build of the new
/// ones, or why there is none. Releases younger than the policy's cooldown are not considered, and a lock that is still
/// fresh is not resolved again.
///
/// What was never built is resolved and built; nothing is built from source.
pub async fn upgrade_wanted(
    workshop: &Workshop,
    wanted: &Wanted,
    request: &LayerRequest,
    policy: &Policy,
) -> BuildState {
    let sources = SourceBuilds::AfterMerge;
    let lock = match resolve_wanted(workshop, wanted, request, policy, sources).await {
        Ok(Resolved::Lock(lock)) => lock,
        Ok(Resolved::FromSource(packages)) => return BuildState::FromSource(packages),
        Err(failure) => return BuildState::Failed(failure),
    };
    match &wanted.build {
        BuildState::Built(known) if known.lock.has_same_wheels(&lock) => wanted.build.clone(),
        BuildState::Built(_)
        | BuildState::Unknown
        | BuildState::FromSource(_)
        | BuildState::Failed(_) => build_locked(workshop, wanted, request, policy, lock).await,
    }
}

//! Looking for new releases of what is built already.

use super::Workbench;
use super::build_task::BuildTask;
use super::building::{Resolved, build_locked, resolve};
use super::settle;
use crate::model::{BuildRecord, Bytecode, LayerName, LayerRequest, Target};
use crate::plan::{BuildFailure, BuildState, Wanted, against_publishing};
use serde::{Deserialize, Serialize};

/// Resolves one layer for one target again, although its request is as it was. Where that comes to the wheels that the
/// known build is made of, nothing is fetched or built and the answer is that build; otherwise it is a build of the new
/// ones, or why there is none. Releases younger than the policy's cooldown are not considered, and a lock that is still
/// fresh is not resolved again. A build that lacks bytecode because there was no interpreter is made again once there is
/// one, and one that lacks it for a reason that may pass, in case it did. So is one whose zip is gone while a region still
/// waits for it: where that comes to another zip, as after an update of the interpreter that compiles, it is a new build like
/// any other and goes to every region, for the old one cannot be had any more.
///
/// What was never built is resolved and built.
pub(super) async fn build_upgrade(
    bench: &Workbench,
    task: &BuildTask,
    known: Option<&BuildRecord>,
) -> BuildState {
    let lock = match resolve(bench, task).await {
        Ok(Resolved::Lock(lock)) => lock,
        Ok(Resolved::FromSource(packages)) => return BuildState::FromSource(packages),
        Err(failure) => return BuildState::Failed(failure),
    };
    match known {
        Some(known)
            if known.lock.has_same_wheels(&lock)
                && !can_be_compiled_now(bench, task, known).await
                && !(task.needs_zip && is_gone(bench, known).await) =>
        {
            BuildState::Built(Box::new(known.clone()))
        }
        Some(_) | None => build_locked(bench, task, lock).await,
    }
}

/// Whether a build lacks bytecode that the request asks for, and may have it now: the interpreter that it lacked is here, or
/// the one that there was may get on better.
async fn can_be_compiled_now(bench: &Workbench, task: &BuildTask, known: &BuildRecord) -> bool {
    let bytecode = &known.artifact.report.bytecode;
    task.request.bytecode != Bytecode::None
        && (bytecode.lacks_interpreter || bytecode.may_pass)
        && bench.builder.has_interpreter(task.target.python).await
}

/// Whether the zip of a build is not kept any more. Where that cannot be found out now, it is taken to be there: the next
/// upgrade asks again.
async fn is_gone(bench: &Workbench, known: &BuildRecord) -> bool {
    let zip = bench.builder.artifacts().verified(&known.artifact.digest);
    zip.await.is_err_and(|error| error.is_lost())
}

/// A layer that could not be built anew for a target, or came out as something that may not be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRebuilt {
    /// The layer.
    pub layer: LayerName,
    /// What it should have been built for.
    pub target: Target,
    /// Why not.
    pub failure: BuildFailure,
}

/// Notes what came of an upgrade. Where it did not come to something that may be published, the known
/// build stays what is wanted, so that what is live goes on and gets to new regions; why not is the answer.
pub fn keep_known(
    wanted: &mut Wanted,
    request: &LayerRequest,
    state: BuildState,
) -> Option<NotRebuilt> {
    let failure = match &state {
        BuildState::Failed(failure) => Some(failure.clone()),
        BuildState::Built(build) => against_publishing(build, wanted.is_staged),
        BuildState::FromSource(packages) => Some(BuildFailure {
            message: format!("{} would have to be built from source", packages.join(", ")),
            package: packages.first().cloned(),
            transient: false,
        }),
        BuildState::Unknown => None,
    };
    let known = matches!(&wanted.build, BuildState::Built(known) if against_publishing(known, wanted.is_staged).is_none());
    if failure.is_none() || !known {
        settle(wanted, request, state);
    }
    failure.map(|failure| NotRebuilt {
        layer: wanted.layer.clone(),
        target: wanted.target,
        failure,
    })
}

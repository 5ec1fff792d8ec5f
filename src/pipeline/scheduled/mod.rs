//! What time sets off: looking for new releases, deleting what has expired, reading back what is published.
//!
//! Each is a run with a journal, like an apply: killed anywhere, it goes on from there. The tables are rendered and
//! committed at the end of each, which also restores those that somebody edited.

mod due;
mod owners;

use super::flow::{Outlook, Steps};
use super::tables::plain_message;
use super::verify::{self, Listing, Look, Mended, NamesRead, PartRead, Verified, read_part};
use super::visibility::list_meanwhile;
use super::{Expired, NotRebuilt, StepFailure, commit_message, expire, keep_known, recorded};
use crate::github::render::count;
use crate::model::LayerName;
use crate::plan::{Plan, plan};
use futures::FutureExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Versions of a region that are read back before that is written down. Each is two or three questions to AWS, which answers
/// 15 a second in a region: about a minute.
const PART: usize = 400;
/// Names of a region that are asked for before that is written down; each is a question, and one more for every version that
/// nobody recorded.
const NAMES: usize = 900;
/// What is left of a function's time when no further part is begun.
const PART_TIME: Duration = Duration::from_secs(240);

/// A plan with new releases in it, and what could not be rebuilt.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct UpgradePlan {
    pub(super) plan: Plan,
    pub(super) not_rebuilt: Vec<NotRebuilt>,
}

/// Resolves everything anew and plans with what came of it.
pub(super) async fn plan_upgrade(
    steps: &Steps<'_>,
    outlook: Option<Outlook<'_>>,
) -> Result<UpgradePlan, StepFailure> {
    let Some(mut outlook) = outlook else {
        return Ok(UpgradePlan::default());
    };
    let states = steps.built(&outlook).await?;
    let mut not_rebuilt = Vec::new();
    for (wanted, state) in outlook.wanted.iter_mut().zip(states) {
        if let Some(request) = outlook.desired.layers.get(&wanted.layer) {
            not_rebuilt.extend(keep_known(wanted, request, state));
        }
    }
    for NotRebuilt {
        layer,
        target,
        failure,
    } in &not_rebuilt
    {
        tracing::warn!(%layer, %target, reason = %failure.message, "{layer} could not be rebuilt for {target}: {}", failure.message);
    }
    let store = &*steps.bot.workshop.store;
    list_meanwhile(store, &outlook.desired.policy).await?;
    let versions = recorded(store, &outlook.desired.policy, None).await?;
    let held = &outlook.desired.held;
    Ok(UpgradePlan {
        plan: plan(&outlook.wanted, &outlook.builds, &versions, held),
        not_rebuilt,
    })
}

/// Tells the owners of layers what could not be rebuilt.
pub(super) async fn tell_owners(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let Some(desired) = steps.desired_now().await? else {
        return Ok(());
    };
    let upgraded: Option<UpgradePlan> = steps.journal.output("upgrade").await?;
    let not_rebuilt = upgraded.unwrap_or_default().not_rebuilt;
    let tell = owners::tell(steps.bot, desired, &not_rebuilt);
    steps.journal.step("owners", tell).await
}

/// Deletes what has expired.
pub(super) async fn delete_expired(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let Some(desired) = steps.desired().await? else {
        return Ok(());
    };
    let work = expire(&steps.bot.workshop, desired);
    let _: Expired = steps.journal.step("expire", work).await?;
    Ok(())
}

/// What the tables are committed with after an expiry.
pub(super) async fn expiry_message(steps: &Steps<'_>) -> Result<String, StepFailure> {
    let expired: Option<Expired> = steps.journal.output("expire").await?;
    let run = &steps.run.id;
    Ok(match expired.unwrap_or_default().deleted.len() {
        0 => commit_message(&[], &[], run),
        gone => plain_message(&format!("Layers: {} expired", count(gone, "version")), run),
    })
}

/// Reads back what is recorded as published, as it was asked for before the look: part by part, so that a try that is cut
/// short, by the end of a function's time too, is followed by one that goes on from there.
pub(super) async fn observe(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let (journal, workshop) = (&steps.journal, &steps.bot.workshop);
    let Some(then) = &steps.branch().await?.desired else {
        return Ok(());
    };
    if journal.output::<Verified>("observe").await?.is_some() {
        return Ok(());
    }
    let look = Look::begin(workshop).await?;
    let mut parts = Parts::of(steps);
    let (mut verified, mut after) = (Verified::default(), None::<LayerName>);
    while let Some(part) = look.part(after.as_ref(), PART) {
        let name = match &after {
            None => "observe/first".to_owned(),
            Some(layer) => format!("observe/after/{layer}"),
        };
        let read = read_part(workshop, then, part, &verified).map(Ok);
        let read: PartRead = parts.read(&name, verified.checked, read).await?;
        verified.add(read.verified);
        after = Some(read.until);
    }
    let (mut listing, mut after) = (None::<Listing<'_>>, None::<String>);
    loop {
        let name = match &after {
            None => "observe/list/first".to_owned(),
            Some(name) => format!("observe/list/after/{name}"),
        };
        let read = async {
            let listing = match &mut listing {
                Some(listing) => listing,
                none => none.insert(Listing::begin(workshop, then, &look, &verified).await?),
            };
            let after = after.as_deref();
            Ok(listing.read(workshop, then, after, NAMES, &verified).await)
        };
        let read: NamesRead = parts.read(&name, verified.checked, read).await?;
        verified.add(read.verified);
        after = read.until;
        if after.is_none() {
            break;
        }
    }
    verified.sort();
    journal.step("observe", async { Ok(verified) }).await?;
    Ok(())
}

/// The parts of a look, each a step of the run.
struct Parts<'a> {
    steps: &'a Steps<'a>,
    /// Each try does something, however little time it has.
    is_begun: bool,
}

impl<'a> Parts<'a> {
    fn of(steps: &'a Steps<'a>) -> Self {
        Self {
            steps,
            is_begun: false,
        }
    }

    /// What a part came to; it is read unless it was read by an earlier try. `checked` is how many versions were read back
    /// before it.
    async fn read<T>(
        &mut self,
        name: &str,
        checked: usize,
        read: impl Future<Output = Result<T, StepFailure>> + Send,
    ) -> Result<T, StepFailure>
    where
        T: Serialize + DeserializeOwned,
    {
        if let Some(known) = self.steps.journal.output(name).await? {
            return Ok(known);
        }
        let is_late = || self.steps.time_left().is_some_and(|left| left < PART_TIME);
        if self.is_begun && is_late() {
            let message = format!("{checked} versions are read back, the next try does the rest");
            return Err(StepFailure::transient(message));
        }
        self.is_begun = true;
        self.steps.journal.step_again(name, read).await
    }
}

/// Mends what is wrong, within the turn to publish. Looking takes long, and a run that was killed may go on much later:
/// mended is by what the branch asks for now.
pub(super) async fn repair(steps: &Steps<'_>) -> Result<(), StepFailure> {
    let (journal, workshop) = (&steps.journal, &steps.bot.workshop);
    let then = &steps.branch().await?.desired;
    let (Some(then), Some(desired)) = (then, steps.desired().await?) else {
        tracing::warn!(run = %steps.run.id, "the policy cannot be read: nothing is mended");
        return Ok(());
    };
    let seen: Option<Verified> = journal.output("observe").await?;
    let mend = async {
        let mut verified = seen.unwrap_or_default();
        if let Some(disbelief) = verified.disbelief() {
            return Err(StepFailure::lasting(disbelief));
        }
        let (then, now) = (&then.policy, &desired.policy);
        verify::still_wrong(workshop, &mut verified, then, now).await?;
        verify::repair(workshop, desired, &mut verified).await?;
        Ok(verified)
    };
    let verified: Verified = journal.step("repair", mend).await?;
    for finding in &verified.findings {
        tracing::warn!(arn = %finding.arn, "{} is {}; {}", finding.arn, finding.wrong, finding.mended);
    }
    Ok(())
}

/// What the tables are committed with after a verification.
pub(super) async fn repair_message(steps: &Steps<'_>) -> Result<String, StepFailure> {
    let verified: Option<Verified> = steps.journal.output("repair").await?;
    let verified = verified.unwrap_or_default();
    let gone = verified.findings.iter().filter(|finding| {
        matches!(
            finding.mended,
            Mended::Forgotten | Mended::Republished(_) | Mended::Adopted
        )
    });
    let run = &steps.run.id;
    Ok(match gone.count() {
        0 => commit_message(&verified.backfilled, &[], run),
        changed => {
            let versions = count(changed, "version");
            plain_message(&format!("Layers: {versions} not as recorded, mended"), run)
        }
    })
}

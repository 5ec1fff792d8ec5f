//! What is asked for at the time that a run does something about it.
//!
//! Making a plan takes long, and a run that was cut short goes on by its plan, be it hours later: others may have merged, and
//! carried out, something else by then. Where a version becomes live, who may use it, what is retired and when it expires goes by
//! what is asked for now, in all runs.

use super::Steps;
use crate::model::RunKind;
use crate::pipeline::apply::{self, BranchRead};
use crate::pipeline::{Desired, StepFailure};
use futures::FutureExt as _;

impl Steps<'_> {
    /// Reads the default branch whether it was read before or not, and writes down what it asks for now.
    pub(super) async fn read_again(&self) -> Result<(), StepFailure> {
        let read = async {
            match self.run.kind {
                RunKind::Apply | RunKind::Upgrade => apply::read_again(self).await,
                RunKind::Plan | RunKind::Expire | RunKind::Verify => apply::read(self).await,
            }
        };
        let read = || self.journal.step_again("reread", read.boxed());
        self.reread.get_or_try_init(read).await.map(|_| ())
    }

    /// What was asked for when the run was last taken up; what the plan was made for when the policy cannot be read by now.
    /// Nothing when it could not be read then: there is no plan.
    pub(in crate::pipeline) async fn desired_now(&self) -> Result<Option<&Desired>, StepFailure> {
        let then = self.desired().await?;
        if then.is_none() || !matches!(self.run.kind, RunKind::Apply | RunKind::Upgrade) {
            return Ok(then);
        }
        let read = || async {
            match self.journal.output("reread").await? {
                Some(now) => Ok::<BranchRead, StepFailure>(now),
                None => Ok(self.branch().await?.clone()),
            }
        };
        let now = self.reread.get_or_try_init(read).await?;
        Ok(now.desired.as_ref().or(then))
    }
}

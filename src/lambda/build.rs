//! Building one layer for one target, in the runtime that it is for.
//!
//! Nothing is at hand here but the task and a place for the result: strangers' code may be near.

use super::FunctionError;
use crate::pipeline::build_task::perform;
use crate::pipeline::flow::StepCall;
use crate::pipeline::{Handover, StepFailure, Workbench};

pub(super) async fn handle(
    bench: &Workbench,
    handover: &Handover,
    call: &StepCall,
) -> Result<(), FunctionError> {
    let Some(item) = &call.item else {
        let failure = StepFailure::lasting("the step names no layer and target");
        return Err(failure.into());
    };
    // A try whose answer was lost has left its result.
    if handover.result(&call.run, item).await?.is_some() {
        return Ok(());
    }
    let task = handover.task(&call.run, item).await?;
    let result = perform(bench, &task).await;
    handover.put_result(&call.run, item, &result).await?;
    Ok(())
}

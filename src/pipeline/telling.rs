//! What every run that may have changed something does once the tables are committed: public names are brought up to
//! date, messages written, and the issue about what goes away kept right.

use super::expiry::tell_of_expiry;
use super::journal::Journal;
use super::{Bot, StepFailure, Workshop, put_parameters, write_notifications};
use crate::model::Policy;
use crate::plan::ParametersOutcome;

/// As steps of a run.
///
/// # Errors
/// When the store fails. Receivers, GitHub and regions that fail are no error.
pub(super) async fn tell(
    bot: &Bot,
    journal: &Journal<'_>,
    policy: &Policy,
) -> Result<ParametersOutcome, StepFailure> {
    let workshop = &bot.workshop;
    let parameters = journal
        .step("parameters", put_parameters(workshop, policy))
        .await?;
    journal
        .step("notify", write_notifications(workshop, policy))
        .await?;
    tell_of_expiry(bot, policy).await;
    Ok(parameters)
}

/// From a terminal, which knows no GitHub; to be called by whoever has the turn to publish.
///
/// # Errors
/// When the store fails. A region that fails is part of the outcome.
pub async fn tell_others(
    workshop: &Workshop,
    policy: &Policy,
) -> Result<ParametersOutcome, StepFailure> {
    let parameters = put_parameters(workshop, policy).await?;
    write_notifications(workshop, policy).await?;
    Ok(parameters)
}

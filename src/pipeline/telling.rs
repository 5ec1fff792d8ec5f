//! What whoever changed something from a terminal does once the tables are written: public names are brought up to date,
//! and messages written.

use super::{StepFailure, Workshop, put_parameters, write_notifications};
use crate::model::Policy;
use crate::plan::ParametersOutcome;

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

//! Webhooks that did not arrive are asked for again. GitHub does not repeat a delivery by itself.
//!
//! The sweep finds what a lost webhook would have said about pull requests and the branch; a comment with a command is
//! only told once, and comes back this way.

use super::StepFailure;
use crate::github::{DeliveryAttempt, GithubClient};
use crate::model::Timestamp;
use crate::store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Whether to ask, or only to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redeliver {
    /// Ask GitHub for what is missing.
    Ask,
    /// Say what would be asked for.
    Look,
}

/// A delivery of which every try failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedDelivery {
    /// Its id, `X-GitHub-Delivery`.
    pub delivery: String,
    /// The event and what happened: `issue_comment.created`.
    pub event: String,
    /// When it was tried last.
    pub tried_at: Timestamp,
    /// What became of that try, in GitHub's words.
    pub failure: String,
    /// What was done about it.
    pub answer: Answered,
}

/// What was done about a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "result", content = "reason")]
pub enum Answered {
    /// It is in the store: it arrived, and only the answer got lost.
    Recorded,
    /// It would be asked for.
    WouldBeAsked,
    /// It was asked for; GitHub sends it in a moment.
    Asked,
    /// GitHub does not send it again.
    Refused(String),
}

/// Asks for every delivery since a moment that never arrived, oldest first.
///
/// # Errors
/// When GitHub does not list the deliveries, or the store cannot be read. A delivery that GitHub does not send again is in
/// the answer and stops nothing.
pub async fn redeliver(
    github: &GithubClient,
    store: &dyn Store,
    since: Timestamp,
    how: Redeliver,
) -> Result<Vec<FailedDelivery>, StepFailure> {
    let hook = github.hook().await?;
    let attempts = github.delivery_attempts(hook, since).await?;
    let mut failed = Vec::new();
    for attempt in never_taken(&attempts) {
        let answer = if store.has_delivery(&attempt.guid).await? {
            Answered::Recorded
        } else if how == Redeliver::Look {
            Answered::WouldBeAsked
        } else {
            match github.redeliver(hook, attempt.id).await {
                Ok(()) => Answered::Asked,
                Err(error) => Answered::Refused(error.to_string()),
            }
        };
        failed.push(FailedDelivery {
            delivery: attempt.guid.clone(),
            event: match &attempt.action {
                Some(action) => format!("{}.{action}", attempt.event),
                None => attempt.event.clone(),
            },
            tried_at: attempt.at,
            failure: match attempt.code {
                0 => attempt.status.clone(),
                code => format!("{code}, {}", attempt.status),
            },
            answer,
        });
    }
    Ok(failed)
}

/// The newest try of each delivery that the server took at none, in the order of these tries.
fn never_taken(attempts: &[DeliveryAttempt]) -> Vec<&DeliveryAttempt> {
    let taken: BTreeSet<&str> = attempts
        .iter()
        .filter(|attempt| attempt.succeeded())
        .map(|attempt| attempt.guid.as_str())
        .collect();
    let mut newest: BTreeMap<&str, &DeliveryAttempt> = BTreeMap::new();
    for attempt in attempts {
        if taken.contains(attempt.guid.as_str()) {
            continue;
        }
        let known = newest.entry(&attempt.guid).or_insert(attempt);
        if (known.at, known.id) < (attempt.at, attempt.id) {
            *known = attempt;
        }
    }
    let mut chosen: Vec<&DeliveryAttempt> = newest.into_values().collect();
    chosen.sort_by_key(|attempt| (attempt.at, attempt.id));
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(id: u64, guid: &str, code: u16) -> DeliveryAttempt {
        DeliveryAttempt {
            id,
            guid: guid.to_owned(),
            at: Timestamp::from_unix(i64::try_from(id).unwrap()),
            status: if code == 202 { "OK" } else { "timed out" }.to_owned(),
            code,
            event: "push".to_owned(),
            action: None,
        }
    }

    #[test]
    fn of_each_delivery_that_never_arrived_the_newest_try_is_taken_oldest_first() {
        let attempts = [
            attempt(9, "late", 500),
            attempt(8, "twice", 502),
            attempt(7, "mended", 202),
            attempt(6, "taken", 202),
            attempt(5, "twice", 0),
            attempt(4, "mended", 504),
            attempt(3, "early", 401),
        ];
        let chosen: Vec<(u64, &str)> = never_taken(&attempts)
            .into_iter()
            .map(|attempt| (attempt.id, attempt.guid.as_str()))
            .collect();
        assert_eq!(chosen, [(3, "early"), (8, "twice"), (9, "late")]);
        assert_eq!(never_taken(&[]), Vec::<&DeliveryAttempt>::new());
    }
}

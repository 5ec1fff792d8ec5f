//! Telling others of what was published and retired, at least once.
//!
//! What happened is written down by the store in the transaction in which it happens. After the tables are committed it
//! becomes messages, in one transaction again; then the messages are delivered, each until it is taken or given up. A
//! receiver that is down is no business of publishing: nobody waits for it.

use super::{StepFailure, Workshop};
use crate::model::{Destination, LayerName, Notification, Policy, Timestamp};
use crate::tables::{AnnouncementsInput, announcements};
use crate::telemetry::{add, metric};
use futures::{StreamExt, stream};
use std::collections::BTreeSet;

/// Seconds before the second try; each later pause is twice as long.
const FIRST_PAUSE: i64 = 60;
/// The longest pause between two tries: six hours.
const LONGEST_PAUSE: i64 = 6 * 3_600;
/// Seconds after which a message that nobody took is given up: three days, longer than a weekend.
const PATIENCE: i64 = 3 * 86_400;
/// Tries that it has even then: it may have been nobody's fault but the bot's, which was away.
const LEAST_ATTEMPTS: u32 = 10;
/// Messages looked at in one round.
const ROUND: usize = 100;
/// Messages under way at once.
const CONCURRENT_MESSAGES: usize = 8;

/// Makes messages of what nobody was told of yet, for everybody whom the policy names; returns how many. For nobody,
/// it is forgotten. To be called by whoever has the turn to publish: half a publication is no news.
///
/// # Errors
/// When the store fails.
pub(super) async fn write_notifications(
    workshop: &Workshop,
    policy: &Policy,
) -> Result<usize, StepFailure> {
    let store = &workshop.store;
    let news = store.news().await?;
    if news.is_empty() {
        return Ok(0);
    }
    let told: Vec<u64> = news.iter().map(|news| news.sequence).collect();
    let mut notifications = Vec::new();
    if !policy.notify.is_empty() {
        let layers: BTreeSet<LayerName> = news
            .iter()
            .map(|news| news.version.key.layer.clone())
            .collect();
        let versions = store.layer_versions_of(&layers).await?;
        let builds = store.builds_of(&layers).await?;
        let messages = announcements(&AnnouncementsInput {
            news: &news,
            versions: &versions,
            builds: &builds,
            repository_page: workshop.repository_page.as_deref(),
            folder: &policy.tables.path,
        });
        let now = workshop.now();
        let to = |destination: &Destination| {
            let destination = destination.clone();
            messages.iter().map(move |message| Notification {
                id: message.id.clone(),
                destination: destination.clone(),
                subject: message.subject.clone(),
                body: message.body.clone(),
                created_at: now,
                attempts: 0,
                next_attempt_at: now,
            })
        };
        notifications.extend(policy.notify.iter().flat_map(to));
    }
    store.put_notifications(&notifications, &told).await?;
    if !notifications.is_empty() {
        workshop.notifier.wake();
    }
    Ok(notifications.len())
}

/// Tries every message that is due once; returns how many were taken.
///
/// # Errors
/// When the store fails. A receiver that fails is an entry of the log.
pub async fn deliver_notifications(workshop: &Workshop) -> Result<usize, StepFailure> {
    let now = workshop.now();
    let mut taken = 0;
    // What was tried is due later than now, so that every round finds others.
    loop {
        let due = workshop.store.due_notifications(now, ROUND).await?;
        taken += deliver_round(workshop, &due).await?;
        if due.len() < ROUND {
            return Ok(taken);
        }
    }
}

async fn deliver_round(workshop: &Workshop, due: &[Notification]) -> Result<usize, StepFailure> {
    let work: Vec<_> = due
        .iter()
        .map(|notification| deliver(workshop, notification))
        .collect();
    let results: Vec<Result<bool, StepFailure>> = stream::iter(work)
        .buffer_unordered(CONCURRENT_MESSAGES)
        .collect()
        .await;
    let mut taken = 0;
    for result in results {
        taken += usize::from(result?);
    }
    Ok(taken)
}

/// One try; whether the message was taken.
async fn deliver(workshop: &Workshop, notification: &Notification) -> Result<bool, StepFailure> {
    let store = &workshop.store;
    let now = workshop.now();
    let next = next_attempt(notification.attempts, now);
    // Written down before it is made: a process that dies meanwhile, or a second one, does not try in a loop.
    if !store.begin_attempt(notification, next).await? {
        return Ok(false);
    }
    let to = notification.destination.shown();
    match workshop.notifier.send(notification).await {
        Ok(()) => {
            store.end_notification(notification).await?;
            tracing::info!(id = %notification.id, "told {to}: {}", notification.subject);
            Ok(true)
        }
        Err(reason) if is_given_up(notification, now) => {
            store.end_notification(notification).await?;
            add(&metric::NOTIFICATIONS_GIVEN_UP, &[], 1);
            tracing::error!(id = %notification.id, "{to} was not told and is given up on after three days and ten tries ({}): {reason}", notification.subject);
            Ok(false)
        }
        Err(reason) => {
            tracing::warn!(id = %notification.id, "{to} did not take a message ({}), which is tried again at {next}: {reason}", notification.subject);
            Ok(false)
        }
    }
}

/// Whether a message is not tried again if the try now comes to nothing.
fn is_given_up(notification: &Notification, now: Timestamp) -> bool {
    let age = now.unix() - notification.created_at.unix();
    age >= PATIENCE && notification.attempts + 1 >= LEAST_ATTEMPTS
}

/// When a message is tried again if the try now comes to nothing.
fn next_attempt(attempts: u32, now: Timestamp) -> Timestamp {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.min(16));
    Timestamp::from_unix(now.unix() + doubled.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_was_hardly_tried_is_not_given_up_however_old_it_is() {
        let message = |attempts| Notification {
            id: "1".to_owned(),
            destination: "https://example.org/hook".parse().unwrap(),
            subject: "demo 1.0".to_owned(),
            body: "{}".to_owned(),
            created_at: Timestamp::from_unix(0),
            attempts,
            next_attempt_at: Timestamp::from_unix(0),
        };
        let is_given_up = |attempts, days: i64| {
            is_given_up(&message(attempts), Timestamp::from_unix(days * 86_400))
        };
        assert!(!is_given_up(0, 30) && !is_given_up(8, 30));
        assert!(is_given_up(9, 3));
        assert!(!is_given_up(20, 2));
    }

    #[test]
    fn pauses_double_up_to_six_hours() {
        let pause = |attempts| next_attempt(attempts, Timestamp::from_unix(0)).unix();
        assert_eq!(
            [0, 1, 2, 8, 9, 40].map(pause),
            [60, 120, 240, 15_360, 21_600, 21_600]
        );
    }
}

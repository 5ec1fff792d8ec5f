//! Warning of what goes away: the issue that lists it, and the days on which there is something new to say.

use super::{Bot, Workshop};
use crate::github::GithubError;
use crate::github::render::{EXPIRY_MARKER, render_expiry};
use crate::model::{LayerVersion, Policy, Timestamp};
use crate::tables::{WARNING_DAYS, leaving};

/// Brings the issue up to date: written, edited in place, opened again, or closed where nothing goes away. It is no part
/// of publishing, so that what goes wrong is an entry of the log; the next run does it again.
pub(super) async fn tell_of_expiry(bot: &Bot, policy: &Policy) {
    if let Err(reason) = bring_up_to_date(bot, policy).await {
        tracing::warn!(
            "the issue about what goes away is not up to date (the App needs the permission Issues: write): {reason:#}"
        );
    }
}

async fn bring_up_to_date(bot: &Bot, policy: &Policy) -> anyhow::Result<()> {
    let workshop = &bot.workshop;
    let versions = versions_with_leaving(workshop).await?;
    let leaving = leaving(&versions, workshop.now());
    let result: Result<(), GithubError> = if leaving.is_empty() {
        let closed = bot.github.close_issue(EXPIRY_MARKER, None).await;
        closed.map(|_| ())
    } else {
        let page = workshop.repository_page.as_deref();
        let issue = render_expiry(&leaving, page, &policy.tables.path);
        let written = bot
            .github
            .put_issue(EXPIRY_MARKER, &issue.title, &issue.body);
        written.await.map(|_| ())
    };
    Ok(result?)
}

/// Every version of the layers of which something goes away soon, or should be gone.
pub(super) async fn versions_with_leaving(
    workshop: &Workshop,
) -> anyhow::Result<Vec<LayerVersion>> {
    // Days count, and the last one counts to its end.
    let end = workshop.now().plus_days(WARNING_DAYS + 1);
    let leaving = workshop.store.expired(end).await?;
    let layers = leaving.into_iter().map(|row| row.key.layer).collect();
    workshop.store.layer_versions_of(&layers).await
}

/// Whether something else goes away soon than did at an earlier time: then tables, feeds and the issue say so by a new
/// run, even though nobody changed anything.
pub(super) fn is_news(versions: &[LayerVersion], then: Timestamp, now: Timestamp) -> bool {
    // Before midnight nothing can have changed.
    then.date() != now.date() && leaving(versions, then) != leaving(versions, now)
}

//! Telling the owners of a layer that a scheduled rebuild of it failed, and that it works again.

use crate::github::render::{REBUILD_MARK, rebuild_marker, render_not_rebuilt, render_rebuilt};
use crate::model::LayerName;
use crate::pipeline::{Bot, Desired, NotRebuilt, StepFailure};
use std::collections::BTreeMap;

/// Writes one issue for each layer with owners that could not be rebuilt for a reason that will not pass by itself, and
/// closes those of layers that could be. May be repeated: issues are edited in place.
///
/// What GitHub refuses for good, such as issues to an App that may not write them, is logged: what was published does not
/// depend on it.
pub(super) async fn tell(
    bot: &Bot,
    desired: &Desired,
    not_rebuilt: &[NotRebuilt],
) -> Result<(), StepFailure> {
    if desired.layers.values().all(|it| it.owners.is_empty()) {
        return Ok(());
    }
    match tell_owners(bot, desired, not_rebuilt).await {
        Err(failure) if !failure.transient => {
            tracing::warn!(reason = %failure.message, "the owners of layers could not be told: {failure}");
            Ok(())
        }
        told => told,
    }
}

async fn tell_owners(
    bot: &Bot,
    desired: &Desired,
    not_rebuilt: &[NotRebuilt],
) -> Result<(), StepFailure> {
    let mut failing: BTreeMap<&LayerName, Vec<&NotRebuilt>> = BTreeMap::new();
    for failure in not_rebuilt {
        failing.entry(&failure.layer).or_default().push(failure);
    }
    for (layer, failures) in &failing {
        let Some(request) = desired.layers.get(*layer) else {
            continue;
        };
        let lasting = failures.iter().any(|it| !it.failure.transient);
        if request.owners.is_empty() || !lasting {
            continue;
        }
        let reasons: Vec<(_, &str)> = failures
            .iter()
            .map(|it| (it.target, it.failure.message.as_str()))
            .collect();
        let (title, body) = render_not_rebuilt(layer, &request.owners, &request.path, &reasons);
        let marker = rebuild_marker(layer);
        bot.github.put_issue(&marker, &title, &body).await?;
    }
    for issue in bot.github.open_issues(REBUILD_MARK).await? {
        let still = failing
            .keys()
            .any(|layer| issue.body.contains(&rebuild_marker(layer)));
        if !still {
            let first = issue.body.lines().next().unwrap_or_default();
            let body = render_rebuilt(first, &issue.body);
            bot.github.close_issue(first, Some(&body)).await?;
        }
    }
    Ok(())
}

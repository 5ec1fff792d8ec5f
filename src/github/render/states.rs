//! What is said before a plan or outcome is there, and where there will be none.

use super::escape::{code, cut, prose};
use super::layer_plan::reason;
use super::words::{capitalized, short_sha};
use super::{CheckText, Conclusion, Rendered};

/// Characters shown of a free text.
const TEXT_LIMIT: usize = 2_000;

/// The first answer: something is being done. The check run is in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Markdown whose first line is the hidden marker.
    pub comment: String,
    /// The check run's title, one line without Markdown.
    pub title: String,
    /// The check run's summary, Markdown.
    pub summary: String,
}

/// The bot is at work on a commit; `what` says at what: `resolving and building 12 layers`.
#[must_use]
pub fn render_working(marker: &str, head_sha: &str, what: &str) -> Progress {
    let what = capitalized(&cut(what, TEXT_LIMIT));
    let summary = format!(
        "{}… for {}. This comment is edited when there is more to say.",
        sentence(&what),
        code(&short_sha(head_sha))
    );
    Progress {
        comment: format!("{marker}\n### Working on it\n\n{summary}"),
        title: "Working on it".to_owned(),
        summary,
    }
}

/// A pull request of somebody whose pull requests are planned only after `/layersmith ok`.
#[must_use]
pub fn render_waiting_for_approval(marker: &str, head_sha: &str, author: &str) -> Rendered {
    answer(
        marker,
        "Waiting for approval",
        &format!(
            "{} has no write permission here, and the policy asks for a look first (`plan_pull_requests_from: collaborators`).\n\n\
             Somebody with write permission starts the plan of {} by commenting `/layersmith ok`. A push asks again.",
            code(&cut(author, 80)),
            code(&short_sha(head_sha))
        ),
        Conclusion::ActionRequired,
    )
}

/// A newer head took the place of the one that was planned.
#[must_use]
pub fn render_superseded(marker: &str, head_sha: &str, newer_sha: &str) -> Rendered {
    answer(
        marker,
        "Superseded by a newer commit",
        &format!(
            "{} is not looked at any further: {} took its place.",
            code(&short_sha(head_sha)),
            code(&short_sha(newer_sha))
        ),
        Conclusion::Cancelled,
    )
}

/// Somebody asked to stop.
#[must_use]
pub fn render_cancelled(marker: &str, head_sha: &str, by: Option<&str>) -> Rendered {
    let by = by.map_or_else(String::new, |login| {
        format!(" by {}", code(&cut(login, 80)))
    });
    answer(
        marker,
        "Cancelled",
        &format!(
            "Stopped{by} at {}. What was published before stays published. `/layersmith plan` plans anew, `/layersmith retry` carries on after a merge.",
            code(&short_sha(head_sha))
        ),
        Conclusion::Cancelled,
    )
}

/// Stopped before its end, for the reason that `why` names.
#[must_use]
pub fn render_stopped(marker: &str, head_sha: &str, why: &str) -> Rendered {
    answer(
        marker,
        "Stopped",
        &format!(
            "Work on {} was stopped: {}.",
            code(&short_sha(head_sha)),
            sentence(&cut(why, TEXT_LIMIT))
        ),
        Conclusion::Cancelled,
    )
}

/// The bot itself failed; `what` it was doing (`reading the request files`), and the reason without secrets.
#[must_use]
pub fn render_failed(marker: &str, head_sha: &str, what: &str, message: &str) -> Rendered {
    let what = cut(what, TEXT_LIMIT);
    answer(
        marker,
        "Something went wrong on the bot's side",
        &format!(
            "While {} for {}:{}\n\nNothing about the request files has to be wrong. `/layersmith plan` or, after a merge, `/layersmith retry` tries again; should it stay, whoever runs the bot finds more in its log.",
            sentence(&what),
            code(&short_sha(head_sha)),
            reason(message)
        ),
        Conclusion::Failure,
    )
}

fn answer(marker: &str, title: &str, body: &str, conclusion: Conclusion) -> Rendered {
    Rendered {
        comment: format!("{marker}\n### {title}\n\n{body}"),
        check: CheckText {
            title: title.to_owned(),
            summary: body.to_owned(),
            text: None,
            conclusion,
            annotations: Vec::new(),
        },
    }
}

/// Prose without a full stop or dots of its own.
fn sentence(text: &str) -> String {
    prose(text.trim_end_matches(['.', '…', ' ']))
}

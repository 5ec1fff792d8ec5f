//! The bot's side of the conversation: plans, outcomes and problems in, the Markdown that people read on GitHub out.
//!
//! Values in, text out: the same values give the same text. Whatever comes from people, packages, tools or registries
//! is shown as code or word by word (see `escape`), so that it can neither format, link, mention nor close anything.
//! Everything fits GitHub's limits (see `document`): long parts fold, then move from the comment to the check run's
//! text, and what fits nowhere is named. Deliberately absent: talking to GitHub, finding the comment again, deciding.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod build_notes;
mod build_text;
mod document;
mod escape;
mod expiry;
mod layer_outcome;
mod layer_plan;
mod links;
mod not_enabled;
mod outcome;
mod parameters;
mod permissions;
mod plan;
mod problems;
mod rebuild_issue;
mod replies;
mod states;
mod tally;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use build_text::build_as_text;
pub use expiry::{EXPIRY_MARKER, IssueText, render_expiry};
pub use outcome::{OutcomeView, TablesResult, render_outcome};
pub use parameters::parameters_as_text;
pub use plan::{PlanView, render_plan};
pub use rebuild_issue::{REBUILD_MARK, rebuild_marker, render_not_rebuilt, render_rebuilt};
pub use replies::{render_help, render_not_allowed, render_status, render_unknown_command};
pub use states::{
    Progress, render_cancelled, render_failed, render_stopped, render_superseded,
    render_waiting_for_approval, render_working,
};
pub use text::{outcome_as_text, plan_as_text};
pub use words::{count, size};

pub use super::Conclusion;
use crate::model::Problem;

/// An answer on a pull request: the living comment and the finished check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Markdown whose first line is the hidden marker; at most [`COMMENT_LIMIT`] bytes.
    pub comment: String,
    /// The check run on the head commit.
    pub check: CheckText,
}

/// What a finished check run says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckText {
    /// One line without Markdown.
    pub title: String,
    /// Markdown, at most [`CHECK_LIMIT`] bytes.
    pub summary: String,
    /// Markdown with what did not fit into the comment, at most [`CHECK_LIMIT`] bytes.
    pub text: Option<String>,
    /// How it ended.
    pub conclusion: Conclusion,
    /// Every problem on its line, errors first; more than the 50 that GitHub takes in one request are possible.
    pub annotations: Vec<Problem>,
}

/// The most a comment may hold. GitHub speaks of 65,536 characters; counted in bytes here, so that the limit holds
/// however characters are counted.
pub const COMMENT_LIMIT: usize = 65_536;
/// The most that `summary` and `text` of a check run may hold each (REST API, "Check runs"), counted in bytes as well.
pub const CHECK_LIMIT: usize = 65_535;

/// The hidden first line by which a comment is found again: `<!-- layersmith:plan:7 -->`.
///
/// A pull request has one living comment, so the plan and its outcome share a marker. Characters of `kind` that are
/// not letters, digits or `_` are left out: they could close the comment.
#[must_use]
pub fn marker(kind: &str, number: u64) -> String {
    let kind: String = kind
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    format!("{MARK}{kind}:{number} -->")
}

/// How every marker begins.
const MARK: &str = "<!-- layersmith:";

/// Whether a comment begins with a [`marker`]: everything the bot writes does. With a token its account may be a
/// person's, so that the account alone does not tell.
#[must_use]
pub fn is_marked(comment: &str) -> bool {
    comment.starts_with(MARK)
}

//! What the check run is to show, and how that is put to GitHub within its limits. Pure.

use crate::model::{Level, Problem};
use serde::Serialize;
use serde_json::{Value, json};

/// The name of the check run, and the context of the commit status.
pub const CHECK_NAME: &str = "layersmith";
/// The most annotations of one check run: twenty requests.
pub(super) const ANNOTATIONS_LIMIT: usize = 1_000;
/// The longest `summary` and `text`; taken as bytes, which is the stricter reading.
const TEXT_LIMIT: usize = 65_535;
/// The longest message of an annotation, 64 KB at GitHub, kept readable.
const MESSAGE_LIMIT: usize = 4_000;
/// The longest description of a commit status, in characters.
const DESCRIPTION_LIMIT: usize = 140;
const CUT: &str = "\n\n*The rest is left out: GitHub takes no more than 65,535 characters here.*";

/// What the check run is to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The commit.
    pub head_sha: String,
    /// The run's id: the same report twice is one check run.
    pub external_id: String,
    /// How far it is.
    pub state: CheckState,
    /// One line; with a token it is the status's description, cut at 140 characters.
    pub title: String,
    /// Markdown; cut at 65,535 bytes, and says so.
    pub summary: String,
    /// Markdown, as long.
    pub text: Option<String>,
    /// Notes on lines. At most 1,000 are shown; the summary says how many are not.
    pub annotations: Vec<Annotation>,
    /// Where more is to be seen.
    pub details_url: Option<String>,
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// Going on.
    InProgress,
    /// Done.
    Completed(Conclusion),
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// All is well.
    Success,
    /// Something is wrong.
    Failure,
    /// Nothing to say either way.
    Neutral,
    /// Stopped before its end.
    Cancelled,
    /// A person has to act.
    ActionRequired,
}

impl Conclusion {
    /// The state of a commit status that says the same.
    fn status_state(self) -> &'static str {
        match self {
            Self::Success | Self::Neutral => "success",
            Self::Failure => "failure",
            Self::Cancelled => "error",
            Self::ActionRequired => "pending",
        }
    }
}

/// A note on lines of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Annotation {
    /// Path in the repository.
    pub path: String,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// First column, from 1; only for a note on one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_column: Option<u32>,
    /// Last column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// How much it matters.
    #[serde(rename = "annotation_level")]
    pub level: AnnotationLevel,
    /// What there is to say; cut at 4,000 bytes.
    pub message: String,
}

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationLevel {
    /// Good to know.
    Notice,
    /// Worth a look.
    Warning,
    /// Must be mended.
    Failure,
}

impl From<&Problem> for Annotation {
    fn from(problem: &Problem) -> Self {
        let line = problem.location.line.max(1);
        let column = problem.location.column.max(1);
        Self {
            path: problem.path.clone(),
            start_line: line,
            end_line: line,
            start_column: Some(column),
            end_column: Some(column),
            level: match problem.level {
                Level::Error => AnnotationLevel::Failure,
                Level::Warning => AnnotationLevel::Warning,
            },
            message: problem.text(),
        }
    }
}

/// The body of a check run's creation or update with some of its annotations.
pub(super) fn check_run_body(
    report: &CheckReport,
    state: CheckState,
    batch: &[Annotation],
) -> Value {
    let annotations: Vec<Annotation> = batch
        .iter()
        .cloned()
        .map(|mut annotation| {
            if annotation.start_line != annotation.end_line {
                annotation.start_column = None;
                annotation.end_column = None;
            }
            annotation.message = cut(&annotation.message, MESSAGE_LIMIT, "…");
            annotation
        })
        .collect();
    let left_out = report.annotations.len().saturating_sub(ANNOTATIONS_LIMIT);
    let summary = if left_out == 0 {
        report.summary.clone()
    } else {
        format!(
            "*{left_out} more notes are not shown on their lines.*\n\n{}",
            report.summary
        )
    };
    let mut output = json!({
        "title": report.title,
        "summary": cut(&summary, TEXT_LIMIT, CUT),
        "annotations": annotations,
    });
    let text = report
        .text
        .as_deref()
        .map(|text| cut(text, TEXT_LIMIT, CUT));
    put_if_some(&mut output, "text", text.as_deref());
    let mut body = json!({
        "name": CHECK_NAME,
        "external_id": report.external_id,
        "output": output,
    });
    match state {
        CheckState::InProgress => body["status"] = json!("in_progress"),
        CheckState::Completed(conclusion) => {
            body["status"] = json!("completed");
            body["conclusion"] = json!(conclusion);
        }
    }
    put_if_some(&mut body, "details_url", report.details_url.as_deref());
    body
}

/// The body of a commit status.
pub(super) fn status_body(report: &CheckReport) -> Value {
    let state = match report.state {
        CheckState::InProgress => "pending",
        CheckState::Completed(conclusion) => conclusion.status_state(),
    };
    let mut body = json!({
        "state": state,
        "context": CHECK_NAME,
        "description": shortened(&report.title, DESCRIPTION_LIMIT),
    });
    put_if_some(&mut body, "target_url", report.details_url.as_deref());
    body
}

fn put_if_some(body: &mut Value, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        body[key] = json!(value);
    }
}

/// At most `limit` bytes, whole characters; where something is cut off, `note` stands in its place.
fn cut(text: &str, limit: usize, note: &str) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub(note.len()));
    format!("{}{note}", text.get(..end).unwrap_or_default())
}

/// At most `limit` characters, the last of them an ellipsis if something is missing.
fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Location;

    #[test]
    fn texts_are_cut_between_characters_and_say_so() {
        let cut_text = cut(&"é".repeat(40_000), TEXT_LIMIT, CUT);
        assert!(cut_text.len() <= TEXT_LIMIT && cut_text.len() > TEXT_LIMIT - 3);
        assert!(cut_text.ends_with(CUT));
        assert_eq!(cut("short", TEXT_LIMIT, CUT), "short");
        assert_eq!(
            shortened(&"é".repeat(200), DESCRIPTION_LIMIT)
                .chars()
                .count(),
            140
        );
        assert_eq!(
            shortened(&"é".repeat(140), DESCRIPTION_LIMIT),
            "é".repeat(140)
        );
    }

    #[test]
    fn a_problem_is_noted_on_its_line() {
        let problem = Problem::error(
            "layers/a.yaml",
            Location { line: 3, column: 5 },
            "unknown key",
        )
        .with_hint("did you mean `packages`?");
        let annotation = serde_json::to_value(Annotation::from(&problem)).unwrap();
        assert_eq!(
            annotation,
            json!({
                "path": "layers/a.yaml", "start_line": 3, "end_line": 3, "start_column": 5, "end_column": 5,
                "annotation_level": "failure", "message": "unknown key: did you mean `packages`?",
            })
        );
    }
}

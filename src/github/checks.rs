//! The one check run on a pull request's head, or the commit status that takes its place.

use super::client::{Access, GithubClient};
use super::error::GithubError;
use super::pulls::segment;
use super::requests::{Freshness, Repeat};
use crate::model::{Level, Problem};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The name of the check run, and the context of the commit status.
pub const CHECK_NAME: &str = "layersmith";
/// The longest `summary` and `text`; taken as bytes, which is the stricter reading.
const TEXT_LIMIT: usize = 65_535;
/// The most annotations of one request.
const BATCH: usize = 50;
/// The most annotations of one check run: twenty requests.
const ANNOTATIONS_LIMIT: usize = 1_000;
/// The longest message of an annotation, 64 KB at GitHub, kept readable.
const MESSAGE_LIMIT: usize = 4_000;
/// The longest description of a commit status, in characters.
const DESCRIPTION_LIMIT: usize = 140;
/// How often a report is tried when it is unknown whether a write was done.
const ATTEMPTS: usize = 3;
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

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

#[derive(Deserialize)]
struct CheckRun {
    id: u64,
    external_id: Option<String>,
    status: String,
    output: Option<Output>,
    app: Option<WithId>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    annotations_count: usize,
}

#[derive(Deserialize)]
struct WithId {
    id: u64,
}

/// A check run that a report goes into, and how many of its annotations are there already.
struct Place {
    id: u64,
    shown: usize,
}

impl GithubClient {
    /// Shows a report on its commit. May be repeated: what is there already is edited, annotations are not doubled,
    /// and a completed check has all of them.
    ///
    /// With a token, a commit status says the title; annotations are only the App's.
    ///
    /// # Errors
    /// See [`GithubError`]; [`GithubError::Validation`] when the commit is unknown.
    pub async fn put_check(&self, report: &CheckReport) -> Result<(), GithubError> {
        let Access::App { app_id, .. } = self.access else {
            return self.put_status(report).await;
        };
        let mut attempt = 1;
        loop {
            match self.put_check_run(app_id, report).await {
                // The next attempt looks at what became of this one.
                Err(error) if error.may_have_happened() && attempt < ATTEMPTS => {
                    tracing::warn!(attempt, "{error}; looking whether it was done");
                    tokio::time::sleep(self.settings.retry_delay).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn put_check_run(&self, app_id: u64, report: &CheckReport) -> Result<(), GithubError> {
        let place = self.find_place(app_id, report).await?;
        let all = report
            .annotations
            .get(..ANNOTATIONS_LIMIT)
            .unwrap_or(&report.annotations);
        let shown = place.as_ref().map_or(0, |place| place.shown);
        let mut batches: Vec<&[Annotation]> =
            all.get(shown..).unwrap_or_default().chunks(BATCH).collect();
        if batches.is_empty() {
            batches.push(&[]);
        }
        let last = batches.len() - 1;
        let mut id = place.map(|place| place.id);
        for (index, batch) in batches.into_iter().enumerate() {
            // Completed only with the last batch, so that nobody sees a part and takes it for the whole.
            let state = if index == last {
                report.state
            } else {
                CheckState::InProgress
            };
            let body = check_run_body(report, state, batch);
            let written: WithId = match id {
                Some(id) => {
                    let path = self.path(&format!("check-runs/{id}"));
                    self.write(Method::PATCH, &path, &body, Repeat::OnlyIfUndone)
                        .await?
                }
                None => {
                    let path = self.path("check-runs");
                    self.write(Method::POST, &path, &body, Repeat::OnlyIfUndone)
                        .await?
                }
            };
            id = Some(written.id);
        }
        Ok(())
    }

    /// The newest check run of this report; or an unfinished one of an earlier report, as long as it shows no
    /// annotations: those cannot be taken back. A completed one is left alone when something new begins.
    async fn find_place(
        &self,
        app_id: u64,
        report: &CheckReport,
    ) -> Result<Option<Place>, GithubError> {
        let sha = segment(&report.head_sha);
        let path =
            format!("commits/{sha}/check-runs?check_name={CHECK_NAME}&filter=all&per_page=100");
        let answer: CheckRuns = self.read(&self.path(&path), Freshness::MayLag).await?;
        let mut runs = answer.check_runs;
        runs.retain(|run| run.app.as_ref().is_some_and(|app| app.id == app_id));
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        let shown = |run: &CheckRun| {
            run.output
                .as_ref()
                .map_or(0, |output| output.annotations_count)
        };
        let same = |run: &&CheckRun| run.external_id.as_deref() == Some(&report.external_id);
        let may_go_on = |run: &CheckRun| {
            (run.status != "completed" || report.state != CheckState::InProgress)
                && shown(run) <= report.annotations.len().min(ANNOTATIONS_LIMIT)
        };
        let place = match runs.iter().find(same) {
            Some(run) => may_go_on(run).then_some(run),
            None => runs
                .first()
                .filter(|run| run.status != "completed" && shown(run) == 0),
        };
        Ok(place.map(|run| Place {
            id: run.id,
            shown: shown(run),
        }))
    }

    async fn put_status(&self, report: &CheckReport) -> Result<(), GithubError> {
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
        let path = self.path(&format!("statuses/{}", segment(&report.head_sha)));
        // The newest status of a context counts, so a second one of the same is no harm.
        let _: serde::de::IgnoredAny = self.write(Method::POST, &path, &body, Repeat::Safe).await?;
        Ok(())
    }
}

fn check_run_body(report: &CheckReport, state: CheckState, batch: &[Annotation]) -> Value {
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
        "head_sha": report.head_sha,
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

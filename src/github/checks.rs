//! The one check run on a pull request's head, or the commit status that takes its place.

use super::check_report::{
    ANNOTATIONS_LIMIT, Annotation, CHECK_NAME, CheckReport, CheckState, check_run_body, status_body,
};
use super::client::{Access, GithubClient};
use super::error::GithubError;
use super::pulls::segment;
use super::requests::{Freshness, Repeat};
use http::Method;
use serde::Deserialize;
use serde_json::json;

/// The most annotations of one request.
const BATCH: usize = 50;
/// How often a report is tried when it is unknown whether a write was done.
const ATTEMPTS: usize = 3;

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
            let mut body = check_run_body(report, state, batch);
            let written: WithId = match id {
                Some(id) => {
                    let path = self.path(&format!("check-runs/{id}"));
                    self.write(Method::PATCH, &path, &body, Repeat::OnlyIfUndone)
                        .await?
                }
                None => {
                    let path = self.path("check-runs");
                    body["head_sha"] = json!(report.head_sha);
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
        let body = status_body(report);
        let path = self.path(&format!("statuses/{}", segment(&report.head_sha)));
        // The newest status of a context counts, so a second one of the same is no harm.
        let _: serde::de::IgnoredAny = self.write(Method::POST, &path, &body, Repeat::Safe).await?;
        Ok(())
    }
}

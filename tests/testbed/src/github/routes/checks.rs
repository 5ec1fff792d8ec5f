//! Check runs and commit statuses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::github::call::{Answer, Call, Outcome};
use crate::github::pull_shapes;
use crate::github::shapes::{self, api};
use crate::github::state::{Annotation, CheckRun, CommitStatus, Repository};

/// Characters of an output's summary and of its text.
const LONGEST_OUTPUT: usize = 65_535;
/// Annotations in one request; further ones are added by updates.
const MOST_ANNOTATIONS: usize = 50;
/// Statuses of one context on one commit.
const MOST_STATUSES: usize = 1000;

pub(super) fn create(call: &mut Call<'_>) -> Outcome {
    check_output(&call.body)?;
    let head_sha = call.text("head_sha").unwrap_or_default();
    if !is_commit(call.repository(), &head_sha) {
        return Err(Answer::refused(
            422,
            &format!("No commit found for SHA: {head_sha}"),
        ));
    }
    let now = call.state.tick_text();
    let mut run = CheckRun {
        id: call.state.next_id(),
        name: call.text("name").unwrap_or_default(),
        head_sha,
        status: "queued".to_owned(),
        conclusion: None,
        title: None,
        summary: None,
        text: None,
        details_url: None,
        external_id: None,
        started_at: Some(now.clone()),
        completed_at: None,
        annotations: Vec::new(),
        actions: Vec::new(),
    };
    apply(&mut run, &call.body, &now)?;
    let id = run.id;
    call.repository_mut().check_runs.insert(id, run);
    shown(call, id, 201)
}

pub(super) fn update(call: &mut Call<'_>) -> Outcome {
    check_output(&call.body)?;
    let id = call.number("check_run_id")?;
    let now = call.state.tick_text();
    let body = call.body.clone();
    let run = call
        .repository_mut()
        .check_runs
        .get_mut(&id)
        .ok_or_else(Answer::not_found)?;
    apply(run, &body, &now)?;
    shown(call, id, 200)
}

/// Sets what the body names. Annotations are added to those there are; a conclusion completes the run.
fn apply(run: &mut CheckRun, body: &Value, now: &str) -> Result<(), Answer> {
    let set = |field: &mut Option<String>, value: &Value| {
        if let Some(text) = value.as_str() {
            *field = Some(text.to_owned());
        }
    };
    if let Some(name) = body["name"].as_str() {
        name.clone_into(&mut run.name);
    }
    set(&mut run.details_url, &body["details_url"]);
    set(&mut run.external_id, &body["external_id"]);
    set(&mut run.started_at, &body["started_at"]);
    if let Some(status) = body["status"].as_str() {
        status.clone_into(&mut run.status);
        if status != "completed" {
            (run.conclusion, run.completed_at) = (None, None);
        }
    }
    if let Some(conclusion) = body["conclusion"].as_str() {
        run.conclusion = Some(conclusion.to_owned());
        run.status = "completed".to_owned();
        run.completed_at = Some(now.to_owned());
        set(&mut run.completed_at, &body["completed_at"]);
    }
    if run.status == "completed" && run.conclusion.is_none() {
        return Err(Answer::unprocessable(
            "CheckRun",
            "conclusion",
            "a completed check run needs a conclusion",
        ));
    }
    let output = &body["output"];
    set(&mut run.title, &output["title"]);
    set(&mut run.summary, &output["summary"]);
    set(&mut run.text, &output["text"]);
    run.annotations.extend(
        output["annotations"]
            .as_array()
            .into_iter()
            .flatten()
            .map(annotation),
    );
    if let Some(actions) = body["actions"].as_array() {
        run.actions.clone_from(actions);
    }
    Ok(())
}

fn annotation(value: &Value) -> Annotation {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let number = |key: &str| value[key].as_u64();
    Annotation {
        path: text("path").unwrap_or_default(),
        start_line: number("start_line").unwrap_or_default(),
        end_line: number("end_line").unwrap_or_default(),
        start_column: number("start_column"),
        end_column: number("end_column"),
        level: text("annotation_level").unwrap_or_default(),
        message: text("message").unwrap_or_default(),
        title: text("title"),
        raw_details: text("raw_details"),
    }
}

fn check_output(body: &Value) -> Result<(), Answer> {
    let output = &body["output"];
    for field in ["summary", "text"] {
        if output[field]
            .as_str()
            .is_some_and(|text| text.chars().count() > LONGEST_OUTPUT)
        {
            return Err(Answer::unprocessable(
                "CheckRun",
                field,
                &format!("{field} exceeds a maximum of {LONGEST_OUTPUT} characters"),
            ));
        }
    }
    let annotations = output["annotations"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if annotations.len() > MOST_ANNOTATIONS {
        return Err(Answer::unprocessable(
            "CheckRun",
            "annotations",
            "Annotations exceeds a maximum quantity of 50",
        ));
    }
    for one in annotations {
        let columns = !one["start_column"].is_null() || !one["end_column"].is_null();
        if one["start_line"].as_u64() > one["end_line"].as_u64() || one["start_line"] == 0 {
            return Err(Answer::unprocessable(
                "CheckRun",
                "annotations",
                "end_line must not lie before start_line, and lines count from 1",
            ));
        }
        if columns && one["start_line"] != one["end_line"] {
            return Err(Answer::unprocessable(
                "CheckRun",
                "annotations",
                "columns may be given only when both lines are the same",
            ));
        }
    }
    Ok(())
}

pub(super) fn get(call: &mut Call<'_>) -> Outcome {
    let id = call.number("check_run_id")?;
    shown(call, id, 200)
}

pub(super) fn annotations(call: &mut Call<'_>) -> Outcome {
    let id = call.number("check_run_id")?;
    let repository = call.repository();
    let run = repository
        .check_runs
        .get(&id)
        .ok_or_else(Answer::not_found)?;
    let items = run
        .annotations
        .iter()
        .map(|one| pull_shapes::annotation(repository, &run.head_sha, one))
        .collect();
    Ok(call.listed(items))
}

/// By default only the newest run of each name.
pub(super) fn of_commit(call: &mut Call<'_>) -> Outcome {
    let repository = call.repository();
    let sha = resolved(call)?;
    let mut runs: Vec<&CheckRun> = repository
        .check_runs
        .values()
        .rev()
        .filter(|run| run.head_sha == sha)
        .collect();
    if call
        .query
        .get("filter")
        .is_none_or(|filter| filter == "latest")
    {
        let mut seen = std::collections::BTreeSet::new();
        runs.retain(|run| seen.insert(&run.name));
    }
    runs.retain(|run| {
        call.query
            .get("check_name")
            .is_none_or(|name| *name == run.name)
    });
    runs.retain(|run| {
        call.query
            .get("status")
            .is_none_or(|status| *status == run.status)
    });
    runs.retain(|_| {
        call.query
            .get("app_id")
            .is_none_or(|id| *id == call.state.app.id.to_string())
    });
    let total = runs.len();
    let (runs, headers) = call.page(runs);
    let items: Vec<Value> = runs
        .into_iter()
        .map(|run| pull_shapes::check_run(call.state, repository, run))
        .collect();
    Ok(Answer {
        status: 200,
        body: json!({"total_count": total, "check_runs": items}),
        headers,
    })
}

pub(super) fn create_status(call: &mut Call<'_>) -> Outcome {
    let sha = call.parameter("sha").to_owned();
    if !is_commit(call.repository(), &sha) {
        return Err(Answer::refused(
            422,
            &format!("No commit found for SHA: {sha}"),
        ));
    }
    let creator = call.actor()?.login;
    let status = CommitStatus {
        id: call.state.next_id(),
        sha,
        state: call.text("state").unwrap_or_default(),
        context: call.text("context").unwrap_or_else(|| "default".to_owned()),
        description: call.text("description"),
        target_url: call.text("target_url").filter(|url| !url.is_empty()),
        created_at: call.state.tick_text(),
        creator,
    };
    if status
        .description
        .as_ref()
        .is_some_and(|text| text.chars().count() > 140)
    {
        return Err(Answer::unprocessable(
            "Status",
            "description",
            "description is too long (maximum is 140 characters)",
        ));
    }
    let same = |other: &&CommitStatus| other.sha == status.sha && other.context == status.context;
    if call.repository().statuses.iter().filter(same).count() >= MOST_STATUSES {
        return Err(Answer::unprocessable(
            "Status",
            "context",
            "This SHA and context has reached the maximum number of statuses.",
        ));
    }
    let body = pull_shapes::status(call.state, call.repository(), &status);
    call.repository_mut().statuses.push(status);
    Ok(Answer::with(201, body))
}

/// The newest status of each context, and what they come to.
pub(super) fn combined_status(call: &mut Call<'_>) -> Outcome {
    let sha = resolved(call)?;
    let repository = call.repository();
    let latest: BTreeMap<&str, &CommitStatus> = repository
        .statuses
        .iter()
        .filter(|status| status.sha == sha)
        .map(|status| (status.context.as_str(), status))
        .collect();
    let any = |states: &[&str]| {
        latest
            .values()
            .any(|status| states.contains(&status.state.as_str()))
    };
    let state = match () {
        () if any(&["failure", "error"]) => "failure",
        () if any(&["pending"]) || latest.is_empty() => "pending",
        () => "success",
    };
    let statuses: Vec<Value> = latest
        .values()
        .map(|status| {
            let mut value = pull_shapes::status(call.state, repository, status);
            value
                .as_object_mut()
                .expect("a status is an object")
                .remove("creator");
            value
        })
        .collect();
    let url = format!("{}/commits/{sha}", api(call.state, repository));
    Ok(Answer::ok(json!({
        "state": state, "statuses": statuses, "sha": sha, "total_count": latest.len(), "repository": shapes::repository(call.state, repository),
        "commit_url": url, "url": format!("{url}/status"),
    })))
}

fn resolved(call: &Call<'_>) -> Result<String, Answer> {
    let name = call.parameter("ref");
    call.git()
        .resolve(name, "commit")
        .ok_or_else(|| Answer::refused(422, &format!("No commit found for SHA: {name}")))
}

fn is_commit(repository: &Repository, sha: &str) -> bool {
    sha.len() == 40 && repository.git.resolve(sha, "commit").as_deref() == Some(sha)
}

fn shown(call: &Call<'_>, id: u64, status: u16) -> Outcome {
    let repository = call.repository();
    let run = repository
        .check_runs
        .get(&id)
        .ok_or_else(Answer::not_found)?;
    Ok(Answer::with(
        status,
        pull_shapes::check_run(call.state, repository, run),
    ))
}

//! Pull requests, their files and their checks in the form GitHub writes them.

use serde_json::{Value, json};

use super::history::ChangedFile;
use super::shapes::{api, app, association, known_user, node_id, over, page, repository};
use super::state::{Annotation, CheckRun, CommitStatus, Pull, Repository, State};

/// A pull request as lists show it.
pub(crate) fn simple_pull(state: &State, base: &Repository, pull: &Pull) -> Value {
    let (api, page, number) = (api(state, base), page(base), pull.number);
    let head = state.repository(&pull.head_repository);
    let author = known_user(state, &pull.author);
    let url = format!("{api}/pulls/{number}");
    let issue = format!("{api}/issues/{number}");
    let html = format!("{page}/pull/{number}");
    let statuses = format!("{api}/statuses/{}", pull.head_sha);
    let end = |side: &Repository, branch: &str, sha: &str| {
        json!({
            "label": format!("{}:{branch}", side.owner), "ref": branch, "sha": sha, "user": known_user(state, &side.owner),
            "repo": repository(state, side),
        })
    };
    json!({
        "url": url, "id": pull.id, "node_id": node_id("PullRequest", pull.id), "html_url": html, "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"), "issue_url": issue, "number": number, "state": if pull.open { "open" } else { "closed" },
        "locked": false, "title": pull.title, "user": author, "body": pull.body, "created_at": pull.created_at, "updated_at": pull.updated_at,
        "closed_at": pull.closed_at, "merged_at": pull.merged.as_ref().map(|merge| &merge.at), "merge_commit_sha": merge_commit(pull),
        "assignee": null, "assignees": [], "requested_reviewers": [], "requested_teams": [], "labels": [], "milestone": null, "draft": pull.draft,
        "commits_url": format!("{url}/commits"), "review_comments_url": format!("{url}/comments"),
        "review_comment_url": format!("{api}/pulls/comments{{/number}}"), "comments_url": format!("{issue}/comments"), "statuses_url": statuses,
        "head": end(head, &pull.head_branch, &pull.head_sha), "base": end(base, &pull.base, &pull.base_sha),
        "_links": {
            "self": {"href": url}, "html": {"href": html}, "issue": {"href": issue}, "comments": {"href": format!("{issue}/comments")},
            "review_comments": {"href": format!("{url}/comments")}, "review_comment": {"href": format!("{api}/pulls/comments{{/number}}")},
            "commits": {"href": format!("{url}/commits")}, "statuses": {"href": statuses},
        },
        "author_association": association(base, &pull.author), "auto_merge": null, "active_lock_reason": null,
    })
}

/// A pull request alone, with what is costly to find out.
pub(crate) fn full_pull(state: &State, base: &Repository, pull: &Pull) -> Value {
    let start = base.git.merge_base(&pull.base_sha, &pull.head_sha);
    let changes = start
        .as_ref()
        .map(|start| base.git.changes(start, &pull.head_sha))
        .unwrap_or_default();
    let range = format!("{}..{}", pull.base_sha, pull.head_sha);
    let mergeable = pull
        .open
        .then(|| base.git.can_merge(&pull.base_sha, &pull.head_sha));
    over(
        simple_pull(state, base, pull),
        json!({
            "merged": pull.merged.is_some(), "mergeable": mergeable, "rebaseable": mergeable,
            "mergeable_state": match mergeable { None => "unknown", Some(true) => "clean", Some(false) => "dirty" },
            "merged_by": pull.merged.as_ref().map(|merge| known_user(state, &merge.by)),
            "comments": base.comments.values().filter(|comment| comment.pull == pull.number).count(), "review_comments": 0,
            "maintainer_can_modify": pull.head_repository != base.full_name(), "commits": base.git.log(&[&range]).len(),
            "additions": changes.iter().map(|change| change.additions).sum::<u64>(),
            "deletions": changes.iter().map(|change| change.deletions).sum::<u64>(), "changed_files": changes.len(),
        }),
    )
}

/// The pull request as an issue, as `issue_comment` events carry it.
pub(crate) fn issue(state: &State, base: &Repository, pull: &Pull) -> Value {
    let (api, page, number) = (api(state, base), page(base), pull.number);
    let url = format!("{api}/issues/{number}");
    let html = format!("{page}/pull/{number}");
    let mut reactions = json!({"url": format!("{url}/reactions"), "total_count": 0});
    for content in [
        "+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes",
    ] {
        reactions[content] = json!(0);
    }
    json!({
        "url": url, "repository_url": api, "labels_url": format!("{url}/labels{{/name}}"), "comments_url": format!("{url}/comments"),
        "events_url": format!("{url}/events"), "html_url": html, "id": pull.id, "node_id": node_id("PullRequest", pull.id), "number": number,
        "title": pull.title, "user": known_user(state, &pull.author), "labels": [], "state": if pull.open { "open" } else { "closed" },
        "locked": false, "assignee": null, "assignees": [], "milestone": null,
        "comments": base.comments.values().filter(|comment| comment.pull == number).count(), "created_at": pull.created_at,
        "updated_at": pull.updated_at, "closed_at": pull.closed_at, "author_association": association(base, &pull.author),
        "active_lock_reason": null, "draft": pull.draft, "body": pull.body, "reactions": reactions, "state_reason": null,
        "timeline_url": format!("{url}/timeline"), "performed_via_github_app": null,
        "pull_request": {
            "url": format!("{api}/pulls/{number}"), "html_url": html, "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
            "merged_at": pull.merged.as_ref().map(|merge| &merge.at),
        },
    })
}

/// Before the merge GitHub shows the commit of a trial merge here; the double has none and says so.
fn merge_commit(pull: &Pull) -> Value {
    pull.merged
        .as_ref()
        .map_or(Value::Null, |merge| json!(merge.sha))
}

pub(crate) fn changed_file(
    state: &State,
    base: &Repository,
    head: &str,
    change: &ChangedFile,
) -> Value {
    let (api, page, path) = (api(state, base), page(base), escaped(&change.path));
    let mut value = json!({
        "sha": change.sha, "filename": change.path, "status": change.status, "additions": change.additions, "deletions": change.deletions,
        "changes": change.additions + change.deletions, "blob_url": format!("{page}/blob/{head}/{path}"),
        "raw_url": format!("{page}/raw/{head}/{path}"), "contents_url": format!("{api}/contents/{path}?ref={head}"),
    });
    if let Some(patch) = &change.patch {
        value["patch"] = json!(patch);
    }
    if let Some(previous) = &change.previous {
        value["previous_filename"] = json!(previous);
    }
    value
}

pub(crate) fn check_run(state: &State, base: &Repository, run: &CheckRun) -> Value {
    let (api, page, id) = (api(state, base), page(base), run.id);
    let url = format!("{api}/check-runs/{id}");
    let side = |repository: &Repository, branch: &str, sha: &str| {
        json!({
            "ref": branch, "sha": sha,
            "repo": {"id": repository.id, "url": format!("{}/repos/{}", state.api_url, repository.full_name()), "name": repository.name},
        })
    };
    // Empty for the head of a fork, as on GitHub.
    let pulls: Vec<Value> = base
        .pulls
        .values()
        .filter(|pull| pull.open && pull.head_sha == run.head_sha && pull.head_repository == base.full_name())
        .map(|pull| {
            json!({
                "url": format!("{api}/pulls/{}", pull.number), "id": pull.id, "number": pull.number,
                "head": side(base, &pull.head_branch, &pull.head_sha), "base": side(base, &pull.base, &pull.base_sha),
            })
        })
        .collect();
    json!({
        "id": id, "name": run.name, "node_id": node_id("CheckRun", id), "head_sha": run.head_sha,
        "external_id": run.external_id.as_deref().unwrap_or_default(), "url": url, "html_url": format!("{page}/runs/{id}"),
        "details_url": run.details_url.as_deref().unwrap_or("https://example.com/"), "status": run.status, "conclusion": run.conclusion,
        "started_at": run.started_at, "completed_at": run.completed_at,
        "output": {
            "title": run.title, "summary": run.summary, "text": run.text, "annotations_count": run.annotations.len(),
            "annotations_url": format!("{url}/annotations"),
        },
        "check_suite": {"id": base.id + 1}, "app": app(state), "pull_requests": pulls,
    })
}

pub(crate) fn annotation(base: &Repository, head: &str, one: &Annotation) -> Value {
    json!({
        "path": one.path, "blob_href": format!("{}/blob/{head}/{}", page(base), escaped(&one.path)), "start_line": one.start_line,
        "end_line": one.end_line, "start_column": one.start_column, "end_column": one.end_column, "annotation_level": one.level,
        "title": one.title, "message": one.message, "raw_details": one.raw_details,
    })
}

pub(crate) fn status(state: &State, base: &Repository, status: &CommitStatus) -> Value {
    let creator = known_user(state, &status.creator);
    json!({
        "url": format!("{}/statuses/{}", api(state, base), status.sha), "avatar_url": creator["avatar_url"], "id": status.id,
        "node_id": node_id("StatusContext", status.id), "state": status.state, "description": status.description,
        "target_url": status.target_url, "context": status.context, "created_at": status.created_at, "updated_at": status.created_at,
        "creator": creator,
    })
}

/// A file's path as a part of an address.
pub(crate) fn escaped(path: &str) -> String {
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| {
            url::form_urlencoded::byte_serialize(segment.as_bytes())
                .collect::<String>()
                .replace('+', "%20")
        })
        .collect();
    segments.join("/")
}

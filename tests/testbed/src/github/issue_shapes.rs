//! Issues that are no pull requests, in the form GitHub writes them.

use serde_json::{Value, json};

use super::shapes::{api, app, association, known_user, node_id, page};
use super::state::{Issue, Repository, State};

/// An issue, alone or in a list.
pub(crate) fn issue(state: &State, repository: &Repository, issue: &Issue) -> Value {
    let (api, number) = (api(state, repository), issue.number);
    let url = format!("{api}/issues/{number}");
    let mut reactions = json!({"url": format!("{url}/reactions"), "total_count": 0});
    for content in [
        "+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes",
    ] {
        reactions[content] = json!(0);
    }
    json!({
        "url": url, "repository_url": api, "labels_url": format!("{url}/labels{{/name}}"), "comments_url": format!("{url}/comments"),
        "events_url": format!("{url}/events"), "html_url": format!("{}/issues/{number}", page(repository)), "id": issue.id,
        "node_id": node_id("Issue", issue.id), "number": number, "title": issue.title, "user": known_user(state, &issue.author), "labels": [],
        "state": if issue.open { "open" } else { "closed" }, "state_reason": issue.state_reason, "locked": false, "assignee": null,
        "assignees": [], "milestone": null, "comments": 0, "created_at": issue.created_at, "updated_at": issue.updated_at,
        "closed_at": issue.closed_at, "closed_by": null, "author_association": association(repository, &issue.author),
        "active_lock_reason": null, "body": issue.body, "reactions": reactions, "timeline_url": format!("{url}/timeline"),
        "performed_via_github_app": if issue.by_app { app(state) } else { Value::Null },
    })
}

//! Pull requests, to read: people make them, through the double's own methods.

use serde_json::Value;

use crate::github::call::{Answer, Call, Outcome};
use crate::github::pull_shapes::{changed_file, full_pull, simple_pull};
use crate::github::state::Pull;

/// GitHub lists no more files of a pull request than these.
const MOST_FILES: usize = 3000;

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let repository = call.repository();
    let state = call.query.get("state").map_or("open", String::as_str);
    let wanted = |pull: &&Pull| {
        let right_state = state == "all" || pull.open == (state == "open");
        let right_base = call.query.get("base").is_none_or(|base| *base == pull.base);
        let owner = pull.head_repository.split('/').next().unwrap_or_default();
        let right_head = call
            .query
            .get("head")
            .is_none_or(|head| *head == format!("{owner}:{}", pull.head_branch));
        right_state && right_base && right_head
    };
    let mut pulls: Vec<&Pull> = repository.pulls.values().filter(wanted).collect();
    if call.query.get("sort").is_some_and(|sort| sort == "updated") {
        pulls.sort_by_key(|pull| &pull.updated_at);
    }
    if call
        .query
        .get("direction")
        .is_none_or(|direction| direction == "desc")
    {
        pulls.reverse();
    }
    let items = pulls
        .into_iter()
        .map(|pull| simple_pull(call.state, repository, pull))
        .collect();
    Ok(call.listed(items))
}

pub(super) fn get(call: &mut Call<'_>) -> Outcome {
    let pull = known(call)?;
    Ok(Answer::ok(full_pull(call.state, call.repository(), pull)))
}

pub(super) fn files(call: &mut Call<'_>) -> Outcome {
    let (repository, pull) = (call.repository(), known(call)?);
    let start = repository
        .git
        .merge_base(&pull.base_sha, &pull.head_sha)
        .ok_or_else(Answer::not_found)?;
    let changes = repository.git.changes(&start, &pull.head_sha);
    let items: Vec<Value> = changes
        .iter()
        .take(MOST_FILES)
        .map(|change| changed_file(call.state, repository, &pull.head_sha, change))
        .collect();
    Ok(call.listed(items))
}

/// The pull requests that brought a commit: by its merge, or as their head.
pub(super) fn of_commit(call: &mut Call<'_>) -> Outcome {
    let repository = call.repository();
    let sha = repository
        .git
        .resolve(call.parameter("commit_sha"), "commit")
        .ok_or_else(Answer::not_found)?;
    let brought = |pull: &&Pull| {
        let merged_here = pull.merged.as_ref().is_some_and(|merge| merge.sha == sha);
        let range = format!("{}..{}", pull.base_sha, pull.head_sha);
        merged_here
            || repository
                .git
                .log(&[&range])
                .iter()
                .any(|commit| commit.sha == sha)
    };
    let items = repository
        .pulls
        .values()
        .filter(brought)
        .map(|pull| simple_pull(call.state, repository, pull))
        .collect();
    Ok(call.listed(items))
}

fn known<'a>(call: &'a Call<'_>) -> Result<&'a Pull, Answer> {
    let number = call.number("pull_number")?;
    call.repository()
        .pulls
        .get(&number)
        .ok_or_else(Answer::not_found)
}

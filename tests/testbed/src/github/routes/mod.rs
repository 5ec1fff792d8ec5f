//! The operations the double offers: one table for the router, the rights and the contract.
//!
//! Deliberately absent: everything a bot for pull requests has no business with. An operation that is not in the table
//! is answered 404 and counts as a violation, so a bot that starts to use it is noticed.

mod apps;
mod checks;
mod comments;
mod git;
mod issues;
mod pulls;
mod setup;

use std::collections::BTreeMap;

use super::auth::{Access, Level};
use super::call::{Call, Outcome};

/// One operation of GitHub's interface.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    /// As GitHub's description writes it.
    pub(crate) template: &'static str,
    pub(crate) access: Access,
    pub(crate) run: fn(&mut Call<'_>) -> Outcome,
}

impl Operation {
    /// `get /repos/{owner}/{repo}`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }
}

const CONTENTS: &[&str] = &["contents"];
const PULLS: &[&str] = &["pull_requests"];
const ISSUES: &[&str] = &["issues"];
const TALK: &[&str] = &["issues", "pull_requests"];
const METADATA: &[&str] = &["metadata"];
const CHECKS: &[&str] = &["checks"];
const STATUSES: &[&str] = &["statuses"];

const fn operation(
    method: &'static str,
    template: &'static str,
    access: Access,
    run: fn(&mut Call<'_>) -> Outcome,
) -> Operation {
    Operation {
        method,
        template,
        access,
        run,
    }
}

const fn read(permissions: &'static [&'static str]) -> Access {
    Access::Repository(permissions, Level::Read)
}

const fn write(permissions: &'static [&'static str]) -> Access {
    Access::Repository(permissions, Level::Write)
}

/// Every operation.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().chain(setup::OPERATIONS)
}

/// What the bot works with.
static OPERATIONS: &[Operation] = &[
    operation("get", "/app", Access::App, apps::app),
    operation("get", "/app/hook/deliveries", Access::App, apps::deliveries),
    operation(
        "get",
        "/app/hook/deliveries/{delivery_id}",
        Access::App,
        apps::delivery,
    ),
    operation(
        "post",
        "/app/hook/deliveries/{delivery_id}/attempts",
        Access::App,
        apps::redeliver,
    ),
    operation(
        "get",
        "/app/installations",
        Access::App,
        apps::installations,
    ),
    operation(
        "get",
        "/app/installations/{installation_id}",
        Access::App,
        apps::installation,
    ),
    operation(
        "post",
        "/app/installations/{installation_id}/access_tokens",
        Access::App,
        apps::create_token,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/installation",
        Access::App,
        apps::repository_installation,
    ),
    operation("get", "/meta", Access::Anyone, apps::meta),
    operation("get", "/rate_limit", Access::Anyone, apps::rate_limit),
    operation("get", "/user", Access::Anyone, apps::current_user),
    operation(
        "get",
        "/user/{account_id}",
        Access::Anyone,
        apps::user_by_id,
    ),
    operation(
        "get",
        "/users/{username}",
        Access::Anyone,
        apps::user_by_login,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}",
        read(METADATA),
        apps::repository,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/collaborators/{username}/permission",
        read(METADATA),
        apps::permission,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/git/commits/{commit_sha}",
        read(CONTENTS),
        git::git_commit,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/git/trees/{tree_sha}",
        read(CONTENTS),
        git::tree,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/git/blobs/{file_sha}",
        read(CONTENTS),
        git::blob,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/git/ref/{ref}",
        read(CONTENTS),
        git::reference,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/contents/{path}",
        read(CONTENTS),
        git::contents,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/branches/{branch}",
        read(CONTENTS),
        git::branch,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/compare/{basehead}",
        read(CONTENTS),
        git::compare,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/commits",
        read(CONTENTS),
        git::commits,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/commits/{ref}",
        read(CONTENTS),
        git::commit,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/commits/{commit_sha}/pulls",
        read(PULLS),
        pulls::of_commit,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/pulls",
        read(PULLS),
        pulls::list,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/pulls/{pull_number}",
        read(PULLS),
        pulls::get,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/pulls/{pull_number}/files",
        read(PULLS),
        pulls::files,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/issues",
        read(ISSUES),
        issues::list,
    ),
    operation(
        "post",
        "/repos/{owner}/{repo}/issues",
        write(ISSUES),
        issues::create,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/issues/{issue_number}",
        read(ISSUES),
        issues::get,
    ),
    operation(
        "patch",
        "/repos/{owner}/{repo}/issues/{issue_number}",
        write(ISSUES),
        issues::update,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/issues/{issue_number}/comments",
        read(TALK),
        comments::list,
    ),
    operation(
        "post",
        "/repos/{owner}/{repo}/issues/{issue_number}/comments",
        write(TALK),
        comments::create,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}",
        read(TALK),
        comments::get,
    ),
    operation(
        "patch",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}",
        write(TALK),
        comments::update,
    ),
    operation(
        "delete",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}",
        write(TALK),
        comments::delete,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
        read(TALK),
        comments::reactions,
    ),
    operation(
        "post",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
        write(TALK),
        comments::react,
    ),
    operation(
        "post",
        "/repos/{owner}/{repo}/check-runs",
        write(CHECKS),
        checks::create,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/check-runs/{check_run_id}",
        read(CHECKS),
        checks::get,
    ),
    operation(
        "patch",
        "/repos/{owner}/{repo}/check-runs/{check_run_id}",
        write(CHECKS),
        checks::update,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations",
        read(CHECKS),
        checks::annotations,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/commits/{ref}/check-runs",
        read(CHECKS),
        checks::of_commit,
    ),
    operation(
        "post",
        "/repos/{owner}/{repo}/statuses/{sha}",
        write(STATUSES),
        checks::create_status,
    ),
    operation(
        "get",
        "/repos/{owner}/{repo}/commits/{ref}/status",
        read(STATUSES),
        checks::combined_status,
    ),
];

/// These parameters take everything up to the next fixed part, slashes too.
const GREEDY: &[&str] = &["ref", "path", "branch", "basehead"];

/// The operation a request means, with its path's parameters decoded. Of several, the one with most fixed parts.
pub(crate) fn find(
    method: &str,
    path: &str,
) -> Option<(&'static Operation, BTreeMap<String, String>)> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    operations()
        .filter(|operation| operation.method.eq_ignore_ascii_case(method))
        .filter_map(|operation| {
            let template: Vec<&str> = operation
                .template
                .trim_start_matches('/')
                .split('/')
                .collect();
            matched(&template, &segments).map(|parameters| (operation, parameters))
        })
        .max_by_key(|(operation, _)| {
            operation
                .template
                .split('/')
                .filter(|part| !part.starts_with('{'))
                .count()
        })
}

fn matched(template: &[&str], segments: &[&str]) -> Option<BTreeMap<String, String>> {
    let Some((part, rest)) = template.split_first() else {
        return segments.is_empty().then(BTreeMap::new);
    };
    let Some(name) = part
        .strip_prefix('{')
        .and_then(|part| part.strip_suffix('}'))
    else {
        return (segments.first() == Some(part)).then(|| matched(rest, &segments[1..]))?;
    };
    let longest = if GREEDY.contains(&name) {
        segments.len()
    } else {
        1
    };
    (1..=longest.min(segments.len())).rev().find_map(|taken| {
        let mut parameters = matched(rest, &segments[taken..])?;
        let value = decoded(&segments[..taken].join("/"));
        (!value.is_empty()).then(|| parameters.insert(name.to_owned(), value))?;
        Some(parameters)
    })
}

/// Percent-decoding of a path; `+` stands for itself there.
fn decoded(text: &str) -> String {
    let bytes = text.replace('+', "%2B");
    url::form_urlencoded::parse(format!("x={}", bytes.replace('&', "%26")).as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect()
}

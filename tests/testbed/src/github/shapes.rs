//! Accounts, repositories, Apps, commits and comments in the form GitHub writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::git::Identity;
use super::history::Commit;
use super::state::{Comment, Permission, Repository, State, User};

const SITE: &str = "https://github.com";

/// The opaque ids of GitHub's GraphQL.
pub(crate) fn node_id(kind: &str, id: impl std::fmt::Display) -> String {
    STANDARD.encode(format!("{kind}:{id}"))
}

/// The page of a repository on the site.
pub(crate) fn page(repository: &Repository) -> String {
    format!("{SITE}/{}", repository.full_name())
}

/// The address of a repository in the interface.
pub(crate) fn api(state: &State, repository: &Repository) -> String {
    format!("{}/repos/{}", state.api_url, repository.full_name())
}

pub(crate) fn user(state: &State, user: &User) -> Value {
    let (login, id) = (&user.login, user.id);
    let url = format!(
        "{}/users/{}",
        state.api_url,
        login.replace('[', "%5B").replace(']', "%5D")
    );
    json!({
        "login": login, "id": id, "node_id": node_id("User", id),
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"), "gravatar_id": "",
        "url": url, "html_url": format!("{SITE}/{}", login.trim_end_matches("[bot]")),
        "followers_url": format!("{url}/followers"), "following_url": format!("{url}/following{{/other_user}}"),
        "gists_url": format!("{url}/gists{{/gist_id}}"), "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"), "organizations_url": format!("{url}/orgs"),
        "repos_url": format!("{url}/repos"), "events_url": format!("{url}/events{{/privacy}}"),
        "received_events_url": format!("{url}/received_events"), "type": user.kind, "site_admin": false,
    })
}

pub(crate) fn known_user(state: &State, login: &str) -> Value {
    user(state, &state.known_user(login))
}

/// What `GET /user/{id}` tells everybody.
pub(crate) fn public_user(state: &State, account: &User) -> Value {
    let created =
        crate::support::timestamp(time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(16_000));
    over(
        user(state, account),
        json!({
            "name": account.login, "company": null, "blog": "", "location": null, "email": null, "hireable": null, "bio": null,
            "twitter_username": null, "public_repos": 1, "public_gists": 0, "followers": 0, "following": 0,
            "created_at": created, "updated_at": created, "user_view_type": "public",
        }),
    )
}

pub(crate) fn repository(state: &State, repository: &Repository) -> Value {
    let (api, page, full_name) = (
        api(state, repository),
        page(repository),
        repository.full_name(),
    );
    let ssh = state.ssh_base.as_ref().map_or_else(
        || format!("git@github.com:{full_name}.git"),
        |base| format!("{base}/{full_name}.git"),
    );
    let forks = state
        .repositories
        .values()
        .filter(|other| other.parent.as_ref() == Some(&full_name))
        .count();
    let open = repository.pulls.values().filter(|pull| pull.open).count();
    let plain = [
        "forks",
        "teams",
        "hooks",
        "events",
        "tags",
        "languages",
        "stargazers",
        "contributors",
        "subscribers",
        "subscription",
        "merges",
        "downloads",
        "deployments",
    ];
    let templates = [
        ("keys", "keys{/key_id}"),
        ("collaborators", "collaborators{/collaborator}"),
        ("issue_events", "issues/events{/number}"),
        ("assignees", "assignees{/user}"),
        ("branches", "branches{/branch}"),
        ("blobs", "git/blobs{/sha}"),
        ("git_tags", "git/tags{/sha}"),
        ("git_refs", "git/refs{/sha}"),
        ("trees", "git/trees{/sha}"),
        ("statuses", "statuses/{sha}"),
        ("commits", "commits{/sha}"),
        ("git_commits", "git/commits{/sha}"),
        ("comments", "comments{/number}"),
        ("issue_comment", "issues/comments{/number}"),
        ("contents", "contents/{+path}"),
        ("compare", "compare/{base}...{head}"),
        ("archive", "{archive_format}{/ref}"),
        ("issues", "issues{/number}"),
        ("pulls", "pulls{/number}"),
        ("milestones", "milestones{/number}"),
        ("notifications", "notifications{?since,all,participating}"),
        ("labels", "labels{/name}"),
        ("releases", "releases{/id}"),
    ];
    let mut value = json!({
        "id": repository.id, "node_id": node_id("Repository", repository.id), "name": repository.name, "full_name": full_name,
        "private": repository.private, "visibility": if repository.private { "private" } else { "public" },
        "owner": known_user(state, &repository.owner), "html_url": page, "description": null, "fork": repository.parent.is_some(), "url": api,
        "created_at": repository.created_at, "updated_at": repository.pushed_at, "pushed_at": repository.pushed_at,
        "git_url": format!("git://github.com/{full_name}.git"), "ssh_url": ssh, "clone_url": format!("{page}.git"), "svn_url": page,
        "homepage": null, "size": 1, "stargazers_count": 0, "watchers_count": 0, "language": null, "has_issues": true, "has_projects": true,
        "has_downloads": true, "has_wiki": true, "has_pages": false, "has_discussions": false, "forks_count": forks, "mirror_url": null,
        "archived": false, "disabled": false, "open_issues_count": open, "license": null, "allow_forking": true, "is_template": false,
        "web_commit_signoff_required": false, "topics": [], "forks": forks, "open_issues": open, "watchers": 0,
        "default_branch": repository.default_branch,
    });
    for name in plain {
        value[format!("{name}_url")] = json!(format!("{api}/{name}"));
    }
    for (name, template) in templates {
        value[format!("{name}_url")] = json!(format!("{api}/{template}"));
    }
    value
}

pub(crate) fn full_repository(state: &State, one: &Repository) -> Value {
    over(
        repository(state, one),
        json!({"network_count": 0, "subscribers_count": 0, "temp_clone_token": null}),
    )
}

pub(crate) fn permission(state: &State, account: &User, permission: Permission) -> Value {
    let at_least = |least: Permission| permission >= least;
    let rights = json!({
        "admin": at_least(Permission::Admin), "maintain": at_least(Permission::Maintain), "push": at_least(Permission::Write),
        "triage": at_least(Permission::Triage), "pull": at_least(Permission::Read),
    });
    json!({
        "permission": permission.legacy(), "role_name": permission.role(),
        "user": over(user(state, account), json!({"permissions": rights, "role_name": permission.role()})),
    })
}

pub(crate) fn app(state: &State) -> Value {
    let app = &state.app;
    json!({
        "id": app.id, "slug": app.slug, "node_id": node_id("Integration", app.id), "client_id": format!("Iv1.{:016x}", app.id),
        "owner": known_user(state, &app.owner), "name": app.slug, "description": null, "external_url": "https://example.com/",
        "html_url": format!("{SITE}/apps/{}", app.slug), "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
        "permissions": app.permissions, "events": EVENTS,
    })
}

/// What the App is told of.
pub(crate) const EVENTS: [&str; 3] = ["issue_comment", "pull_request", "push"];

pub(crate) fn installation(state: &State) -> Value {
    let (app, id) = (&state.app, state.app.installation_id);
    let account = state.known_user(&app.owner);
    json!({
        "id": id, "account": user(state, &account), "app_id": app.id, "app_slug": app.slug, "target_id": account.id, "target_type": account.kind,
        "repository_selection": "selected", "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", state.api_url),
        "repositories_url": format!("{}/installation/repositories", state.api_url), "html_url": format!("{SITE}/settings/installations/{id}"),
        "permissions": app.permissions, "events": EVENTS, "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
        "single_file_name": null, "has_multiple_single_files": false, "single_file_paths": [], "suspended_by": null, "suspended_at": null,
    })
}

pub(crate) fn comment(state: &State, repository: &Repository, comment: &Comment) -> Value {
    let (api, id) = (api(state, repository), comment.id);
    let url = format!("{api}/issues/comments/{id}");
    let mut reactions =
        json!({"url": format!("{url}/reactions"), "total_count": comment.reactions.len()});
    for content in [
        "+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes",
    ] {
        reactions[content] = json!(
            comment
                .reactions
                .iter()
                .filter(|(_, given)| given == content)
                .count()
        );
    }
    json!({
        "url": url, "html_url": format!("{}/pull/{}#issuecomment-{id}", page(repository), comment.pull),
        "issue_url": format!("{api}/issues/{}", comment.pull), "id": id, "node_id": node_id("IssueComment", id),
        "user": known_user(state, &comment.author), "created_at": comment.created_at, "updated_at": comment.updated_at,
        "author_association": association(repository, &comment.author), "body": comment.body, "reactions": reactions,
        "performed_via_github_app": if comment.by_app { app(state) } else { Value::Null },
    })
}

pub(crate) fn association(repository: &Repository, login: &str) -> &'static str {
    let named = repository
        .permissions
        .get(login)
        .copied()
        .unwrap_or(Permission::None);
    match (login == repository.owner, named) {
        (true, _) => "OWNER",
        (false, Permission::None | Permission::Read) => "NONE",
        (false, _) => "COLLABORATOR",
    }
}

fn signed(who: &Identity, date: &str) -> Value {
    json!({"name": who.name, "email": who.email, "date": date})
}

fn unverified() -> Value {
    json!({"verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null})
}

/// The answer of the git database.
pub(crate) fn git_commit(state: &State, repository: &Repository, commit: &Commit) -> Value {
    let (api, page, sha) = (api(state, repository), page(repository), &commit.sha);
    let parents: Vec<Value> = commit
        .parents
        .iter()
        .map(|parent| json!({"sha": parent, "url": format!("{api}/git/commits/{parent}"), "html_url": format!("{page}/commit/{parent}")}))
        .collect();
    json!({
        "sha": sha, "node_id": node_id("Commit", sha), "url": format!("{api}/git/commits/{sha}"), "html_url": format!("{page}/commit/{sha}"),
        "author": signed(&commit.author, &commit.author_date), "committer": signed(&commit.committer, &commit.committer_date),
        "tree": {"sha": commit.tree, "url": format!("{api}/git/trees/{}", commit.tree)}, "message": commit.message, "parents": parents,
        "verification": unverified(),
    })
}

/// The answer of the list of commits.
pub(crate) fn commit(state: &State, repository: &Repository, commit: &Commit) -> Value {
    let (api, page, sha) = (api(state, repository), page(repository), &commit.sha);
    let parents: Vec<Value> = commit
        .parents
        .iter()
        .map(|parent| json!({"sha": parent, "url": format!("{api}/commits/{parent}"), "html_url": format!("{page}/commit/{parent}")}))
        .collect();
    let account = |who: &Identity| {
        state
            .users
            .get(&who.name)
            .map_or(Value::Null, |account| user(state, account))
    };
    json!({
        "sha": sha, "node_id": node_id("Commit", sha), "url": format!("{api}/commits/{sha}"), "html_url": format!("{page}/commit/{sha}"),
        "comments_url": format!("{api}/commits/{sha}/comments"), "author": account(&commit.author), "committer": account(&commit.committer),
        "commit": {
            "url": format!("{api}/git/commits/{sha}"), "message": commit.message, "comment_count": 0,
            "author": signed(&commit.author, &commit.author_date), "committer": signed(&commit.committer, &commit.committer_date),
            "tree": {"sha": commit.tree, "url": format!("{api}/git/trees/{}", commit.tree)}, "verification": unverified(),
        },
        "parents": parents,
    })
}

/// `base` with the keys of `more` set over it.
pub(crate) fn over(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}

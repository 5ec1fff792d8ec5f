//! The git database, files and commits, answered from the bare repository.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::github::call::{Answer, Call, Outcome};
use crate::github::git::BareRepository;
use crate::github::pull_shapes::{changed_file, escaped};
use crate::github::shapes::{self, api, node_id, over, page};

/// The id of the tree without entries, which every git knows.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

pub(super) fn git_commit(call: &mut Call<'_>) -> Outcome {
    let sha = full_id(call.parameter("commit_sha"))?;
    let commit = call.git().commit_info(sha).ok_or_else(Answer::not_found)?;
    Ok(Answer::ok(shapes::git_commit(
        call.state,
        call.repository(),
        &commit,
    )))
}

/// A tree by its own id, or by a commit or branch whose tree it is.
pub(super) fn tree(call: &mut Call<'_>) -> Outcome {
    let git = call.git();
    let sha = git
        .resolve(call.parameter("tree_sha"), "tree")
        .ok_or_else(Answer::not_found)?;
    // Any value asks for everything below, "0" and "false" too.
    let recursive = call.query.contains_key("recursive");
    let api = api(call.state, call.repository());
    let entries: Vec<Value> = git
        .tree(&sha, recursive)
        .into_iter()
        .map(|entry| {
            let folder = match entry.kind.as_str() {
                "blob" => Some("blobs"),
                "tree" => Some("trees"),
                _ => None,
            };
            let mut value = json!({"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha});
            if let Some(size) = entry.size {
                value["size"] = json!(size);
            }
            if let Some(folder) = folder {
                value["url"] = json!(format!("{api}/git/{folder}/{}", entry.sha));
            }
            value
        })
        .collect();
    Ok(Answer::ok(
        json!({"sha": sha, "url": format!("{api}/git/trees/{sha}"), "tree": entries, "truncated": false}),
    ))
}

pub(super) fn blob(call: &mut Call<'_>) -> Outcome {
    let sha = full_id(call.parameter("file_sha"))?;
    let content = call.git().blob(sha).ok_or_else(Answer::not_found)?;
    let url = format!("{}/git/blobs/{sha}", api(call.state, call.repository()));
    Ok(Answer::ok(json!({
        "sha": sha, "node_id": node_id("Blob", sha), "size": content.len(), "url": url, "content": lines_of_base64(&content), "encoding": "base64",
    })))
}

pub(super) fn reference(call: &mut Call<'_>) -> Outcome {
    let name = call.parameter("ref");
    let full = format!("refs/{name}");
    let sha = call
        .git()
        .resolve(&full, "commit")
        .ok_or_else(Answer::not_found)?;
    let api = api(call.state, call.repository());
    Ok(Answer::ok(json!({
        "ref": full, "node_id": node_id("Ref", name), "url": format!("{api}/git/{full}"),
        "object": {"sha": sha, "type": "commit", "url": format!("{api}/git/commits/{sha}")},
    })))
}

pub(super) fn contents(call: &mut Call<'_>) -> Outcome {
    let git = call.git();
    let revision = call
        .query
        .get("ref")
        .cloned()
        .unwrap_or_else(|| call.repository().default_branch.clone());
    let commit = git
        .resolve(&revision, "commit")
        .ok_or_else(|| Answer::refused(404, &format!("No commit found for the ref {revision}")))?;
    let path = call.parameter("path").trim_matches('/').to_owned();
    let (kind, blob) = git.at_path(&commit, &path).ok_or_else(Answer::not_found)?;
    if kind == "tree" {
        return Ok(Answer::ok(directory(call, &git, &blob, &path, &revision)));
    }
    let content = git.blob(&blob).ok_or_else(Answer::not_found)?;
    let described = entry(call, "file", &path, &blob, content.len(), &revision);
    Ok(Answer::ok(over(
        described,
        json!({"content": lines_of_base64(&content), "encoding": "base64"}),
    )))
}

fn directory(
    call: &Call<'_>,
    git: &BareRepository,
    tree: &str,
    path: &str,
    revision: &str,
) -> Value {
    let entries = git.tree(tree, false).into_iter().map(|one| {
        let kind = match (one.kind.as_str(), one.mode.as_str()) {
            ("tree", _) => "dir",
            ("commit", _) => "submodule",
            (_, "120000") => "symlink",
            _ => "file",
        };
        let size = usize::try_from(one.size.unwrap_or(0)).unwrap_or(usize::MAX);
        entry(
            call,
            kind,
            &format!("{path}/{}", one.path),
            &one.sha,
            size,
            revision,
        )
    });
    entries.collect()
}

fn entry(call: &Call<'_>, kind: &str, path: &str, sha: &str, size: usize, revision: &str) -> Value {
    let (api, page) = (api(call.state, call.repository()), page(call.repository()));
    let escaped_path = escaped(path);
    let own = format!("{api}/contents/{escaped_path}?ref={}", escaped(revision));
    let git = format!(
        "{api}/git/{}/{sha}",
        if kind == "dir" { "trees" } else { "blobs" }
    );
    let html = format!("{page}/blob/{}/{escaped_path}", escaped(revision));
    let download = format!(
        "https://raw.githubusercontent.com/{}/{}/{escaped_path}",
        call.repository_name(),
        escaped(revision)
    );
    json!({
        "name": path.rsplit('/').next(), "path": path, "sha": sha, "size": size, "url": own, "html_url": html, "git_url": git,
        "download_url": if kind == "file" { json!(download) } else { Value::Null }, "type": kind,
        "_links": {"self": own, "git": git, "html": html},
    })
}

pub(super) fn commits(call: &mut Call<'_>) -> Outcome {
    let git = call.git();
    let start = call
        .query
        .get("sha")
        .cloned()
        .unwrap_or_else(|| call.repository().default_branch.clone());
    let sha = git
        .resolve(&start, "commit")
        .ok_or_else(Answer::not_found)?;
    let mut arguments = vec![sha.as_str()];
    let path = call.query.get("path").cloned();
    if let Some(path) = &path {
        arguments.extend(["--", path]);
    }
    let items = git
        .log(&arguments)
        .iter()
        .map(|commit| shapes::commit(call.state, call.repository(), commit))
        .collect();
    Ok(call.listed(items))
}

pub(super) fn commit(call: &mut Call<'_>) -> Outcome {
    let git = call.git();
    let name = call.parameter("ref");
    let unknown = || Answer::refused(422, &format!("No commit found for SHA: {name}"));
    let commit = git.commit_info(name).ok_or_else(unknown)?;
    let from = commit.parents.first().map_or(EMPTY_TREE, String::as_str);
    let changes = git.changes(from, &commit.sha);
    let (additions, deletions) = changes.iter().fold((0, 0), |(added, gone), change| {
        (added + change.additions, gone + change.deletions)
    });
    let repository = call.repository();
    let files: Vec<Value> = changes
        .iter()
        .map(|change| changed_file(call.state, repository, &commit.sha, change))
        .collect();
    Ok(Answer::ok(over(
        shapes::commit(call.state, repository, &commit),
        json!({"stats": {"total": additions + deletions, "additions": additions, "deletions": deletions}, "files": files}),
    )))
}

pub(super) fn branch(call: &mut Call<'_>) -> Outcome {
    let name = call.parameter("branch");
    let git = call.git();
    let head = git.head(name).and_then(|sha| git.commit_info(&sha));
    let head = head.ok_or_else(|| Answer::refused(404, "Branch not found"))?;
    let repository = call.repository();
    let url = format!("{}/branches/{}", api(call.state, repository), escaped(name));
    Ok(Answer::ok(json!({
        "name": name, "commit": shapes::commit(call.state, repository, &head), "protected": false,
        "protection": {"enabled": false}, "protection_url": format!("{url}/protection"),
        "_links": {"self": url, "html": format!("{}/tree/{}", page(repository), escaped(name))},
    })))
}

/// `base...head`: what `head` has since both parted. Only the commits come in pages; the files are on the first.
pub(super) fn compare(call: &mut Call<'_>) -> Outcome {
    let both = call
        .parameter("basehead")
        .split_once("...")
        .ok_or_else(Answer::not_found)?;
    let git = call.git();
    let known = |name: &str| git.commit_info(name).ok_or_else(Answer::not_found);
    let (base, head) = (known(both.0)?, known(both.1)?);
    let start = git
        .merge_base(&base.sha, &head.sha)
        .ok_or_else(Answer::not_found)?;
    let start = known(&start)?;
    let repository = call.repository();
    let mut ahead = git.log(&[&format!("{}..{}", base.sha, head.sha)]);
    ahead.reverse();
    let (ahead_by, behind_by) = (
        ahead.len(),
        git.log(&[&format!("{}..{}", head.sha, base.sha)]).len(),
    );
    let status = match (ahead_by, behind_by) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let first_page = call.query.get("page").is_none_or(|page| page == "1");
    let files: Vec<Value> = git
        .changes(&start.sha, &head.sha)
        .iter()
        .filter(|_| first_page)
        .map(|change| changed_file(call.state, repository, &head.sha, change))
        .collect();
    let (commits, headers) = call.page(ahead);
    let shown = |commit| shapes::commit(call.state, repository, commit);
    let html = format!(
        "{}/compare/{}...{}",
        page(repository),
        escaped(both.0),
        escaped(both.1)
    );
    let body = json!({
        "url": format!("{}/compare/{}...{}", api(call.state, repository), escaped(both.0), escaped(both.1)), "html_url": html,
        "permalink_url": html, "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
        "base_commit": shown(&base), "merge_base_commit": shown(&start), "status": status, "ahead_by": ahead_by, "behind_by": behind_by,
        "total_commits": ahead_by, "commits": commits.iter().map(shown).collect::<Vec<_>>(), "files": files,
    });
    Ok(Answer {
        status: 200,
        body,
        headers,
    })
}

/// The git database takes whole ids only.
fn full_id(text: &str) -> Result<&str, Answer> {
    let whole = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if whole {
        Ok(text)
    } else {
        Err(Answer::not_found())
    }
}

/// GitHub breaks base64 after 60 characters.
fn lines_of_base64(content: &[u8]) -> String {
    let encoded = STANDARD.encode(content);
    encoded
        .as_bytes()
        .chunks(60)
        .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
        .collect()
}

//! Files at a commit, pull requests and branches.

use super::server::{Asked, Reply, Server, ok, status};
use crate::github::{FileContent, GithubError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;

fn entry(path: &str, kind: &str, mode: &str, sha: &str, size: u64) -> Value {
    let mut entry = json!({ "path": path, "type": kind, "mode": mode, "sha": sha });
    if kind == "blob" {
        entry["size"] = json!(size);
    }
    entry
}

fn file(path: &str, sha: &str) -> Value {
    entry(path, "blob", "100644", sha, 12)
}

fn folder(path: &str, sha: &str) -> Value {
    entry(path, "tree", "040000", sha, 0)
}

/// The part of the path after `/git/`.
fn git(asked: &Asked) -> &str {
    asked.path.split_once("/git/").unwrap().1
}

fn blob(text: &str) -> Reply {
    // GitHub breaks lines, and ends with one.
    ok(json!({ "encoding": "base64", "content": text }))
}

#[tokio::test]
async fn wanted_files_come_with_their_bytes_and_are_kept() {
    let server = Server::start(|asked| match git(asked) {
        "commits/c1" | "commits/c2" => ok(json!({ "tree": { "sha": "t" } })),
        "trees/t?recursive=1" => ok(json!({
            "truncated": false,
            "tree": [
                folder("layers", "t2"),
                file("layers/a.yaml", "b1"),
                file("layers/same.yaml", "b1"),
                entry("layers/big.yaml", "blob", "100644", "b2", 1_048_577),
                entry("layers/link.yaml", "blob", "120000", "b3", 9),
                entry("layers/module.yaml", "commit", "160000", "b4", 0),
                file("README.md", "b5"),
            ],
        })),
        "blobs/b1" => blob("cGFja2Fn\nZXM6CiAgLSBhCg==\n"),
        other => panic!("{other}"),
    })
    .await;
    let client = server.client();
    let wanted = |path: &str| path.starts_with("layers/") && path.ends_with(".yaml");
    let files = client.files_at("c1", wanted).await.unwrap();
    let packages = FileContent::Bytes("packages:\n  - a\n".into());
    let expected = [
        ("layers/a.yaml", packages.clone()),
        ("layers/big.yaml", FileContent::TooLarge { size: 1_048_577 }),
        ("layers/link.yaml", FileContent::Symlink),
        ("layers/module.yaml", FileContent::Submodule),
        ("layers/same.yaml", packages),
    ];
    assert_eq!(
        files,
        expected
            .map(|(path, content)| (path.to_owned(), content))
            .into()
    );
    assert_eq!(client.files_at("c2", wanted).await.unwrap(), files);
    let blobs = server
        .lines()
        .iter()
        .filter(|line| line.contains("/blobs/"))
        .count();
    assert_eq!(blobs, 1, "one blob, fetched once");
}

#[tokio::test]
async fn a_tree_too_big_to_list_is_walked_where_it_matters() {
    let cut = || ok(json!({ "truncated": true, "tree": [file("aaa", "x")] }));
    let list = |tree: Value| ok(json!({ "truncated": false, "tree": tree }));
    let server = Server::start(move |asked| match git(asked) {
        "commits/c" => ok(json!({ "tree": { "sha": "root" } })),
        "trees/root?recursive=1" | "trees/l?recursive=1" => cut(),
        "trees/root" => list(json!([
            folder("layers", "l"),
            folder("node_modules", "n"),
            folder(".github", "g"),
            file("README.md", "x"),
        ])),
        "trees/g?recursive=1" => list(json!([file("layersmith.yaml", "b")])),
        "trees/l" => list(json!([file("a.yaml", "b"), folder("arns", "r")])),
        "trees/r?recursive=1" => list(json!([file("p3.13/x.md", "b")])),
        "blobs/b" => blob("YQ=="),
        other => panic!("{other}"),
    })
    .await;
    let files = server
        .client()
        .files_at("c", |path| path != "README.md")
        .await
        .unwrap();
    let paths: Vec<&String> = files.keys().collect();
    assert_eq!(
        paths,
        [
            ".github/layersmith.yaml",
            "layers/a.yaml",
            "layers/arns/p3.13/x.md"
        ]
    );
}

#[tokio::test]
async fn a_commit_with_too_many_files_is_refused() {
    let server = Server::start(|asked| match git(asked) {
        "commits/c" => ok(json!({ "tree": { "sha": "t" } })),
        "trees/t?recursive=1" => {
            let tree: Vec<Value> = (0..20_001)
                .map(|n| file(&format!("layers/{n}.yaml"), "b"))
                .collect();
            ok(json!({ "truncated": false, "tree": tree }))
        }
        other => panic!("{other}"),
    })
    .await;
    let error = server.client().files_at("c", |_| true).await.unwrap_err();
    assert_eq!(
        error,
        GithubError::TooManyFiles {
            found: 20_001,
            limit: 20_000
        }
    );
}

/// So many files, each with a text of its own, as a listing names them.
fn texts(count: usize) -> (Value, BTreeMap<String, String>) {
    let texts = (0..count).map(|number| format!("packages: [package-{number}]\n"));
    let texts: BTreeMap<String, String> = texts.map(|text| (git_id(&text), text)).collect();
    let tree: Vec<Value> = texts
        .keys()
        .map(|id| file(&format!("layers/{id}.yaml"), id))
        .collect();
    (json!({ "truncated": false, "tree": tree }), texts)
}

fn git_id(text: &str) -> String {
    let hash = Sha1::digest(format!("blob {}\0{text}", text.len()));
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The ids that a query asks for, in its order.
fn ids_in(query: &str) -> Vec<&str> {
    let parts = query.split("object(oid: \"").skip(1);
    parts.map(|part| part.split('"').next().unwrap()).collect()
}

/// The answer to a query for files.
fn found(asked: &Asked, file: impl Fn(&str) -> Value) -> Reply {
    let ids = ids_in(asked.body["query"].as_str().unwrap());
    let files = ids.iter().enumerate();
    let files: serde_json::Map<String, Value> = files
        .map(|(number, id)| (format!("f{number}"), file(id)))
        .collect();
    ok(json!({ "data": { "repository": files } }))
}

#[tokio::test]
async fn many_files_come_a_hundred_at_a_time_and_what_does_not_come_so_one_by_one() {
    let (tree, texts) = texts(2_350);
    let known = texts.clone();
    let [binary, cut, gone] = [0, 1, 2].map(|place| texts.keys().nth(place).unwrap().clone());
    let odd = [binary.clone(), cut.clone(), gone.clone()];
    let server = Server::start(move |asked| {
        if asked.path == "/graphql" {
            return found(asked, |id| match known.get(id) {
                _ if id == binary => {
                    json!({ "isBinary": true, "isTruncated": false, "text": null })
                }
                Some(text) if id == cut => {
                    json!({ "isBinary": false, "isTruncated": true, "text": text[..9] })
                }
                _ if id == gone => Value::Null,
                text => json!({ "isBinary": false, "isTruncated": false, "text": text }),
            });
        }
        match git(asked) {
            "commits/c" => ok(json!({ "tree": { "sha": "t" } })),
            "trees/t?recursive=1" => ok(tree.clone()),
            blob => {
                let id = blob.strip_prefix("blobs/").unwrap();
                let content = STANDARD.encode(&known[id]);
                ok(json!({ "encoding": "base64", "content": content }))
            }
        }
    })
    .await;
    let client = server.client();
    let files = client.files_at("c", |_| true).await.unwrap();
    assert_eq!(files.len(), texts.len());
    for (id, text) in &texts {
        let content = FileContent::Bytes(text.clone().into());
        assert_eq!(files[&format!("layers/{id}.yaml")], content);
    }
    let lines = server.lines();
    let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!((count("/graphql"), count("/blobs/")), (24, odd.len()));
    client.files_at("c", |_| true).await.unwrap();
    assert_eq!(server.lines().len(), lines.len() + 2, "the rest is kept");
}

#[tokio::test]
async fn what_takes_github_too_long_is_asked_for_in_parts() {
    let (tree, texts) = texts(2_350);
    let server = Server::start(move |asked| {
        if asked.path == "/graphql" {
            let ids = ids_in(asked.body["query"].as_str().unwrap()).len();
            return match ids {
                ..=25 => found(asked, |id| json!({ "text": texts[id] })),
                _ => status(502),
            };
        }
        match git(asked) {
            "commits/c" => ok(json!({ "tree": { "sha": "t" } })),
            "trees/t?recursive=1" => ok(tree.clone()),
            other => panic!("{other}"),
        }
    })
    .await;
    let files = server.client().files_at("c", |_| true).await.unwrap();
    assert_eq!(files.len(), 2_350);
}

/// What comes of so many files where a query is answered so.
async fn read_with(count: usize, query: fn() -> Reply) -> Result<usize, GithubError> {
    let (tree, texts) = texts(count);
    let server = Server::start(move |asked| {
        if asked.path == "/graphql" {
            return query();
        }
        match git(asked) {
            "commits/c" => ok(json!({ "tree": { "sha": "t" } })),
            "trees/t?recursive=1" => ok(tree.clone()),
            blob => {
                let text = &texts[blob.strip_prefix("blobs/").unwrap()];
                ok(json!({ "encoding": "base64", "content": STANDARD.encode(text) }))
            }
        }
    })
    .await;
    let files = server.client().files_at("c", |_| true).await;
    files.map(|files| files.len())
}

#[tokio::test]
async fn few_enough_files_are_read_one_by_one_where_they_do_not_come_at_once() {
    let absent = || status(404);
    let broken = || status(502);
    let limited = || ok(json!({ "data": null, "errors": [{ "type": "RATE_LIMITED" }] }));
    for query in [absent, broken, limited] {
        assert_eq!(read_with(25, query).await, Ok(25));
    }
    let (found, limit) = (2_001, 2_000);
    let too_many = Err(GithubError::TooManyFiles { found, limit });
    assert_eq!(read_with(2_001, absent).await, too_many);
    for query in [broken, limited] {
        let error = read_with(2_001, query).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
}

#[tokio::test]
async fn broken_base64_is_an_error_and_no_panic() {
    let server = Server::start(|asked| match git(asked) {
        "commits/c" => ok(json!({ "tree": { "sha": "t" } })),
        "trees/t?recursive=1" => ok(json!({ "tree": [file("a", "b")] })),
        _ => blob("no base64!"),
    })
    .await;
    let error = server.client().files_at("c", |_| true).await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"GET /repos/octocat/catalog/git/blobs/b: unexpected answer from GitHub: no valid base64"
    );
}

fn pull_request(number: u64) -> Value {
    json!({
        "number": number, "state": "closed", "merged_at": "2026-11-22T10:00:00Z", "merge_commit_sha": "mmm",
        "title": "Add a layer", "user": null, "draft": false,
        "head": { "ref": "topic", "sha": "aaa", "repo": { "id": 2 } },
        "base": { "ref": "main", "sha": "bbb", "repo": { "id": 1 } },
    })
}

#[tokio::test]
async fn a_pull_request_that_github_does_not_show_yet_is_asked_for_again() {
    let mut answers = vec![ok(pull_request(7)), status(404), status(404)];
    let server = Server::start(move |_| answers.pop().unwrap()).await;
    let merged = server.client().pull_request(7).await.unwrap();
    assert_eq!(merged.merge_commit_sha.as_deref(), Some("mmm"));
    assert!(merged.merged && !merged.is_open && merged.from_fork);
    assert_eq!(server.lines(), ["GET /repos/octocat/catalog/pulls/7"; 3]);
}

#[tokio::test]
async fn open_pull_requests_are_read_page_by_page() {
    let server = Server::start(|asked| {
        let page = |range: std::ops::Range<u64>| {
            let open = |number| {
                let mut open = pull_request(number);
                open["state"] = json!("open");
                open["merged_at"] = Value::Null;
                open["head"]["repo"]["id"] = json!(1);
                open
            };
            ok(range.map(open).collect())
        };
        if asked.path.ends_with("&page=1") {
            page(0..100)
        } else {
            page(100..130)
        }
    })
    .await;
    let open = server.client().open_pull_requests().await.unwrap();
    assert_eq!(open.len(), 130);
    assert!(
        open.iter()
            .all(|one| one.is_open && !one.from_fork && one.merge_commit_sha.is_none())
    );
    assert_eq!(
        server.lines()[1],
        "GET /repos/octocat/catalog/pulls?state=open&per_page=100&page=2"
    );
}

#[tokio::test]
async fn branches_and_merge_bases_are_found() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/repos/octocat/catalog" => ok(json!({ "default_branch": "main", "private": false })),
        "/repos/octocat/catalog/branches/a%2Fb" => ok(json!({ "commit": { "sha": "abc" } })),
        "/repos/octocat/catalog/compare/b1...h1?per_page=1" => {
            ok(json!({ "merge_base_commit": { "sha": "base" }, "files": [] }))
        }
        other => panic!("{other}"),
    })
    .await;
    let client = server.client();
    assert_eq!(client.repository().await.unwrap().default_branch, "main");
    assert_eq!(client.branch_head("a/b").await.unwrap(), "abc");
    assert_eq!(client.merge_base("b1", "h1").await.unwrap(), "base");
}

//! The double as a stateful GitHub: people act, bots ask, web hooks arrive.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use layersmith_testbed::github::{Files, Permission};
use serde_json::json;

use crate::support::{Bench, REQUEST_FILE, Receiver};

#[tokio::test]
async fn the_life_of_a_pull_request() {
    let bench = Bench::start().await;
    let hook = Receiver::start().await;
    let double = &bench.double;
    double.set_hook_url(&hook.url);

    let number = double
        .open_pull_request(
            "requests",
            "Add requests",
            [(REQUEST_FILE, "packages: [requests]\n")],
            "mona",
        )
        .await;
    let opened = hook.take();
    assert_eq!(
        opened
            .iter()
            .map(super::support::Arrived::name)
            .collect::<Vec<_>>(),
        ["push", "pull_request opened"]
    );
    let payload = &opened[1].payload;
    let head = double.pull_request_head(number);
    assert_eq!(payload["pull_request"]["head"]["sha"], head);
    assert_eq!(
        payload["pull_request"]["base"]["sha"],
        double.branch_head("main").unwrap()
    );
    assert_eq!(payload["repository"]["full_name"], "octo/layers");
    assert_eq!(payload["installation"]["id"], double.installation_id());
    assert!(
        !payload.to_string().contains("Codertocat"),
        "the example's names are gone: {payload}"
    );
    assert_eq!(opened[0].payload["ref"], "refs/heads/requests");
    assert_eq!(opened[0].payload["created"], true);
    assert_eq!(
        opened[0].payload["head_commit"]["added"],
        json!([REQUEST_FILE])
    );

    let (_, files) = bench
        .get(&format!("/repos/octo/layers/pulls/{number}/files"))
        .await;
    assert_eq!(files[0]["filename"], REQUEST_FILE);
    assert_eq!(files[0]["patch"], "@@ -0,0 +1 @@\n+packages: [requests]");

    let second = double
        .push_to_pull_request(
            number,
            Files::new()
                .write(REQUEST_FILE, "packages: [requests, rich]\n")
                .delete("README.md"),
        )
        .await;
    let pushed = hook.take();
    assert_eq!(pushed[1].name(), "pull_request synchronize");
    assert_eq!(pushed[1].payload["before"], head);
    assert_eq!(pushed[1].payload["after"], second);
    assert_eq!(
        pushed[0].payload["head_commit"]["removed"],
        json!(["README.md"])
    );

    let before = double.branch_head("main").unwrap();
    let merge = double.merge_pull_request(number).await;
    let merged = hook.take();
    assert_eq!(
        merged
            .iter()
            .map(super::support::Arrived::name)
            .collect::<Vec<_>>(),
        ["pull_request closed", "push"]
    );
    assert_eq!(merged[0].payload["pull_request"]["merged"], true);
    assert_eq!(merged[0].payload["pull_request"]["merge_commit_sha"], merge);
    assert_eq!(merged[1].payload["ref"], "refs/heads/main");
    assert_eq!(merged[1].payload["before"], before);
    assert_eq!(merged[1].payload["after"], merge);
    assert_eq!(merged[1].payload["commits"].as_array().unwrap().len(), 3);
    assert_eq!(
        double.file_at("main", REQUEST_FILE).as_deref(),
        Some("packages: [requests, rich]\n")
    );
    assert_eq!(double.files_at("main"), ["layers/numpy.yaml", REQUEST_FILE]);
    assert_eq!(
        double.log("main")[0].parents,
        [before.as_str(), second.as_str()]
    );

    let (status, parted) = bench
        .get(&format!(
            "/repos/octo/layers/compare/{before}...{second}?per_page=1"
        ))
        .await;
    assert_eq!(status, 200, "{parted}");
    assert_eq!(parted["merge_base_commit"]["sha"], before);
    assert_eq!(
        (&parted["ahead_by"], &parted["commits"][0]["sha"]),
        (&json!(2), &json!(head))
    );
    let (_, branch) = bench.get("/repos/octo/layers/branches/main").await;
    assert_eq!(branch["commit"]["sha"], merge);

    let (_, pulls) = bench
        .get(&format!("/repos/octo/layers/commits/{merge}/pulls"))
        .await;
    assert_eq!(pulls[0]["number"], number);
    let (status, pull) = bench
        .get(&format!("/repos/octo/layers/pulls/{number}"))
        .await;
    assert_eq!((status, pull["state"].as_str()), (200, Some("closed")));
    bench.assert_clean();
}

#[tokio::test]
async fn a_fork_has_its_own_repository_and_its_head_can_be_read_through_the_base() {
    let bench = Bench::start().await;
    let hook = Receiver::start().await;
    bench.double.set_hook_url(&hook.url);
    bench
        .double
        .open_pull_request_from_fork(
            "requests",
            "Add requests",
            [(REQUEST_FILE, "packages: [requests]\n")],
            "mona",
        )
        .await;
    let opened = hook.take();
    assert_eq!(
        opened.len(),
        1,
        "the App is not on the fork and hears of no push"
    );
    let head = &opened[0].payload["pull_request"]["head"];
    assert_eq!(head["repo"]["full_name"], "mona/layers");
    assert_eq!(head["repo"]["fork"], true);
    let sha = head["sha"].as_str().unwrap();
    let (status, tree) = bench
        .get(&format!("/repos/octo/layers/git/trees/{sha}?recursive=1"))
        .await;
    assert_eq!(status, 200, "{tree}");
    assert!(
        tree["tree"]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["path"] == REQUEST_FILE)
    );
    bench.assert_clean();
}

#[tokio::test]
async fn files_come_out_of_git() {
    let bench = Bench::start().await;
    let head = bench.double.branch_head("main").unwrap();
    let (_, commit) = bench
        .get(&format!("/repos/octo/layers/git/commits/{head}"))
        .await;
    let (_, tree) = bench
        .get(&format!(
            "/repos/octo/layers/git/trees/{}?recursive=1",
            commit["tree"]["sha"].as_str().unwrap()
        ))
        .await;
    let file = tree["tree"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["path"] == "layers/numpy.yaml")
        .unwrap();
    let (_, blob) = bench
        .get(&format!(
            "/repos/octo/layers/git/blobs/{}",
            file["sha"].as_str().unwrap()
        ))
        .await;
    let text = blob["content"].as_str().unwrap().replace('\n', "");
    assert_eq!(STANDARD.decode(text).unwrap(), b"packages: [numpy]\n");
    for path in [
        "contents/layers/numpy.yaml",
        "contents/layers?ref=main",
        "commits/main",
        "commits",
        "git/ref/heads/main",
        "commits/main/status",
    ] {
        let (status, answer) = bench.get(&format!("/repos/octo/layers/{path}")).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    for path in [
        "contents/layers/none.yaml",
        "git/blobs/0000000000000000000000000000000000000001",
        "git/ref/heads/none",
        "pulls/7",
        "issues/7/comments",
    ] {
        let (status, _) = bench.get(&format!("/repos/octo/layers/{path}")).await;
        assert_eq!(status, 404, "{path}");
    }
    bench.assert_clean();
}

#[tokio::test]
async fn comments_come_in_pages_and_are_edited_in_place() {
    let bench = Bench::start().await;
    let number = bench
        .double
        .open_pull_request(
            "requests",
            "Add requests",
            [(REQUEST_FILE, "packages: [requests]\n")],
            "mona",
        )
        .await;
    let comments = format!("/repos/octo/layers/issues/{number}/comments");
    for index in 0..5 {
        bench
            .double
            .comment(number, "mona", &format!("remark {index}"))
            .await;
    }
    let (status, mine) = bench
        .post(&comments, json!({"body": "<!-- mark -->\nThe plan"}))
        .await;
    assert_eq!(
        (status, mine["user"]["login"].as_str()),
        (201, Some("layersmith[bot]"))
    );
    assert_eq!(mine["user"]["type"], "Bot");
    let own = format!("/repos/octo/layers/issues/comments/{}", mine["id"]);
    let (status, edited) = bench
        .patch(&own, json!({"body": "<!-- mark -->\nThe result"}))
        .await;
    assert_eq!(status, 200);
    assert_ne!(edited["updated_at"], mine["updated_at"]);

    let second = bench
        .try_send(
            &bench.token,
            "GET",
            &format!("{comments}?per_page=2&page=2"),
            None,
        )
        .await
        .unwrap();
    let link = second.headers()["link"].to_str().unwrap().to_owned();
    assert!(
        link.contains("per_page=2&page=3>; rel=\"next\"") && link.contains("page=1>; rel=\"prev\""),
        "{link}"
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&second.text().await.unwrap()).unwrap()[0]["body"],
        "remark 2"
    );

    let theirs = bench.double.comments(number)[0].id;
    let (status, _) = bench
        .patch(
            &format!("/repos/octo/layers/issues/comments/{theirs}"),
            json!({"body": "mine now"}),
        )
        .await;
    assert_eq!(status, 403);
    let reactions = format!("/repos/octo/layers/issues/comments/{theirs}/reactions");
    assert_eq!(
        bench.post(&reactions, json!({"content": "eyes"})).await.0,
        201
    );
    assert_eq!(
        bench.post(&reactions, json!({"content": "eyes"})).await.0,
        200
    );
    let shown = bench.double.conversation(number);
    assert!(
        shown.contains("── layersmith[bot] · edited ──\nThe result\n") && !shown.contains("<!--"),
        "{shown}"
    );
    assert!(shown.contains("remark 0\n[👀 layersmith[bot]]"), "{shown}");
    bench.assert_clean();
}

#[tokio::test]
async fn check_runs_and_statuses_are_kept_with_their_commit() {
    let bench = Bench::start().await;
    let number = bench
        .double
        .open_pull_request(
            "requests",
            "Add requests",
            [(REQUEST_FILE, "packages: [requets]\n")],
            "mona",
        )
        .await;
    let head = bench.double.pull_request_head(number);
    let remark = |line: u32| json!({"path": REQUEST_FILE, "start_line": line, "end_line": line, "annotation_level": "failure", "message": "no such package"});
    let (status, run) = bench
        .post(
            "/repos/octo/layers/check-runs",
            json!({"name": "layersmith", "head_sha": head, "status": "in_progress"}),
        )
        .await;
    assert_eq!(status, 201, "{run}");
    assert_eq!(run["pull_requests"][0]["number"], number);
    let own = format!("/repos/octo/layers/check-runs/{}", run["id"]);
    let output = json!({"title": "1 problem", "summary": "s", "annotations": [remark(1)]});
    let (status, run) = bench
        .patch(&own, json!({"conclusion": "failure", "output": output}))
        .await;
    assert_eq!(
        (
            status,
            run["status"].as_str(),
            &run["output"]["annotations_count"]
        ),
        (200, Some("completed"), &json!(1))
    );
    let (_, list) = bench
        .get(&format!("/repos/octo/layers/commits/{head}/check-runs"))
        .await;
    assert_eq!(list["total_count"], 1);
    let (_, remarks) = bench.get(&format!("{own}/annotations")).await;
    assert_eq!(remarks[0]["message"], "no such package");
    let (status, _) = bench
        .post(
            &format!("/repos/octo/layers/statuses/{head}"),
            json!({"state": "pending", "context": "layersmith"}),
        )
        .await;
    assert_eq!(status, 201);
    let (_, combined) = bench
        .get(&format!("/repos/octo/layers/commits/{head}/status"))
        .await;
    assert_eq!(combined["state"], "pending");
    let shown = bench.double.conversation(number);
    assert!(shown.contains("✗ layersmith: failure · 1 problem\n  layers/requests.yaml:1 failure · no such package\n"), "{shown}");
    assert_eq!(bench.double.check_runs(&head)[0].annotations.len(), 1);
    bench.assert_clean();
}

#[tokio::test]
async fn rights_are_asked_of_the_repository() {
    let bench = Bench::start().await;
    let mona = bench.double.user("mona");
    let (_, account) = bench.get(&format!("/user/{}", mona.id)).await;
    assert_eq!(account["login"], "mona");
    for (permission, expected) in [
        (Permission::Triage, "read"),
        (Permission::Maintain, "write"),
        (Permission::Admin, "admin"),
    ] {
        bench.double.set_permission("mona", permission);
        let (_, answer) = bench
            .get("/repos/octo/layers/collaborators/mona/permission")
            .await;
        assert_eq!(answer["permission"], expected);
    }
    let (status, _) = bench
        .get("/repos/octo/layers/collaborators/nobody/permission")
        .await;
    assert_eq!(status, 404);
    bench.assert_clean();
}

#[tokio::test]
async fn the_same_actions_make_the_same_commits() {
    let mut heads = Vec::new();
    for _ in 0..2 {
        let bench = Bench::start().await;
        let number = bench
            .double
            .open_pull_request(
                "requests",
                "Add requests",
                [(REQUEST_FILE, "packages: [requests]\n")],
                "mona",
            )
            .await;
        bench.double.merge_pull_request(number).await;
        heads.push(bench.double.branch_head("main"));
    }
    assert_eq!(heads[0], heads[1]);
}

//! What the double refuses, and what it reports against itself and others.

use layersmith_testbed::github::GithubOptions;
use serde_json::{Value, json};

use crate::support::{Bench, REQUEST_FILE, assertion};

async fn with_pull_request() -> (Bench, u64, String) {
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
    let head = bench.double.pull_request_head(number);
    (bench, number, head)
}

#[tokio::test]
async fn an_app_proves_itself_with_a_short_lived_assertion() {
    let bench = Bench::start().await;
    let double = &bench.double;
    let (status, app) = bench
        .send_as(&assertion(double, -60, 540), "GET", "/app", None)
        .await;
    assert_eq!((status, app["id"].as_u64()), (200, Some(double.app_id())));
    let (status, installation) = bench
        .send_as(
            &assertion(double, 0, 300),
            "GET",
            "/repos/octo/layers/installation",
            None,
        )
        .await;
    assert_eq!(
        (status, installation["id"].as_u64()),
        (200, Some(double.installation_id()))
    );
    for (issued, ends, reason) in [
        (0, 3600, "too far in the future"),
        (-600, -120, "'exp'"),
        (600, 660, "'iat'"),
    ] {
        let (status, answer) = bench
            .send_as(&assertion(double, issued, ends), "GET", "/app", None)
            .await;
        assert_eq!(status, 401);
        assert!(
            answer["message"].as_str().unwrap().contains(reason),
            "{answer}"
        );
    }
    let forged = assertion(double, 0, 300).replace('A', "B");
    assert_eq!(bench.send_as(&forged, "GET", "/app", None).await.0, 401);
    assert_eq!(
        bench.send_as(&bench.token, "GET", "/app", None).await.0,
        401
    );
    assert_eq!(
        bench
            .send_as(
                &assertion(double, 0, 300),
                "GET",
                "/repos/octo/layers/pulls",
                None
            )
            .await
            .0,
        401
    );
    bench.assert_clean();
}

#[tokio::test]
async fn a_token_does_what_it_was_made_for_until_it_expires() {
    let (bench, number, head) = with_pull_request().await;
    let (_, narrow) = bench
        .create_token(json!({"permissions": {"issues": "write"}}))
        .await;
    let narrow = narrow["token"].as_str().unwrap();
    let run = json!({"name": "layersmith", "head_sha": head});
    let (status, answer) = bench
        .send_as(
            narrow,
            "POST",
            "/repos/octo/layers/check-runs",
            Some(run.clone()),
        )
        .await;
    assert_eq!(
        (status, answer["message"].as_str()),
        (403, Some("Resource not accessible by integration"))
    );
    let comments = format!("/repos/octo/layers/issues/{number}/comments");
    assert_eq!(
        bench
            .send_as(narrow, "POST", &comments, Some(json!({"body": "hello"})))
            .await
            .0,
        201
    );
    assert_eq!(
        bench
            .create_token(json!({"permissions": {"administration": "write"}}))
            .await
            .0,
        422
    );

    let person = bench.double.token();
    let (status, answer) = bench
        .send_as(&person, "POST", "/repos/octo/layers/check-runs", Some(run))
        .await;
    assert_eq!(
        (status, answer["message"].as_str()),
        (403, Some("You must authenticate via a GitHub App."))
    );
    let state = json!({"state": "success", "context": "layersmith"});
    assert_eq!(
        bench
            .send_as(
                &person,
                "POST",
                &format!("/repos/octo/layers/statuses/{head}"),
                Some(state)
            )
            .await
            .0,
        201
    );
    assert_eq!(
        bench.send_as(&person, "GET", "/user", None).await.1["login"],
        "layersmith-bot"
    );

    bench.double.expire_tokens();
    assert_eq!(bench.get("/repos/octo/layers").await.0, 401);
    bench.assert_clean();
}

#[tokio::test]
async fn a_private_repository_is_not_there_for_strangers() {
    let bench = Bench::start().await;
    let hidden = bench
        .double
        .create_private_repository("octo/secret", [("README.md", "hush\n")])
        .await;
    assert_eq!(bench.get("/repos/octo/secret").await.0, 200);
    assert_eq!(
        bench.send_as("", "GET", "/repos/octo/secret", None).await.0,
        404
    );
    assert_eq!(
        bench.send_as("", "GET", "/repos/octo/layers", None).await.0,
        200
    );
    hidden.uninstall_app();
    assert_eq!(bench.get("/repos/octo/secret").await.0, 404);
    assert_eq!(bench.get("/repos/octo/none").await.0, 404);
    bench.assert_clean();
}

#[tokio::test]
async fn a_request_that_breaks_the_description_is_a_violation() {
    let (bench, number, head) = with_pull_request().await;
    let comments = format!("/repos/octo/layers/issues/{number}/comments");
    let runs = "/repos/octo/layers/check-runs";
    let breaches: [(&str, &str, Option<Value>, &str); 8] = [
        ("POST", &comments, Some(json!({"text": "no body"})), "body"),
        (
            "POST",
            &comments,
            Some(json!({"body": "x", "colour": "red"})),
            "`colour` is unknown",
        ),
        (
            "POST",
            runs,
            Some(json!({"name": "layersmith"})),
            "head_sha",
        ),
        (
            "POST",
            runs,
            Some(json!({"name": "layersmith", "head_sha": head, "status": "done"})),
            "done",
        ),
        (
            "POST",
            runs,
            Some(json!({"name": "layersmith", "head_sha": head, "started_at": "yesterday"})),
            "date-time",
        ),
        (
            "GET",
            &format!("{comments}?per_page=many"),
            None,
            "per_page",
        ),
        (
            "GET",
            &format!("{comments}?perpage=100"),
            None,
            "`perpage` is unknown",
        ),
        ("GET", "/repos/octo/layers/pulls/first", None, "pull_number"),
    ];
    for (method, path, body, reason) in breaches {
        let (status, answer) = bench.send_as(&bench.token, method, path, body).await;
        let violations = bench.double.take_violations();
        assert_eq!(
            (status, violations.len()),
            (500, 1),
            "{method} {path}: {answer}"
        );
        assert!(violations[0].contains(reason), "{violations:?}");
    }
    // The update of a comment is a PATCH; a POST there is no operation at all.
    let (status, _) = bench
        .post("/repos/octo/layers/issues/comments/1", json!({"body": "x"}))
        .await;
    assert_eq!((status, bench.double.take_violations().len()), (404, 1));
}

#[tokio::test]
async fn of_graphql_there_are_the_texts_of_files_and_nothing_else() {
    let (bench, _, head) = with_pull_request().await;
    let ask = async |repository: &str, fields: &str| {
        let query = format!(
            "query($owner: String!, $name: String!) {{ repository(owner: $owner, name: $name) {{ {fields} }} }}"
        );
        let variables = json!({"owner": "octo", "name": repository});
        let body = json!({"query": query, "variables": variables});
        bench.post("/graphql", body).await
    };
    let path = format!("/repos/octo/layers/git/trees/{head}?recursive=1");
    let (_, tree) = bench.get(&path).await;
    let entries = tree["tree"].as_array().unwrap();
    let file = entries.iter().find(|entry| entry["path"] == REQUEST_FILE);
    let id = file.unwrap()["sha"].as_str().unwrap();
    let absent = "0123456789012345678901234567890123456789";
    let text = |alias: &str, id: &str| {
        format!("{alias}: object(oid: \"{id}\") {{ ... on Blob {{ isBinary isTruncated text }} }}")
    };
    let both = format!("{} {}", text("one", id), text("two", absent));
    let (status, answer) = ask("layers", &both).await;
    let found = json!({"isBinary": false, "isTruncated": false, "text": "packages: [requests]\n"});
    let expected = json!({"data": {"repository": {"one": found, "two": null}}});
    assert_eq!((status, &answer), (200, &expected));
    let (status, answer) = ask("elsewhere", &both).await;
    assert_eq!(
        (status, &answer["errors"][0]["type"]),
        (200, &json!("NOT_FOUND"))
    );
    let body = Some(json!({"query": "{}"}));
    let unsigned = bench.send_as("", "POST", "/graphql", body).await;
    assert_eq!(unsigned.0, 401);
    assert_eq!(bench.double.take_violations(), Vec::<String>::new());

    let many: Vec<String> = (0..101).map(|n| text(&format!("f{n}"), id)).collect();
    for wrong in [
        "pullRequests(first: 1) { totalCount }",
        &text("one", "HEAD"),
        &text("one", id).replace("text", "id"),
        &many.join(" "),
    ] {
        assert_eq!(ask("layers", wrong).await.0, 500, "{wrong}");
        assert_eq!(bench.double.take_violations().len(), 1, "{wrong}");
    }
    assert_eq!(bench.post("/graphql", json!({"query": "{}"})).await.0, 500);
    assert_eq!(bench.double.take_violations().len(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_the_description_is_a_violation_too() {
    let bench = Bench::with(GithubOptions {
        app_slug: "not an address".to_owned(),
        ..GithubOptions::default()
    })
    .await;
    let (status, _) = bench
        .send_as(&assertion(&bench.double, 0, 60), "GET", "/app", None)
        .await;
    assert_eq!(status, 500, "the page of that App is no address");
    let violations = bench.double.violations();
    assert!(
        violations[0].contains("the double's answer") && violations[0].contains("/html_url"),
        "{violations:?}"
    );
}

#[tokio::test]
async fn rules_the_description_lacks_hold_too() {
    let (bench, number, head) = with_pull_request().await;
    let comments = format!("/repos/octo/layers/issues/{number}/comments");
    let longest = "é".repeat(65_536);
    assert_eq!(bench.post(&comments, json!({"body": longest})).await.0, 201);
    assert_eq!(
        bench
            .post(&comments, json!({"body": format!("{longest}!")}))
            .await
            .0,
        422
    );
    assert_eq!(bench.post(&comments, json!({"body": " "})).await.0, 422);

    let run = |more: Value| {
        let mut body = json!({"name": "layersmith", "head_sha": head});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let runs = "/repos/octo/layers/check-runs";
    let (status, _) = bench
        .post(runs, run(json!({"head_sha": "0".repeat(40)})))
        .await;
    assert_eq!(status, 422, "no such commit");
    let remark = json!({"path": REQUEST_FILE, "start_line": 3, "end_line": 2, "annotation_level": "failure", "message": "m"});
    let (status, _) = bench
        .post(
            runs,
            run(json!({"output": {"title": "t", "summary": "s", "annotations": [remark]}})),
        )
        .await;
    assert_eq!(status, 422, "lines in the wrong order");
    let (status, _) = bench.post(runs, run(json!({"status": "completed"}))).await;
    assert_eq!(status, 422, "no conclusion");
    bench.assert_clean();

    // These two the description knows, so they are violations at once.
    let remark = json!({"path": REQUEST_FILE, "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "m"});
    let many = vec![remark; 51];
    for output in [
        json!({"output": {"title": "t", "summary": "s", "annotations": many}}),
        json!({"output": {"title": "t", "summary": "x".repeat(65_536)}}),
    ] {
        assert_eq!(bench.post(runs, run(output)).await.0, 500);
        assert_eq!(bench.double.take_violations().len(), 1);
    }
}

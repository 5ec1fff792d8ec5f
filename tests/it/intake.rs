//! `POST /webhooks/github`: what is let in, what is refused, and that nothing is forgotten or done twice.

use crate::world::{REPOSITORY, World};
use layersmith_testbed::github::signature;
use layersmith_testbed::tools;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const EVENTS: [&str; 4] = ["pull_request", "push", "issue_comment", "ping"];

/// A delivery that differs from a good one in what a test says.
struct Post {
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

impl Post {
    /// A well-formed, signed `ping`.
    fn good(world: &World) -> Self {
        Self::signed(world, "ping", &json!({"zen": "Keep it logically awesome."}))
    }

    fn signed(world: &World, event: &str, payload: &Value) -> Self {
        Self::raw(world, event, payload.to_string().into_bytes())
    }

    fn raw(world: &World, event: &str, body: Vec<u8>) -> Self {
        let signature = signature(&world.github.webhook_secret(), &body);
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-github-event", event.to_owned()),
            ("x-github-delivery", unique()),
            ("x-hub-signature-256", signature),
        ];
        Self { body, headers }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    /// The answer's code and its `outcome` or `message`.
    async fn send(&self, world: &World) -> (u16, String) {
        let mut request = layersmith_testbed::local_client()
            .post(format!("{}/webhooks/github", world.url()))
            .body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON is answered: {text}"));
        let words = answer.get("outcome").or(answer.get("message")).unwrap();
        (status, words.as_str().unwrap().to_owned())
    }
}

fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!(
        "72d3162e-cc78-11e3-81ab-{:012}",
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_delivery_is_refused_and_told_why() {
    let world = World::start().await;
    let good = || Post::good(&world);
    let other_body = signature(&world.github.webhook_secret(), b"{}");
    let other_secret = signature("a guess", &good().body);
    let sha1 = "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6";
    let cases: [(&str, Post); 13] = [
        ("unsigned", good().without("x-hub-signature-256")),
        (
            "another secret",
            good().with("x-hub-signature-256", &other_secret),
        ),
        (
            "another body",
            good().with("x-hub-signature-256", &other_body),
        ),
        ("SHA-1", good().with("x-hub-signature-256", sha1)),
        (
            "no hexadecimal",
            good().with("x-hub-signature-256", "sha256=zzzz"),
        ),
        (
            "form",
            good().with("content-type", "application/x-www-form-urlencoded"),
        ),
        ("no content type", good().without("content-type")),
        ("no event", good().without("x-github-event")),
        ("no delivery", good().without("x-github-delivery")),
        (
            "long event",
            good().with("x-github-event", &"e".repeat(101)),
        ),
        (
            "not JSON",
            Post::raw(&world, "push", b"payload=%7B%7D".to_vec()),
        ),
        ("an array", Post::raw(&world, "push", b"[1, 2]".to_vec())),
        (
            "cut off",
            Post::raw(&world, "push", b"{\"ref\": \"refs/he".to_vec()),
        ),
    ];
    let mut answers = String::new();
    for (case, post) in cases {
        let (status, words) = post.send(&world).await;
        answers.push_str(&format!("{case}: {status} {words}\n"));
    }
    insta::assert_snapshot!(answers, @"
        unsigned: 401 the delivery is not signed: `X-Hub-Signature-256` is missing
        another secret: 401 the signature does not match the body
        another body: 401 the signature does not match the body
        SHA-1: 401 `X-Hub-Signature-256` is not `sha256=` and 64 hexadecimal digits
        no hexadecimal: 401 `X-Hub-Signature-256` is not `sha256=` and 64 hexadecimal digits
        form: 415 set the webhook's content type to application/json
        no content type: 415 set the webhook's content type to application/json
        no event: 400 the headers X-GitHub-Delivery and X-GitHub-Event are missing
        no delivery: 400 the headers X-GitHub-Delivery and X-GitHub-Event are missing
        long event: 400 the headers X-GitHub-Delivery and X-GitHub-Event are missing
        not JSON: 400 the body is not JSON: expected value at line 1 column 1
        an array: 400 the body is not a JSON object
        cut off: 400 the body is not JSON: EOF while parsing a string at line 1 column 16
        ");
    assert_eq!(good().send(&world).await.0, 202);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_for_the_bot_is_taken_and_set_aside() {
    let world = World::start().await;
    let served = json!({"full_name": REPOSITORY, "default_branch": "main"});
    let cases: [(&str, Value); 9] = [
        ("star", json!({"action": "created", "repository": served})),
        ("no_such_event", json!({"repository": served})),
        ("installation", json!({"action": "created"})),
        (
            "push",
            json!({"ref": "refs/heads/main", "before": "1", "after": "2", "repository": {"full_name": "octo/other"}}),
        ),
        (
            "push",
            json!({"ref": "refs/tags/v1", "before": "1", "after": "2", "repository": served}),
        ),
        (
            "push",
            json!({"ref": "refs/heads/main", "before": "1", "after": "0".repeat(40), "repository": served}),
        ),
        (
            "pull_request",
            json!({"action": "labeled", "repository": served, "pull_request": {"number": 1, "head": {"ref": "a", "sha": "1"}, "base": {"ref": "main", "sha": "2"}}}),
        ),
        (
            "issue_comment",
            json!({"action": "created", "repository": served, "issue": {"number": 1}, "comment": {"id": 1, "body": "/layersmith plan", "updated_at": "2026-11-22T10:00:00Z", "user": {"id": 1, "login": "mona"}}}),
        ),
        ("push", json!({"repository": served})),
    ];
    let mut answers = String::new();
    for (event, payload) in cases {
        let (status, words) = Post::signed(&world, event, &payload).send(&world).await;
        answers.push_str(&format!("{event}: {status} {words}\n"));
    }
    insta::assert_snapshot!(answers, @"
        star: 202 ignored: star is not an event the bot acts on
        no_such_event: 202 ignored: no_such_event is not an event the bot acts on
        installation: 202 ignored: installation is not about a repository
        push: 202 ignored: octo/other is not served here
        push: 202 ignored: refs/tags/v1 is not a branch
        push: 202 ignored: main was deleted
        pull_request: 202 ignored: a pull request was labeled
        issue_comment: 202 ignored: #1 is not a pull request
        push: 400 this is no push payload of GitHub: missing field `ref` at line 1 column 67
        ");
    world.settled().await;
    assert_eq!(runs(&world).await, 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_larger_half_of_a_gigantic_delivery_is_not_waited_for() {
    let world = World::start().await;
    let address = world.url().trim_start_matches("http://").to_owned();
    let mut connection = TcpStream::connect(&address).await.unwrap();
    let size = 25 * 1024 * 1024 + 1;
    let head = format!(
        "POST /webhooks/github HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413");

    // One that does not say its size is counted as it comes.
    let mut connection = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /webhooks/github HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = connection.into_split();
    let megabyte = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
    let flood = tokio::spawn(async move {
        // The server may hang up on the way: that is what is asked for.
        while writing.write_all(&megabyte).await.is_ok() {}
    });
    let mut answer = [0; 12];
    tokio::time::timeout(Duration::from_secs(20), reading.read_exact(&mut answer))
        .await
        .expect("a flood is stopped")
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413");
    flood.abort();

    // Just what GitHub may send is taken.
    let mut body = json!({"zen": "x"}).to_string().into_bytes();
    body.resize(25 * 1024 * 1024, b' ');
    assert_eq!(Post::raw(&world, "ping", body).send(&world).await.0, 202);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_secrets_are_good_while_they_are_rotated() {
    let world = World::start_with("", |options, world| {
        let both = format!("the-next-secret\n{}\n", world.github.webhook_secret());
        options.set("LAYERSMITH_WEBHOOK_SECRET", both);
    })
    .await;
    let good = Post::good(&world);
    assert_eq!(good.send(&world).await.0, 202);
    let next = signature("the-next-secret", &good.body);
    let rotated = Post::good(&world).with("x-hub-signature-256", &next);
    assert_eq!(rotated.send(&world).await.0, 202);
    // Neither both lines together nor the empty line after them is a secret.
    for guess in [
        "",
        &format!("the-next-secret\n{}", world.github.webhook_secret()),
    ] {
        let wrong = Post::good(&world).with("x-hub-signature-256", &signature(guess, &good.body));
        assert_eq!(wrong.send(&world).await.0, 401);
    }
    assert!(!world.log().contains("the-next-secret"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_comes_twice_is_worked_on_once() {
    let world = World::start().await;
    let number = world
        .pull_request(&[("layers/demo.yaml", "packages:\n  - demo-core\n")])
        .await;
    world.settled().await;
    let deliveries = world.github.deliveries();
    let opened = deliveries
        .iter()
        .find(|delivery| delivery.event == "pull_request")
        .unwrap();
    let again = world.github.redeliver(&opened.guid).await;
    assert_eq!(again.status, 202);
    assert!(again.answer.contains("known already"), "{}", again.answer);
    // A second hook tells the same under another id.
    let twin = Post::signed(&world, "pull_request", &opened.payload);
    assert_eq!(twin.send(&world).await, (202, "known already".to_owned()));
    world.settled().await;
    assert_eq!(runs(&world).await, 1);
    world.comment(number);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_githubs_own_is_taken() {
    let world = World::start().await;
    let examples = examples();
    assert!(examples.len() > 40, "{}", examples.len());
    for (event, payload) in &examples {
        let (status, words) = Post::signed(&world, event, payload).send(&world).await;
        assert_eq!(status, 202, "{event}: {words}\n{payload}");
    }
    world.settled().await;
    // They are about other repositories: nobody asked GitHub anything.
    assert_eq!(runs(&world).await, 0);
    assert!(world.github.requests().is_empty());
    world.finish().await;
}

/// The same, about the repository that is served, which has none of their pull requests, comments and commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_about_what_is_not_there_come_to_an_end() {
    let world = World::start_with("", |options, _| {
        options.set(
            "LAYERSMITH_WEBHOOK_SECRET",
            "webhook-secret-of-the-test-bench",
        );
    })
    .await;
    let started = Instant::now();
    let mut acted: BTreeSet<&str> = BTreeSet::new();
    for (event, payload) in &examples() {
        let mut payload = payload.clone();
        if let Some(repository) = payload.get_mut("repository") {
            repository["full_name"] = json!(REPOSITORY);
        }
        if *event == "issue_comment" {
            payload["comment"]["body"] = json!("/layersmith plan\n/layersmith retry");
            payload["issue"]["pull_request"] = json!({"url": "https://api.github.com/x"});
        }
        let (status, words) = Post::signed(&world, event, &payload).send(&world).await;
        assert_eq!(status, 202, "{event}: {words}");
        if words == "accepted" {
            acted.insert(*event);
        }
    }
    assert_eq!(acted, EVENTS.into_iter().collect::<BTreeSet<_>>());
    world.settled().await;
    // What GitHub does not show is asked for a few times, as it may only be late.
    assert!(started.elapsed() < Duration::from_secs(50));
    // A push to the default branch, whichever it tells of, has the tables put right, should they need it.
    let files = world.github.files_at("main");
    let (ours, others): (Vec<_>, Vec<_>) = files
        .iter()
        .partition(|path| path.starts_with("layers/arns/"));
    assert_eq!(ours, ["layers/arns/README.md"]);
    assert_eq!(others, [".github/layersmith.yaml", "README.md"]);
    let (status, metrics) = world.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("layersmith_layer_versions{state=\"live\"} 0"));

    // And the server goes on working.
    let number = world
        .pull_request(&[("layers/demo.yaml", "packages:\n  - demo-core\n")])
        .await;
    world.settled().await;
    assert!(world.comment(number).contains("demo-core"));
    world.finish().await;
}

/// GitHub's own examples of the events that the bot acts on.
fn examples() -> Vec<(&'static str, Value)> {
    let path = tools::webhook_examples().unwrap_or_else(|missing| panic!("{missing}"));
    let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut examples = Vec::new();
    for entry in all.as_array().unwrap() {
        let Some(event) = EVENTS.into_iter().find(|event| entry["name"] == *event) else {
            continue;
        };
        for example in entry["examples"].as_array().unwrap() {
            examples.push((event, example.clone()));
        }
    }
    examples
}

/// How many runs there ever were.
async fn runs(world: &World) -> u64 {
    let (_, metrics) = world.get("/metrics").await;
    metrics
        .lines()
        .filter_map(|line| {
            line.strip_prefix("layersmith_runs{")?
                .split_once("} ")?
                .1
                .parse::<u64>()
                .ok()
        })
        .sum()
}

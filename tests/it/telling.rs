//! What others are told: feeds, messages, public names.

use crate::aws::use_aws;
use crate::command_line::Desk;
use crate::world::World;
use aws_lc_rs::hmac;
use layersmith_testbed::aws_proxy::{AwsCall, AwsFault, AwsProxy};
use layersmith_testbed::index::Wheel;
use layersmith_testbed::moto::Moto;
use rusqlite::Connection;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const REQUEST: &str = "packages: [demo-app ==1.0.0]\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

/// A web server that keeps what it is posted and answers what it was told to.
struct Receiver {
    address: String,
    got: Arc<Mutex<Vec<(String, String)>>>,
    answer: Arc<Mutex<&'static str>>,
}

impl Receiver {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self {
            address,
            got: Arc::default(),
            answer: Arc::new(Mutex::new(answer)),
        };
        let (got, answer) = (Arc::clone(&receiver.got), Arc::clone(&receiver.answer));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let (head, body) = read_request(&mut connection);
                let status = *answer.lock().unwrap();
                got.lock().unwrap().push((head, body));
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                connection.write_all(answer.as_bytes()).unwrap();
            }
        });
        receiver
    }

    /// The messages so far, headers first.
    fn got(&self) -> Vec<(String, Value)> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|(head, body)| (head.clone(), serde_json::from_str(body).unwrap()))
            .collect()
    }

    async fn has(&self, count: usize) -> Vec<(String, Value)> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.got().len() < count {
            assert!(Instant::now() < deadline, "{:#?}", self.got());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.got()
    }
}

fn read_request(connection: &mut std::net::TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = connection.read(&mut buffer).unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if read == 0 || body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return (head, body.to_owned());
            }
        }
        assert!(read > 0, "the request ends early");
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {head}"))
        .trim_start_matches(": ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_is_told_to_a_webhook_once_and_signed() {
    let receiver = Receiver::start("200 OK");
    let policy = format!("notify: [{{webhook: \"{}\"}}]\n", receiver.address);
    let world = World::start_with(&policy, |options, _| {
        options.set("LAYERSMITH_NOTIFY_SECRET", "a signing key");
    })
    .await;
    let number = world.pull_request(&[("layers/demo.yaml", REQUEST)]).await;
    world.settled().await;
    assert!(receiver.got().is_empty(), "a plan is no news");
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let (head, message) = receiver.has(1).await.remove(0);
    assert_eq!(
        (
            &message["schema"],
            &message["kind"],
            &message["layer"],
            &message["version"]
        ),
        (
            &1.into(),
            &"published".into(),
            &"demo".into(),
            &"1.0.0".into()
        )
    );
    let arns = &message["targets"][0]["arns"];
    assert_eq!(
        arns["eu-west-1"],
        "arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:1"
    );
    assert_eq!(arns.as_object().unwrap().len(), 2);
    assert_eq!(
        header(&head, "x-layersmith-delivery"),
        message["id"].as_str().unwrap()
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a signing key");
    let body = receiver.got.lock().unwrap()[0].1.clone();
    let signed: String = hmac::sign(&key, body.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        header(&head, "x-layersmith-signature-256"),
        format!("sha256={signed}")
    );

    // A newer version: what changed is told, and what it takes the place of is no message of its own.
    let newer = REQUEST.replace("==1.0.0", "==1.1.0");
    world
        .github
        .push("main", [("layers/demo.yaml", newer.as_str())], "platform")
        .await;
    world.settled().await;
    let messages = receiver.has(2).await;
    assert_eq!(messages.len(), 2, "{messages:#?}");
    let target = &messages[1].1["targets"][0];
    assert_eq!(target["previous_version"], "1.0.0");
    assert_eq!(
        target["changes"],
        serde_json::json!([{"name": "demo-app", "from": "1.0.0", "to": "1.1.0"}])
    );
    assert!(!world.log().contains("a signing key"));
    world.conversation(number);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_down_holds_up_nobody_and_is_told_later() {
    let receiver = Receiver::start("503 Service Unavailable");
    let desk = Desk::new().await;
    desk.policy(&format!(
        "notify: [{{webhook: \"{}\"}}]\n",
        receiver.address
    ));
    desk.write("layers/demo.yaml", REQUEST);
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(
        said.stderr
            .contains("did not take a message (demo 1.0.0 is published for 1 target)"),
        "{said:#?}"
    );
    assert!(!said.stderr.contains("/hook"), "{said:#?}");
    let first = receiver.has(1).await.remove(0).1;

    // Nothing is due yet, so nothing is sent, and nothing new is written.
    *receiver.answer.lock().unwrap() = "200 OK";
    assert_eq!(desk.run(&["apply"]).code, 0);
    assert_eq!(receiver.got().len(), 1);
    make_due(&desk);
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let again = receiver.has(2).await.remove(1).1;
    assert_eq!(again, first, "the same message with the same id");
    make_due(&desk);
    assert_eq!(desk.run(&["apply"]).code, 0);
    assert_eq!(receiver.got().len(), 2, "what was taken is not sent again");
}

/// The request stays as it is, and the zip that it comes to does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_tells_what_changed_and_what_it_superseded_keeps_its_contents() {
    let receiver = Receiver::start("200 OK");
    let desk = Desk::new().await;
    desk.policy(&format!(
        "notify: [{{webhook: \"{}\"}}]\n",
        receiver.address
    ));
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.index.publish(
        Wheel::new("demo-core", "2.0.0")
            .module("demo_core", "VALUE = 2\n")
            .license("MIT"),
    );
    let said = desk.run(&["upgrade"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let messages = receiver.has(2).await;
    let target = &messages[1].1["targets"][0];
    assert_eq!(target["previous_version"], "1.0.0");
    assert_eq!(
        target["changes"],
        serde_json::json!([{"name": "demo-core", "from": "1.0.0", "to": "2.0.0"}])
    );
    let feed = std::fs::read(desk.path("layers/arns/feeds/layers/core.json")).unwrap();
    let feed: Value = serde_json::from_slice(&feed).unwrap();
    let contents: Vec<&str> = feed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["content_html"].as_str().unwrap())
        .collect();
    let [newer, older] = contents[..] else {
        panic!("{feed:#}");
    };
    assert!(newer.contains("What changed since 1.0.0"), "{newer}");
    assert!(newer.contains("demo-core 1.0.0 → 2.0.0"), "{newer}");
    assert!(older.contains("demo-core 1.0.0"), "{older}");
    // The newest build is the one that is wanted: nothing goes back.
    let again = desk.run(&["apply"]).stdout;
    assert!(again.contains("Nothing had to be published"), "{again}");

    // Should the store forget where the older one is, its build is how it is known again.
    let store = Connection::open(desk.data("store.sqlite")).unwrap();
    let forget = "DELETE FROM layer_versions WHERE arn LIKE '%:us-east-1:%:1'";
    assert_eq!(store.execute(forget, []).unwrap(), 1);
    let said = desk.run(&["verify", "--repair"]);
    assert!(said.stdout.contains("1 wrong, 1 mended"), "{said:#?}");
    let again = desk.run(&["apply"]).stdout;
    assert!(again.contains("Nothing had to be published"), "{again}");
}

/// Lets the pause before the next try pass.
fn make_due(desk: &Desk) {
    let python = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as store:\n    store.execute('UPDATE notifications SET next_attempt_at = 0')\n";
    let done = Command::new("python3")
        .args(["-c", python])
        .arg(desk.data("store.sqlite"))
        .status()
        .unwrap();
    assert!(done.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_told_and_parameters_name_the_latest_arn() {
    let moto = Moto::start().await;
    let topic = moto.topic_with_queue("eu-west-1", "layers").await;
    let mut desk = Desk::new().await;
    use_aws(&mut desk.options, &moto.endpoint());
    desk.policy(&format!(
        "notify: [{{sns: \"{topic}\"}}]\nparameters: true\n"
    ));
    desk.write("layers/demo.yaml", REQUEST);
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.stdout.contains("Parameters: 2 written."), "{said:#?}");
    let name = "/layersmith/Layersmith/p3.13/demo";
    let arn = |region: &str, number: u64| {
        format!("arn:aws:lambda:{region}:123456789012:layer:Layersmith-p313-demo:{number}")
    };
    for region in ["eu-west-1", "us-east-1"] {
        assert_eq!(moto.parameter(region, name).await, Some(arn(region, 1)));
    }
    let messages = moto.queue("eu-west-1", "layers").await;
    assert_eq!(messages.len(), 1, "{messages:#?}");
    assert_eq!(
        messages[0]["Subject"],
        "demo 1.0.0 is published for 1 target"
    );
    let message: Value = serde_json::from_str(messages[0]["Message"].as_str().unwrap()).unwrap();
    assert_eq!(
        message["targets"][0]["arns"]["us-east-1"],
        arn("us-east-1", 1)
    );

    // Somebody changes one by hand: a run that has nothing to publish puts it right.
    moto.put_parameter("us-east-1", name, "something else")
        .await;
    let said = desk.run(&["apply"]);
    assert!(said.stdout.contains("Parameters: 1 written."), "{said:#?}");
    assert_eq!(
        moto.parameter("us-east-1", name).await,
        Some(arn("us-east-1", 1))
    );
    assert!(
        !desk.run(&["apply"]).stdout.contains("Parameters"),
        "nothing is left to do"
    );

    desk.write("layers/demo.yaml", &REQUEST.replace("==1.0.0", "==1.1.0"));
    assert_eq!(desk.run(&["apply"]).code, 0);
    assert_eq!(
        moto.parameter("eu-west-1", name).await,
        Some(arn("eu-west-1", 2))
    );
    // Retired: it keeps the last ARN, which can be used until it expires.
    desk.remove("layers/demo.yaml");
    assert_eq!(desk.run(&["apply"]).code, 0);
    assert_eq!(
        moto.parameter("eu-west-1", name).await,
        Some(arn("eu-west-1", 2))
    );
    let messages = moto.queue("eu-west-1", "layers").await;
    let subjects: Vec<&Value> = messages.iter().map(|message| &message["Subject"]).collect();
    assert_eq!(
        subjects.last().unwrap().as_str(),
        Some("demo 1.1.0 is retired"),
        "{subjects:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_whose_parameters_are_away_is_left_alone() {
    let moto = Moto::start().await;
    // Its first answers take long, and here that would be one more region that is away.
    for region in ["us-east-1", "eu-west-1"] {
        moto.parameter(region, "/layersmith/Layersmith/p3.13/demo")
            .await;
        moto.layer_versions(region, "Layersmith-p313-demo").await;
    }
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let mut desk = Desk::new().await;
    use_aws(&mut desk.options, &proxy.endpoint());
    desk.options.set("LAYERSMITH_AWS_TIMEOUT", "1");
    desk.policy("parameters: true\n");
    desk.write("layers/demo.yaml", REQUEST);
    let (hangs, call) = (AwsFault::Hang, AwsCall::Parameters);
    proxy.fail_call("us-east-1", call, hangs, usize::MAX);
    let said = desk.run(&["apply"]);
    assert!(said.stdout.contains("Parameters: 1 written."), "{said:#?}");
    assert!(
        said.stdout
            .contains("Parameters in us-east-1: WARNING: no answer: "),
        "{said:#?}"
    );
    assert_eq!(proxy.calls("us-east-1", call), 2, "two tries tell it");
    // Where nothing answers, names are not even asked for.
    proxy.repair();
    proxy.fail_region("us-east-1", hangs);
    desk.write("layers/demo.yaml", &REQUEST.replace("==1.0.0", "==1.1.0"));
    let said = desk.run(&["apply"]);
    assert!(said.stdout.contains("FAILED    us-east-1: "), "{said:#?}");
    assert_eq!(proxy.calls("us-east-1", call), 2);
    proxy.repair();
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.stdout.contains("Parameters: 1 written."), "{said:#?}");
}

/// Read by a parser of its own, with what RFC 4287 requires: sections 4.1.1 and 4.1.2, and 4.2.6 for ids.
const CHECK_ATOM: &str = r#"
import sys, re
import xml.etree.ElementTree as tree
A = '{http://www.w3.org/2005/Atom}'
TIME = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$')
for path in sys.argv[1:]:
    feed = tree.parse(path).getroot()
    assert feed.tag == A + 'feed', feed.tag
    def one(parent, name):
        found = parent.findall(A + name)
        assert len(found) == 1, (path, name, found)
        assert found[0].text, (path, name)
        return found[0].text
    ids = [one(feed, 'id')]
    one(feed, 'title')
    updated = one(feed, 'updated')
    assert one(feed.find(A + 'author'), 'name')
    assert [l.get('href') for l in feed.findall(A + 'link') if l.get('rel') == 'self'], path
    entries = feed.findall(A + 'entry')
    assert entries, path
    for entry in entries:
        ids.append(one(entry, 'id'))
        one(entry, 'title')
        assert TIME.match(one(entry, 'updated')) and TIME.match(one(entry, 'published'))
        assert one(entry, 'updated') <= updated
        assert entry.find(A + 'content').get('type') == 'html'
        assert tree.fromstring('<div>' + one(entry, 'content') + '</div>') is not None
    assert len(set(ids)) == len(ids), ids
    assert all(re.match(r'^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$', i) for i in ids), ids
    print(len(entries), one(entries[0], 'title'))
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_are_what_their_formats_require() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", REQUEST);
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.write("layers/demo.yaml", &REQUEST.replace("==1.0.0", "==1.1.0"));
    desk.remove("layers/core.yaml");
    assert_eq!(desk.run(&["apply"]).code, 0);
    let tables = desk.path("layers/arns/feeds");
    let checked = Command::new("python3")
        .args(["-c", CHECK_ATOM])
        .args([
            tables.join("layers/demo.atom"),
            tables.join("layers/core.atom"),
            tables.join("all.atom"),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    let counts: Vec<&str> = said
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(counts, ["2", "2", "4"], "{said}");
    let json: Value =
        serde_json::from_slice(&std::fs::read(tables.join("all.json")).unwrap()).unwrap();
    assert_eq!(json["version"], "https://jsonfeed.org/version/1.1");
    for item in json["items"].as_array().unwrap() {
        assert!(
            item["id"].is_string() && item["content_html"].is_string(),
            "{item}"
        );
    }
    let before = desk.tables();
    assert_eq!(desk.run(&["apply"]).code, 0);
    assert!(
        desk.tables() == before,
        "a run with nothing to do changes no feed"
    );
}

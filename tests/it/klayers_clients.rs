//! What Klayers' own clients send and read: they work against this server with only the base URL changed.
//!
//! Each function does what a client does, by its published behaviour: `cdk-klayers` 0.3 (Python) reads the latest layers of
//! a region, `terraform-provider-klayer` (Go) the versions of one package.

use crate::command_line::Desk;
use layersmith_testbed::bot::Bot;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A desk whose catalog is published twice, so that there are deprecated versions, and a server on its store.
async fn catalog_and_server() -> (Desk, Bot) {
    let desk = Desk::new().await;
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app ==1.0.0]\narchitectures: [x86_64, arm64]\n",
    );
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\narchitectures: [x86_64, arm64]\n",
    );
    assert_eq!(desk.run(&["apply"]).code, 0);
    let bot = Bot::start(&desk.options).await;
    (desk, bot)
}

/// Python's `requests` with its default headers and the client's three seconds.
async fn python_get(url: &str) -> reqwest::Response {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(3))
        .build()
        .unwrap();
    let request = client
        .get(url)
        .header("user-agent", "python-requests/2.34.2")
        .header("accept-encoding", "gzip, deflate")
        .header("accept", "*/*");
    request.send().await.unwrap()
}

/// `cdk-klayers`: package → ARN of the latest version, from `{base}/p3.13/layers/latest/us-east-1/`. A slash that
/// had to be added by a redirect, an answer that is no list, or an item without its three texts would fail there.
async fn cdk_latest(base: &str, python: &str, region: &str) -> BTreeMap<String, (String, String)> {
    let target = python.replace("python", "p");
    let url = format!("{base}/{target}/layers/latest/{region}/");
    let answer = python_get(&url).await;
    assert_eq!(answer.url().as_str(), url, "it was sent elsewhere");
    let layers: Vec<BTreeMap<String, String>> =
        serde_json::from_str(&answer.text().await.unwrap()).expect("a list of objects of texts");
    let found: BTreeMap<_, _> = layers
        .iter()
        .map(|layer| {
            (
                layer["package"].clone(),
                (layer["packageVersion"].clone(), layer["arn"].clone()),
            )
        })
        .collect();
    assert_eq!(found.len(), layers.len(), "a package is listed twice");
    found
}

/// `cdk-klayers`: the ARN of a certain version is the latest one's with the eighth part replaced.
fn cdk_arn_of_version(latest: &str, version: u64) -> String {
    let mut parts: Vec<String> = latest.split(':').map(str::to_owned).collect();
    assert_eq!(parts.len(), 8, "{latest}");
    parts[7]
        .parse::<u64>()
        .expect("the eighth part is a number");
    parts[7] = version.to_string();
    parts.join(":")
}

/// `terraform-provider-klayer`: the versions of a package as maps of texts; what is no text is left out, as Go does.
async fn terraform_versions(
    base: &str,
    python: &str,
    region: &str,
    name: &str,
) -> Vec<BTreeMap<String, String>> {
    let url = format!("{base}/p{python}/layers/{region}/{name}");
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let answer = client
        .get(&url)
        .header("user-agent", "Go-http-client/1.1")
        .header("accept-encoding", "gzip");
    let text = answer.send().await.unwrap().text().await.unwrap();
    let layers: Vec<BTreeMap<String, Value>> = serde_json::from_str(&text).unwrap();
    let texts = |layer: BTreeMap<String, Value>| {
        let text = |(key, value): (String, Value)| Some((key, value.as_str()?.to_owned()));
        layer.into_iter().filter_map(text).collect()
    };
    layers.into_iter().map(texts).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cdk_construct_finds_layers() {
    let (_desk, bot) = catalog_and_server().await;
    let base = format!("{}/api/v2", bot.url());
    let layers = cdk_latest(&base, "python3.13", "us-east-1").await;
    let arn = |name: &str, version| {
        format!("arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-{name}:{version}")
    };
    let expected = BTreeMap::from([
        ("core".to_owned(), ("1.0.0".to_owned(), arn("core", 1))),
        ("demo".to_owned(), ("1.1.0".to_owned(), arn("demo", 2))),
    ]);
    assert_eq!(layers, expected);
    assert_eq!(cdk_arn_of_version(&layers["demo"].1, 1), arn("demo", 1));
    // A Python version or region with nothing in it is an empty list, from which the client tells its user.
    assert!(cdk_latest(&base, "python3.9", "us-east-1").await.is_empty());
    assert!(
        cdk_latest(&base, "python3.13", "sa-east-1")
            .await
            .is_empty()
    );
    // Links of Klayers' documents have two slashes after the host.
    let twice = format!("{}//api/v2", bot.url());
    assert_eq!(
        cdk_latest(&twice, "python3.13", "us-east-1").await,
        expected
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terraform_provider_finds_versions() {
    let (_desk, bot) = catalog_and_server().await;
    let base = format!("{}/api/v2", bot.url());
    let versions = terraform_versions(&base, "3.13", "eu-west-1", "demo").await;
    let arns: Vec<(&str, &str)> = versions
        .iter()
        .map(|version| (version["deployStatus"].as_str(), version["arn"].as_str()))
        .collect();
    assert_eq!(
        arns,
        [
            (
                "latest",
                "arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:2"
            ),
            (
                "deprecated",
                "arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:1"
            ),
        ]
    );
    assert!(!versions[0].contains_key("expiryDate"));
    let expiry = &versions[1]["expiryDate"];
    assert!(
        expiry.len() >= 19 && expiry.as_bytes()[10] == b'T',
        "{expiry}"
    );
    let arm = terraform_versions(&base, "3.13-arm64", "eu-west-1", "demo").await;
    assert!(
        arm[0]["arn"].ends_with("Layersmith-p313-arm64-demo:2"),
        "{arm:?}"
    );
    assert!(
        terraform_versions(&base, "3.13", "eu-west-1", "nothing")
            .await
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_the_exact_shape_of_klayers() {
    let (_desk, bot) = catalog_and_server().await;
    let get = async |path: &str| {
        let answer = python_get(&format!("{}/api/v2/{path}", bot.url())).await;
        assert_eq!(answer.status(), 200, "{path}");
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        (kind, answer.text().await.unwrap())
    };
    let (kind, latest) = get("p3.13/layers/latest/us-east-1/json").await;
    assert_eq!(kind, "application/json");
    let (kind, csv) = get("p3.13/layers/latest/us-east-1/csv").await;
    assert_eq!(kind, "text/csv; charset=utf-8");
    let (kind, _) = get("p3.13/layers/latest/us-east-1/html").await;
    assert_eq!(kind, "text/html; charset=utf-8");
    let (_, history) = get("p3.13/layers/us-east-1/demo").await;
    let (_, builds) = get("p3.13/builds/latest").await;
    let whole = [latest, csv.replace("\r\n", "<CRLF>\n"), history, builds].join("\n");
    insta::assert_snapshot!(without_times(&whole), @r#"
    [{"package":"core","packageVersion":"1.0.0","arn":"arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-core:1"},{"package":"demo","packageVersion":"1.1.0","arn":"arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:2"}]
    Package,Package Version,arn<CRLF>
    core,1.0.0,arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-core:1<CRLF>
    demo,1.1.0,arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:2<CRLF>

    [{"arn":"arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:2","packageVersion":"1.1.0","deployStatus":"latest","dependencies":["demo-app==1.1.0","demo-core==1.0.0"]},{"arn":"arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1","packageVersion":"1.0.0","deployStatus":"deprecated","dependencies":["demo-app==1.0.0","demo-core==1.0.0"],"expiryDate":"0000-00-00T00:00:00Z"}]
    [{"package":"core","packageVersion":"1.0.0","createdDateTime":"0000-00-00T00:00:00","dependencies":["demo-core==1.0.0"]},{"package":"demo","packageVersion":"1.1.0","createdDateTime":"0000-00-00T00:00:00","dependencies":["demo-app==1.1.0","demo-core==1.0.0"]}]
    "#);
}

/// Replaces times, which depend on the day.
fn without_times(text: &str) -> String {
    let parts: Vec<String> = text
        .split('"')
        .map(|part| {
            let is_time =
                part.len() >= 19 && part.as_bytes()[4] == b'-' && part.as_bytes()[10] == b'T';
            let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
            if is_time {
                part.chars().map(shape).collect()
            } else {
                part.to_owned()
            }
        })
        .collect();
    parts.join("\"")
}

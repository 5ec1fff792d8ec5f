//! The stack of AWS: what a function sees, and how it looks from outside when one fails, dies or is asked for too often.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use layersmith_testbed::cloud::{Cloud, Death, Execution};
use layersmith_testbed::tools;
use serde_json::{Value, json};

const PARAMETERS: [(&str, &str); 5] = [
    ("Repository", "octo/catalog"),
    ("GitHubAppId", "1"),
    ("CodeBucket", "code"),
    ("CodeX8664Key", "x86_64.zip"),
    ("CodeArm64Key", "arm64.zip"),
];

/// A function that does what its event says: answers with what it knows of itself, fails, or calls AWS first.
const FUNCTION: &str = r#"
import json, os, time, urllib.request as web
runtime = os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"
def post(path, body):
    web.urlopen(web.Request(runtime + path, json.dumps(body).encode())).read()
count = 0
while True:
    with web.urlopen(runtime + "invocation/next") as answer:
        headers, event = answer.headers, json.load(answer)
    here = "invocation/" + headers["Lambda-Runtime-Aws-Request-Id"]
    count += 1
    if event.get("body"):
        event = json.loads(event["body"])
    if "call" in event:
        scope = os.environ["AWS_ACCESS_KEY_ID"] + "/20261101/eu-central-1/dynamodb/aws4_request"
        call = web.Request(os.environ["AWS_ENDPOINT_URL"], b"{}", {
            "authorization": "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host, Signature=0",
            "content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810." + event["call"]})
        web.urlopen(call).read()
    time.sleep(event.get("sleep", 0))
    if "fail" in event:
        post(here + "/error", {"errorType": event["fail"], "errorMessage": "as asked"})
        continue
    answer = {"function": os.environ["LAYERSMITH_FUNCTION"], "count": count, "event": event,
              "left": int(headers["Lambda-Runtime-Deadline-Ms"]) - round(time.time() * 1000),
              "arn": headers["Lambda-Runtime-Invoked-Function-Arn"], "items": [], "many": False, "bucket": "", "key": "", "again": False,
              "statusCode": 200, "headers": {}, "multiValueHeaders": {}, "cookies": [], "isBase64Encoded": False,
              "body": os.environ["LAYERSMITH_FUNCTION"]}
    post(here + "/response", answer)
"#;

async fn stack(folder: &Path) -> Cloud {
    let executable = script(folder);
    let mut cloud = Cloud::open(&PARAMETERS).await;
    cloud.serve(&executable, |_, _| ());
    cloud
}

fn script(folder: &Path) -> PathBuf {
    let python = tools::sam_python().unwrap();
    let path = folder.join("function");
    std::fs::write(&path, format!("#!{}\n{FUNCTION}", python.display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Status, the header that says how the function failed, and the answer.
async fn invoke(
    cloud: &Cloud,
    name: &str,
    event: &Value,
    kind: &str,
) -> (u16, Option<String>, Value) {
    let url = format!(
        "{}/2015-03-31/functions/{name}/invocations",
        cloud.endpoint()
    );
    let request = reqwest::Client::new()
        .post(url)
        .header("x-amz-invocation-type", kind)
        .body(event.to_string());
    let answer = request.send().await.unwrap();
    let error = answer.headers().get("x-amz-function-error");
    let error = error.map(|error| error.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (
        status,
        error,
        serde_json::from_str(&text).unwrap_or_default(),
    )
}

async fn ended(cloud: &Cloud, name: &str) -> Execution {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let executions = cloud.executions().await;
        let found = executions.into_iter().find(|it| it.name() == name);
        let found = found.expect("the execution was started");
        if found.status != "RUNNING" {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{name} does not end:\n{:#?}",
            cloud.history(&found).await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_has_lambdas_manners() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = stack(folder.path()).await;
    let (status, error, answer) = invoke(
        &cloud,
        "layersmith-plan",
        &json!({"a": 1}),
        "RequestResponse",
    )
    .await;
    assert_eq!((status, error), (200, None), "{answer}");
    assert_eq!(answer["function"], "plan");
    assert_eq!(answer["event"], json!({"a": 1}));
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:layersmith-plan";
    assert_eq!(answer["arn"], arn);
    let left = answer["left"].as_i64().unwrap();
    assert!((290_000..=300_000).contains(&left), "{left}");

    let (status, error, answer) =
        invoke(&cloud, arn, &json!({"fail": "Lasting"}), "RequestResponse").await;
    assert_eq!((status, error.as_deref()), (200, Some("Unhandled")));
    assert_eq!(answer["errorType"], "Lasting");

    let (status, _, answer) =
        invoke(&cloud, "layersmith-none", &json!({}), "RequestResponse").await;
    assert_eq!(status, 404, "{answer}");
    cloud.throttle("plan", 1);
    let (status, ..) = invoke(&cloud, "layersmith-plan", &json!({}), "RequestResponse").await;
    assert_eq!(status, 429);

    cloud.limit("plan", Duration::from_secs(1));
    let (_, error, answer) = invoke(
        &cloud,
        "layersmith-plan",
        &json!({"sleep": 5}),
        "RequestResponse",
    )
    .await;
    assert_eq!(error.as_deref(), Some("Unhandled"));
    assert_eq!(answer["errorType"], "Sandbox.Timedout");

    let page = reqwest::Client::new().post(format!("{}/some/page", cloud.url("webhook")));
    let page = page.body(json!({"b": 2}).to_string()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(page.text().await.unwrap(), "webhook");
    assert_eq!(cloud.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_dies_ends_its_invocation_and_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = stack(folder.path()).await;
    cloud.dies("publish", "dynamodb:ListTables", 2, Death::After);
    cloud.dies("publish", "dynamodb:ListTables", 3, Death::Before);
    let event = json!({"call": "ListTables"});
    let mut counts = Vec::new();
    for _ in 0..4 {
        let (status, error, answer) =
            invoke(&cloud, "layersmith-publish", &event, "RequestResponse").await;
        assert_eq!(status, 200);
        if error.is_some() {
            assert_eq!(answer["errorType"], "Runtime.ExitError", "{answer}");
        }
        counts.push(answer["count"].as_u64());
    }
    assert_eq!((counts[1], counts[2]), (None, None), "{counts:?}");
    assert!(counts[0].is_some() && counts[3].is_some(), "{counts:?}");
    assert_eq!(cloud.left(), Vec::<String>::new());
    // The role does not allow it.
    let missing: Vec<String> = cloud.not_allowed().into_iter().collect();
    assert!(
        missing.len() == 1 && missing[0].starts_with("publish: dynamodb:ListTables on"),
        "{missing:?}"
    );

    // An event that fails is tried again, and given up.
    let (status, ..) = invoke(
        &cloud,
        "layersmith-sweep",
        &json!({"fail": "Transient"}),
        "Event",
    )
    .await;
    assert_eq!(status, 202);
    assert!(!cloud.is_idle().await);
    while !cloud.is_idle().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let given_up = "an event for sweep was given up".to_owned();
    assert!(
        cloud.violations().contains(&given_up),
        "{:?}",
        cloud.violations()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_templates_state_machine_runs_its_functions() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = stack(folder.path()).await;
    let input = json!({"run": "one", "kind": "plan"});
    cloud.throttle("plan", 1);
    let (status, said) = cloud
        .start_execution("layersmith-plan", "one", &input)
        .await;
    assert_eq!(status, 200, "{said}");
    let execution = ended(&cloud, "one").await;
    let asked: Vec<String> = cloud.invokes().into_iter().map(|it| it.function).collect();
    assert_eq!(
        execution.status,
        "SUCCEEDED",
        "{asked:?} {:#?}",
        cloud.history(&execution).await
    );
    assert_eq!(asked.first().map(String::as_str), Some("plan"));
    assert_eq!(asked.last().map(String::as_str), Some("comment"));
    assert_eq!(cloud.left(), Vec::<String>::new());
}

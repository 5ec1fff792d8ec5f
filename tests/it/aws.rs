//! AWS instead of the embedded defaults: layers in Lambda, the deploy key in SSM, the other secrets in Secrets Manager.

use crate::world::World;
use layersmith::model::Region;
use layersmith_testbed::aws_proxy::{AwsCall, AwsFault, AwsProxy};
use layersmith_testbed::bot::BotOptions;
use layersmith_testbed::moto::{LayerVersion, Moto};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Where the secrets are; not the SDK's default, so that the setting is what counts.
const HOME: &str = "eu-central-1";
const REQUEST: (&str, &str) = ("layers/demo.yaml", "packages: [demo-app]\n");
const NAMES: [(&str, &str, &str); 4] = [
    ("Layersmith-p312-arm64-demo", "python3.12", "arm64"),
    ("Layersmith-p312-demo", "python3.12", "x86_64"),
    ("Layersmith-p313-arm64-demo", "python3.13", "arm64"),
    ("Layersmith-p313-demo", "python3.13", "x86_64"),
];

/// What makes the executable use AWS, here moto.
pub(crate) fn use_aws(options: &mut BotOptions, endpoint: &str) {
    options.set("LAYERSMITH_REGISTRY", "aws");
    options.set("AWS_ENDPOINT_URL", endpoint);
    options.set("AWS_ACCESS_KEY_ID", "testing");
    options.set("AWS_SECRET_ACCESS_KEY", "testing");
    options.set("AWS_REGION", HOME);
    options.set("AWS_EC2_METADATA_DISABLED", "true");
    options.set("LAYERSMITH_AWS_TIMEOUT", "20");
}

/// A world whose secrets are in AWS and nowhere else; the bot is not started yet.
async fn world_on_aws(moto: &Moto, endpoint: &str, regions: &str) -> World {
    let mut world = World::prepare(regions, "").await;
    moto.put_parameter(HOME, "/layersmith/deploy-key", &world.git.writing_key())
        .await;
    let app = json!({"private_key": world.github.app_private_key_pem()});
    let webhook = json!({"webhook_secret": world.github.webhook_secret()});
    moto.put_secret(HOME, "layersmith/github", &app.to_string())
        .await;
    moto.put_secret(HOME, "layersmith/webhook", &webhook.to_string())
        .await;
    use_aws(&mut world.options, endpoint);
    world
        .options
        .set("LAYERSMITH_DEPLOY_KEY", "ssm:/layersmith/deploy-key");
    world.options.set(
        "LAYERSMITH_WEBHOOK_SECRET",
        "secretsmanager:layersmith/webhook#webhook_secret",
    );
    world.options.set(
        "LAYERSMITH_GITHUB_PRIVATE_KEY",
        "secretsmanager:layersmith/github#private_key",
    );
    world
}

/// Every version of a region's layers, as moto has them; each one public.
async fn versions_in(moto: &Moto, region: &str) -> Vec<(String, LayerVersion)> {
    let mut found = Vec::new();
    for name in moto.layers(region).await {
        for version in moto.layer_versions(region, &name).await {
            let policy = moto.layer_policy(region, &name, version.version).await;
            let statement = policy.as_ref().map(|policy| &policy["Statement"][0]);
            assert_eq!(
                statement.map(|it| (&it["Effect"], &it["Principal"], &it["Action"])),
                Some((
                    &Value::from("Allow"),
                    &Value::from("*"),
                    &Value::from("lambda:GetLayerVersion")
                )),
                "{region} {name}: {policy:?}"
            );
            found.push((name.clone(), version));
        }
    }
    found
}

/// Waits for something that other processes bring about.
async fn until(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !happened().await {
        assert!(Instant::now() < deadline, "{what}: it does not happen");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_publishes_to_every_region_of_aws_with_secrets_from_aws() {
    let moto = Moto::start().await;
    let mut world = world_on_aws(&moto, &moto.endpoint(), "all").await;
    world.start_bot().await;
    let number = world.pull_request(&[REQUEST]).await;
    world.settled().await;
    assert!(
        world
            .conversation(number)
            .contains("1 layer × 4 targets would be published to 34 regions"),
        "{}",
        world.conversation(number)
    );
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(
        said.contains("Published: 1 layer × 4 targets, live in 34 regions"),
        "{said}"
    );

    let regions = Region::commercial();
    assert_eq!(regions.len(), 34);
    let mut descriptions = Vec::new();
    for region in &regions {
        let versions = versions_in(&moto, region.as_str()).await;
        assert_eq!(versions.len(), NAMES.len(), "{region}: {versions:#?}");
        for ((name, version), (expected, runtime, architecture)) in versions.iter().zip(NAMES) {
            assert_eq!((name.as_str(), version.version), (expected, 1), "{region}");
            assert_eq!(version.runtimes, [runtime], "{region} {name}");
            assert_eq!(version.architectures, [architecture], "{region} {name}");
        }
        descriptions.push(
            versions
                .iter()
                .map(|(_, version)| version.description.clone())
                .collect::<Vec<_>>(),
        );
    }
    descriptions.dedup();
    assert_eq!(descriptions.len(), 1, "all regions have the same zips");
    let digest = descriptions[0][0]
        .strip_prefix("demo 1.1.0 | sha256:")
        .unwrap();
    assert!(
        digest.len() == 16 && digest.chars().all(|c| c.is_ascii_hexdigit()),
        "{digest}"
    );

    let path = "layers/arns/p3.13-arm64/ap-south-2.json";
    let table: Value = serde_json::from_str(&world.github.file_at("main", path).unwrap()).unwrap();
    let name = "Layersmith-p313-arm64-demo";
    let arn = &moto.layer_versions("ap-south-2", name).await[0].arn;
    let expected = json!([{"package": "demo", "packageVersion": "1.1.0", "arn": arn}]);
    assert_eq!(table, expected);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_killed_between_publishing_and_the_tables_goes_on_with_the_tables() {
    let moto = Moto::start().await;
    let regions = "[eu-west-1, us-east-1]";
    let mut world = world_on_aws(&moto, &moto.endpoint(), regions).await;
    // A git server that takes connections and says nothing: the run gets as far as the tables and no further.
    let silence = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!(
        "ssh://git@{}/octo/catalog.git",
        silence.local_addr().unwrap()
    );
    let right = world.options.clone();
    world.options.set("LAYERSMITH_GIT_URL", silent);
    world.start_bot().await;
    let number = world.pull_request(&[REQUEST]).await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    let reached = tokio::time::timeout(Duration::from_secs(60), silence.accept()).await;
    let connection = reached.expect("the run gets to the tables").unwrap();
    world.kill_bot();
    drop((connection, silence));
    let before = versions_in(&moto, "us-east-1").await;
    assert_eq!(before.len(), 4);
    let commits = world.github.log("main").len();

    world.options = right;
    world.start_bot().await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(
        said.contains("Published: 1 layer × 4 targets, live in 2 regions"),
        "{said}"
    );
    assert_eq!(versions_in(&moto, "us-east-1").await, before);
    assert_eq!(versions_in(&moto, "eu-west-1").await.len(), 4);
    assert_eq!(world.github.log("main").len(), commits + 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_killed_before_it_heard_of_its_publication_adopts_it() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let regions = "[eu-west-1, us-east-1]";
    let mut world = world_on_aws(&moto, &proxy.endpoint(), regions).await;
    world.start_bot().await;
    let request = (
        "layers/demo.yaml",
        "packages: [demo-app]\npython: [\"3.13\"]\n",
    );
    let number = world.pull_request(&[request]).await;
    world.settled().await;
    proxy.fail_publishing("eu-west-1", AwsFault::HangAfterwards, 2);
    world.github.merge_pull_request(number).await;
    until("both targets are published and nobody knows", async || {
        moto.layers("eu-west-1").await.len() == 2
    })
    .await;
    world.kill_bot();
    assert!(proxy.is_through());

    world.start_bot().await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(
        said.contains("Published: 1 layer × 2 targets, live in 2 regions"),
        "{said}"
    );
    for region in ["eu-west-1", "us-east-1"] {
        let versions = versions_in(&moto, region).await;
        let numbers: Vec<u64> = versions.iter().map(|(_, it)| it.version).collect();
        assert_eq!(numbers, [1, 1], "{region}: {versions:#?}");
        assert_eq!(proxy.publications(region), 2, "{region}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_fails_is_told_and_a_retry_publishes_only_there() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let regions = "[eu-west-1, us-east-1, sa-east-1]";
    let mut world = world_on_aws(&moto, &proxy.endpoint(), regions).await;
    world.start_bot().await;
    let request = (
        "layers/demo.yaml",
        "packages: [demo-app]\narchitectures: [x86_64]\n",
    );
    let number = world.pull_request(&[request]).await;
    world.settled().await;
    proxy.fail_region("sa-east-1", AwsFault::Refuse(500, "ServiceException"));
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(
        said.contains("Published in part: 4 of 6 versions are live, 2 failed"),
        "{said}"
    );
    assert!(said.contains("`sa-east-1` failed for"), "{said}");
    assert!(moto.layers("sa-east-1").await.is_empty());
    let listed = |path: &str| {
        let table = world.github.file_at("main", path);
        table.is_some_and(|table| table.contains("Layersmith-p313-demo"))
    };
    assert!(listed("layers/arns/p3.13/us-east-1.md"));
    assert!(!listed("layers/arns/p3.13/sa-east-1.md"));
    let before = versions_in(&moto, "us-east-1").await;

    proxy.repair();
    world.retry(number).await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(
        said.contains("Published: 1 layer × 2 targets, live in 3 regions"),
        "{said}"
    );
    assert_eq!(versions_in(&moto, "sa-east-1").await.len(), 2);
    assert_eq!(versions_in(&moto, "us-east-1").await, before);
    assert_eq!(proxy.publications("us-east-1"), 2);
    assert!(
        world
            .github
            .file_at("main", "layers/arns/p3.13/sa-east-1.md")
            .is_some_and(|table| table.contains("Layersmith-p313-demo"))
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permissions_that_cannot_be_changed_are_told_and_a_retry_changes_them() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let mut world = world_on_aws(&moto, &proxy.endpoint(), "[eu-west-1, us-east-1]").await;
    world.start_bot().await;
    let request = (
        "layers/demo.yaml",
        "packages: [demo-app]\narchitectures: [x86_64]\n",
    );
    let number = world.pull_request(&[request]).await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    world.conversation(number);

    let path = ".github/layersmith.yaml";
    let mut policy = world.github.file_at("main", path).unwrap();
    policy.push_str("visibility: private\n");
    let number = world.branch("private", &[(path, &policy)]).await;
    world.settled().await;
    let refused = AwsFault::Refuse(403, "AccessDeniedException");
    proxy.fail_call("us-east-1", AwsCall::ReadPolicy, refused, usize::MAX);
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let said = world.conversation(number);
    for told in [
        "### ⚠️ Nothing was published: who may use 2 versions in 1 region could not be changed",
        "The tables do not list them until it is. It takes somebody to mend that, then `/layersmith retry`.",
        "- `us-east-1`, 2 versions: `",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let listed = |region: &str| {
        let table = world
            .github
            .file_at("main", &format!("layers/arns/p3.13/{region}.csv"));
        table.is_some_and(|table| table.contains("Layersmith-p313-demo"))
    };
    assert_eq!((listed("eu-west-1"), listed("us-east-1")), (true, false));
    let answered = async || {
        let mut regions = Vec::new();
        for path in [
            "/api/v2/p3.13/layers/latest/REGION",
            "/api/v2/p3.13/layers/REGION/demo",
            "/?target=p3.13&region=REGION",
            "/layers/demo",
        ] {
            for region in ["eu-west-1", "us-east-1"] {
                let (status, body) = world.get(&path.replace("REGION", region)).await;
                assert_eq!(status, 200, "{path}");
                if body.contains(&format!("arn:aws:lambda:{region}:")) {
                    regions.push(region);
                }
            }
        }
        regions
    };
    assert_eq!(answered().await, ["eu-west-1"; 4]);

    proxy.repair();
    world.retry(number).await;
    world.settled().await;
    let said = world.conversation(number);
    assert!(
        said.contains("### ✅ Nothing had to be published"),
        "{said}"
    );
    assert_eq!((listed("eu-west-1"), listed("us-east-1")), (true, true));
    assert_eq!(answered().await.len(), 8);
    world.finish().await;
}

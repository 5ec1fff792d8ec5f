//! The fault matrix: each of the five calls to AWS Lambda that publishing consists of goes wrong in each of eight ways, six
//! where it only reads. However it goes, each zip is live once in each region, what is listed is live, and a region that
//! failed is said to have failed while the others are done. Beside it clocks, credentials, and bytes that are spoiled on
//! their way through a bucket; the calls to SSM, SNS and STS go wrong elsewhere or not at all.

use crate::aws::use_aws;
use crate::bad_wheels::noise;
use crate::command_line::{Desk, Said};
use crate::world::bulky_wheel;
use layersmith::model::{Digest, Region};
use layersmith_testbed::aws_proxy::{AwsCall, AwsFault, AwsProxy, Credentials};
use layersmith_testbed::index::Wheel;
use layersmith_testbed::moto::Moto;
use std::collections::BTreeSet;
use std::time::Duration;

const LAYER: &str = "Layersmith-p313-demo";
/// Seconds that one attempt of a call may take, so that waiting is short.
const TIMEOUT: &str = "5";
/// The same as it usually is.
const USUAL_TIMEOUT: &str = "20";
/// What slow answers take.
const SLOW: Duration = Duration::from_secs(30);

/// One layer for one target, to every region of AWS, which is moto behind a proxy.
struct Matrix {
    moto: Moto,
    proxy: AwsProxy,
    desk: Desk,
}

impl Matrix {
    async fn start() -> Self {
        Self::with_timeout(TIMEOUT).await
    }

    async fn with_timeout(timeout: &str) -> Self {
        let moto = Moto::start().await;
        // Its first answers take long, and here that would be one more fault.
        for region in Region::commercial() {
            moto.layer_versions(region.as_str(), LAYER).await;
        }
        let proxy = AwsProxy::start(&moto.endpoint()).await;
        let mut desk = Desk::new().await;
        use_aws(&mut desk.options, &proxy.endpoint());
        desk.options.set("LAYERSMITH_AWS_TIMEOUT", timeout);
        desk.index.publish(bulky_wheel());
        // Most of it is sent ahead of its publication.
        desk.write("layers/demo.yaml", "packages: [demo-app, demo-bulk]\n");
        let url = desk.index.url();
        let policy = format!(
            "python: [\"3.13\"]\narchitectures: [x86_64]\nregions: all\nindex_url: {url}\n"
        );
        desk.write(".github/layersmith.yaml", &policy);
        Self { moto, proxy, desk }
    }

    fn apply(&self) -> Said {
        self.desk.run(&["apply"])
    }

    /// Asserts that the layer is live once in every region but these, where it is not at all, shared with everybody, and
    /// that the tables list exactly what is live.
    async fn is_live_but_in(&self, missing: &[&str]) {
        for region in Region::commercial() {
            let region = region.as_str();
            let versions = self.moto.layer_versions(region, LAYER).await;
            let path = format!("layers/arns/p3.13/{region}.json");
            let table = std::fs::read_to_string(self.desk.path(&path)).unwrap_or_default();
            if missing.contains(&region) {
                assert!(!table.contains(LAYER), "{region}: {table}");
                continue;
            }
            assert_eq!(versions.len(), 1, "{region}: {versions:#?}");
            assert!(table.contains(&versions[0].arn), "{region}: {table}");
            let policy = self.moto.layer_policy(region, LAYER, 1).await;
            let principal = policy.map(|policy| policy["Statement"][0]["Principal"].clone());
            assert_eq!(principal, Some("*".into()), "{region}");
        }
    }
}

/// The regions that a command said have failed.
fn failed(said: &Said) -> BTreeSet<&str> {
    let lines = said.stdout.lines();
    lines
        .filter_map(|line| line.trim().strip_prefix("FAILED")?.trim().split(':').next())
        .collect()
}

/// The matrix: call by call, what goes wrong with it.
fn every_call_with_every_fault() -> Vec<(AwsCall, AwsFault)> {
    let before = [
        AwsFault::Refuse(429, "TooManyRequestsException"),
        AwsFault::Refuse(500, "ServiceException"),
        AwsFault::Refuse(503, "ServiceUnavailableException"),
        AwsFault::Reset,
        AwsFault::Hang,
        AwsFault::LoseAnswer,
    ];
    let after = [
        AwsFault::RefuseAfterwards(500, "ServiceException"),
        AwsFault::HangAfterwards,
    ];
    let mut all = Vec::new();
    for call in [
        AwsCall::List,
        AwsCall::Publish,
        AwsCall::Share,
        AwsCall::Read,
        AwsCall::ReadPolicy,
    ] {
        all.extend(before.map(|fault| (call, fault)));
        // Reading has no effect that could come before the trouble.
        if matches!(call, AwsCall::Publish | AwsCall::Share) {
            all.extend(after.map(|fault| (call, fault)));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_of_a_publication_may_go_wrong_once() {
    let matrix = Matrix::start().await;
    // Each in a region of its own.
    let regions = Region::commercial();
    let faults = every_call_with_every_fault();
    assert_eq!((faults.len(), regions.len()), (34, 34));
    for (region, (call, fault)) in regions.iter().zip(&faults) {
        matrix.proxy.fail_call(region.as_str(), *call, *fault, 1);
    }
    let said = matrix.apply();
    assert_eq!(matrix.proxy.left(), Vec::<String>::new(), "{said:#?}");
    assert_eq!(said.code, 0, "{said:#?}");
    matrix.is_live_but_in(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_whose_call_always_fails_is_said_and_made_up_for() {
    every_other_region_is_spoilt(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_is_one_where_it_fails_of_each_of_the_other_reasons() {
    every_other_region_is_spoilt(1).await;
}

/// Of the pairs of call and fault, every other one from the one or the other on; the regions between are well.
async fn every_other_region_is_spoilt(first: usize) {
    let matrix = Matrix::start().await;
    let regions = Region::commercial();
    let faults = every_call_with_every_fault();
    let spoilt: Vec<(&str, AwsCall, AwsFault)> = regions
        .iter()
        .zip(&faults)
        .skip(first)
        .step_by(2)
        .map(|(region, (call, fault))| (region.as_str(), *call, *fault))
        .collect();
    assert_eq!(spoilt.len(), 17);
    for (region, call, fault) in &spoilt {
        matrix.proxy.fail_call(region, *call, *fault, usize::MAX);
    }
    let said = matrix.apply();
    assert_eq!(said.code, 1, "{said:#?}");
    // What is done although its answer says otherwise is found, and the region is well; but where sharing gets no answer
    // again and again, the region is left alone before anybody looks.
    let is_done = |(_, call, fault): &&(&str, AwsCall, AwsFault)| match fault {
        AwsFault::LoseAnswer | AwsFault::RefuseAfterwards(..) => {
            matches!(call, AwsCall::Publish | AwsCall::Share)
        }
        AwsFault::HangAfterwards => *call == AwsCall::Publish,
        _ => false,
    };
    let expected: BTreeSet<&str> = spoilt
        .iter()
        .filter(|spoilt| !is_done(spoilt))
        .map(|(region, ..)| *region)
        .collect();
    assert_eq!(failed(&said), expected, "{said:#?}");
    let missing: Vec<&str> = expected.into_iter().collect();
    matrix.is_live_but_in(&missing).await;

    matrix.proxy.repair();
    let again = matrix.apply();
    assert_eq!(again.code, 0, "{again:#?}");
    matrix.is_live_but_in(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_region_and_a_slow_one_keep_no_other_from_being_published() {
    let matrix = Matrix::with_timeout(USUAL_TIMEOUT).await;
    matrix.proxy.fail_region("me-south-1", AwsFault::Hang);
    matrix.proxy.fail_region("sa-east-1", AwsFault::Slow(SLOW));
    // Slow to publish, in time for it.
    let slow = AwsFault::Slow(SLOW);
    matrix
        .proxy
        .fail_call("us-west-1", AwsCall::Publish, slow, 1);
    let said = matrix.apply();
    assert_eq!(said.code, 1, "{said:#?}");
    let dead = ["me-south-1", "sa-east-1"];
    assert_eq!(failed(&said), BTreeSet::from(dead), "{said:#?}");
    matrix.is_live_but_in(&dead).await;
    for region in Region::commercial() {
        let expected = usize::from(!dead.contains(&region.as_str()));
        let publications = matrix.proxy.publications(region.as_str());
        assert_eq!(publications, expected, "{region}");
    }
    // Where nobody says whether the zip is there, its publication was begun, and broken off.
    for region in dead {
        assert!(matrix.proxy.begun(region) > 0, "{region}");
    }

    matrix.proxy.repair();
    let again = matrix.apply();
    assert_eq!(again.code, 0, "{again:#?}");
    matrix.is_live_but_in(&[]).await;
}

/// Each layer by itself would ask ten times, ever more slowly, while the others wait for its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_only_asks_to_slow_down_is_left_alone_for_the_layers_to_come() {
    let matrix = Matrix::with_timeout("1").await;
    let layers = 24;
    for number in 0..layers {
        let path = format!("layers/demo-{number}.yaml");
        matrix.desk.write(
            &path,
            "packages: [demo-app]\nregions: [eu-west-1, me-south-1]\n",
        );
    }
    let policy = ".github/layersmith.yaml";
    let text = std::fs::read_to_string(matrix.desk.path(policy)).unwrap();
    let two = "regions: [eu-west-1, me-south-1]";
    matrix
        .desk
        .write(policy, &text.replace("regions: all", two));
    let fault = AwsFault::Refuse(429, "TooManyRequestsException");
    matrix.proxy.fail_region("me-south-1", fault);
    let said = matrix.apply();
    assert_eq!(said.code, 1, "{said:#?}");
    let failures = said.stdout.matches("FAILED    me-south-1: ").count();
    assert_eq!(failures, layers + 1, "{said:#?}");
    assert!(
        said.stdout.contains("is left alone for a while"),
        "{said:#?}"
    );
    assert_eq!(matrix.proxy.publications("eu-west-1"), layers + 1);
    let asked = matrix.proxy.calls("me-south-1", AwsCall::List);
    assert!(asked < 2 * (layers + 1), "{asked}");

    matrix.proxy.repair();
    let again = matrix.apply();
    assert_eq!(again.code, 0, "{again:#?}");
    assert_eq!(matrix.proxy.publications("me-south-1"), layers + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_wrong_is_made_up_for() {
    for ahead in [3_600, -3_600] {
        let matrix = Matrix::start().await;
        matrix.proxy.set_clock(ahead);
        let said = matrix.apply();
        assert_eq!(said.code, 0, "{ahead}: {said:#?}");
        matrix.is_live_but_in(&[]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_expire_are_renewed() {
    let mut matrix = Matrix::start().await;
    // They are renewed in good time before they expire, so each of these is for the moment.
    let credentials = Credentials::start(1).await;
    let options = &mut matrix.desk.options;
    options.unset("AWS_ACCESS_KEY_ID");
    options.unset("AWS_SECRET_ACCESS_KEY");
    options.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", credentials.url());
    let said = matrix.apply();
    assert_eq!(said.code, 0, "{said:#?}");
    matrix.is_live_but_in(&[]).await;
    assert!(credentials.given() > 1, "{}", credentials.given());
    let used = matrix.proxy.keys();
    assert!(
        used.keys().filter(|key| key.starts_with("ASIA")).count() > 1,
        "{used:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_refused_before_their_time_are_said_and_new_ones_make_up_for_it() {
    let mut matrix = Matrix::start().await;
    let credentials = Credentials::start(3_600).await;
    let options = &mut matrix.desk.options;
    options.unset("AWS_ACCESS_KEY_ID");
    options.unset("AWS_SECRET_ACCESS_KEY");
    options.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", credentials.url());
    // A region makes up for one refusal, and takes five calls: a key for every three of them is refused more often than that.
    matrix.proxy.expire_keys_after(3);
    let said = matrix.apply();
    assert_eq!(said.code, 1, "{said:#?}");
    let missing = failed(&said);
    assert!(!missing.is_empty(), "{said:#?}");
    let told = "the credentials have expired (ExpiredTokenException: the words of AWS) (another try may help)";
    assert!(said.stdout.contains(told), "{said:#?}");
    let missing: Vec<&str> = missing.into_iter().collect();
    matrix.is_live_but_in(&missing).await;

    matrix.proxy.repair();
    let again = matrix.apply();
    assert_eq!(again.code, 0, "{again:#?}");
    matrix.is_live_but_in(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spoiled_bytes_are_live_nowhere_and_a_crash_leaves_nothing_in_a_bucket() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let mut desk = Desk::new().await;
    use_aws(&mut desk.options, &proxy.endpoint());
    let wheel = Wheel::new("large", "1.0.0").module("large", "");
    desk.index
        .publish(wheel.file("large/noise.bin", noise(51 * 1024 * 1024)));
    desk.write("layers/large.yaml", "packages: [large]\n");
    let url = desk.index.url();
    // The same zip for both architectures.
    let policy = format!(
        "python: [\"3.13\"]\narchitectures: [x86_64, arm64]\nregions: [eu-west-1, us-east-1]\nindex_url: {url}\nstaging: \"layers-{{account}}-{{region}}\"\n"
    );
    desk.write(".github/layersmith.yaml", &policy);
    let buckets =
        ["eu-west-1", "us-east-1"].map(|region| (region, format!("layers-123456789012-{region}")));
    for (region, bucket) in &buckets {
        moto.make_bucket(region, bucket).await;
    }
    let faults = [
        AwsFault::Refuse(400, "BadDigest"),
        // Amazon S3 does not see it; AWS Lambda tells what it got.
        AwsFault::Spoil,
    ];
    for ((region, _), fault) in buckets.iter().zip(faults) {
        proxy.fail_call(region, AwsCall::UploadPart, fault, 1);
    }
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(proxy.is_through());
    let files = std::fs::read_dir(desk.data("artifacts")).unwrap();
    let zips: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".zip").map(str::to_owned))
        .collect();
    assert_eq!(zips.len(), 1, "{zips:?}");
    let digest: Digest = zips[0].parse().unwrap();
    let layers = ["Layersmith-p313-arm64-large", "Layersmith-p313-large"];
    for (region, bucket) in &buckets {
        for layer in layers {
            let versions = moto.layer_versions(region, layer).await;
            assert_eq!(versions.len(), 1, "{region} {layer}: {versions:#?}");
            let version = versions[0].version;
            let told = moto.layer_digest(region, layer, version).await;
            assert_eq!(told, digest.base64(), "{region} {layer}");
        }
        assert_eq!(moto.objects(region, bucket).await, Vec::<String>::new());
    }

    // The memory of a bot that broke off after publishing and before it took the zip away.
    let keys = layers.map(|layer| format!("layersmith/{layer}/{digest}.zip"));
    for (region, bucket) in &buckets {
        for key in &keys {
            moto.put_object(region, bucket, key, b"any").await;
        }
        assert_eq!(moto.objects(region, bucket).await, keys);
    }
    let memory = desk.data("other.sqlite");
    let memory = format!("sqlite:{}", memory.display());
    desk.options.set("LAYERSMITH_STORE", memory);
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    for (region, bucket) in &buckets {
        for layer in layers {
            let versions = moto.layer_versions(region, layer).await;
            assert_eq!(versions.len(), 1, "{region} {layer}: {versions:#?}");
        }
        assert_eq!(moto.objects(region, bucket).await, Vec::<String>::new());
    }
}

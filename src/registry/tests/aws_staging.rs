//! Zips that go through a bucket, against moto, and against moto behind a proxy that makes trouble.

use super::aws::{clock, config, home, timing};
use super::moto::Moto;
use super::request;
use crate::model::Digest;
use crate::registry::{AwsRegistry, PublishRequest, Registry as _, RegistryError, Timing};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use layersmith_testbed::aws_proxy::{AwsCall, AwsFault, AwsProxy};
use std::io::Write as _;
use std::time::Duration;

/// Where zips for the home region go.
const BUCKET: &str = "layers-123456789012-us-east-1";

/// A request whose zip is above the limit of a direct upload.
fn large(name: &str) -> PublishRequest {
    let mut noise = fastrand::Rng::with_seed(4);
    let mut content = vec![0; 53 * 1024 * 1024];
    noise.fill(&mut content);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file("python/noise.bin", options).unwrap();
    writer.write_all(&content).unwrap();
    let zip = writer.finish().unwrap().into_inner();
    PublishRequest {
        size: zip.len() as u64,
        digest: Digest::of(&zip),
        zip: super::file(&zip),
        staging: Some("layers-{account}-{region}".parse().unwrap()),
        ..request(name, "a")
    }
}

/// The key that a request's zip has in a bucket.
fn key(request: &PublishRequest) -> String {
    format!("layersmith/{}/{}.zip", request.name, request.digest)
}

fn s3(config: &SdkConfig) -> Client {
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(true);
    Client::from_conf(config.build())
}

/// What is in the bucket: objects, and uploads that have not ended.
async fn left(s3: &Client) -> (usize, usize) {
    let objects = s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    let uploads = s3.list_multipart_uploads().bucket(BUCKET).send();
    let uploads = uploads.await.unwrap();
    (objects.contents().len(), uploads.uploads().len())
}

/// moto with a bucket, a proxy before it, and a registry that goes through the proxy.
struct Bucket {
    proxy: AwsProxy,
    registry: AwsRegistry,
    s3: Client,
    _moto: Moto,
}

impl Bucket {
    async fn start(timing: Timing) -> Option<Self> {
        let moto = Moto::start()?;
        let proxy = AwsProxy::start(&moto.url).await;
        let config = config(&proxy.endpoint()).await;
        let s3 = s3(&config);
        s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        Some(Self {
            registry: AwsRegistry::new(vec![config], timing, clock()),
            proxy,
            s3,
            _moto: moto,
        })
    }
}

/// Leaves behind what a crash may: an upload that has not ended, and bytes that are not the zip's.
async fn leave(s3: &Client, request: &PublishRequest) {
    let upload = s3.create_multipart_upload().bucket(BUCKET);
    upload.key(key(request)).send().await.unwrap();
    let object = s3.put_object().bucket(BUCKET).key(key(request));
    object
        .body(b"other bytes".to_vec().into())
        .send()
        .await
        .unwrap();
    assert_eq!(left(s3).await, (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_zip_goes_through_a_bucket_which_is_empty_afterwards() {
    let Some(moto) = Moto::start() else { return };
    let config = config(&moto.url).await;
    let registry = AwsRegistry::new(vec![config.clone()], timing(), clock());
    let region = home();
    let request = large("large");

    let refused = registry.publish(&region, &request).await.unwrap_err();
    insta::assert_snapshot!(refused, @"us-east-1: refused: the staging bucket `layers-123456789012-us-east-1` does not exist: create it in us-east-1, or correct `staging` in the policy");
    let s3 = s3(&config);
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    leave(&s3, &request).await;

    let published = registry.publish(&region, &request).await.unwrap();
    assert_eq!(published.digest, Some(request.digest));
    assert_eq!(published.size, Some(request.size));
    assert_eq!(left(&s3).await, (0, 0));

    // Somebody else's publication went on where a crash was.
    leave(&s3, &request).await;
    let staging = request.staging.clone().unwrap();
    registry
        .unstage(&region, &request.name, &request.digest, &staging)
        .await;
    assert_eq!(left(&s3).await, (0, 0));

    let direct = PublishRequest {
        staging: None,
        ..request
    };
    let refused = registry.publish(&region, &direct).await;
    assert!(
        matches!(refused, Err(RegistryError::Refused { .. })),
        "{refused:?}"
    );
}

/// As functions of the deployment do, which know nothing of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_publish_the_same_zip_do_not_take_it_from_each_other() {
    let Some(bucket) = Bucket::start(timing()).await else {
        return;
    };
    let config = config(&bucket.proxy.endpoint()).await;
    let other = AwsRegistry::new(vec![config], timing(), clock());
    let one = large("one");
    let two = PublishRequest {
        name: "two".to_owned(),
        ..one.clone()
    };
    let region = home();
    // While the first is at it, the second begins, and is through with it.
    let slow = AwsFault::Slow(Duration::from_secs(5));
    let proxy = &bucket.proxy;
    proxy.fail_call("us-east-1", AwsCall::UploadPart, slow, 1);
    let second = async {
        while proxy.calls("us-east-1", AwsCall::UploadPart) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        other.publish(&region, &two).await
    };
    let (first, second) = tokio::join!(bucket.registry.publish(&region, &one), second);
    assert_eq!(first.unwrap().digest, Some(one.digest));
    assert_eq!(second.unwrap().digest, Some(one.digest));
    assert_eq!(left(&bucket.s3).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_spoiled_on_the_way_is_not_published_and_the_next_try_is_right() {
    let Some(bucket) = Bucket::start(timing()).await else {
        return;
    };
    let (region, request) = (home(), large("large"));
    let mut told = Vec::new();
    for (number, (call, fault)) in [
        (AwsCall::UploadPart, AwsFault::Refuse(400, "BadDigest")),
        (AwsCall::UploadPart, AwsFault::OtherChecksum),
        (AwsCall::CompleteUpload, AwsFault::OtherChecksum),
        // Nobody but AWS Lambda sees it.
        (AwsCall::UploadPart, AwsFault::Spoil),
        // Another process thought it a leftover.
        (AwsCall::UploadPart, AwsFault::Refuse(404, "NoSuchUpload")),
    ]
    .into_iter()
    .enumerate()
    {
        let request = PublishRequest {
            name: format!("large-{number}"),
            ..request.clone()
        };
        bucket.proxy.fail_call("us-east-1", call, fault, 1);
        let failed = bucket.registry.publish(&region, &request).await;
        let failed = failed.unwrap_err();
        assert!(failed.is_transient(), "{failed}");
        told.push(failed.reason());
        assert_eq!(left(&bucket.s3).await, (0, 0), "{call:?} {fault:?}");
        let versions = bucket.registry.versions(&region, &request.name).await;
        assert_eq!(versions.unwrap(), [], "{call:?} {fault:?}");

        let published = bucket.registry.publish(&region, &request).await.unwrap();
        assert_eq!(published.digest, Some(request.digest));
        let versions = bucket.registry.versions(&region, &request.name).await;
        assert_eq!(versions.unwrap().len(), 1, "{call:?} {fault:?}");
    }
    insta::assert_snapshot!(told.join("\n"), @"
    failed: the staging bucket `layers-123456789012-us-east-1`: BadDigest: the words of AWS
    failed: the staging bucket `layers-123456789012-us-east-1`: a part has another checksum than what was sent
    failed: the staging bucket `layers-123456789012-us-east-1`: the upload has another checksum than the built layer
    failed: the staging bucket `layers-123456789012-us-east-1`: it held another zip than the built layer, so arn:aws:lambda:us-east-1:123456789012:layer:large-3:1 was deleted again
    failed: the staging bucket `layers-123456789012-us-east-1`: NoSuchUpload: the words of AWS
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_does_not_answer_is_left_alone_and_small_layers_are_published_without() {
    let impatient = Timing {
        call_timeout: Duration::from_secs(1),
        cool_down: Duration::from_secs(3_600),
        ..timing()
    };
    let Some(bucket) = Bucket::start(impatient).await else {
        return;
    };
    let region = home();
    // The first answers of moto take long.
    let patient = AwsRegistry::new(
        vec![config(&bucket.proxy.endpoint()).await],
        timing(),
        clock(),
    );
    let small = request("small", "a");
    patient.publish(&region, &small).await.unwrap();
    let large = PublishRequest {
        staging: Some("layers-123456789012-{region}".parse().unwrap()),
        ..large("large")
    };
    let (call, fault) = (AwsCall::HeadObject, AwsFault::Hang);
    bucket.proxy.fail_call("us-east-1", call, fault, usize::MAX);
    for _ in 0..2 {
        let failed = bucket.registry.publish(&region, &large).await;
        assert!(
            matches!(failed, Err(RegistryError::Unreachable { .. })),
            "{failed:?}"
        );
    }
    // Two attempts tell that it is away; after them nothing is sent, not to take away what is not there either.
    assert_eq!(bucket.proxy.calls("us-east-1", AwsCall::HeadObject), 2);
    assert_eq!(bucket.proxy.calls("us-east-1", AwsCall::DeleteObject), 0);
    bucket.registry.publish(&region, &small).await.unwrap();
}

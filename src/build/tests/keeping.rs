//! Layers that are kept in a bucket, against moto.

use super::building::{Bench, plain};
use super::wheel_maker::{TestWheel, lock};
use crate::build::{
    ArtifactDirectory, ArtifactError, Artifacts, Bucket, BucketError, BuildError, Builder,
    BuilderSettings, Document,
};
use crate::model::{Artifact, Digest};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use futures::FutureExt as _;
use layersmith_testbed::moto::Moto;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const BUCKET: &str = "layersmith-artifacts";
const REGION: &str = "us-east-1";

/// A folder of the bucket behind an endpoint.
pub(crate) fn bucket(endpoint: &str, name: &str, timeout: Duration) -> Bucket {
    let endpoint = endpoint.to_owned();
    let config = move || {
        let endpoint = endpoint.clone();
        let keys = Credentials::new("testing", "testing", None, None, "test");
        async move {
            crate::registry::aws_config(Some(&endpoint), REGION)
                .await
                .into_builder()
                .credentials_provider(SharedCredentialsProvider::new(keys))
                .build()
        }
        .boxed()
    };
    Bucket::new(name.to_owned(), "a/b".to_owned(), Arc::new(config), timeout)
}

fn kept(folder: &Path, endpoint: &str, timeout: Duration) -> Artifacts {
    let local = ArtifactDirectory::new(folder.to_owned());
    Artifacts::in_bucket(local, bucket(endpoint, BUCKET, timeout), 1 << 30)
}

/// Builds one layer where artifacts go to a bucket.
async fn build(bench: &Bench, wheel: &TestWheel, to: Artifacts) -> Result<Artifact, BuildError> {
    let builder = Builder::new(BuilderSettings::new(bench.folder.path().join("cache"), to));
    let lock = lock(std::slice::from_ref(wheel), &bench.base);
    builder.recall_or_build(&lock, &plain(), &|_| {}).await
}

fn key(digest: &Digest, suffix: &str) -> String {
    format!("a/b/build/artifacts/{digest}.{suffix}")
}

#[tokio::test]
async fn a_built_layer_is_kept_and_found_on_another_machine() {
    let moto = Moto::start().await;
    moto.make_bucket(REGION, BUCKET).await;
    let wheel = TestWheel::new("demo", "1.0", &[("demo/__init__.py", "x = 1\n")]);
    let bench = Bench::start(std::slice::from_ref(&wheel)).await;
    let long = Duration::from_secs(60);
    let here = |name: &str| kept(&bench.folder.path().join(name), &moto.endpoint(), long);
    let artifact = build(&bench, &wheel, here("one")).await.unwrap();
    let digest = &artifact.digest;
    let local = std::fs::read_dir(bench.folder.path().join("one")).unwrap();
    let local = local.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut expected: Vec<String> = local
        .map(|name| format!("a/b/build/artifacts/{name}"))
        .collect();
    expected.sort();
    assert_eq!(expected.len(), 1 + Document::ALL.len());
    let mut objects = moto.objects(REGION, BUCKET).await;
    objects.sort();
    assert_eq!(objects, expected);

    // Another machine has nothing of it but the bucket.
    let other = here("two");
    let held = other.verified(digest).await.unwrap();
    let bytes = std::fs::read(&held.path).unwrap();
    assert_eq!((Digest::of(&bytes), held.size), (*digest, artifact.size));
    // What was altered here is fetched again.
    std::fs::write(&held.path, "other").unwrap();
    let again = other.verified(digest).await.unwrap();
    assert_eq!(std::fs::read(&again.path).unwrap(), bytes);

    // What was altered, or cut off, in the bucket is never handed out, and put right by whoever builds it again.
    for wrong in [b"other".as_slice(), &bytes[..bytes.len() / 2]] {
        moto.put_object(REGION, BUCKET, &key(digest, "zip"), wrong)
            .await;
        let third = here("three");
        let error = third.verified(digest).await.unwrap_err();
        assert!(matches!(error, ArtifactError::Altered(_)), "{error}");
        assert!(error.is_lost() && !third.local().contains(digest));
        assert_eq!(build(&bench, &wheel, here("one")).await.unwrap(), artifact);
        assert_eq!(third.verified(digest).await.unwrap().size, artifact.size);
        std::fs::remove_dir_all(third.local().path_of(digest).parent().unwrap()).unwrap();
    }

    let nowhere = Digest::of(b"nothing");
    let error = other.verified(&nowhere).await.unwrap_err();
    assert!(matches!(error, ArtifactError::Missing(_)), "{error}");
    let left = std::fs::read_dir(bench.folder.path().join("two")).unwrap();
    assert_eq!(left.count(), 1, "nothing half-fetched stays");
}

#[tokio::test]
async fn a_bucket_that_is_away_or_missing_is_told_without_its_name() {
    let wheel = TestWheel::new("demo", "1.0", &[("demo/__init__.py", "x = 1\n")]);
    let bench = Bench::start(std::slice::from_ref(&wheel)).await;
    let folder = bench.folder.path().join("artifacts");
    let short = Duration::from_millis(200);
    // Nobody listens there any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = build(&bench, &wheel, kept(&folder, &away, short)).await;
    let error = error.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(
        error.for_people().starts_with(
            "The layer was built and could not be kept: the bucket of built layers: the bucket cannot be reached ("
        ),
        "{}",
        error.for_people()
    );

    let moto = Moto::start().await;
    let long = Duration::from_secs(60);
    let missing = kept(&folder, &moto.endpoint(), long);
    let error = build(&bench, &wheel, missing).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(
        error.for_people(),
        "The layer was built and could not be kept: the bucket of built layers: the bucket refuses it (NoSuchBucket, status 404)."
    );
    let nothing = bucket(&moto.endpoint(), BUCKET, long);
    let key = crate::build::ObjectKey::zip(&Digest::of(b"x"));
    let error = nothing.get(&key, 10).await.unwrap_err();
    assert!(matches!(error, BucketError::Refused(_)), "{error}");
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_read() {
    let moto = Moto::start().await;
    moto.make_bucket(REGION, BUCKET).await;
    let bucket = bucket(&moto.endpoint(), BUCKET, Duration::from_secs(60));
    let key = crate::build::ObjectKey::zip(&Digest::of(b"x"));
    bucket.put(&key, vec![b'x'; 100]).await.unwrap();
    assert_eq!(bucket.get(&key, 100).await.unwrap().len(), 100);
    let error = bucket.get(&key, 99).await.unwrap_err();
    assert!(matches!(error, BucketError::Altered), "{error}");
}

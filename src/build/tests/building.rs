//! From a lock to a stored artifact, wheels served over HTTP.

use super::wheel_maker::{TestWheel, lock};
use crate::build::{
    ArtifactDirectory, BuildError, BuildOptions, BuildProgress, Builder, BuilderSettings, Document,
};
use crate::model::{Digest, Lock, Timestamp};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
struct Shelf {
    wheels: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    served: Arc<Mutex<Vec<String>>>,
    /// Answers given before the wheels themselves.
    first: Arc<Mutex<Vec<Trouble>>>,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Status(StatusCode),
    CutOff,
    Silent,
}

async fn serve_wheel(State(shelf): State<Shelf>, Path(name): Path<String>) -> Response {
    shelf.served.lock().unwrap().push(name.clone());
    let bytes = shelf.wheels.lock().unwrap().get(&name).cloned();
    let trouble = shelf.first.lock().unwrap().pop();
    match (trouble, bytes) {
        (Some(Trouble::Status(status)), _) => status.into_response(),
        (Some(Trouble::Silent), _) => std::future::pending().await,
        (Some(Trouble::CutOff), Some(bytes)) => {
            // No length said, so that the client cannot tell from HTTP.
            let half = bytes[..bytes.len() / 2].to_vec();
            let stream = futures::stream::once(async { Ok::<_, io::Error>(half) });
            Body::from_stream(stream).into_response()
        }
        (_, Some(bytes)) => bytes.into_response(),
        (_, None) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Nothing asked for.
pub(super) fn plain() -> BuildOptions<'static> {
    BuildOptions::plain("p3.13".parse().unwrap(), Timestamp::from_unix(0))
}

pub(super) struct Bench {
    shelf: Shelf,
    pub(super) base: String,
    pub(super) folder: tempfile::TempDir,
}

impl Bench {
    pub(super) async fn start(wheels: &[TestWheel]) -> Self {
        let shelf = Shelf::default();
        for wheel in wheels {
            let mut shelved = shelf.wheels.lock().unwrap();
            shelved.insert(wheel.filename(), wheel.bytes());
        }
        let app = Router::new()
            .route("/{name}", get(serve_wheel))
            .with_state(shelf.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            shelf,
            base: format!("http://user:s3cret@{address}"),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn builder(&self) -> Builder {
        let artifacts = ArtifactDirectory::new(self.folder.path().join("artifacts"));
        let settings = BuilderSettings {
            read_timeout: Duration::from_millis(300),
            retries: 2,
            retry_delay: Duration::from_millis(1),
            ..BuilderSettings::new(self.folder.path().join("cache"), artifacts)
        };
        Builder::new(settings)
    }

    pub(super) fn artifacts(&self) -> ArtifactDirectory {
        ArtifactDirectory::new(self.folder.path().join("artifacts"))
    }

    async fn build(&self, lock: &Lock) -> Result<crate::model::Artifact, BuildError> {
        self.builder().build(lock, &plain(), &|_| {}).await
    }

    fn served(&self) -> usize {
        self.shelf.served.lock().unwrap().len()
    }

    fn cached(&self, digest: &Digest) -> std::path::PathBuf {
        let name = digest.to_string();
        let folder = self
            .folder
            .path()
            .join("cache/verified-wheels")
            .join(&name[..2]);
        folder.join(format!("{name}.whl"))
    }
}

fn wheels() -> [TestWheel; 2] {
    [
        TestWheel::new("alpha", "1.0", &[("alpha/__init__.py", "a = 1\n")]),
        TestWheel::new("beta", "2.0", &[("beta.py", "b = 2\n")]),
    ]
}

#[tokio::test]
async fn a_wheel_built_from_source_is_never_fetched() {
    let wheels = wheels();
    let bench = Bench::start(&wheels).await;
    let mut lock = lock(&wheels, &bench.base);
    bench.build(&lock).await.unwrap();
    let wheel = &mut lock.packages[0].wheel;
    wheel.url = format!("{}/alpha-1.0.tar.gz#built={}", bench.base, wheel.filename);
    let (digest, served) = (wheel.sha256, bench.served());
    bench.build(&lock).await.unwrap();
    std::fs::remove_file(bench.cached(&digest)).unwrap();
    let error = bench.build(&lock).await.unwrap_err();
    assert!(matches!(error, BuildError::Lost { .. }), "{error:?}");
    assert_eq!(error.package().as_deref(), Some("alpha"));
    assert!(!error.is_transient());
    assert_eq!(bench.served(), served);
}

#[tokio::test]
async fn cold_warm_and_in_another_order_the_artifact_is_the_same() {
    let wheels = wheels();
    let bench = Bench::start(&wheels).await;
    let lock = lock(&wheels, &bench.base);
    let cold = bench.build(&lock).await.unwrap();
    assert_eq!(bench.served(), 2);
    let warm = bench.build(&lock).await.unwrap();
    assert_eq!(bench.served(), 2, "a cached wheel was fetched again");
    let mut reversed = lock.clone();
    reversed.packages.reverse();
    let reversed = bench.build(&reversed).await.unwrap();
    assert_eq!(cold, warm);
    assert_eq!(cold, reversed);

    let artifacts = bench.artifacts();
    assert!(artifacts.contains(&cold.digest));
    let (path, size) = artifacts.verified(&cold.digest).await.unwrap();
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes.len() as u64, size);
    assert_eq!(bytes.len() as u64, cold.size);
    let names: Vec<&str> = cold.pins.iter().map(|pin| pin.name.as_str()).collect();
    assert_eq!(names, ["alpha", "beta"]);
    let left_over = std::fs::read_dir(bench.folder.path().join("artifacts")).unwrap();
    assert_eq!(
        left_over.count(),
        1 + Document::ALL.len(),
        "the zip and its documents, and nothing else"
    );
}

#[tokio::test]
async fn options_change_the_artifact() {
    let wheels = wheels();
    let bench = Bench::start(&wheels).await;
    let lock = lock(&wheels, &bench.base);
    let all = bench.build(&lock).await.unwrap();
    let exclude = ["beta.py".to_owned()];
    let options = BuildOptions {
        exclude: &exclude,
        ..plain()
    };
    let fewer = bench
        .builder()
        .build(&lock, &options, &|_| {})
        .await
        .unwrap();
    assert_ne!(all.digest, fewer.digest);
    assert_eq!(all.files, fewer.files + 1);
}

#[tokio::test]
async fn progress_says_what_comes_from_where() {
    let wheels = wheels();
    let bench = Bench::start(&wheels).await;
    let lock = lock(&wheels, &bench.base);
    let builder = bench.builder();
    let seen = Mutex::new(Vec::new());
    let on_progress = |progress| seen.lock().unwrap().push(progress);
    for _ in 0..2 {
        let options = plain();
        builder.build(&lock, &options, &on_progress).await.unwrap();
    }
    let seen = seen.into_inner().unwrap();
    let size = lock.packages.iter().map(|package| package.wheel.size).sum();
    assert_eq!(
        seen[0],
        BuildProgress::Fetching {
            wheels: 2,
            bytes: size
        }
    );
    let received = seen.iter().filter_map(|progress| match progress {
        BuildProgress::Received { bytes } => Some(*bytes),
        _ => None,
    });
    assert_eq!(Some(received.sum()), size);
    let ready = |cached: bool| {
        let is_ready = |progress: &&BuildProgress| matches!(progress, BuildProgress::WheelReady { cached: was, .. } if *was == cached);
        seen.iter().filter(is_ready).count()
    };
    assert_eq!((ready(false), ready(true)), (2, 2));
    assert_eq!(seen.last(), Some(&BuildProgress::Importing));
}

#[tokio::test]
async fn builds_at_once_fetch_a_wheel_once() {
    let wheels = wheels();
    let bench = Bench::start(&wheels).await;
    let lock = lock(&wheels, &bench.base);
    let builder = bench.builder();
    let options = plain();
    let builds = (0..6).map(|_| builder.build(&lock, &options, &|_| {}));
    let built = futures::future::join_all(builds).await;
    assert!(built.into_iter().all(|artifact| artifact.is_ok()));
    assert_eq!(bench.served(), 2);
}

#[tokio::test]
async fn altered_files_are_thrown_away() {
    let wheels = wheels();
    let bench = Bench::start(&wheels).await;
    let lock = lock(&wheels, &bench.base);
    let artifact = bench.build(&lock).await.unwrap();
    std::fs::write(bench.cached(&lock.packages[0].wheel.sha256), b"altered").unwrap();
    assert_eq!(bench.build(&lock).await.unwrap(), artifact);
    assert_eq!(bench.served(), 3);
    // Each as long as it was, and all that is known of it fits.
    for package in &lock.packages {
        let path = bench.cached(&package.wheel.sha256);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let zip = bench.artifacts().path_of(&artifact.digest);
    std::fs::remove_file(&zip).unwrap();
    assert_eq!(bench.build(&lock).await.unwrap(), artifact);
    assert_eq!(bench.served(), 5);
    let zips = std::fs::read_dir(zip.parent().unwrap()).unwrap();
    let zips = zips.map(|entry| entry.unwrap().path());
    let zips: Vec<_> = zips
        .filter(|path| path.extension().is_some_and(|end| end == "zip"))
        .collect();
    assert_eq!(zips, [zip], "nothing of what was altered stays");

    let artifacts = bench.artifacts();
    std::fs::write(artifacts.path_of(&artifact.digest), b"altered").unwrap();
    let error = artifacts.verified(&artifact.digest).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(!artifacts.contains(&artifact.digest));
    let error = artifacts.verified(&artifact.digest).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_wheel_with_another_digest_is_refused_at_once() {
    let wheels = wheels();
    let bench = Bench::start(&wheels).await;
    let mut lock = lock(&wheels, &bench.base);
    lock.packages[1].wheel.sha256 = Digest::of(b"something else");
    let error = bench.build(&lock).await.unwrap_err();
    assert!(matches!(error, BuildError::HashMismatch { .. }), "{error}");
    assert_eq!(error.package().as_deref(), Some("beta"));
    insta::assert_snapshot!(error.for_people(), @"`beta-2.0-py3-none-any.whl` is not the file that the package index promised: its SHA-256 differs. Nothing was built from it.");
    assert!(!bench.cached(&lock.packages[1].wheel.sha256).exists());
    let beta = wheels[1].filename();
    let served = bench.shelf.served.lock().unwrap().clone();
    assert_eq!(served.iter().filter(|name| **name == beta).count(), 1);
}

#[tokio::test]
async fn trouble_on_the_way_is_tried_again() {
    let wheels = wheels();
    for trouble in [
        Trouble::Status(StatusCode::SERVICE_UNAVAILABLE),
        Trouble::Status(StatusCode::TOO_MANY_REQUESTS),
        Trouble::CutOff,
        Trouble::Silent,
    ] {
        let bench = Bench::start(&wheels).await;
        bench.shelf.first.lock().unwrap().push(trouble);
        let lock = lock(&wheels, &bench.base);
        bench.build(&lock).await.unwrap();
        assert_eq!(bench.served(), 3, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_failure_names_the_wheel_and_no_credentials() {
    let wheels = wheels();
    let bench = Bench::start(&wheels).await;
    let lock = lock(&wheels, &bench.base);
    let unavailable = Trouble::Status(StatusCode::SERVICE_UNAVAILABLE);
    *bench.shelf.first.lock().unwrap() = vec![unavailable; 100];
    let error = bench.build(&lock).await.unwrap_err();
    assert!(error.is_transient());
    assert!(error.to_string().contains("503"), "{error}");

    bench.shelf.first.lock().unwrap().clear();
    bench
        .shelf
        .wheels
        .lock()
        .unwrap()
        .remove(&wheels[1].filename());
    let error = bench.build(&lock).await.unwrap_err();
    assert!(!error.is_transient());
    insta::assert_snapshot!(error.for_people(), @"`beta-2.0-py3-none-any.whl` could not be fetched: the server answered 404 Not Found.");

    let mut gone = lock.clone();
    gone.packages[1].wheel.url = "http://user:s3cret@127.0.0.1:1/beta.whl".to_owned();
    let error = bench.build(&gone).await.unwrap_err();
    assert!(error.is_transient());
    let said = format!("{error} {error:?} {}", error.for_people());
    assert!(!said.contains("s3cret") && !said.contains("user"), "{said}");
}

#[tokio::test]
async fn a_truncated_wheel_that_was_locked_so_is_named() {
    let wheels = wheels();
    let bench = Bench::start(&wheels).await;
    let mut lock = lock(&wheels, &bench.base);
    let half = wheels[0].bytes()[..200].to_vec();
    lock.packages[0].wheel.sha256 = Digest::of(&half);
    lock.packages[0].wheel.size = None;
    let name = wheels[0].filename();
    bench.shelf.wheels.lock().unwrap().insert(name, half);
    let error = bench.build(&lock).await.unwrap_err();
    insta::assert_snapshot!(error.for_people(), @"`alpha-1.0-py3-none-any.whl` cannot be used: it is not a zip file, or is cut off.");
}

#[tokio::test]
async fn a_wheel_larger_than_any_layer_is_not_even_asked_for() {
    let wheels = wheels();
    let bench = Bench::start(&wheels).await;
    let mut lock = lock(&wheels, &bench.base);
    lock.packages[1].wheel.size = Some(300 * 1024 * 1024);
    let error = bench.build(&lock).await.unwrap_err();
    insta::assert_snapshot!(error.for_people(), @"`beta-2.0-py3-none-any.whl` cannot be used: it is larger than 250 MiB, which is all that a layer may have unpacked.");
    assert_eq!(bench.served(), 0);
}

/// What is noted of a wheel is small; the wheels themselves are what fills the cache.
#[tokio::test]
async fn what_is_fetched_takes_the_place_of_what_was_not_used_for_long() {
    let text = "x = 1\n".repeat(10_000);
    let wheels = ["one", "two", "three"].map(|name| {
        let module = format!("{name}.py");
        TestWheel::new(name, "1.0", &[(module.as_str(), text.as_str())]).stored()
    });
    let bench = Bench::start(&wheels).await;
    let cache = bench.folder.path().join("cache");
    let builder = Builder::new(BuilderSettings {
        cache_limit: 150_000,
        ..BuilderSettings::new(cache, bench.artifacts())
    });
    let locks = wheels.map(|wheel| lock(&[wheel], &bench.base));
    let paths = locks
        .each_ref()
        .map(|lock| bench.cached(&lock.packages[0].wheel.sha256));
    for (lock, path) in locks.iter().zip(&paths) {
        builder.build(lock, &plain(), &|_| {}).await.unwrap();
        // The first one was used an hour ago.
        if path == &paths[0] {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            let used = std::time::SystemTime::now() - Duration::from_secs(60 * 60);
            file.set_modified(used).unwrap();
        }
    }
    assert_eq!(paths.map(|path| path.is_file()), [false, true, true]);
}

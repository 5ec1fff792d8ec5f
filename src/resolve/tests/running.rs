//! uv missing, hanging, failing, and what it gets to see.

use super::index::{Bench, requirement, serve};
use crate::resolve::{ResolveError, ResolveRequest, Resolver, ResolverSettings};
use axum::Router;
use axum::http::StatusCode;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_missing_uv_says_how_to_get_it() {
    let bench = Bench::with_index("http://127.0.0.1:1/simple");
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (Some(folder.path().join("uv")), None),
        (None, Some(folder.path().into())),
        (None, None),
    ];
    for (uv, search_path) in cases {
        let resolver = Resolver::new(ResolverSettings {
            uv,
            search_path,
            ..bench.settings.clone()
        });
        let error = resolver.uv_version().await.unwrap_err();
        assert!(matches!(error, ResolveError::UvMissing), "{error}");
        for text in [error.to_string(), error.for_people()] {
            assert!(
                text.contains("pip install uv") && text.contains("LAYERSMITH_UV"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn uv_says_its_version() {
    let bench = Bench::with_index("http://127.0.0.1:1/simple");
    let version = Resolver::new(bench.settings.clone())
        .uv_version()
        .await
        .unwrap();
    assert!(version.split('.').count() >= 3, "{version}");
}

#[tokio::test]
async fn a_hanging_index_does_not_hold_up_for_longer_than_allowed() {
    let app = Router::new().fallback(std::future::pending::<StatusCode>);
    let bench = Bench::with_index(&format!("http://{}/simple", serve(app).await));
    let packages = [requirement("six")];
    let request = ResolveRequest {
        time_limit: Duration::from_millis(500),
        ..bench.request(&packages, "p3.13")
    };
    let started = Instant::now();
    let resolver = Resolver::new(bench.settings.clone());
    let error = resolver.resolve(&request).await.unwrap_err();
    assert!(matches!(error, ResolveError::TimedOut(_)), "{error}");
    assert!(error.is_transient());
    assert!(started.elapsed() < Duration::from_secs(20));
    let working = bench.settings.cache_dir.join("tmp");
    assert_eq!(std::fs::read_dir(working).unwrap().count(), 0);
}

#[tokio::test]
async fn an_index_out_of_reach_is_told_apart_and_its_credentials_are_not_shown() {
    let broken = Router::new().fallback(|| async { StatusCode::INTERNAL_SERVER_ERROR });
    let broken = serve(broken).await;
    for address in ["127.0.0.1:1", &broken] {
        let bench = Bench::with_index(&format!("http://somebody:s3cret@{address}/simple"));
        let error = bench.resolve(&["six"], "p3.13").await.unwrap_err();
        assert!(
            matches!(error, ResolveError::Unreachable { .. }),
            "{error:?}"
        );
        assert!(error.is_transient());
        let said = format!("{error} {error:?} {}", error.for_people());
        assert!(
            !said.contains("s3cret") && !said.contains("somebody"),
            "{said}"
        );
    }
}

/// A stand-in for uv, run with its output in a variable of the message it fails with.
async fn run_script(bench: &Bench, script: &str) -> ResolveError {
    let folder = tempfile::tempdir().unwrap();
    let uv = folder.path().join("uv");
    std::fs::write(&uv, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&uv, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut with_script = Bench::with_index(&bench.index_url);
    with_script.settings = ResolverSettings {
        uv: Some(uv),
        // Named, so that it is the same on every machine; the script does not run it.
        python: Some("/bin/sh".into()),
        ..bench.settings.clone()
    };
    with_script
        .resolve(&["six>=1"], "p3.11-arm64")
        .await
        .unwrap_err()
}

#[tokio::test]
async fn uv_sees_a_closed_environment_and_plain_arguments() {
    let mut bench = Bench::with_index("https://user:s3cret@packages.example.com/simple");
    for (name, value) in [
        ("AWS_SECRET_ACCESS_KEY", "aws"),
        ("LAYERSMITH_WEBHOOK_SECRET", "hook"),
        ("UV_EXTRA_INDEX_URL", "https://elsewhere.example.com"),
        ("PIP_INDEX_URL", "https://pip.example.com"),
        ("SSL_CERT_FILE", "certificates.pem"),
        ("https_proxy", "http://proxy.example.com"),
    ] {
        bench.settings.environment.push((name.into(), value.into()));
    }
    let error = run_script(
        &bench,
        "env | cut -d= -f1 | grep -v -x -e PWD -e SHLVL -e _ | sort >&2; exit 2",
    )
    .await;
    insta::assert_snapshot!(error, @"
    resolving failed: HOME
    NO_COLOR
    NO_PROXY
    PATH
    SSL_CERT_FILE
    TMPDIR
    UV_CACHE_DIR
    UV_DEFAULT_INDEX
    UV_HTTP_RETRIES
    UV_NO_PROGRESS
    UV_PYTHON_DOWNLOADS
    https_proxy
    ");
    let error = run_script(&bench, "cat >&2; echo \"$@\" | tr ' ' '\\n' >&2; exit 2").await;
    insta::assert_snapshot!(error, @"
    resolving failed: six>=1
    pip
    compile
    -
    --no-config
    --only-binary
    :all:
    --format
    pylock.toml
    --output-file
    pylock.toml
    --python-version
    3.11
    --python-platform
    aarch64-manylinux2014
    --python
    sh
    ");
}

#[tokio::test]
async fn output_without_end_is_bounded() {
    let bench = Bench::with_index("http://127.0.0.1:1/simple");
    let error = run_script(&bench, "yes words | head -c 3000000 >&2; exit 2").await;
    let ResolveError::Unexpected(message) = error else {
        panic!("{error}");
    };
    assert!(message.chars().count() < 5_000);
}

#[tokio::test]
async fn a_success_without_a_lock_is_a_failure() {
    let bench = Bench::with_index("http://127.0.0.1:1/simple");
    let error = run_script(&bench, "exit 0").await;
    assert!(matches!(error, ResolveError::Unexpected(_)), "{error}");
}

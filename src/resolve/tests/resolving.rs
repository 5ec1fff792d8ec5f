//! What uv finds on an index, and what it says when it finds nothing.

use super::index::{Bench, listed, listed_at};
use crate::model::Lock;
use crate::resolve::ResolveError;

fn filenames(lock: &Lock) -> String {
    let names: Vec<&str> = lock
        .packages
        .iter()
        .map(|package| package.wheel.filename.as_str())
        .collect();
    names.join("\n")
}

#[tokio::test]
async fn each_target_gets_its_own_wheels() {
    let fast = "fast-1.0";
    let bench = Bench::start(vec![
        listed(
            "app-2.0-py3-none-any",
            &["Fast>=1", "pure; python_version >= '3.12'"],
        ),
        listed("app-1.0-py3-none-any", &[]),
        listed("pure-1.0-py2.py3-none-any", &[]),
        listed(&format!("{fast}-py3-none-any"), &[]),
        listed(&format!("{fast}-cp39-abi3-manylinux_2_28_x86_64"), &[]),
        listed(&format!("{fast}-cp39-abi3-manylinux2014_aarch64"), &[]),
        listed(&format!("{fast}-cp313-cp313-manylinux_2_34_x86_64"), &[]),
        listed(&format!("{fast}-cp313-cp313-musllinux_1_2_x86_64"), &[]),
        listed(
            &format!("{fast}-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"),
            &[],
        ),
    ])
    .await;
    let lock = bench.resolve(&["app"], "p3.13").await.unwrap();
    insta::assert_snapshot!(filenames(&lock), @"
    app-2.0-py3-none-any.whl
    fast-1.0-cp313-cp313-manylinux_2_34_x86_64.whl
    pure-1.0-py2.py3-none-any.whl
    ");
    assert_eq!(lock.version_of("app"), Some("2.0"));
    assert!(lock.packages[0].wheel.url.starts_with("http://127.0.0.1:"));
    let expected = listed("app-2.0-py3-none-any", &[]).digest();
    assert_eq!(lock.packages[0].wheel.sha256, expected);
    let lock = bench.resolve(&["app"], "p3.13-arm64").await.unwrap();
    insta::assert_snapshot!(filenames(&lock), @"
    app-2.0-py3-none-any.whl
    fast-1.0-cp39-abi3-manylinux2014_aarch64.whl
    pure-1.0-py2.py3-none-any.whl
    ");
    let lock = bench.resolve(&["app"], "p3.11").await.unwrap();
    insta::assert_snapshot!(filenames(&lock), @"
    app-2.0-py3-none-any.whl
    fast-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
    ");
}

#[tokio::test]
async fn releases_after_the_cooldown_are_not_considered() {
    let bench = Bench::start(vec![
        listed_at("six-1.0-py3-none-any", &[], "2024-01-01T00:00:00Z"),
        listed_at("six-2.0-py3-none-any", &[], "2024-03-01T00:00:00Z"),
    ])
    .await;
    let lock = bench
        .resolve_cooled(&["six"], "p3.13", "2024-03-02T00:00:00Z", 3)
        .await
        .unwrap();
    assert_eq!(lock.version_of("six"), Some("1.0"));
    let lock = bench.resolve(&["six"], "p3.13").await.unwrap();
    assert_eq!(lock.version_of("six"), Some("2.0"));
}

/// The explanation, once it is sure that it names a package and nothing of the machine.
async fn explanation(bench: &Bench, packages: &[&str], blamed: &[&str]) -> String {
    let error = bench.resolve(packages, "p3.13").await.unwrap_err();
    assert!(matches!(error, ResolveError::NoSolution { .. }), "{error}");
    let package = error.package().unwrap();
    assert!(blamed.contains(&package), "{package} is blamed: {error}");
    assert!(!error.is_transient());
    let text = error.for_people();
    let cache = bench.settings.cache_dir.to_string_lossy().into_owned();
    for hidden in [&*cache, "/tmp", "\u{1b}", "pylock.toml"] {
        assert!(!text.contains(hidden), "{hidden:?} in {text}");
    }
    text
}

#[tokio::test]
async fn what_cannot_be_resolved_is_explained() {
    let bench = Bench::start(vec![
        listed("alpha-1.0-py3-none-any", &["shared<2"]),
        listed("beta-1.0-py3-none-any", &["shared>=2"]),
        listed("shared-1.0-py3-none-any", &[]),
        listed("shared-2.0-py3-none-any", &[]),
    ])
    .await;
    let conflict = explanation(&bench, &["alpha", "beta"], &["alpha", "beta"]).await;
    assert!(conflict.contains("shared<2") && conflict.contains("shared>=2"));
    let absent = explanation(&bench, &["beta", "absent"], &["absent"]).await;
    assert!(absent.contains("no package `absent`"), "{absent}");
    let too_new = explanation(&bench, &["beta", "alpha>7"], &["alpha"]).await;
    assert!(too_new.contains("alpha>7"), "{too_new}");
}

#[tokio::test]
async fn only_names_with_versions_reach_uv() {
    let bench = Bench::start(Vec::new()).await;
    for text in [
        "-r /etc/passwd",
        "--index-url=http://127.0.0.1:1",
        "./six.whl",
        "six @ file:///tmp/six-1.0-py3-none-any.whl",
        "six @ https://files.example.com/six-1.0-py3-none-any.whl",
        "six\n-r /etc/passwd",
        "",
    ] {
        let error = bench.resolve(&[text], "p3.13").await.unwrap_err();
        assert!(
            matches!(error, ResolveError::Unusable { .. }),
            "{text:?}: {error}"
        );
    }
}

#[tokio::test]
async fn credentials_of_the_index_stay_out_of_the_lock() {
    let mut bench = Bench::start(vec![listed("six-1.0-py3-none-any", &[])]).await;
    bench.index_url = bench
        .index_url
        .replace("http://", "http://somebody:s3cret@");
    let lock = bench.resolve(&["six"], "p3.13").await.unwrap();
    let url = &lock.packages[0].wheel.url;
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
}

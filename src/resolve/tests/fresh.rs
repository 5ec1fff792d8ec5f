//! Locks that answer again, for how long, and what makes them another question.

use super::index::{Bench, Shelf, listed, requirements};
use crate::model::Timestamp;
use crate::resolve::{ResolveRequest, Resolver, ResolverSettings};
use futures::future::join_all;
use std::time::Duration;

fn later(request: &ResolveRequest<'_>, seconds: i64) -> Timestamp {
    Timestamp::from_unix(request.now.unix() + seconds)
}

async fn bench() -> (Bench, Resolver) {
    let bench = Bench::start(vec![
        listed("app-1.0-py3-none-any", &["part"]),
        listed("part-1.0-py3-none-any", &[]),
    ])
    .await;
    let resolver = Resolver::new(ResolverSettings {
        max_age: Duration::from_secs(600),
        ..bench.settings.clone()
    });
    (bench, resolver)
}

fn pages(shelf: &Shelf) -> usize {
    let requests = shelf.requests();
    requests
        .iter()
        .filter(|path| path.starts_with("/simple/"))
        .count()
}

#[tokio::test]
async fn a_fresh_lock_answers_whoever_asks_the_same() {
    let (bench, resolver) = bench().await;
    let packages = requirements(&["app", "part>=1"]);
    let request = bench.request(&packages, "p3.13");
    let lock = resolver.resolve(&request).await.unwrap();
    let asked = bench.shelf.requests();
    assert!(!asked.is_empty());
    bench.shelf.add(listed("part-2.0-py3-none-any", &[]));

    let turned = requirements(&["part>=1", "app"]);
    let again = ResolveRequest {
        packages: &turned,
        now: later(&request, 599),
        ..request
    };
    assert_eq!(resolver.resolve(&again).await.unwrap(), lock);
    // What another process finds.
    let other = Resolver::new(ResolverSettings {
        max_age: Duration::from_secs(600),
        ..bench.settings.clone()
    });
    assert_eq!(other.resolve(&again).await.unwrap(), lock);
    assert_eq!(bench.shelf.requests(), asked);

    let old = ResolveRequest {
        now: later(&request, 600),
        ..again
    };
    assert_eq!(other.resolve(&old).await.unwrap().packages.len(), 2);
}

#[tokio::test]
async fn with_no_age_everything_is_asked_again() {
    let (bench, _) = bench().await;
    let eager = Resolver::new(bench.settings.clone());
    let packages = requirements(&["app"]);
    let request = bench.request(&packages, "p3.13");
    eager.resolve(&request).await.unwrap();
    assert_eq!(pages(&bench.shelf), 2);
    bench.shelf.add(listed("part-2.0-py3-none-any", &[]));
    let lock = eager.resolve(&request).await.unwrap();
    assert_eq!(pages(&bench.shelf), 4);
    assert_eq!(lock.version_of("part"), Some("2.0"));
    assert!(!bench.settings.cache_dir.join("locks").exists());
}

#[tokio::test]
async fn whatever_decides_a_lock_makes_another_question() {
    let (bench, resolver) = bench().await;
    let (packages, fewer) = (requirements(&["app", "part"]), requirements(&["app"]));
    let request = bench.request(&packages, "p3.13");
    resolver.resolve(&request).await.unwrap();
    let locks = || {
        let folder = bench.settings.cache_dir.join("locks");
        std::fs::read_dir(folder).unwrap().count()
    };
    assert_eq!(locks(), 1);
    let other_index = bench.index_url.replace("127.0.0.1", "localhost");
    let others = [
        ResolveRequest {
            packages: &fewer,
            ..request
        },
        bench.request(&packages, "p3.13-arm64"),
        ResolveRequest {
            cooldown_days: 1,
            ..request
        },
        ResolveRequest {
            index_url: Some(&other_index),
            ..request
        },
    ];
    for (n, other) in others.iter().enumerate() {
        resolver.resolve(other).await.unwrap();
        assert_eq!(locks(), n + 2, "{other:?}");
    }
    let mut settings = ResolverSettings {
        max_age: Duration::from_secs(600),
        ..bench.settings.clone()
    };
    settings
        .environment
        .push(("UV_REQUEST_TIMEOUT".into(), "s3cret".into()));
    settings
        .environment
        .push(("UV_REQUEST_TIMEOUT".into(), "7".into()));
    Resolver::new(settings).resolve(&request).await.unwrap();
    assert_eq!(locks(), others.len() + 2);
    for file in std::fs::read_dir(bench.settings.cache_dir.join("locks")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn an_old_or_altered_lock_is_resolved_again() {
    let (bench, resolver) = bench().await;
    let packages = requirements(&["app"]);
    let request = bench.request(&packages, "p3.13");
    let lock = resolver.resolve(&request).await.unwrap();
    let folder = bench.settings.cache_dir.join("locks");
    let path = std::fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(resolver.resolve(&request).await.unwrap(), lock);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    let old = ResolveRequest {
        now: later(&request, 600),
        ..request
    };
    assert_eq!(resolver.resolve(&old).await.unwrap(), lock);
    assert_ne!(std::fs::read(&path).unwrap(), whole);
}

#[tokio::test]
async fn failures_are_not_kept() {
    let (bench, resolver) = bench().await;
    let packages = requirements(&["missing"]);
    let request = bench.request(&packages, "p3.13");
    resolver.resolve(&request).await.unwrap_err();
    assert!(!bench.settings.cache_dir.join("locks").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_targets_at_once_fetch_a_page_once() {
    let (bench, resolver) = bench().await;
    let packages = requirements(&["app"]);
    let targets = [
        "p3.12",
        "p3.12-arm64",
        "p3.13",
        "p3.13-arm64",
        "p3.13",
        "p3.13",
    ];
    let requests: Vec<_> = targets
        .iter()
        .map(|target| bench.request(&packages, target))
        .collect();
    let locks = join_all(requests.iter().map(|request| resolver.resolve(request))).await;
    for lock in &locks {
        assert_eq!(lock.as_ref().unwrap().packages.len(), 2);
    }
    assert_eq!(pages(&bench.shelf), 2, "{:?}", bench.shelf.requests());
    let kept = std::fs::read_dir(bench.settings.cache_dir.join("locks"));
    assert_eq!(kept.unwrap().count(), 4);
}

#[tokio::test]
async fn what_uv_keeps_is_removed_once_it_is_too_much() {
    let bench = Bench::start(vec![listed("app-1.0-py3-none-any", &[])]).await;
    let packages = requirements(&["app"]);
    let request = bench.request(&packages, "p3.13");
    let kept = || {
        let folder = bench.settings.cache_dir.join("uv");
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = files.map(|file| file.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("simple")).count()
    };
    let roomy = Resolver::new(bench.settings.clone());
    let lock = roomy.resolve(&request).await.unwrap();
    assert_eq!(kept(), 1, "pages of the index");
    let tight = Resolver::new(ResolverSettings {
        cache_limit: 10,
        ..bench.settings.clone()
    });
    assert_eq!(tight.resolve(&request).await.unwrap(), lock);
    assert_eq!(kept(), 0);
    // It is looked at now and then only, and what was removed is fetched again.
    assert_eq!(tight.resolve(&request).await.unwrap(), lock);
    assert_eq!(kept(), 1);
}

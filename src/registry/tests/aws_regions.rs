//! Which regions the account has enabled, and what becomes of one that does not answer.

use super::aws::{clock, config, home, published, registry, scripted, timing};
use super::request;
use super::scripted::{Answer, Scripted, error, ok, page, text};
use crate::model::Region;
use crate::registry::{AwsRegistry, Clock, Registry as _, RegistryError, Timing};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn opted(status: &str) -> Answer {
    ok(&json!({"Regions": [
        {"RegionName": "us-east-1", "RegionOptStatus": "ENABLED_BY_DEFAULT"},
        {"RegionName": "me-south-1", "RegionOptStatus": "ENABLED"},
        {"RegionName": "af-south-1", "RegionOptStatus": status},
        {"RegionName": "moon-north-1", "RegionOptStatus": "DISABLED"},
    ]}))
}

/// A registry of the commercial partition whose clock stands until it is told otherwise.
async fn with_clock(server: &Scripted, timing: Timing) -> (Arc<AtomicU64>, AwsRegistry) {
    let seconds = Arc::new(AtomicU64::new(0));
    let hand = Arc::clone(&seconds);
    let clock: Clock = Arc::new(move || Duration::from_secs(hand.load(Ordering::SeqCst)));
    let configs = vec![config(&server.url).await];
    (seconds, AwsRegistry::new(configs, timing, clock))
}

async fn not_enabled(registry: &AwsRegistry) -> Vec<String> {
    let offered = registry.regions().await.unwrap();
    assert_eq!(
        offered.enabled.len() + offered.not_enabled.len(),
        Region::commercial().len()
    );
    offered.not_enabled.iter().map(Region::to_string).collect()
}

#[tokio::test]
async fn the_account_says_which_regions_it_has_and_is_asked_again_after_a_while() {
    let server = Scripted::start([opted("DISABLED"), opted("ENABLED")]).await;
    let (seconds, registry) = with_clock(&server, timing()).await;
    for _ in 0..3 {
        assert_eq!(not_enabled(&registry).await, ["af-south-1"]);
    }
    assert_eq!(server.seen().len(), 1);
    assert_eq!(server.seen()[0].0, "POST /listRegions");
    seconds.store(3_601, Ordering::SeqCst);
    assert_eq!(not_enabled(&registry).await, Vec::<String>::new());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_bot_that_may_not_ask_the_account_asks_ec2() {
    let regions = "<regionInfo><item><regionName>ca-west-1</regionName><optInStatus>not-opted-in</optInStatus></item></regionInfo>";
    let server = Scripted::start([error(403, "AccessDeniedException"), text(regions)]).await;
    let (_, registry) = with_clock(&server, timing()).await;
    assert_eq!(not_enabled(&registry).await, ["ca-west-1"]);
    let lines: Vec<String> = server.seen().into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, ["POST /listRegions", "POST /"]);
}

#[tokio::test]
async fn where_nobody_tells_the_region_itself_does() {
    let server = Scripted::start([page(403)]).await;
    let (seconds, registry) = with_clock(&server, timing()).await;
    assert_eq!(not_enabled(&registry).await, Vec::<String>::new());

    for code in ["UnrecognizedClientException", "InvalidClientTokenId"] {
        let (_server, registry) = scripted([error(403, code)]).await;
        let region: Region = "me-central-1".parse().unwrap();
        let asked = registry.publish(&region, &request("layer", "a")).await;
        assert!(
            matches!(asked, Err(RegistryError::NotEnabled { .. })),
            "{asked:?}"
        );
        assert!(!asked.unwrap_err().is_transient());
        // A region that every account has says something else with it.
        let asked = registry.publish(&home(), &request("layer", "a")).await;
        assert!(
            matches!(asked, Err(RegistryError::Refused { .. })),
            "{asked:?}"
        );
    }
    let region: Region = "me-central-1".parse().unwrap();
    let server = Scripted::start([error(403, "UnrecognizedClientException")]).await;
    let (later, registry) = with_clock(&server, timing()).await;
    registry.publish(&region, &request("layer", "a")).await.ok();
    assert_eq!(not_enabled(&registry).await, ["me-central-1"]);
    later.store(601, Ordering::SeqCst);
    assert_eq!(not_enabled(&registry).await, Vec::<String>::new());
    seconds.store(0, Ordering::SeqCst);
}

#[tokio::test]
async fn a_region_that_the_account_has_and_that_does_not_know_the_keys_is_a_failure() {
    let refused = error(403, "UnrecognizedClientException");
    let server = Scripted::start([
        opted("DISABLED"),
        refused.clone(),
        refused.clone(),
        opted("DISABLED"),
        refused,
    ])
    .await;
    let (_, registry) = with_clock(&server, timing()).await;
    assert_eq!(not_enabled(&registry).await, ["af-south-1"]);
    let publish = async |region: &str| {
        let region: Region = region.parse().unwrap();
        let asked = registry.publish(&region, &request("layer", "a")).await;
        asked.unwrap_err()
    };
    let failed = publish("me-south-1").await;
    assert!(failed.is_transient());
    insta::assert_snapshot!(failed, @"me-south-1: refused: the keys are not known there, though the account says that it has enabled the region (a session of AWS STS' global endpoint is good in the default regions only)");
    assert!(matches!(
        publish("af-south-1").await,
        RegistryError::NotEnabled { .. }
    ));
    // Should the account have left the region a moment ago, it says so now.
    assert_eq!(not_enabled(&registry).await, ["af-south-1"]);
    assert_eq!(server.seen().len(), 4);
    assert!(matches!(
        publish("me-south-1").await,
        RegistryError::UnknownKeys { .. }
    ));
}

#[tokio::test]
async fn a_region_that_keeps_failing_is_left_alone_and_found_out_by_one_call() {
    let failing = error(503, "ServiceUnavailableException");
    let answers = [vec![failing; 6], vec![published()]].concat();
    let server = Scripted::start(answers).await;
    let timing = Timing {
        cool_down: Duration::from_secs(30),
        ..timing()
    };
    let (seconds, registry) = with_clock(&server, timing).await;
    let publish = async || registry.publish(&home(), &request("layer", "a")).await;
    for _ in 0..6 {
        publish().await.unwrap_err();
    }
    let turned_away = publish().await.unwrap_err();
    assert!(turned_away.is_transient());
    insta::assert_snapshot!(turned_away, @"us-east-1: no answer: the region did not answer the calls before, or only asked to slow down, and is left alone for a while");
    assert_eq!(server.seen().len(), 6);
    seconds.store(31, Ordering::SeqCst);
    publish().await.unwrap();
    assert_eq!(server.seen().len(), 7);
}

#[tokio::test]
async fn a_region_that_is_left_alone_is_asked_when_somebody_wants_it() {
    let failing = error(503, "ServiceUnavailableException");
    let answers = [vec![failing; 6], vec![published()]].concat();
    let server = Scripted::start(answers).await;
    let timing = Timing {
        cool_down: Duration::from_secs(30),
        ..timing()
    };
    let registry = AwsRegistry::new(vec![config(&server.url).await], timing, clock());
    for _ in 0..6 {
        let failed = registry.publish(&home(), &request("layer", "a")).await;
        failed.unwrap_err();
    }
    let turned_away = registry.publish(&home(), &request("layer", "a")).await;
    turned_away.unwrap_err();
    assert_eq!(server.seen().len(), 6);
    registry.ask_again();
    let answer = registry.publish(&home(), &request("layer", "a")).await;
    answer.unwrap();
    assert_eq!(server.seen().len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_regions_get_the_same_body() {
    let (server, registry) = {
        let server = Scripted::start([published()]).await;
        let registry = registry(&server.url).await;
        (server, registry)
    };
    let request = request("layer", "a");
    let regions = Region::commercial();
    let calls = regions
        .iter()
        .map(|region| registry.publish(region, &request));
    for answer in futures::future::join_all(calls).await {
        answer.unwrap();
    }
    let mut seen = server.seen();
    assert_eq!(seen.len(), regions.len());
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:#?}");
}

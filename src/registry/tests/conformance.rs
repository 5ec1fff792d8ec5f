//! What every registry does. Each part publishes under names of its own, so that all may share one registry.

use super::request;
use crate::model::{Digest, LayerArn, OfferedRegions, Region, Visibility};
use crate::registry::{PublishRequest, PublishedVersion, Registry, RegistryError};
use std::collections::BTreeSet;

/// Everything, over a registry with nothing in it.
pub(super) async fn check(registry: &dyn Registry) {
    check_layers(registry).await;
    super::parameters::check(registry).await;
}

/// All that is about layers.
pub(super) async fn check_layers(registry: &dyn Registry) {
    regions_are_offered(registry).await;
    versions_count_from_one(registry).await;
    what_was_published_is_read_back(registry).await;
    the_newest_with_a_digest_is_found(registry).await;
    numbers_are_never_used_again(registry).await;
    versions_are_shared_with_those_who_are_named(registry).await;
    permissions_are_taken_back(registry).await;
    what_a_region_has_is_listed(registry).await;
    publishes_at_once_get_numbers_of_their_own(registry).await;
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

async fn publish(registry: &dyn Registry, place: &str, request: &PublishRequest) -> LayerArn {
    let published = registry.publish(&region(place), request).await.unwrap();
    published.arn
}

async fn regions_are_offered(registry: &dyn Registry) {
    let regions = registry.regions().await.unwrap();
    let OfferedRegions {
        enabled,
        not_enabled,
    } = regions;
    assert!(enabled.is_sorted() && enabled.contains(&region("us-east-1")));
    assert!(not_enabled.is_sorted() && not_enabled.iter().all(|it| !enabled.contains(it)));
}

async fn versions_count_from_one(registry: &dyn Registry) {
    let (one, other) = (request("count-1", "a"), request("count-2", "a"));
    let mut arns = Vec::new();
    for (place, request) in [
        ("us-east-1", &one),
        ("us-east-1", &one),
        ("eu-west-1", &one),
        ("cn-north-1", &one),
        ("us-east-1", &other),
    ] {
        arns.push(publish(registry, place, request).await.to_string());
    }
    assert_eq!(
        arns,
        [
            "arn:aws:lambda:us-east-1:123456789012:layer:count-1:1",
            "arn:aws:lambda:us-east-1:123456789012:layer:count-1:2",
            "arn:aws:lambda:eu-west-1:123456789012:layer:count-1:1",
            "arn:aws-cn:lambda:cn-north-1:123456789012:layer:count-1:1",
            "arn:aws:lambda:us-east-1:123456789012:layer:count-2:1",
        ]
    );
}

async fn what_was_published_is_read_back(registry: &dyn Registry) {
    let request = request("read", "a");
    let place = region("us-east-1");
    let published = registry.publish(&place, &request).await.unwrap();
    let expected = PublishedVersion {
        arn: "arn:aws:lambda:us-east-1:123456789012:layer:read:1"
            .parse()
            .unwrap(),
        digest: Some(request.digest),
        size: Some(request.size),
        description: request.description,
    };
    assert_eq!(published, expected);
    assert_eq!(
        registry.read(&expected.arn).await.unwrap(),
        Some(expected.clone())
    );
    for absent in ["read:2", "never-published:1"] {
        let arn = format!("arn:aws:lambda:us-east-1:123456789012:layer:{absent}");
        assert_eq!(registry.read(&arn.parse().unwrap()).await.unwrap(), None);
    }
    let elsewhere = LayerArn {
        region: region("eu-west-1"),
        ..expected.arn
    };
    assert_eq!(registry.read(&elsewhere).await.unwrap(), None);
}

async fn the_newest_with_a_digest_is_found(registry: &dyn Registry) {
    let (one, other) = (request("find", "a"), request("find", "b"));
    let place = region("us-east-1");
    let find = async |name: &'static str, digest: &Digest| {
        let found = registry.find(&place, name, digest).await.unwrap();
        found.map(|found| {
            assert_eq!(
                (found.digest, found.size),
                (None, None),
                "a listing tells neither"
            );
            assert!(found.description.ends_with(&digest.short()));
            found.arn.version
        })
    };
    assert_eq!(find("find", &one.digest).await, None);
    for request in [&one, &one, &other] {
        publish(registry, "us-east-1", request).await;
    }
    publish(registry, "eu-west-1", &request("find", "c")).await;
    assert_eq!(find("find", &one.digest).await, Some(2));
    assert_eq!(find("find", &other.digest).await, Some(3));
    assert_eq!(find("find", &request("find", "c").digest).await, None);
    assert_eq!(find("find-nothing", &one.digest).await, None);
    let newest = "arn:aws:lambda:us-east-1:123456789012:layer:find:2";
    registry.delete(&newest.parse().unwrap()).await.unwrap();
    assert_eq!(find("find", &one.digest).await, Some(1));
}

async fn numbers_are_never_used_again(registry: &dyn Registry) {
    let request = request("delete", "a");
    let first = publish(registry, "us-east-1", &request).await;
    let second = publish(registry, "us-east-1", &request).await;
    for _ in 0..2 {
        registry.delete(&second).await.unwrap();
        assert_eq!(registry.read(&second).await.unwrap(), None);
    }
    assert!(registry.read(&first).await.unwrap().is_some());
    assert_eq!(publish(registry, "us-east-1", &request).await.version, 3);
    registry.delete(&first).await.unwrap();
    let never = LayerArn {
        layer: "never-published".to_owned(),
        ..first
    };
    registry.delete(&never).await.unwrap();
}

async fn versions_are_shared_with_those_who_are_named(registry: &dyn Registry) {
    let accounts =
        |ids: &[&str]| Visibility::Accounts(ids.iter().map(|id| (*id).to_owned()).collect());
    let both = accounts(&["111111111111", "222222222222"]);
    let all = [
        Visibility::Private,
        Visibility::Public,
        accounts(&["111111111111"]),
        both.clone(),
    ];
    for wanted in &all {
        let arn = publish(registry, "us-east-1", &request("share", "a")).await;
        assert!(
            registry
                .is_shared(&arn, &Visibility::Private)
                .await
                .unwrap()
        );
        // Twice: what is there already is success.
        registry.share(&arn, wanted).await.unwrap();
        registry.share(&arn, wanted).await.unwrap();
        for visibility in &all {
            assert_eq!(
                registry.is_shared(&arn, visibility).await.unwrap(),
                visibility == wanted,
                "shared as {wanted:?}, asked for {visibility:?}"
            );
            let reaches = match (wanted, visibility) {
                (_, Visibility::Private) | (Visibility::Public, _) => true,
                (Visibility::Accounts(there), Visibility::Accounts(named)) => {
                    named.iter().all(|one| there.contains(one))
                }
                _ => false,
            };
            assert_eq!(
                registry.reaches(&arn, visibility).await.unwrap(),
                reaches,
                "shared as {wanted:?}, asked for {visibility:?}"
            );
        }
    }
    let widened = publish(registry, "us-east-1", &request("share", "a")).await;
    registry.share(&widened, &all[2]).await.unwrap();
    registry.share(&widened, &both).await.unwrap();
    assert!(registry.is_shared(&widened, &both).await.unwrap());

    let absent = LayerArn {
        version: 99,
        ..widened
    };
    registry.share(&absent, &Visibility::Private).await.unwrap();
    assert!(
        !registry
            .is_shared(&absent, &Visibility::Public)
            .await
            .unwrap()
    );
    let refused = registry.share(&absent, &Visibility::Public).await;
    assert!(
        matches!(refused, Err(RegistryError::Refused { .. })),
        "{refused:?}"
    );
}

async fn permissions_are_taken_back(registry: &dyn Registry) {
    let accounts =
        |ids: &[&str]| Visibility::Accounts(ids.iter().map(|id| (*id).to_owned()).collect());
    let arn = publish(registry, "us-east-1", &request("unshare", "a")).await;
    for wanted in [
        Visibility::Public,
        accounts(&["111111111111", "222222222222"]),
        accounts(&["222222222222", "333333333333"]),
        Visibility::Private,
        Visibility::Public,
        Visibility::Private,
    ] {
        for _ in 0..2 {
            registry.set_visibility(&arn, &wanted).await.unwrap();
            assert!(registry.is_shared(&arn, &wanted).await.unwrap());
        }
    }
    let absent = LayerArn { version: 99, ..arn };
    let taken_back = registry.set_visibility(&absent, &Visibility::Private).await;
    assert!(taken_back.is_ok(), "{taken_back:?}");
    let refused = registry.set_visibility(&absent, &Visibility::Public).await;
    assert!(
        matches!(refused, Err(RegistryError::Refused { .. })),
        "{refused:?}"
    );
}

async fn what_a_region_has_is_listed(registry: &dyn Registry) {
    let place = region("us-east-1");
    let layers = async |prefix| registry.layers(&place, prefix).await.unwrap();
    assert_eq!(layers("list-").await, [""; 0]);
    for (place, name, content) in [
        ("us-east-1", "list-b", "a"),
        ("us-east-1", "list-a", "a"),
        ("us-east-1", "list-a", "b"),
        ("us-east-1", "list-a", "c"),
        ("eu-west-1", "list-c", "a"),
    ] {
        publish(registry, place, &request(name, content)).await;
    }
    assert_eq!(layers("list-").await, ["list-a", "list-b"]);
    assert_eq!(layers("list-a").await, ["list-a"]);
    let versions = async |name| registry.versions(&place, name).await.unwrap();
    let listed = versions("list-a").await;
    let numbers: Vec<u64> = listed.iter().map(|version| version.arn.version).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(listed[0].description, request("list-a", "a").description);
    assert_eq!((listed[0].digest, listed[0].size), (None, None));
    registry.delete(&listed[1].arn).await.unwrap();
    let left: Vec<u64> = versions("list-a")
        .await
        .iter()
        .map(|version| version.arn.version)
        .collect();
    assert_eq!(left, [1, 3]);
    assert_eq!(versions("list-nothing").await, []);
    let only = &versions("list-b").await[0];
    registry.delete(&only.arn).await.unwrap();
    assert_eq!(layers("list-").await, ["list-a"], "what has no version");
}

async fn publishes_at_once_get_numbers_of_their_own(registry: &dyn Registry) {
    let requests: Vec<PublishRequest> = (0..12).map(|n| request("race", &n.to_string())).collect();
    let place = region("us-east-1");
    let published = requests
        .iter()
        .map(|request| registry.publish(&place, request));
    let published = futures::future::try_join_all(published).await.unwrap();
    let numbers: BTreeSet<u64> = published
        .iter()
        .map(|version| version.arn.version)
        .collect();
    assert_eq!(numbers, (1..=12).collect());
    for version in published {
        assert_eq!(registry.read(&version.arn).await.unwrap(), Some(version));
    }
}

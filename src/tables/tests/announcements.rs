//! What receivers of notifications are told.

use super::*;
use crate::model::{News, NewsKind};
use crate::tables::{Announcement, AnnouncementsInput, MESSAGE_LIMIT, announcements};
use serde_json::Value;

fn news(kind: NewsKind, versions: &[&LayerVersion]) -> Vec<News> {
    (1..)
        .zip(versions)
        .map(|(sequence, version)| News {
            sequence,
            kind,
            version: (*version).clone(),
        })
        .collect()
}

fn told(catalog: &Catalog, news: &[News]) -> Vec<Announcement> {
    announcements(&AnnouncementsInput {
        news,
        versions: &catalog.versions,
        builds: &catalog.builds,
        repository_page: Some("https://github.com/octo/catalog/"),
        folder: "layers/arns",
    })
}

fn pretty(announcement: &Announcement) -> String {
    let body: Value = serde_json::from_str(&announcement.body).unwrap();
    assert_eq!(body["id"], announcement.id.as_str());
    format!("{}\n{body:#}", announcement.subject)
}

#[test]
fn a_version_with_its_targets_and_regions_is_one_message() {
    let mut catalog = Catalog::new();
    catalog.builds.push(build(
        &catalog.versions[4],
        &[("numpy", "2.3.4", None), ("pandas", "2.3.2", None)],
    ));
    let (versions, old) = (&catalog.versions[..3], &catalog.versions[4]);
    let mut happened = news(
        NewsKind::Published,
        &[&versions[2], &versions[0], &versions[1]],
    );
    // It was superseded, which the message about its successor says.
    happened.extend(news(NewsKind::Deprecated, &[old]));
    let messages = told(&catalog, &happened);
    assert_eq!(messages.len(), 1);
    insta::assert_snapshot!(pretty(&messages[0]), @r#"
    pandas 2.3.3 is published for 2 targets
    {
      "id": "c8f15750-af3d-8844-87de-666c38313337",
      "kind": "published",
      "layer": "pandas",
      "page": "https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/pandas.md",
      "schema": 1,
      "targets": [
        {
          "architecture": "x86_64",
          "arns": {
            "eu-west-1": "arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-pandas:3",
            "us-east-1": "arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4"
          },
          "changes": [
            {
              "from": "2.3.4",
              "name": "numpy",
              "to": "2.3.5"
            },
            {
              "from": "2.3.2",
              "name": "pandas",
              "to": "2.3.3"
            }
          ],
          "previous_version": "2.3.2",
          "python": "3.13",
          "sha256": "ca93a5ed51b4cb357b58242db14e2ae32ae11e093c7382d805b3b0c1f032f9be",
          "target": "p3.13",
          "unzipped_bytes": 97100000,
          "zipped_bytes": 28100000
        },
        {
          "architecture": "arm64",
          "arns": {
            "us-east-1": "arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-arm64-pandas:2"
          },
          "changes": [
            {
              "from": null,
              "name": "numpy",
              "to": "2.3.4"
            },
            {
              "from": null,
              "name": "pandas",
              "to": "2.3.3"
            }
          ],
          "python": "3.13",
          "sha256": "e10baadcd1343082d50b2f1d3b79608541fe89dccaf44d9e4e11f9f23389f76c",
          "target": "p3.13-arm64",
          "unzipped_bytes": 97100000,
          "zipped_bytes": 28100000
        }
      ],
      "version": "2.3.3"
    }
    "#);
    happened.reverse();
    assert_eq!(
        told(&catalog, &happened),
        messages,
        "the order does not matter"
    );
    let fewer = told(&catalog, &happened[..2]);
    assert_ne!(
        fewer[0].id, messages[0].id,
        "other ARNs are another message"
    );
}

#[test]
fn what_goes_live_or_is_retired_once_more_is_another_message() {
    for (kind, state) in [
        (NewsKind::Published, LayerState::Live),
        (NewsKind::Deprecated, LayerState::Deprecated),
    ] {
        let id = |seconds: i64| {
            let mut catalog = Catalog::new();
            let moment = Some(Timestamp::from_unix(seconds));
            let version = &mut catalog.versions[0];
            version.state = state;
            match state {
                LayerState::Live => version.live_at = moment,
                _ => version.expires_at = moment,
            }
            let happened = news(kind, &[&catalog.versions[0].clone()]);
            told(&catalog, &happened).remove(0).id
        };
        assert_eq!(id(1_800_000_000), id(1_800_000_000));
        assert_ne!(id(1_800_000_000), id(1_800_000_060), "{kind:?}");
    }
}

/// Time is told in whole seconds, and digests have no order that means anything: several, so that both orders occur.
#[test]
fn what_came_out_within_a_second_keeps_its_order() {
    for minor in 0..8 {
        let (before, after) = (format!("1.{minor}"), format!("2.{minor}"));
        let now = |version: LayerVersion| LayerVersion {
            live_at: Some(at("2026-11-20")),
            ..version
        };
        let older = now(deprecated(version(
            "demo",
            "p3.13",
            "us-east-1",
            &before,
            1,
        )));
        let newer = now(version("demo", "p3.13", "us-east-1", &after, 2));
        let happened = news(NewsKind::Published, &[&newer]);
        let catalog = Catalog {
            versions: vec![older, newer],
            ..Catalog::new()
        };
        let message: Value = serde_json::from_str(&told(&catalog, &happened)[0].body).unwrap();
        assert_eq!(message["targets"][0]["previous_version"], before.as_str());
    }
}

#[test]
fn a_layer_that_is_retired_says_until_when_it_can_be_used() {
    let catalog = Catalog::new();
    let messages = told(
        &catalog,
        &news(NewsKind::Deprecated, &[&catalog.versions[5]]),
    );
    insta::assert_snapshot!(pretty(&messages[0]), @r#"
            retired 1.0 is retired
            {
              "id": "a96ed14f-3010-8413-8ea0-2bf8c9e94695",
              "kind": "retired",
              "layer": "retired",
              "page": "https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/retired.md",
              "schema": 1,
              "targets": [
                {
                  "architecture": "x86_64",
                  "arns": {
                    "us-east-1": "arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-retired:1"
                  },
                  "changes": null,
                  "expires_at": "2027-10-01T10:00:00Z",
                  "python": "3.13",
                  "sha256": "9eef45331cca091f91381de5dc202e8490889ce0ab100e77acc04701f0710e04",
                  "target": "p3.13"
                }
              ],
              "version": "1.0"
            }
            "#);
}

#[test]
fn what_is_deleted_or_superseded_by_now_is_not_told() {
    let catalog = Catalog::new();
    let (old, deleted) = (&catalog.versions[4], &catalog.versions[7]);
    assert_eq!(deleted.state, LayerState::Deleted);
    assert_eq!(
        told(&catalog, &news(NewsKind::Published, &[old, deleted])),
        []
    );
    assert_eq!(told(&catalog, &news(NewsKind::Deprecated, &[deleted])), []);
}

#[test]
fn a_message_that_would_be_too_long_says_what_it_leaves_out() {
    let mut catalog = Catalog::new();
    let pins = (0..3_000).map(|number| Pin {
        name: format!("package-{number}"),
        version: "1.0".repeat(20),
        license: None,
    });
    catalog.builds[2].artifact.pins = pins.collect();
    let version = catalog.versions[3].clone();
    let body: Value =
        serde_json::from_str(&told(&catalog, &news(NewsKind::Published, &[&version]))[0].body)
            .unwrap();
    assert_eq!(body["omitted"], serde_json::json!(["changes"]));
    assert_eq!(body["targets"][0]["changes"], Value::Null);
    assert!(body["targets"][0]["arns"]["us-east-1"].is_string());

    // More ARNs than there are regions: every target that could ever be, each with another zip in every region.
    let regions: Vec<Region> = Region::commercial();
    let many: Vec<LayerVersion> = Target::all()
        .flat_map(|target| regions.iter().map(move |region| (target, region)))
        .flat_map(|(target, region)| {
            (1..20).map(move |number| {
                let mut one =
                    super::version("boto3", &target.to_string(), region.as_str(), "2.0", number);
                one.key.digest = Digest::of(&number.to_be_bytes());
                one
            })
        })
        .collect();
    let many: Vec<&LayerVersion> = many.iter().collect();
    let message = &told(&catalog, &news(NewsKind::Published, &many))[0];
    assert!(
        message.body.len() <= MESSAGE_LIMIT,
        "{}",
        message.body.len()
    );
    let body: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!(body["omitted"], serde_json::json!(["changes", "arns"]));
    assert_eq!(
        body["page"],
        "https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/boto3.md"
    );
}

#[test]
fn a_layer_that_lives_on_is_not_called_retired() {
    let catalog = Catalog::new();
    let gone = |target, region| deprecated(version("pandas", target, region, "2.3.3", 9));
    // It is live for p3.13 in us-east-1 and eu-west-1, and for p3.13-arm64 in us-east-1.
    let [old, older] = ["p3.10", "p3.11"].map(|target| gone(target, "us-east-1"));
    let [here, there] = ["sa-east-1", "me-south-1"].map(|region| gone("p3.13", region));
    let across = gone("p3.13-arm64", "eu-west-1");
    for (gone, said) in [
        (vec![&old], "pandas 2.3.3 is no longer published for p3.10"),
        (
            vec![&old, &older],
            "pandas 2.3.3 is no longer published for 2 targets",
        ),
        (
            vec![&here],
            "pandas 2.3.3 is no longer published in sa-east-1",
        ),
        (
            vec![&here, &there],
            "pandas 2.3.3 is no longer published in 2 regions",
        ),
        (
            vec![&old, &here],
            "pandas 2.3.3 is no longer published for some targets and regions",
        ),
        (
            vec![&across],
            "pandas 2.3.3 is no longer published for some targets and regions",
        ),
    ] {
        let messages = told(&catalog, &news(NewsKind::Deprecated, &gone));
        let subjects: Vec<&str> = messages.iter().map(|it| it.subject.as_str()).collect();
        assert_eq!(subjects, [said]);
        let body: Value = serde_json::from_str(&messages[0].body).unwrap();
        assert_eq!(body["kind"], "retired");
    }
}

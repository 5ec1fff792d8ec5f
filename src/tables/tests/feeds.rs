//! What people and programs subscribe to.

use super::*;
use serde_json::Value;

const PAGE: &str = "https://github.com/octo/catalog";

fn all(catalog: &Catalog) -> Value {
    serde_json::from_str(&catalog.render()["layers/arns/feeds/all.json"]).unwrap()
}

/// Kind, title and moment of each entry.
fn told(feed: &Value) -> Vec<String> {
    let items = feed["items"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    items
        .iter()
        .map(|item| {
            let kind = text(&item["_layersmith"]["kind"]);
            let day = &text(&item["date_published"])[..10];
            format!("{day} {kind}: {}", text(&item["title"]))
        })
        .collect()
}

fn ids(feed: &Value) -> Vec<String> {
    let items = feed["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_feed_of_a_layer_in_atom() {
    let mut catalog = Catalog::new();
    catalog.repository_page = Some(PAGE);
    insta::assert_snapshot!(catalog.render()["layers/arns/feeds/layers/pandas.atom"], @r#"
    <?xml version="1.0" encoding="utf-8"?>
    <feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">
      <id>urn:uuid:1771fa97-8016-8731-9eef-fa7e5dc01829</id>
      <title>Lambda layer pandas</title>
      <updated>2026-11-20T10:00:00Z</updated>
      <author>
        <name>Layersmith</name>
      </author>
      <link rel="self" type="application/atom+xml" href="https://github.com/octo/catalog/raw/HEAD/layers/arns/feeds/layers/pandas.atom"/>
      <link rel="alternate" type="text/html" href="https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/pandas.md"/>
      <entry>
        <id>urn:uuid:b83306d6-6117-85ad-88d0-fb6e622d15d3</id>
        <title>pandas 2.3.3</title>
        <published>2026-11-20T10:00:00Z</published>
        <updated>2026-11-20T10:00:00Z</updated>
        <link rel="alternate" type="text/html" href="https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/pandas.md"/>
        <category term="pandas"/>
        <category term="published"/>
        <summary>pandas 2.3.3, for p3.13, p3.13-arm64</summary>
        <content type="html">&lt;p&gt;pandas 2.3.3 can be used with Python 3.13 on x86_64 and Python 3.13 on arm64.&lt;/p&gt;&lt;p&gt;It follows 2.3.2, for Python 3.13 on x86_64.&lt;/p&gt;&lt;p&gt;Inside, for Python 3.13 on arm64:&lt;/p&gt;&lt;ul&gt;&lt;li&gt;numpy 2.3.4&lt;/li&gt;&lt;li&gt;pandas 2.3.3&lt;/li&gt;&lt;/ul&gt;&lt;p&gt;ARNs, with the region in the place of REGION:&lt;/p&gt;&lt;ul&gt;&lt;li&gt;Python 3.13 on x86_64: &lt;code&gt;arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:4&lt;/code&gt; in us-east-1&lt;/li&gt;&lt;li&gt;Python 3.13 on x86_64: &lt;code&gt;arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:3&lt;/code&gt; in eu-west-1&lt;/li&gt;&lt;li&gt;Python 3.13 on arm64: &lt;code&gt;arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-arm64-pandas:2&lt;/code&gt; in us-east-1&lt;/li&gt;&lt;/ul&gt;</content>
      </entry>
      <entry>
        <id>urn:uuid:5460db2b-4f6b-818a-a892-a2499ac88fcb</id>
        <title>pandas 2.3.2</title>
        <published>2026-10-01T10:00:00Z</published>
        <updated>2026-10-01T10:00:00Z</updated>
        <link rel="alternate" type="text/html" href="https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/pandas.md"/>
        <category term="pandas"/>
        <category term="published"/>
        <summary>pandas 2.3.2, for p3.13</summary>
        <content type="html">&lt;p&gt;pandas 2.3.2 can be used with Python 3.13 on x86_64.&lt;/p&gt;&lt;p&gt;ARNs, with the region in the place of REGION:&lt;/p&gt;&lt;ul&gt;&lt;li&gt;Python 3.13 on x86_64: &lt;code&gt;arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:3&lt;/code&gt; in us-east-1&lt;/li&gt;&lt;/ul&gt;</content>
      </entry>
    </feed>
    "#);
}

#[test]
fn the_feed_of_all_layers_in_json() {
    let mut catalog = Catalog::new();
    catalog.repository_page = Some(PAGE);
    insta::assert_snapshot!(catalog.render()["layers/arns/feeds/all.json"], @r#"
    {"version":"https://jsonfeed.org/version/1.1","title":"Lambda layers of octo/catalog","home_page_url":"https://github.com/octo/catalog/tree/HEAD/layers/arns","feed_url":"https://github.com/octo/catalog/raw/HEAD/layers/arns/feeds/all.json","authors":[{"name":"Layersmith"}],"language":"en",
      "items": [
        {"id":"urn:uuid:95a6cfe5-bdfd-8e90-ba78-129989c78c50","url":"https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/boto3.md","title":"boto3 1.41.2","summary":"boto3 1.41.2, for p3.13","content_html":"<p>boto3 1.41.2 can be used with Python 3.13 on x86_64.</p><p>Inside:</p><ul><li>boto3 1.41.2</li></ul><p>ARNs, with the region in the place of REGION:</p><ul><li>Python 3.13 on x86_64: <code>arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-boto3:7</code> in us-east-1</li></ul>","date_published":"2026-11-20T10:00:00Z","date_modified":"2026-11-20T10:00:00Z","tags":["boto3","published"],"_layersmith":{"about":"what happened (published, retired, expiring) to which zips; in an ARN, put a region in the place of REGION","kind":"published","layer":"boto3","version":"1.41.2","targets":[{"target":"p3.13","sha256":"f2d58805570e05d757fae2a06c6f17c45e6e041d36580be469070de8a7a17c7b","arns":[{"arn":"arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-boto3:7","regions":["us-east-1"]}]}]}},
        {"id":"urn:uuid:b83306d6-6117-85ad-88d0-fb6e622d15d3","url":"https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/pandas.md","title":"pandas 2.3.3","summary":"pandas 2.3.3, for p3.13, p3.13-arm64","content_html":"<p>pandas 2.3.3 can be used with Python 3.13 on x86_64 and Python 3.13 on arm64.</p><p>It follows 2.3.2, for Python 3.13 on x86_64.</p><p>Inside, for Python 3.13 on arm64:</p><ul><li>numpy 2.3.4</li><li>pandas 2.3.3</li></ul><p>ARNs, with the region in the place of REGION:</p><ul><li>Python 3.13 on x86_64: <code>arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:4</code> in us-east-1</li><li>Python 3.13 on x86_64: <code>arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:3</code> in eu-west-1</li><li>Python 3.13 on arm64: <code>arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-arm64-pandas:2</code> in us-east-1</li></ul>","date_published":"2026-11-20T10:00:00Z","date_modified":"2026-11-20T10:00:00Z","tags":["pandas","published"],"_layersmith":{"about":"what happened (published, retired, expiring) to which zips; in an ARN, put a region in the place of REGION","kind":"published","layer":"pandas","version":"2.3.3","targets":[{"target":"p3.13","sha256":"ca93a5ed51b4cb357b58242db14e2ae32ae11e093c7382d805b3b0c1f032f9be","arns":[{"arn":"arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:4","regions":["us-east-1"]},{"arn":"arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:3","regions":["eu-west-1"]}]},{"target":"p3.13-arm64","sha256":"e10baadcd1343082d50b2f1d3b79608541fe89dccaf44d9e4e11f9f23389f76c","arns":[{"arn":"arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-arm64-pandas:2","regions":["us-east-1"]}]}]}},
        {"id":"urn:uuid:5460db2b-4f6b-818a-a892-a2499ac88fcb","url":"https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/pandas.md","title":"pandas 2.3.2","summary":"pandas 2.3.2, for p3.13","content_html":"<p>pandas 2.3.2 can be used with Python 3.13 on x86_64.</p><p>ARNs, with the region in the place of REGION:</p><ul><li>Python 3.13 on x86_64: <code>arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:3</code> in us-east-1</li></ul>","date_published":"2026-10-01T10:00:00Z","date_modified":"2026-10-01T10:00:00Z","tags":["pandas","published"],"_layersmith":{"about":"what happened (published, retired, expiring) to which zips; in an ARN, put a region in the place of REGION","kind":"published","layer":"pandas","version":"2.3.2","targets":[{"target":"p3.13","sha256":"d1a7b95d8b0fbdaa740181b48cad83ed99ca85699806538c82667a7175ab21a2","arns":[{"arn":"arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:3","regions":["us-east-1"]}]}]}},
        {"id":"urn:uuid:7f5aa382-aafb-8315-8f07-45c70d2029e4","url":"https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/retired.md","title":"retired 1.0","summary":"retired 1.0, for p3.13","content_html":"<p>retired 1.0 can be used with Python 3.13 on x86_64.</p><p>ARNs, with the region in the place of REGION:</p><ul><li>Python 3.13 on x86_64: <code>arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-retired:1</code> in us-east-1</li></ul>","date_published":"2026-10-01T10:00:00Z","date_modified":"2026-10-01T10:00:00Z","tags":["retired","published"],"_layersmith":{"about":"what happened (published, retired, expiring) to which zips; in an ARN, put a region in the place of REGION","kind":"published","layer":"retired","version":"1.0","targets":[{"target":"p3.13","sha256":"9eef45331cca091f91381de5dc202e8490889ce0ab100e77acc04701f0710e04","arns":[{"arn":"arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-retired:1","regions":["us-east-1"]}]}]}},
        {"id":"urn:uuid:1ca85cee-6f61-8cf0-9a36-33c2f1c4c1bf","url":"https://github.com/octo/catalog/blob/HEAD/layers/arns/layers/retired.md","title":"retired is retired; 1.0 goes away on 2027-10-01","summary":"retired is retired; 1.0 goes away on 2027-10-01, for p3.13","content_html":"<p>retired gets no new versions for Python 3.13 on x86_64. 1.0 can be used until 2027-10-01, then it is deleted.</p><p>Functions that were deployed with it go on running; what is deployed after that day needs another layer version.</p>","date_published":"2026-10-01T10:00:00Z","date_modified":"2026-10-01T10:00:00Z","tags":["retired","retired"],"_layersmith":{"about":"what happened (published, retired, expiring) to which zips; in an ARN, put a region in the place of REGION","kind":"retired","layer":"retired","version":"1.0","targets":[{"target":"p3.13","sha256":"9eef45331cca091f91381de5dc202e8490889ce0ab100e77acc04701f0710e04","arns":[{"arn":"arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-retired:1","regions":["us-east-1"]}]}]}}
      ]
    }
    "#);
}

#[test]
fn without_a_page_of_the_repository_links_are_relative() {
    let files = Catalog::new().render();
    let atom = &files["layers/arns/feeds/layers/boto3.atom"];
    let links: Vec<&str> = atom.lines().filter(|line| line.contains("<link")).collect();
    insta::assert_snapshot!(links.join("\n"), @r#"
    <link rel="self" type="application/atom+xml" href="boto3.atom"/>
    <link rel="alternate" type="text/html" href="../../layers/boto3.md"/>
      <link rel="alternate" type="text/html" href="../../layers/boto3.md"/>
    "#);
    let atom = &files["layers/arns/feeds/all.atom"];
    let links: Vec<&str> = atom.lines().filter(|line| line.contains("<link")).collect();
    insta::assert_snapshot!(links[..3].join("\n"), @r#"
    <link rel="self" type="application/atom+xml" href="all.atom"/>
    <link rel="alternate" type="text/html" href="../README.md"/>
      <link rel="alternate" type="text/html" href="../layers/boto3.md"/>
    "#);
    // JSON Feed wants absolute addresses: there are none.
    let json = all(&Catalog::new());
    assert_eq!(
        (json.get("home_page_url"), json.get("feed_url")),
        (None, None)
    );
    assert_eq!(json["items"][0].get("url"), None);
}

#[test]
fn what_changed_is_told_once_for_targets_that_have_it_in_common() {
    let mut catalog = Catalog::new();
    // The build that was replaced: numpy was older, and six is gone since.
    catalog.builds.push(build(
        &catalog.versions[4],
        &[
            ("numpy", "2.3.4", None),
            ("pandas", "2.3.2", None),
            ("six", "1.17.0", None),
        ],
    ));
    let entry = &all(&catalog)["items"][1];
    assert_eq!(entry["title"], "pandas 2.3.3");
    insta::assert_snapshot!(entry["content_html"].as_str().unwrap(), @"<p>pandas 2.3.3 can be used with Python 3.13 on x86_64 and Python 3.13 on arm64.</p><p>What changed since 2.3.2, for Python 3.13 on x86_64:</p><ul><li>numpy 2.3.4 → 2.3.5</li><li>pandas 2.3.2 → 2.3.3</li><li>six 1.17.0 (gone)</li></ul><p>Inside, for Python 3.13 on arm64:</p><ul><li>numpy 2.3.4</li><li>pandas 2.3.3</li></ul><p>ARNs, with the region in the place of REGION:</p><ul><li>Python 3.13 on x86_64: <code>arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:4</code> in us-east-1</li><li>Python 3.13 on x86_64: <code>arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:3</code> in eu-west-1</li><li>Python 3.13 on arm64: <code>arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-arm64-pandas:2</code> in us-east-1</li></ul>");
}

#[test]
fn the_same_version_again_says_what_differs_inside() {
    let mut catalog = Catalog::new();
    let old = version("boto3", "p3.13", "us-east-1", "1.41.1", 6);
    let mut same = deprecated(old);
    same.version = "1.41.2".to_owned();
    catalog.builds.push(build(
        &same,
        &[("boto3", "1.41.2", None), ("botocore", "1.41.0", None)],
    ));
    catalog.builds[2].artifact.pins.push(Pin {
        name: "botocore".to_owned(),
        version: "1.41.2".to_owned(),
        license: None,
    });
    catalog.versions.push(same);
    let titles = told(&all(&catalog));
    assert!(
        titles.contains(
            &"2026-11-20 published: boto3 1.41.2 again, with botocore 1.41.0 → 1.41.2".to_owned()
        ),
        "{titles:#?}"
    );
}

#[test]
fn a_target_that_follows_within_a_day_joins_and_a_later_one_is_news() {
    let mut catalog = Catalog::new();
    let before = all(&catalog);
    let mut second = version("boto3", "p3.13-arm64", "us-east-1", "1.41.2", 1);
    second.live_at = Some(at("2026-11-21"));
    catalog.versions.push(second.clone());
    let joined = all(&catalog);
    assert_eq!(ids(&joined), ids(&before), "no entry is new");
    let entry = &joined["items"][0];
    assert_eq!(entry["title"], "boto3 1.41.2");
    assert_eq!(entry["date_published"], "2026-11-20T10:00:00Z");
    assert_eq!(entry["date_modified"], "2026-11-21T10:00:00Z");
    assert_eq!(entry["_layersmith"]["targets"].as_array().unwrap().len(), 2);

    catalog.versions.pop();
    second.live_at = Some(at("2026-11-23"));
    catalog.versions.push(second);
    let later = ids(&all(&catalog));
    assert_eq!(later.len(), ids(&before).len() + 1);
    assert!(ids(&before).iter().all(|id| later.contains(id)));
}

#[test]
fn a_region_that_is_added_is_no_news() {
    let mut catalog = Catalog::new();
    let before = ids(&all(&catalog));
    let mut added = version("pandas", "p3.13", "sa-east-1", "2.3.3", 1);
    added.live_at = Some(at("2026-12-20"));
    catalog.versions.push(added);
    assert_eq!(ids(&all(&catalog)), before);
}

#[test]
fn what_goes_away_is_told_from_thirty_days_before() {
    let mut catalog = Catalog::new();
    let expiring = |feed: &Value| {
        told(feed)
            .iter()
            .filter(|it| it.contains("expiring"))
            .count()
    };
    catalog.today = at("2027-08-31");
    assert_eq!(expiring(&all(&catalog)), 0);
    catalog.today = at("2027-09-01");
    let feed = all(&catalog);
    insta::assert_snapshot!(told(&feed).join("\n"), @"
    2027-09-01 expiring: pandas 2.3.2 goes away on 2027-10-01
    2027-09-01 expiring: retired 1.0 goes away on 2027-10-01
    2026-11-20 published: boto3 1.41.2
    2026-11-20 published: pandas 2.3.3
    2026-10-01 published: pandas 2.3.2
    2026-10-01 published: retired 1.0
    2026-10-01 retired: retired is retired; 1.0 goes away on 2027-10-01
    ");
    catalog.today = at("2027-09-30");
    assert_eq!(all(&catalog), feed, "the day itself is written nowhere");
}

#[test]
fn feeds_are_bounded_and_begin_with_the_newest() {
    let mut catalog = Catalog::new();
    for number in 0..100 {
        let layer = ["boto3", "six", "attrs"][usize::try_from(number % 3).unwrap()];
        let mut one = version(
            layer,
            "p3.13",
            "us-east-1",
            &format!("0.{number}"),
            100 + number,
        );
        one.live_at = Some(at("2026-01-01").plus_days(u32::try_from(number).unwrap()));
        one.expires_at = Some(at("2028-01-01"));
        one.state = LayerState::Deprecated;
        catalog.versions.push(one);
    }
    assert_eq!(ids(&all(&catalog)).len(), 60);
    let layer: Value =
        serde_json::from_str(&catalog.render()["layers/arns/feeds/layers/boto3.json"]).unwrap();
    let titles = told(&layer);
    assert_eq!(titles.len(), 30);
    assert_eq!(
        titles[..2],
        [
            "2026-11-20 published: boto3 1.41.2",
            "2026-04-10 published: boto3 0.99"
        ]
    );
}

#[test]
fn a_policy_can_do_without_feeds_and_without_pages() {
    let mut catalog = Catalog::new();
    catalog.policy.tables.formats = vec![TableFormat::Md];
    let files = catalog.render();
    assert!(!files.keys().any(|path| path.contains("feeds")));
    assert!(!files.values().any(|text| text.contains("feed")));
    catalog.policy.tables.formats = vec![TableFormat::Feed];
    let files = catalog.render();
    assert!(files["layers/arns/feeds/layers/boto3.atom"].contains("href=\"../../README.md\""));
    assert!(files["layers/arns/README.md"].contains("[Atom](feeds/all.atom)"));
}

#[test]
fn nothing_published_means_no_feeds() {
    let mut catalog = Catalog::new();
    catalog.versions.clear();
    assert_eq!(
        catalog.render().into_keys().collect::<Vec<_>>(),
        ["layers/arns/README.md"]
    );
}

#[test]
fn what_others_wrote_takes_no_effect() {
    let mut catalog = Catalog::new();
    catalog.versions[3].version = "1<script>&\"\u{1}\u{ffff}".to_owned();
    catalog.builds[2].artifact.pins[0].version = "</li>]]>\u{7}".to_owned();
    let files = catalog.render();
    let atom = &files["layers/arns/feeds/layers/boto3.atom"];
    assert!(
        !atom.contains("<script>") && !atom.contains("</li>"),
        "{atom}"
    );
    assert!(
        !atom
            .chars()
            .any(|c| c != '\n' && c.is_control() || c == '\u{ffff}')
    );
    let json: Value = serde_json::from_str(&files["layers/arns/feeds/layers/boto3.json"]).unwrap();
    let html = json["items"][0]["content_html"].as_str().unwrap();
    assert!(
        html.contains("1&lt;script&gt;") && html.contains("&lt;/li&gt;"),
        "{html}"
    );
}

#[test]
fn a_target_that_is_given_up_does_not_retire_the_layer() {
    let mut catalog = Catalog::new();
    let old = deprecated(version("boto3", "p3.10", "us-east-1", "1.40", 1));
    catalog.versions.push(old);
    let titles = told(&all(&catalog));
    let of_boto3 = titles
        .iter()
        .filter(|title| title.contains("retired: boto3"));
    let of_boto3: Vec<&str> = of_boto3.map(String::as_str).collect();
    insta::assert_snapshot!(of_boto3.join("\n"), @"2026-10-01 retired: boto3 is no longer published for p3.10: 1.40 goes away on 2027-10-01");
}

#[test]
fn an_entry_is_not_older_than_what_it_is_about() {
    // The policy may have had another number of days when the layer was retired.
    for (days, day) in [
        (365, "2026-10-01"),
        (340, "2026-10-26"),
        (900, "2026-10-01"),
    ] {
        let mut catalog = Catalog::new();
        catalog.policy.expire_after_days = days;
        let titles = told(&all(&catalog));
        let retired = format!("{day} retired: retired is retired; 1.0 goes away on 2027-10-01");
        assert!(titles.contains(&retired), "{days}: {titles:#?}");
    }
    // Superseded less than thirty days before it goes.
    let mut catalog = Catalog::new();
    catalog.policy.expire_after_days = 7;
    catalog.versions[5].expires_at = Some(at("2026-10-08"));
    let expiring = "2026-10-01 expiring: retired 1.0 goes away on 2026-10-08".to_owned();
    let titles = told(&all(&catalog));
    assert!(titles.contains(&expiring), "{titles:#?}");
}

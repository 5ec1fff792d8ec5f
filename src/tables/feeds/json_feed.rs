//! JSON Feed 1.1: <https://www.jsonfeed.org/version/1.1/>.

use super::{Entry, Feed, Kind, TargetOf};
use crate::model::LayerName;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Top<'a> {
    version: &'static str,
    title: &'a str,
    // Both have to be absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    home_page_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feed_url: Option<String>,
    authors: [Author; 1],
    language: &'static str,
}

#[derive(Serialize)]
struct Author {
    name: &'static str,
}

#[derive(Serialize)]
struct Item<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    title: &'a str,
    summary: &'a str,
    content_html: &'a str,
    date_published: String,
    date_modified: String,
    tags: [&'a str; 2],
    /// An extension, whose name begins with an underscore as the format asks for.
    _layersmith: Details<'a>,
}

/// The same for programs.
#[derive(Serialize)]
struct Details<'a> {
    about: &'static str,
    kind: &'static str,
    layer: &'a str,
    version: &'a str,
    targets: Vec<TargetDetails<'a>>,
}

#[derive(Serialize)]
struct TargetDetails<'a> {
    target: &'a str,
    sha256: &'a str,
    arns: Vec<Arns<'a>>,
}

#[derive(Serialize)]
struct Arns<'a> {
    /// With `REGION` in the region's place.
    arn: &'a str,
    regions: &'a [String],
}

const ABOUT: &str = "what happened (published, retired, expiring) to which zips; in an ARN, put a region in the place of REGION";

pub(super) fn render(feed: &Feed) -> String {
    let absolute = |url| Some(url).filter(|_| feed.is_absolute);
    let top = Top {
        version: "https://jsonfeed.org/version/1.1",
        title: &feed.title,
        home_page_url: absolute(feed.page.as_str()),
        feed_url: feed.is_absolute.then(|| format!("{}.json", feed.address)),
        authors: [Author { name: "Layersmith" }],
        language: "en",
    };
    let items: Vec<String> = feed
        .entries
        .iter()
        .map(|entry| format!("    {}", json(&item(entry, absolute(entry.page.as_str())))))
        .collect();
    // An item a line: a new one is then one new line in the history.
    let top = json(&top);
    let top = top.strip_suffix('}').unwrap_or(&top);
    format!("{top},\n  \"items\": [\n{}\n  ]\n}}\n", items.join(",\n"))
}

/// Texts and lists of them, which cannot fail to become JSON.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn item<'a>(entry: &'a Entry, url: Option<&'a str>) -> Item<'a> {
    Item {
        id: &entry.id,
        url,
        title: &entry.title,
        summary: &entry.summary,
        content_html: &entry.html,
        date_published: entry.published.to_string(),
        date_modified: entry.updated.to_string(),
        tags: [&entry.layer, entry.kind.as_str()],
        _layersmith: Details {
            about: ABOUT,
            kind: entry.kind.as_str(),
            layer: &entry.layer,
            version: &entry.version,
            targets: entry.targets.iter().map(target).collect(),
        },
    }
}

fn target(target: &TargetOf) -> TargetDetails<'_> {
    TargetDetails {
        target: &target.target,
        sha256: &target.sha256,
        arns: target
            .arns
            .iter()
            .map(|(arn, regions)| Arns { arn, regions })
            .collect(),
    }
}

/// What [`render`] wrote, less what the format says of feeds and not of entries.
#[derive(Deserialize)]
struct Written {
    items: Vec<WrittenItem>,
}

#[derive(Deserialize)]
struct WrittenItem {
    id: String,
    title: String,
    summary: String,
    content_html: String,
    date_published: String,
    date_modified: String,
    _layersmith: WrittenDetails,
}

#[derive(Deserialize)]
struct WrittenDetails {
    kind: String,
    layer: LayerName,
    version: String,
    targets: Vec<WrittenTarget>,
}

#[derive(Deserialize)]
struct WrittenTarget {
    target: String,
    sha256: String,
    arns: Vec<WrittenArns>,
}

#[derive(Deserialize)]
struct WrittenArns {
    arn: String,
    regions: Vec<String>,
}

/// The entries of a feed that was written by [`render`]; `None` for any other text.
pub(super) fn read(text: &str, page: impl Fn(&LayerName) -> String) -> Option<Vec<Entry>> {
    let written: Written = serde_json::from_str(text).ok()?;
    let entries = written.items.into_iter().map(|item| {
        let details = item._layersmith;
        let kinds = [Kind::Published, Kind::Retired, Kind::Expiring];
        let targets = details.targets.into_iter().map(|target| TargetOf {
            target: target.target,
            sha256: target.sha256,
            arns: target
                .arns
                .into_iter()
                .map(|arns| (arns.arn, arns.regions))
                .collect(),
        });
        Some(Entry {
            id: item.id,
            kind: kinds
                .into_iter()
                .find(|kind| kind.as_str() == details.kind)?,
            page: page(&details.layer),
            layer: details.layer.to_string(),
            version: details.version,
            title: item.title,
            published: item.date_published.parse().ok()?,
            updated: item.date_modified.parse().ok()?,
            summary: item.summary,
            html: item.content_html,
            targets: targets.collect(),
        })
    });
    entries.collect()
}

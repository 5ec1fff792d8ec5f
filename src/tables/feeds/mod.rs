//! Feeds of what happened, one for each layer and one for all of them: Atom (RFC 4287) and JSON Feed 1.1.
//!
//! An entry is a version that came out (with all its targets), a layer that was retired, or a version that goes away
//! soon. Ids are made from layer, version, zip and date, never from places or times of rendering, so that an entry is
//! the same one however often it is written, until the first of its zips is deleted. Deliberately absent: entries for what is deleted (it cannot be used any
//! more), and more entries than somebody who was away for a while wants to read.

mod atom;
mod entries;
mod json_feed;

use super::ids::uuid_of;
use super::releases::arn_patterns;
use super::rows::{Row, by};
use super::{Builds, TablesInput};
use crate::model::{LayerName, TableFormat, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Entries of the feed of one layer, the newest ones.
const LAYER_ENTRIES: usize = 30;
/// Entries of the feed of all layers, the newest ones.
const ALL_ENTRIES: usize = 60;

/// A feed before it is written in one of the formats.
#[derive(Debug, Clone)]
struct Feed {
    /// `urn:uuid:…`.
    id: String,
    title: String,
    /// Where it is, without the ending of its format; absolute, or relative to itself.
    address: String,
    /// The page it is about; absolute, or relative to the feed.
    page: String,
    /// Whether the two are absolute.
    is_absolute: bool,
    /// Newest first, at least one.
    entries: Vec<Entry>,
}

/// What is told of one thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// `urn:uuid:…`.
    id: String,
    kind: Kind,
    layer: String,
    version: String,
    title: String,
    /// The layer's page; absolute, or relative to the feed.
    page: String,
    published: Timestamp,
    updated: Timestamp,
    /// One line of plain text.
    summary: String,
    /// The same at length.
    html: String,
    targets: Vec<TargetOf>,
}

/// Which kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Published,
    Retired,
    Expiring,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Retired => "retired",
            Self::Expiring => "expiring",
        }
    }
}

/// One target of an entry, for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TargetOf {
    /// `p3.13-arm64`.
    target: String,
    /// SHA-256 of the zip.
    sha256: String,
    /// ARNs with `REGION` in the region's place, and the regions.
    arns: Vec<(String, Vec<String>)>,
}

impl TargetOf {
    fn of(rows: &[&Row<'_>]) -> Vec<Self> {
        by(rows, |row| (row.target, row.digest))
            .into_iter()
            .map(|((target, digest), rows)| Self {
                target: target.to_string(),
                sha256: digest.to_string(),
                arns: arn_patterns(&rows)
                    .into_iter()
                    .map(|(arn, regions)| (arn, regions.into_iter().map(str::to_owned).collect()))
                    .collect(),
            })
            .collect()
    }
}

/// What writes the feeds of a catalog.
pub(super) struct Feeds<'a, 'b> {
    input: &'b TablesInput<'a>,
    builds: &'b Builds<'a>,
    /// Two catalogs may publish layers of the same name from one account, under another prefix each.
    catalog: [&'b str; 2],
    places: Places<'a>,
}

/// A layer's files, by their paths below the tables' folder, and its part of the feed of all layers.
pub(super) struct OfLayer {
    pub(super) files: [(String, String); 2],
    entries: Vec<Entry>,
}

impl<'a, 'b> Feeds<'a, 'b> {
    /// `account` is that of the first row of all.
    pub(super) fn new(
        input: &'b TablesInput<'a>,
        builds: &'b Builds<'a>,
        account: &'b str,
    ) -> Self {
        Self {
            input,
            builds,
            catalog: [account, input.policy.prefix.as_str()],
            places: Places::new(input),
        }
    }

    /// `rows` are the layer's, newest first.
    pub(super) fn of_layer(&self, layer: &LayerName, rows: &[&Row<'a>]) -> OfLayer {
        let Self {
            input,
            builds,
            catalog,
            places,
        } = self;
        let entries = entries::of_layer(input, builds, layer, rows, catalog, LAYER_ENTRIES);
        let with_page = |up: &str| {
            let page = places.page(layer, up);
            let entries = entries.iter().cloned();
            entries.map(move |entry| Entry {
                page: page.clone(),
                ..entry
            })
        };
        let feed = Feed {
            id: format!(
                "urn:uuid:{}",
                uuid_of(&[&["feed"], &catalog[..], &[layer.as_str()]].concat())
            ),
            title: format!("Lambda layer {layer}"),
            address: places.feed(&layer_feed(layer), layer.as_str()),
            page: places.page(layer, "../.."),
            is_absolute: places.repository_page.is_some(),
            entries: with_page("../..").collect(),
        };
        OfLayer {
            files: files(&layer_feed(layer), &feed),
            entries: with_page("..").collect(),
        }
    }

    /// The feed of all layers, with its newest entries; none while nothing is published.
    fn of_all(&self, newest: Vec<Entry>) -> Option<[(String, String); 2]> {
        let places = &self.places;
        if newest.is_empty() {
            return None;
        }
        let feed = Feed {
            id: format!(
                "urn:uuid:{}",
                uuid_of(&[&["feeds"], &self.catalog[..]].concat())
            ),
            title: match places.repository_page.and_then(name_of) {
                Some(name) => format!("Lambda layers of {name}"),
                None => "Lambda layers".to_owned(),
            },
            address: places.feed(ALL_FEED, "all"),
            page: places.overview(),
            is_absolute: places.repository_page.is_some(),
            entries: newest,
        };
        Some(files(ALL_FEED, &feed))
    }

    /// The feed of all layers after some of them changed, made of what it was; `None` when that does not tell, because
    /// entries are gone in whose place others come that were too old before.
    pub(super) fn of_all_after<'l>(
        &self,
        before: &str,
        changed: &[&LayerName],
        of_layers: impl Iterator<Item = &'l OfLayer>,
    ) -> Option<[(String, String); 2]> {
        let mut entries = json_feed::read(before, |layer| self.places.page(layer, ".."))?;
        let oldest = entries
            .last()
            .filter(|_| entries.len() >= ALL_ENTRIES)
            .cloned();
        entries.retain(|entry| {
            changed
                .iter()
                .all(|layer| layer.as_str() != entry.layer.as_str())
        });
        entries.extend(of_layers.flat_map(|it| it.entries.iter().cloned()));
        let newest = newest_of(entries, ALL_ENTRIES);
        // What was left out before comes after the oldest that was not.
        let is_certain = oldest.is_none_or(|oldest| {
            newest.len() == ALL_ENTRIES
                && newest
                    .last()
                    .is_some_and(|last| order(last) <= order(&oldest))
        });
        self.of_all(newest).filter(|_| is_certain)
    }
}

/// Every file of the feeds, by its path below the tables' folder; none while nothing is published.
pub(super) fn render<'a>(
    input: &TablesInput<'a>,
    builds: &Builds<'a>,
    rows: &[&Row<'a>],
) -> BTreeMap<String, String> {
    let mut rendered = BTreeMap::new();
    let account = rows.first().map_or("", |row| row.account);
    let feeds = Feeds::new(input, builds, account);
    let mut newest: Vec<Entry> = Vec::new();
    for (layer, rows) in by(rows, |row| row.layer) {
        let of_layer = feeds.of_layer(layer, &rows);
        rendered.extend(of_layer.files);
        newest.extend(of_layer.entries);
        newest = newest_of(newest, ALL_ENTRIES);
    }
    rendered.extend(feeds.of_all(newest).into_iter().flatten());
    rendered
}

/// A line for a page that leads to a feed; `up` leads from the page to the tables' folder.
pub(super) fn links(
    input: &TablesInput<'_>,
    layer: Option<&LayerName>,
    up: &str,
) -> Option<String> {
    if !input.policy.tables.formats.contains(&TableFormat::Feed) {
        return None;
    }
    let places = Places::new(input);
    let path = layer.map_or_else(|| ALL_FEED.to_owned(), layer_feed);
    let address = places.feed(&path, &format!("{up}{path}"));
    Some(format!(
        "[Atom]({address}.atom), [JSON Feed]({address}.json)"
    ))
}

/// The feed of all layers, below the tables' folder, without its ending.
const ALL_FEED: &str = "feeds/all";

/// The feed of one layer; in a folder of their own, because a layer may be called `all`.
fn layer_feed(layer: &LayerName) -> String {
    format!("feeds/layers/{layer}")
}

/// The paths of a layer's feeds, below the tables' folder.
pub(super) fn paths_of_layer(layer: &LayerName) -> [String; 2] {
    let path = layer_feed(layer);
    [format!("{path}.atom"), format!("{path}.json")]
}

/// The feed of all layers as JSON, below the tables' folder.
pub(super) fn path_of_all() -> String {
    format!("{ALL_FEED}.json")
}

fn files(path: &str, feed: &Feed) -> [(String, String); 2] {
    [
        (format!("{path}.atom"), atom::render(feed)),
        (format!("{path}.json"), json_feed::render(feed)),
    ]
}

/// What comes first in a feed sorts first.
fn order(entry: &Entry) -> (Reverse<Timestamp>, Kind, &str, &str) {
    (
        Reverse(entry.published),
        entry.kind,
        &entry.layer,
        &entry.id,
    )
}

fn newest_of(mut entries: Vec<Entry>, limit: usize) -> Vec<Entry> {
    entries.sort_by(|a, b| order(a).cmp(&order(b)));
    entries.truncate(limit);
    entries
}

/// `octo/catalog` of `https://github.com/octo/catalog`.
fn name_of(page: &str) -> Option<&str> {
    let slash = page.rmatch_indices('/').nth(1)?.0;
    Some(&page[slash + 1..])
}

/// Where pages and feeds are.
struct Places<'a> {
    /// Without a slash at its end.
    repository_page: Option<&'a str>,
    folder: &'a str,
    has_pages: bool,
}

impl<'a> Places<'a> {
    fn new(input: &TablesInput<'a>) -> Self {
        Self {
            repository_page: input.repository_page.map(|page| page.trim_end_matches('/')),
            folder: &input.policy.tables.path,
            has_pages: input.policy.tables.formats.contains(&TableFormat::Md),
        }
    }

    /// A layer's page, or the overview where there are none; `up` leads from the feed to the tables' folder.
    fn page(&self, layer: &LayerName, up: &str) -> String {
        let file = if self.has_pages {
            format!("layers/{layer}.md")
        } else {
            "README.md".to_owned()
        };
        match self.repository_page {
            Some(page) => format!("{page}/blob/HEAD/{}/{file}", self.folder),
            None => format!("{up}/{file}"),
        }
    }

    fn overview(&self) -> String {
        match self.repository_page {
            Some(page) => format!("{page}/tree/HEAD/{}", self.folder),
            None => "../README.md".to_owned(),
        }
    }

    /// A feed as a reader fetches it: GitHub's page for raw files, which leads to the newest commit's.
    fn feed(&self, path: &str, relative: &str) -> String {
        match self.repository_page {
            Some(page) => format!("{page}/raw/HEAD/{}/{path}", self.folder),
            None => relative.to_owned(),
        }
    }
}

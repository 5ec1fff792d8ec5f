//! Live layer versions → the Markdown, CSV and JSON files that the bot commits, and what the HTTP API answers.
//!
//! A pure function of what is published: no time of rendering, one order, so that the same state gives the same bytes
//! and a no-op commits nothing. A row needs an ARN that was read back (`Live`), or one that was superseded and not
//! deleted yet (`Deprecated`); intents and deleted versions never appear.
//!
//! The columns are those of Klayers. Its "package" is the layer's name here, and its "package version" is the layer's
//! version, the first requirement's: what else is inside stands on the layer's own page.
//!
//! Deliberately absent: input and output, clocks, and pages for browsers beyond a plain table.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod announcements;
mod api;
mod build_table;
mod changes;
mod expiry;
mod extent;
mod feeds;
mod ids;
mod layer_page;
mod overview;
mod region_files;
mod releases;
mod rows;
mod snippets;
mod splice;
mod summary;
mod text;

pub use announcements::{Announcement, AnnouncementsInput, MESSAGE_LIMIT, announcements};
pub use api::{
    ApiLayer, ApiVersion, api_history, api_latest, api_latest_csv, api_latest_html, latest_json,
};
pub use changes::{ChangesInput, FileContent, FileWork, Scope, TableFiles, render_changes};
pub use expiry::{Leaving, leaving, named_on_overview};
pub use extent::Extent;
pub use releases::{WARNING_DAYS, warned_until};

use crate::model::{
    BuildRecord, Digest, LayerName, LayerRequest, LayerVersion, Policy, TableFormat, Target,
    Timestamp,
};
use rows::Row;
use std::collections::{BTreeMap, BTreeSet};
use summary::Summary;

/// Everything the tables are made of.
#[derive(Debug, Clone, Copy)]
pub struct TablesInput<'a> {
    /// Where the tables go, in which formats, and who may use the layers.
    pub policy: &'a Policy,
    /// The requests at the same commit, for their descriptions; a layer that is not in it is retired.
    pub layers: &'a BTreeMap<LayerName, LayerRequest>,
    /// Layers whose request files are there and cannot be read: they stay as they are, and are not retired.
    pub held: &'a BTreeSet<LayerName>,
    /// What is published, in any order.
    pub versions: &'a [LayerVersion],
    /// What is inside, in any order; a version without its build is listed without its contents.
    pub builds: &'a [BuildRecord],
    /// The catalog repository's page, such as `https://github.com/octo/catalog`, for what is read elsewhere; without it,
    /// links are relative.
    pub repository_page: Option<&'a str>,
    /// The day, for what goes away soon: it decides what is warned of, and is written nowhere.
    pub today: Timestamp,
}

/// Every file under the policy's `tables.path`, by its path from the root of the catalog repository.
///
/// `README.md` is always there; the pages of the layers are Markdown and are written when the policy's formats have it.
#[must_use]
pub fn render(input: &TablesInput<'_>) -> BTreeMap<String, Vec<u8>> {
    let usable = rows::usable(input.versions);
    let rows: Vec<&Row<'_>> = usable.iter().collect();
    let builds = Builds::new(input.builds);
    let settings = &input.policy.tables;
    let formats: BTreeSet<TableFormat> = settings.formats.iter().copied().collect();
    let mut files = BTreeMap::new();
    let mut put = |name: &str, content: String| {
        files.insert(format!("{}/{name}", settings.path), content.into_bytes());
    };
    let summary = Summary::of(&rows);
    put(
        "README.md",
        overview::render(input, &summary, &rows, &formats),
    );
    for ((target, region), rows) in rows::by(&rows, |row| (row.target, row.region)) {
        for format in &formats {
            let content = match format {
                TableFormat::Md => region_files::markdown(target, region, &rows, input.today),
                TableFormat::Csv => region_files::csv(&rows),
                TableFormat::Json => region_files::json(&rows),
                TableFormat::Feed => continue,
            };
            put(&format!("{target}/{region}.{format}"), content);
        }
    }
    if formats.contains(&TableFormat::Md) {
        for (layer, rows) in rows::by(&rows, |row| row.layer) {
            put(
                &format!("layers/{layer}.md"),
                layer_page::render(input, &builds, layer, &rows),
            );
        }
    }
    if formats.contains(&TableFormat::Feed) {
        for (path, feed) in feeds::render(input, &builds, &rows) {
            put(&path, feed);
        }
    }
    files
}

/// The account of the first row of all, which the ids of feeds are made with; empty while there is none.
#[must_use]
pub fn account_of(versions: &[LayerVersion]) -> &str {
    rows::first_account(versions)
}

/// How a target is called in running text: `Python 3.13 on x86_64`.
fn spoken(target: Target) -> String {
    let Target {
        python,
        architecture,
    } = target;
    format!("Python {python} on {architecture}")
}

/// Which build a zip came from.
#[derive(Debug)]
struct Builds<'a>(BTreeMap<(&'a LayerName, Target, &'a Digest), &'a BuildRecord>);

impl<'a> Builds<'a> {
    fn new(builds: &'a [BuildRecord]) -> Self {
        let mut found: BTreeMap<_, &'a BuildRecord> = BTreeMap::new();
        for build in builds {
            // One zip may come from several requests that differ in nothing it shows; any one will do, but always the same.
            let newer = |known: &BuildRecord| {
                (known.built_at, known.fingerprint) < (build.built_at, build.fingerprint)
            };
            let place = found
                .entry((&build.layer, build.target, &build.artifact.digest))
                .or_insert(build);
            if newer(place) {
                *place = build;
            }
        }
        Self(found)
    }

    /// The build that a row's zip came from.
    fn of(&self, row: &Row<'a>) -> Option<&'a BuildRecord> {
        self.0.get(&(row.layer, row.target, row.digest)).copied()
    }
}

#[cfg(test)]
mod tests;

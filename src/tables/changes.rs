//! Rendering what a change can have touched, from the files as they were and the rows of the layers it is about.
//!
//! The files say everything that is needed of the other layers, so that the cost is that of the files that change. What
//! comes out is what [`super::render`] gives for all rows; where the files do not tell, that is said instead.

use super::feeds::{self, Feeds, OfLayer};
use super::releases::is_soon;
use super::rows::{Row, by, usable};
use super::splice::splice;
use super::summary::Summary;
use super::{Builds, TablesInput, layer_page, overview, region_files};
use crate::model::{LayerName, LayerVersion, Region, TableFormat, Target, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What may differ from the files as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Where something was published, superseded, retired, deleted, shared or hidden, or begins to be warned of.
    pub slots: BTreeSet<(LayerName, Target, Region)>,
    /// Layers whose request or builds changed, and nothing of what is published.
    pub layers: BTreeSet<LayerName>,
}

impl Scope {
    /// Every layer that it is about.
    #[must_use]
    pub fn all_layers(&self) -> BTreeSet<LayerName> {
        let slots = self.slots.iter().map(|(layer, ..)| layer.clone());
        slots.chain(self.layers.iter().cloned()).collect()
    }

    /// Adds the versions that are warned of today and were not on the day of the files.
    pub fn add_warned(&mut self, ending: &[LayerVersion], before: Timestamp, today: Timestamp) {
        let begin = ending.iter().filter(|version| {
            let soon = |day| version.expires_at.is_some_and(|end| is_soon(end, day));
            soon(today) && !soon(before)
        });
        self.slots.extend(begin.map(|version| {
            let key = &version.key;
            (key.layer.clone(), key.target, key.region.clone())
        }));
    }
}

/// Everything that the changed files are made of.
#[derive(Debug, Clone, Copy)]
pub struct ChangesInput<'a> {
    /// As for [`super::render`], with the builds of the layers of the scope, and with the versions of those, of the layers
    /// that the overview names for what goes away ([`super::named_on_overview`]), and of all others only those that go
    /// away soon ([`super::warned_until`]).
    pub tables: TablesInput<'a>,
    /// What may differ.
    pub scope: &'a Scope,
    /// [`super::account_of`] the versions that the files were rendered from.
    pub account: &'a str,
}

/// What a file holds.
pub type FileContent<'a> = Box<dyn AsRef<[u8]> + 'a>;

/// A piece of work on files, by its number from 0.
pub type FileWork<'w> = dyn Fn(&mut dyn TableFiles, usize) -> anyhow::Result<()> + Sync + 'w;

/// The files of the tables, by their paths from the root of the catalog repository.
pub trait TableFiles {
    /// A file as it was; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &str) -> anyhow::Result<Option<FileContent<'_>>>;

    /// Takes what a file is now, or that it is gone.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&mut self, path: &str, content: Option<&str>) -> anyhow::Result<()>;

    /// Does so many pieces of work, each on files of its own, in any order or side by side.
    ///
    /// # Errors
    /// The first of those that the pieces have.
    fn each(&mut self, pieces: usize, work: &FileWork<'_>) -> anyhow::Result<()>;
}

/// Renders the files that can have changed, one at a time. `false` when the files as they were do not tell enough: what
/// was written is worth nothing then, and everything has to be rendered.
///
/// The files have to be what [`super::render`] gave for the versions as they were, with the same policy and page.
///
/// # Errors
/// Those of reading and writing.
pub fn render_changes(
    input: &ChangesInput<'_>,
    files: &mut dyn TableFiles,
) -> anyhow::Result<bool> {
    let usable = usable(input.tables.versions);
    let rows: Vec<&Row<'_>> = usable.iter().collect();
    let layers = input.scope.all_layers();
    let mut of_layer = by(&rows, |row| row.layer);
    let changed = layers
        .iter()
        .map(|layer| (layer, of_layer.remove(layer).unwrap_or_default()))
        .collect();
    let settings = &input.tables.policy.tables;
    let formats: BTreeSet<TableFormat> = settings.formats.iter().copied().collect();
    let change = Change {
        input,
        builds: Builds::new(input.tables.builds),
        rows: &rows,
        changed,
        formats,
    };
    change.render(files)
}

/// A change of some layers.
struct Change<'a, 'r> {
    input: &'r ChangesInput<'a>,
    builds: Builds<'a>,
    /// Of these layers, and of the others what goes away soon, or more.
    rows: &'r [&'r Row<'a>],
    /// The rows of each changed layer, newest first; none where nothing is left.
    changed: BTreeMap<&'r LayerName, Vec<&'r Row<'a>>>,
    formats: BTreeSet<TableFormat>,
}

impl<'a, 'r> Change<'a, 'r> {
    fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.input.tables.policy.tables.path)
    }

    fn render(&self, files: &mut dyn TableFiles) -> anyhow::Result<bool> {
        // What every layer has a part in, first: it tells whether the old files are enough.
        let summary = {
            let page = files.read(&self.place("README.md"))?;
            page.as_ref().and_then(text).and_then(Summary::read)
        };
        let Some(mut summary) = summary else {
            return Ok(false);
        };
        for (layer, rows) in &self.changed {
            summary.set_layer(layer, rows);
        }
        if !self.is_of_the_same_account(&summary)
            || !self.feeds(files)?
            || !self.tables(files, &mut summary)?
        {
            return Ok(false);
        }
        if self.formats.contains(&TableFormat::Md) {
            for (layer, rows) in &self.changed {
                let page = (!rows.is_empty())
                    .then(|| layer_page::render(&self.input.tables, &self.builds, layer, rows));
                files.write(&self.place(&format!("layers/{layer}.md")), page.as_deref())?;
            }
        }
        let tables = &self.input.tables;
        let page = overview::render(tables, &summary, self.rows, &self.formats);
        files.write(&self.place("README.md"), Some(&page))?;
        Ok(true)
    }

    /// The ids of all feeds are made with the account of the first row of all.
    fn is_of_the_same_account(&self, summary: &Summary) -> bool {
        let Some(first) = summary.newest.keys().next() else {
            return false;
        };
        let row = self.changed.get(first).and_then(|rows| rows.first());
        row.is_none_or(|row| row.account == self.input.account)
    }

    fn feeds(&self, files: &mut dyn TableFiles) -> anyhow::Result<bool> {
        if !self.formats.contains(&TableFormat::Feed) {
            return Ok(true);
        }
        let feeds = Feeds::new(&self.input.tables, &self.builds, self.input.account);
        let of_layers: BTreeMap<&LayerName, OfLayer> = self
            .changed
            .iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(layer, rows)| (*layer, feeds.of_layer(layer, rows)))
            .collect();
        let changed: Vec<&LayerName> = self.changed.keys().copied().collect();
        let of_all = {
            let before = files.read(&self.place(&feeds::path_of_all()))?;
            let before = before.as_ref().and_then(text);
            before.and_then(|before| feeds.of_all_after(before, &changed, of_layers.values()))
        };
        let Some(of_all) = of_all else {
            return Ok(false);
        };
        for layer in changed {
            let written = of_layers.get(layer).map(|it| &it.files);
            for (position, path) in feeds::paths_of_layer(layer).iter().enumerate() {
                let feed = written.map(|feeds| feeds[position].1.as_str());
                files.write(&self.place(path), feed)?;
            }
        }
        for (path, feed) in &of_all {
            files.write(&self.place(path), Some(feed))?;
        }
        Ok(true)
    }

    /// The tables of targets and regions, and how many layers the overview counts there.
    fn tables(&self, files: &mut dyn TableFiles, summary: &mut Summary) -> anyhow::Result<bool> {
        let formats = self.formats.iter().copied();
        let formats: Vec<TableFormat> = formats.filter(|format| format.is_by_region()).collect();
        // These have a line for every row, so that they tell whether there is any, and how many are of latest versions.
        if !matches!(formats.first(), Some(TableFormat::Md | TableFormat::Csv)) {
            return Ok(false);
        }
        let rows = by(self.rows, |row| (row.target, row.region));
        let places: Vec<(Place<'_>, _)> = places(self.input.scope).into_iter().collect();
        let found = Mutex::new(Vec::new());
        files.each(places.len(), &|files, piece| {
            let (place, layers) = &places[piece];
            let rows = rows.get(place).map(Vec::as_slice).unwrap_or_default();
            let counted = self.tables_of(files, *place, layers, rows, &formats)?;
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.push((*place, counted));
            Ok(())
        })?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        for ((target, region), counted) in found {
            let Some(counted) = counted else {
                return Ok(false);
            };
            let Counted { is_left, were, are } = counted;
            summary.count(target, region, is_left, were, are);
        }
        Ok(true)
    }

    /// Those of one target and region; `None` when they do not tell enough. `rows` are those of that place.
    fn tables_of(
        &self,
        files: &mut dyn TableFiles,
        (target, region): Place<'_>,
        layers: &BTreeSet<&LayerName>,
        rows: &[&Row<'_>],
        formats: &[TableFormat],
    ) -> anyhow::Result<Option<Counted>> {
        let mut replaced: BTreeMap<&LayerName, Vec<&Row<'_>>> =
            layers.iter().map(|layer| (*layer, vec![])).collect();
        for row in rows {
            if let Some(rows) = replaced.get_mut(row.layer) {
                rows.push(row);
            }
        }
        let head = region_files::markdown_head(target, region, rows, self.input.tables.today);
        let latest = replaced.values().flatten().filter(|row| row.latest);
        let mut counted = Counted {
            is_left: true,
            were: 0,
            are: latest.count(),
        };
        for (position, format) in formats.iter().enumerate() {
            let path = self.place(&format!("{target}/{region}.{format}"));
            if !counted.is_left {
                files.write(&path, None)?;
                continue;
            }
            let spliced = {
                let before = files.read(&path)?;
                match before.as_ref().map(text) {
                    Some(None) => None,
                    Some(before) => splice(*format, before, &head, &replaced),
                    None => splice(*format, None, &head, &replaced),
                }
            };
            let Some(spliced) = spliced else {
                return Ok(None);
            };
            if position == 0 {
                counted.is_left = spliced.has_lines;
                counted.were = spliced.were_latest;
            }
            let text = counted.is_left.then_some(spliced.text.as_str());
            files.write(&path, text)?;
        }
        Ok(Some(counted))
    }
}

/// A target in a region.
type Place<'a> = (Target, &'a Region);

/// What the tables of a target and region tell the overview.
struct Counted {
    /// Whether there is any row.
    is_left: bool,
    /// How many of the lines that were replaced were of latest versions, and how many of those in their place are.
    were: usize,
    are: usize,
}

/// The layers of the scope by target and region.
fn places(scope: &Scope) -> BTreeMap<Place<'_>, BTreeSet<&LayerName>> {
    let mut places: BTreeMap<_, BTreeSet<&LayerName>> = BTreeMap::new();
    for (layer, target, region) in &scope.slots {
        places.entry((*target, region)).or_default().insert(layer);
    }
    places
}

fn text<'c>(content: &'c FileContent<'_>) -> Option<&'c str> {
    std::str::from_utf8((**content).as_ref()).ok()
}

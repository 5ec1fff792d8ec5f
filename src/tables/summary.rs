//! What the overview says of everything that is published, read back from it where only some of it changed.

use super::overview::{LAYERS, REGIONS};
use super::rows::{Row, by};
use super::text::{markdown, table_cells};
use crate::model::{LayerName, Region, Target};
use std::collections::BTreeMap;

/// The two tables of the overview.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// How many layers have a latest version there; nothing where none has any.
    pub(super) latest: BTreeMap<(Region, Target), usize>,
    /// The newest version of each layer, as it stands in its cell.
    pub(super) newest: BTreeMap<LayerName, String>,
}

impl Summary {
    pub(super) fn of(rows: &[&Row<'_>]) -> Self {
        let mut latest: BTreeMap<(&Region, Target), usize> = BTreeMap::new();
        for row in rows {
            *latest.entry((row.region, row.target)).or_default() += usize::from(row.latest);
        }
        Self {
            latest: latest
                .into_iter()
                .map(|((region, target), count)| ((region.clone(), target), count))
                .collect(),
            newest: by(rows, |row| row.layer)
                .into_iter()
                .map(|(layer, rows)| (layer.clone(), newest(&rows)))
                .collect(),
        }
    }

    /// What an overview says; `None` when the text is none that has these tables.
    pub(super) fn read(page: &str) -> Option<Self> {
        let mut summary = Self::default();
        let mut lines = table_below(page, REGIONS)?;
        let mut targets = Vec::new();
        for heading in lines.next()?.into_iter().skip(1) {
            targets.push(Target::all().find(|target| super::spoken(*target) == heading)?);
        }
        for cells in lines.skip(1) {
            let (region, counts) = cells.split_first()?;
            for (count, target) in counts.iter().zip(&targets) {
                // A link, or the number alone where there are no tables.
                let digits = count.strip_prefix('[').map_or(*count, |link| {
                    link.split_once(']').map_or("", |(count, _)| count)
                });
                if !count.is_empty() {
                    let place = (region.parse().ok()?, *target);
                    summary.latest.insert(place, digits.parse().ok()?);
                }
            }
        }
        for cells in table_below(page, LAYERS)?.skip(2) {
            let [layer, version, ..] = cells.as_slice() else {
                return None;
            };
            let name = match layer.rsplit_once("](layers/") {
                Some((_, link)) => link.strip_suffix(".md)")?.to_owned(),
                None => layer.replace('\\', ""),
            };
            let version = (*version).to_owned();
            summary.newest.insert(name.parse().ok()?, version);
        }
        Some(summary)
    }

    /// Notes what a layer has now.
    pub(super) fn set_layer(&mut self, layer: &LayerName, rows: &[&Row<'_>]) {
        if rows.is_empty() {
            self.newest.remove(layer);
        } else {
            self.newest.insert(layer.clone(), newest(rows));
        }
    }

    /// Notes what a table of a target and region has now: whether there is any row, and how many of those that were
    /// replaced and of those in their place are of latest versions.
    pub(super) fn count(
        &mut self,
        target: Target,
        region: &Region,
        is_left: bool,
        were: usize,
        are: usize,
    ) {
        let place = (region.clone(), target);
        if is_left {
            let count = self.latest.entry(place).or_default();
            *count = (*count + are).saturating_sub(were);
        } else {
            self.latest.remove(&place);
        }
    }
}

/// Rows are newest first.
fn newest(rows: &[&Row<'_>]) -> String {
    rows.first()
        .map_or_else(String::new, |row| markdown(row.version))
}

/// The rows of the table below a heading, its own head included.
fn table_below<'a>(page: &'a str, heading: &str) -> Option<impl Iterator<Item = Vec<&'a str>>> {
    let start = page.find(&format!("\n{heading}\n"))?;
    let lines = page[start..].lines();
    let rows = lines.skip_while(|line| !line.starts_with("| "));
    Some(rows.map_while(table_cells))
}

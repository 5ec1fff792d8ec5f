//! What goes away soon, said where people look: on the overview, on a layer's page, above a region's table.
//!
//! Days are named, never counted down to: a text changes only when something else goes away.

use super::extent::Extent;
use super::releases::{Ending, arn_patterns, ending_soon};
use super::rows::{Row, by, usable};
use super::spoken;
use super::text::{markdown, table};
use crate::model::{LayerName, LayerVersion, TableFormat, Target, Timestamp};
use std::collections::BTreeSet;

/// Versions named above a table; the table has them all.
const SHOWN_ABOVE: usize = 20;
/// Versions named on the overview; the pages of the layers have them all.
const SHOWN_ON_OVERVIEW: usize = 100;

/// A version of a layer that goes away soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// The layer.
    pub layer: LayerName,
    /// The layer's version: the first requirement's.
    pub version: String,
    /// How much of that version it is.
    pub extent: Extent,
    /// When it is deleted.
    pub expires_at: Timestamp,
    /// For what it was built; sorted.
    pub targets: Vec<Target>,
    /// Another version to use instead, where it is the latest in every place that loses this one.
    pub instead: Option<String>,
    /// Its ARNs, with `REGION` in the region's place, and the number of regions of each.
    pub arns: Vec<(String, usize)>,
}

/// Every version that goes away within 30 days of this day, or should be gone: by date, then by layer.
#[must_use]
pub fn leaving(versions: &[LayerVersion], today: Timestamp) -> Vec<Leaving> {
    let rows = usable(versions);
    let rows: Vec<&Row<'_>> = rows.iter().collect();
    let mut leaving: Vec<Leaving> = by(&rows, |row| row.layer)
        .into_iter()
        .flat_map(|(layer, rows)| {
            let endings = ending_soon(&rows, today);
            endings.into_iter().map(|ending| Leaving {
                layer: layer.clone(),
                version: ending.version.to_owned(),
                extent: ending.extent,
                expires_at: ending.expires_at,
                targets: ending.targets.iter().copied().collect(),
                instead: ending.instead.map(str::to_owned),
                arns: arn_patterns(&ending.rows)
                    .into_iter()
                    .map(|(arn, regions)| (arn, regions.len()))
                    .collect(),
            })
        })
        .collect();
    leaving.sort_by(|a, b| {
        (a.expires_at.date(), &a.layer, &a.version).cmp(&(
            b.expires_at.date(),
            &b.layer,
            &b.version,
        ))
    });
    leaving
}

/// The warning of a layer's page; `rows` are the layer's.
pub(super) fn of_layer(rows: &[&Row<'_>], today: Timestamp) -> Option<String> {
    let endings = ending_soon(rows, today);
    let lines: Vec<String> = endings
        .iter()
        .map(|ending| {
            let targets: Vec<String> = ending.targets.iter().copied().map(spoken).collect();
            let instead = ending.instead.map_or_else(String::new, |version| {
                format!(": use {} instead", markdown(version))
            });
            format!(
                "{} on **{}**, for {}{instead}.",
                ending
                    .extent
                    .goes_away(&format!("**{}**", markdown(ending.version))),
                ending.expires_at.date(),
                targets.join(", ")
            )
        })
        .collect();
    alert(&lines, SHOWN_ABOVE)
}

/// The warning above the table of a target in a region; `rows` are those of the table that go away soon, or more. With an
/// empty line after it. The number tells a build from a later one of the same version.
pub(super) fn of_region(rows: &[&Row<'_>], today: Timestamp) -> String {
    let mut endings: Vec<(&LayerName, Ending<'_, '_>)> = by(rows, |row| row.layer)
        .into_iter()
        .flat_map(|(layer, rows)| {
            let endings = ending_soon(&rows, today);
            endings.into_iter().map(move |ending| (layer, ending))
        })
        .collect();
    endings.sort_by_key(|(layer, ending)| (ending.expires_at.date(), *layer));
    let lines: Vec<String> = endings
        .iter()
        .map(|(layer, ending)| {
            let numbers: BTreeSet<u64> = ending.rows.iter().map(|row| row.number).collect();
            let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let many = if numbers.len() > 1 { "s" } else { "" };
            format!(
                "{} **{}** (layer version{many} {}) goes away on **{}**.",
                markdown(layer.as_str()),
                markdown(ending.version),
                numbers.join(", "),
                ending.expires_at.date()
            )
        })
        .collect();
    alert(&lines, SHOWN_ABOVE).map_or_else(String::new, |warning| format!("{warning}\n"))
}

/// The layers of which the overview names versions that go away, out of everything that goes away soon: of the others it
/// only says how many there are.
#[must_use]
pub fn named_on_overview(ending: &[LayerVersion]) -> BTreeSet<LayerName> {
    let lines: BTreeSet<(String, &LayerName, &str)> = usable(ending)
        .iter()
        .map(|row| (row.expiry_date(), row.layer, row.version))
        .collect();
    let named = lines.into_iter().take(SHOWN_ON_OVERVIEW);
    named.map(|(_, layer, _)| layer.clone()).collect()
}

/// The part of the overview, with an empty line after it; nothing where nothing goes away.
pub(super) fn of_all(
    rows: &[&Row<'_>],
    formats: &BTreeSet<TableFormat>,
    today: Timestamp,
) -> String {
    let mut lines: Vec<(String, &LayerName, Vec<String>)> = Vec::new();
    for (layer, rows) in by(rows, |row| row.layer) {
        for ending in ending_soon(&rows, today) {
            let targets: Vec<String> = ending.targets.iter().copied().map(spoken).collect();
            let name = markdown(layer.as_str());
            let date = ending.expires_at.date();
            let cells = vec![
                if formats.contains(&TableFormat::Md) {
                    format!("[{name}](layers/{layer}.md)")
                } else {
                    name
                },
                ending.extent.of(&markdown(ending.version)),
                date.clone(),
                targets.join(", "),
                ending.instead.map_or_else(String::new, markdown),
            ];
            lines.push((date, layer, cells));
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    lines.sort();
    let more = lines.len().saturating_sub(SHOWN_ON_OVERVIEW);
    lines.truncate(SHOWN_ON_OVERVIEW);
    let cells: Vec<Vec<String>> = lines.into_iter().map(|(.., cells)| cells).collect();
    let header = ["Layer", "Version", "Expiry Date", "For", "Use instead"];
    let more = match more {
        0 => String::new(),
        more => format!("\nand {more} more, on the layers' own pages.\n"),
    };
    format!(
        "## Goes away soon\n\nThese versions are deleted on their expiry date. Functions that were deployed with them go on running.\n\n{}{more}\n",
        table(&header, &cells)
    )
}

/// Lines in a box (GitHub Docs, "Basic writing and formatting syntax", "Alerts"); elsewhere it shows as a quotation.
fn alert(lines: &[String], shown: usize) -> Option<String> {
    if lines.is_empty() {
        return None;
    }
    let mut text = "> [!WARNING]\n".to_owned();
    for line in lines.iter().take(shown) {
        text.push_str(&format!("> - {line}\n"));
    }
    if lines.len() > shown {
        text.push_str(&format!("> - and {} more.\n", lines.len() - shown));
    }
    Some(text)
}

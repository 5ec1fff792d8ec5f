//! The files of one target in one region.

use super::api::{ApiLayer, pretty};
use super::rows::Row;
use super::text::{code_cell, csv_record, markdown as escape, table, table_row};
use super::{expiry, spoken};
use crate::model::{Region, Target, Timestamp};

const COLUMNS: [&str; 5] = ["Package", "Package Version", "Status", "Expiry Date", "Arn"];

/// For people; the layers link to their pages.
pub(super) fn markdown(
    target: Target,
    region: &Region,
    rows: &[&Row<'_>],
    today: Timestamp,
) -> String {
    let mut page = markdown_head(target, region, rows, today);
    rows.iter()
        .for_each(|row| page.push_str(&markdown_line(row)));
    page
}

/// Everything above the rows of the table; `rows` are those of all layers of which something goes away soon, or more.
pub(super) fn markdown_head(
    target: Target,
    region: &Region,
    rows: &[&Row<'_>],
    today: Timestamp,
) -> String {
    format!(
        "# {}, {region}\n\n[All targets and regions](../README.md) · `deprecated` versions work until they expire.\n\n{}{}",
        spoken(target),
        expiry::of_region(rows, today),
        table(&COLUMNS, &[])
    )
}

/// A row of the table, with its line end.
pub(super) fn markdown_line(row: &Row<'_>) -> String {
    table_row(&[
        &format!(
            "[{}](../layers/{}.md)",
            escape(row.layer.as_str()),
            row.layer
        ),
        &escape(row.version),
        row.status(),
        &row.expiry_date(),
        &code_cell(&row.arn),
    ])
}

/// For spreadsheets.
pub(super) fn csv(rows: &[&Row<'_>]) -> String {
    let mut csv = csv_head();
    rows.iter().for_each(|row| csv.push_str(&csv_line(row)));
    csv
}

pub(super) fn csv_head() -> String {
    csv_record(&COLUMNS)
}

/// A record of the file, with its line end.
pub(super) fn csv_line(row: &Row<'_>) -> String {
    csv_record(&[
        row.layer.as_str(),
        row.version,
        row.status(),
        &row.expiry_date(),
        &row.arn,
    ])
}

/// For programs: the latest ones, as the HTTP API answers.
pub(super) fn json(rows: &[&Row<'_>]) -> String {
    let latest = rows.iter().filter(|row| row.latest);
    pretty(&latest.map(|row| ApiLayer::of(row)).collect::<Vec<_>>())
}

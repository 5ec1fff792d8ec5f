//! The files of one target in one region.

use super::api::{ApiLayer, pretty};
use super::rows::Row;
use super::text::{code_cell, csv_record, markdown as escape, table};
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
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                format!(
                    "[{}](../layers/{}.md)",
                    escape(row.layer.as_str()),
                    row.layer
                ),
                escape(row.version),
                row.status().to_owned(),
                row.expiry_date(),
                code_cell(&row.arn),
            ]
        })
        .collect();
    format!(
        "# {}, {region}\n\n[All targets and regions](../README.md) · `deprecated` versions work until they expire.\n\n{}{}",
        spoken(target),
        expiry::of_region(rows, today),
        table(&COLUMNS, &cells)
    )
}

/// For spreadsheets.
pub(super) fn csv(rows: &[&Row<'_>]) -> String {
    let mut csv = csv_record(&COLUMNS);
    for row in rows {
        csv.push_str(&csv_record(&[
            row.layer.as_str(),
            row.version,
            row.status(),
            &row.expiry_date(),
            &row.arn,
        ]));
    }
    csv
}

/// For programs: the latest ones, as the HTTP API answers.
pub(super) fn json(rows: &[&Row<'_>]) -> String {
    let latest = rows.iter().filter(|row| row.latest);
    pretty(&latest.map(|row| ApiLayer::of(row)).collect::<Vec<_>>())
}

//! What the HTTP API answers, in the shapes of Klayers' API v2.

use super::Builds;
use super::rows::{Row, usable};
use super::text::{csv_record, html};
use crate::model::{BuildRecord, LayerVersion, Region, Target, Timestamp};
use serde::Serialize;

/// The latest version of a layer, for one target in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiLayer {
    /// The layer's name.
    pub package: String,
    /// The layer's version: the first requirement's.
    pub package_version: String,
    /// Its ARN.
    pub arn: String,
}

/// One usable version of a layer, for one target in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiVersion {
    /// Its ARN.
    pub arn: String,
    /// The layer's version: the first requirement's.
    pub package_version: String,
    /// `latest` or `deprecated`.
    pub deploy_status: &'static str,
    /// What is inside, as `name==version`, sorted; empty when the build is not known any more.
    pub dependencies: Vec<String>,
    /// When it will be deleted (RFC 3339); left out of the JSON while it is the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry_date: Option<Timestamp>,
}

impl ApiLayer {
    pub(super) fn of(row: &Row<'_>) -> Self {
        Self {
            package: row.layer.to_string(),
            package_version: row.version.to_owned(),
            arn: row.arn.clone(),
        }
    }
}

/// The latest version of every layer, by name.
#[must_use]
pub fn api_latest(versions: &[LayerVersion], target: Target, region: &Region) -> Vec<ApiLayer> {
    let here = |row: &&Row<'_>| row.latest && (row.target, row.region) == (target, region);
    let rows = usable(versions);
    rows.iter().filter(here).map(ApiLayer::of).collect()
}

/// [`api_latest`] as the JSON text that is also committed as a file.
#[must_use]
pub fn latest_json(versions: &[LayerVersion], target: Target, region: &Region) -> String {
    pretty(&api_latest(versions, target, region))
}

/// [`api_latest`] as CSV: the header `Package,Package Version,arn`, CRLF line ends.
#[must_use]
pub fn api_latest_csv(layers: &[ApiLayer]) -> String {
    let mut csv = csv_record(&["Package", "Package Version", "arn"]);
    for layer in layers {
        csv.push_str(&csv_record(&[
            &layer.package,
            &layer.package_version,
            &layer.arn,
        ]));
    }
    csv
}

/// [`api_latest`] as a page of HTML with one table.
#[must_use]
pub fn api_latest_html(layers: &[ApiLayer], target: Target, region: &Region) -> String {
    let title = format!("Latest layers for {target} in {region}");
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n\
         <table>\n<thead><tr><th>Package</th><th>Package Version</th><th>Arn</th></tr></thead>\n<tbody>\n"
    );
    for layer in layers {
        page.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td><code>{}</code></td></tr>\n",
            html(&layer.package),
            html(&layer.package_version),
            html(&layer.arn)
        ));
    }
    page.push_str("</tbody>\n</table>\n</body>\n</html>\n");
    page
}

/// The usable versions of one layer, newest first; none for a layer that is not known.
#[must_use]
pub fn api_history(
    versions: &[LayerVersion],
    builds: &[BuildRecord],
    layer: &str,
    target: Target,
    region: &Region,
) -> Vec<ApiVersion> {
    let builds = Builds::new(builds);
    usable(versions)
        .iter()
        .filter(|row| {
            row.layer.as_str().eq_ignore_ascii_case(layer)
                && (row.target, row.region) == (target, region)
        })
        .map(|row| {
            let pins = builds.of(row).map(|build| build.artifact.pins.as_slice());
            let mut dependencies: Vec<String> = pins
                .unwrap_or_default()
                .iter()
                .map(|pin| format!("{}=={}", pin.name, pin.version))
                .collect();
            dependencies.sort();
            ApiVersion {
                arn: row.arn.clone(),
                package_version: row.version.to_owned(),
                deploy_status: row.status(),
                dependencies,
                expiry_date: row.expires_at,
            }
        })
        .collect()
}

/// JSON for people and programs, with a line end.
pub(super) fn pretty(layers: &[ApiLayer]) -> String {
    if layers.is_empty() {
        return "[]\n".to_owned();
    }
    let lines: Vec<String> = layers.iter().map(json_line).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// One layer a line: a new version is then one changed line in the history. Without its line end.
pub(super) fn json_line(layer: &ApiLayer) -> String {
    // `Value` of three strings cannot fail to become text, unlike a derived `Serialize` in general.
    let field = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "  {{\"package\": {}, \"packageVersion\": {}, \"arn\": {}}}",
        field(&layer.package),
        field(&layer.package_version),
        field(&layer.arn)
    )
}

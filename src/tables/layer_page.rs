//! `layers/NAME.md`: what is inside a layer, its ARNs, its history, and how to use it.

use super::rows::{Row, by};
use super::text::{code, code_cell, markdown, mebibytes, table};
use super::{Builds, TablesInput, build_table, expiry, feeds, snippets, spoken};
use crate::model::{Architecture, LayerName, Target};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A page; `rows` are the layer's, newest first, at least one.
pub(super) fn render(
    input: &TablesInput<'_>,
    builds: &Builds<'_>,
    layer: &LayerName,
    rows: &[&Row<'_>],
) -> String {
    let latest: Vec<&Row<'_>> = rows.iter().copied().filter(|row| row.latest).collect();
    let mut parts = vec![
        format!("# {}\n", markdown(layer.as_str())),
        about(input, layer),
    ];
    parts.extend(expiry::of_layer(rows, input.today));
    if !latest.is_empty() {
        parts.push(contents(builds, &latest));
        parts.extend(build_table::render(builds, &latest));
        parts.push(arns(&latest));
        parts.extend(usage(&latest));
    }
    parts.push(history(rows));
    parts.join("\n")
}

fn about(input: &TablesInput<'_>, layer: &LayerName) -> String {
    let feeds = feeds::links(input, Some(layer), "../").map_or_else(String::new, |links| {
        format!(" · New versions as a feed: {links}")
    });
    let Some(request) = input.layers.get(layer) else {
        if input.held.contains(layer) {
            return format!(
                "The file that asks for this layer has a mistake: until that is mended, the layer stays as it is. [All layers](../README.md){feeds}\n"
            );
        }
        return format!(
            "Nobody asks for this layer any more: it gets no new versions, and those below expire. [All layers](../README.md){feeds}\n"
        );
    };
    let mut about = String::new();
    if let Some(description) = &request.description {
        about.push_str(&format!("{}\n\n", markdown(description)));
    }
    let packages: Vec<String> = request
        .packages
        .iter()
        .map(|package| code(&package.text))
        .collect();
    // From `{tables.path}/layers/` back to the root of the repository.
    let up = "../".repeat(input.policy.tables.path.split('/').count() + 1);
    about.push_str(&format!(
        "Made of {}, as [asked for]({up}{}). [All layers](../README.md){feeds}\n",
        packages.join(", "),
        request.path
    ));
    about
}

/// What the latest zips hold: sizes by target, and the packages with their versions.
fn contents(builds: &Builds<'_>, latest: &[&Row<'_>]) -> String {
    let mut sizes = Vec::new();
    // What is inside by package: licences, and the version for each target.
    let mut packages: BTreeMap<&str, (BTreeSet<&str>, BTreeMap<Target, &str>)> = BTreeMap::new();
    for (target, rows) in by(latest, |row| row.target) {
        for (position, zip) in zips(&rows).into_iter().enumerate() {
            // Rows are newest first, so that the first zip is the one described when regions differ.
            let Some(row) = zip.first() else { continue };
            let build = builds.of(row);
            let (zipped, unzipped, files) = build.map_or_else(Default::default, |build| {
                let artifact = &build.artifact;
                (
                    mebibytes(artifact.size),
                    mebibytes(artifact.unzipped_size),
                    artifact.files.to_string(),
                )
            });
            sizes.push(vec![
                spoken(target),
                markdown(row.version),
                zipped,
                unzipped,
                files,
                zip.len().to_string(),
                code_cell(&row.digest.to_string()),
            ]);
            let pins = build
                .filter(|_| position == 0)
                .map(|build| &build.artifact.pins);
            for pin in pins.into_iter().flatten() {
                let (licenses, versions) = packages.entry(&pin.name).or_default();
                licenses.extend(pin.license.as_deref());
                versions.insert(target, &pin.version);
            }
        }
    }
    let mut text = format!(
        "## What is inside\n\n{}",
        table(
            &[
                "For",
                "Version",
                "Zipped",
                "Unzipped",
                "Files",
                "Regions",
                "SHA-256 of the zip"
            ],
            &sizes
        )
    );
    if !packages.is_empty() {
        text.push('\n');
        text.push_str(&package_table(&packages));
    }
    text
}

fn package_table(packages: &BTreeMap<&str, (BTreeSet<&str>, BTreeMap<Target, &str>)>) -> String {
    let targets: BTreeSet<Target> = packages
        .values()
        .flat_map(|(_, versions)| versions.keys().copied())
        .collect();
    let names: Vec<String> = targets.iter().map(Target::to_string).collect();
    let mut header = vec!["Package"];
    header.extend(names.iter().map(String::as_str));
    header.push("Licence");
    let rows: Vec<Vec<String>> = packages
        .iter()
        .map(|(name, (licenses, versions))| {
            let mut cells = vec![markdown(name)];
            cells.extend(targets.iter().map(|target| {
                versions
                    .get(target)
                    .map_or_else(String::new, |version| markdown(version))
            }));
            let licenses: Vec<&str> = licenses.iter().copied().collect();
            cells.push(if licenses.is_empty() {
                "unknown".to_owned()
            } else {
                markdown(&licenses.join(", "))
            });
            cells
        })
        .collect();
    table(&header, &rows)
}

/// The latest ARNs, one folded table a target.
fn arns(latest: &[&Row<'_>]) -> String {
    let mut text = "## ARNs\n".to_owned();
    for (target, rows) in by(latest, |row| row.target) {
        let cells: Vec<Vec<String>> = by(&rows, |row| (row.region, Reverse(row.since)))
            .into_values()
            .flatten()
            .map(|row| {
                vec![
                    row.region.to_string(),
                    markdown(row.version),
                    code_cell(&row.arn),
                ]
            })
            .collect();
        let numbers: BTreeSet<u64> = rows.iter().map(|row| row.number).collect();
        let differ = if numbers.len() > 1 {
            "The number at the end of the ARN differs between regions.\n\n"
        } else {
            ""
        };
        // GitHub renders Markdown in a folded part only after an empty line.
        text.push_str(&format!(
            "\n<details>\n<summary>{}</summary>\n\n{differ}{}\n</details>\n",
            spoken(target),
            table(&["Region", "Version", "Arn"], &cells)
        ));
    }
    text
}

/// Snippets with one ARN: the newest Python on `x86_64`, in us-east-1, or what comes nearest.
fn usage(latest: &[&Row<'_>]) -> Option<String> {
    let example = latest.iter().min_by_key(|row| {
        (
            row.target.architecture != Architecture::X86_64,
            Reverse(row.target.python),
            row.region.as_str() != "us-east-1",
            row.region,
        )
    })?;
    Some(format!(
        "## Use it\n\nFor {} in {}; take the ARN of your own combination from above.\n\n{}",
        spoken(example.target),
        example.region,
        snippets::render(&example.arn, example.target, example.region)
    ))
}

/// Every zip that can still be used, newest first.
fn history(rows: &[&Row<'_>]) -> String {
    let mut lines = Vec::new();
    for ((target, _), zip) in by(rows, |row| (row.target, row.digest)) {
        let Some(published) = zip.iter().map(|row| row.since).min() else {
            continue;
        };
        let latest = zip.iter().filter(|row| row.latest).count();
        let status = match (latest, zip.len() - latest) {
            (_, 0) => "latest".to_owned(),
            (0, _) => "deprecated".to_owned(),
            (latest, deprecated) => format!("latest in {latest}, deprecated in {deprecated}"),
        };
        let expires = zip.iter().filter_map(|row| row.expires_at).max();
        let cells = vec![
            published.date(),
            markdown(zip.first().map_or("", |row| row.version)),
            spoken(target),
            status,
            expires.map_or_else(String::new, |moment| moment.date()),
            zip.len().to_string(),
            code_cell(
                &zip.first()
                    .map_or_else(String::new, |row| row.digest.short()),
            ),
        ];
        lines.push(((Reverse(published), target), cells));
    }
    lines.sort();
    let lines: Vec<Vec<String>> = lines.into_iter().map(|(_, cells)| cells).collect();
    format!(
        "## History\n\n{}",
        table(
            &[
                "Published",
                "Version",
                "For",
                "Status",
                "Expiry Date",
                "Regions",
                "Zip"
            ],
            &lines
        )
    )
}

/// The rows of each zip, the newest zip first.
fn zips<'r, 'a>(rows: &[&'r Row<'a>]) -> Vec<Vec<&'r Row<'a>>> {
    let mut zips: Vec<Vec<&'r Row<'a>>> = by(rows, |row| row.digest).into_values().collect();
    // Stable: zips of the same age keep the order of their digests.
    zips.sort_by_key(|rows| Reverse(rows.iter().map(|row| row.since).max()));
    zips
}

//! `README.md`: which targets and regions there are, which layers, and how to use an ARN.

use super::rows::Row;
use super::summary::Summary;
use super::text::{markdown, table};
use super::{TablesInput, expiry, feeds, spoken};
use crate::model::{LayerName, Region, TableFormat, Target, Visibility};
use std::collections::{BTreeMap, BTreeSet};

const HOW_TO: &str = "\
## How to use an ARN

1. Pick the table of your function's Python version, architecture and region: a layer works with that combination only.
2. Copy the ARN of the `latest` version and add it to the function's layers. A layer's page has ready snippets for AWS SAM,
   AWS CDK, Terraform, the Serverless Framework and the AWS CLI.
3. An ARN names one version that never changes. When a newer one is published, the old one becomes `deprecated`: it can be
   used until its expiry date, then it is deleted. Functions that were deployed with it go on running.

A function has at most five layers, and together with them at most 250 MiB unzipped.
";

/// The heading above the table of regions and targets.
pub(super) const REGIONS: &str = "## Regions";
/// The heading above the table of layers.
pub(super) const LAYERS: &str = "## Layers";

/// `soon` are rows of all layers of which something goes away soon, or more.
pub(super) fn render(
    input: &TablesInput<'_>,
    summary: &Summary,
    soon: &[&Row<'_>],
    formats: &BTreeSet<TableFormat>,
) -> String {
    let mut page = format!(
        "# Layers and their ARNs\n\nGenerated from what is published: do not edit, changes are overwritten. {}\n\n",
        who_may_use(&input.policy.visibility)
    );
    if summary.newest.is_empty() {
        page.push_str("Nothing is published yet.\n");
        return page;
    }
    page.push_str(&regions(&summary.latest, formats));
    page.push_str(&layers(input, &summary.newest, formats));
    page.push_str(&expiry::of_all(soon, formats, input.today));
    if let Some(links) = feeds::links(input, None, "") {
        page.push_str(&format!("## News\n\nWhat is published, retired or about to expire, as a feed: {links}. Every layer has one of its own too, linked from its page.\n\n"));
    }
    page.push_str(HOW_TO);
    page
}

fn who_may_use(visibility: &Visibility) -> String {
    match visibility {
        Visibility::Public => "Every AWS account may use these layers.".to_owned(),
        Visibility::Private => {
            "Only the AWS account that publishes these layers may use them.".to_owned()
        }
        Visibility::Organization(id) => format!(
            "The accounts of the AWS organization {} may use these layers.",
            markdown(id)
        ),
        Visibility::Accounts(accounts) => format!(
            "These AWS accounts may use the layers: {}.",
            markdown(&accounts.join(", "))
        ),
    }
}

/// Regions down, targets across; each number of layers links to its table.
fn regions(latest: &BTreeMap<(Region, Target), usize>, formats: &BTreeSet<TableFormat>) -> String {
    let targets: BTreeSet<Target> = latest.keys().map(|(_, target)| *target).collect();
    let regions: BTreeSet<&Region> = latest.keys().map(|(region, _)| region).collect();
    let tables: Vec<&TableFormat> = formats.iter().filter(|it| it.is_by_region()).collect();
    let cell = |region: &Region, target: Target| match (
        latest.get(&(region.clone(), target)),
        tables.first(),
    ) {
        (Some(count), Some(format)) => format!("[{count}]({target}/{region}.{format})"),
        (Some(count), None) => count.to_string(),
        (None, _) => String::new(),
    };
    let mut header = vec!["Region".to_owned()];
    header.extend(targets.iter().map(|target| spoken(*target)));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let lines: Vec<Vec<String>> = regions
        .iter()
        .map(|region| {
            let cells = targets.iter().map(|target| cell(region, *target));
            std::iter::once(region.to_string()).chain(cells).collect()
        })
        .collect();
    let others: Vec<String> = tables
        .iter()
        .skip(1)
        .map(|format| format!("`.{format}`"))
        .collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!(
            " Beside every table stands a {} for programs.",
            others.join(" and a ")
        )
    };
    format!(
        "{REGIONS}\n\nHow many layers there are; each number links to its table of ARNs.{others}\n\n{}\n",
        table(&header, &lines)
    )
}

/// One line a layer, with its newest version.
fn layers(
    input: &TablesInput<'_>,
    newest: &BTreeMap<LayerName, String>,
    formats: &BTreeSet<TableFormat>,
) -> String {
    let lines: Vec<Vec<String>> = newest
        .iter()
        .map(|(layer, version)| {
            let name = markdown(layer.as_str());
            let request = input.layers.get(layer);
            let description = match request {
                Some(request) => markdown(request.description.as_deref().unwrap_or_default()),
                None if input.held.contains(layer) => {
                    "Stays as it is: the file that asks for it has a mistake.".to_owned()
                }
                None => "No longer built; what is left expires.".to_owned(),
            };
            vec![
                if formats.contains(&TableFormat::Md) {
                    format!("[{name}](layers/{layer}.md)")
                } else {
                    name
                },
                version.clone(),
                description,
            ]
        })
        .collect();
    format!(
        "{LAYERS}\n\n{}\n",
        table(&["Layer", "Version", "Description"], &lines)
    )
}

//! The tables as anybody would read them: from a fresh clone over SSH, held against the read API.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use futures::{StreamExt as _, stream};
use serde_json::Value;

use super::Narrator;
use super::screen::{ensure, equal};
use super::stage::{REPOSITORY, Stage, TARGETS, git_command, output_of};
use super::story::LAYERS;

/// The commercial regions that AWS Lambda is offered in.
const REGIONS: usize = 34;
/// Requests to the read API at a time.
const CONCURRENT: usize = 8;

/// What the tables say is published: target and region → what the JSON table lists.
pub(super) struct Published(BTreeMap<(String, String), Value>);

impl Published {
    /// How many regional tables there are.
    pub(super) fn places(&self) -> usize {
        self.0.len()
    }

    pub(super) fn regions(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(_, region)| region.as_str()).collect()
    }

    /// The ARNs of a region, sorted.
    pub(super) fn arns_in(&self, region: &str) -> Vec<String> {
        let here = self.0.iter().filter(|((_, known), _)| known == region);
        let mut arns: Vec<String> = here.flat_map(|(_, table)| arns_of(table)).collect();
        arns.sort();
        arns
    }

    fn arns(&self) -> BTreeSet<String> {
        self.0.values().flat_map(arns_of).collect()
    }
}

/// Clones the catalog and looks at every table and at the API's answer for the same place.
pub(super) async fn look(stage: &Stage, narrator: &mut Narrator) -> Published {
    let clone = stage.path().join("clone");
    let mut command = git_command();
    command
        .args(["clone", "--quiet", &stage.git.url(REPOSITORY)])
        .arg(&clone)
        .env("GIT_SSH_COMMAND", stage.git.read_only_git_ssh_command());
    narrator.claim(
        "the repository can be cloned over SSH with a key that may only read",
        output_of(&mut command).map(drop),
    );
    let published = Published(read(&clone.join("layers/arns")));
    let wanted = REGIONS * TARGETS.len() * LAYERS.len();
    narrator.claim(
        &format!(
            "the tables name {wanted} ARNs: {} layers × {} targets × {REGIONS} regions",
            LAYERS.len(),
            TARGETS.len()
        ),
        equal(&published.regions().len(), &REGIONS)
            .and_then(|()| equal(&published.arns().len(), &wanted))
            .and_then(|()| complete(&published)),
    );
    narrator.claim(
        "Markdown, CSV and JSON name the same ARNs",
        formats_agree(&clone.join("layers/arns"), &published),
    );
    let questions: Vec<_> = published
        .0
        .iter()
        .map(|((target, region), table)| async move {
            let answer = stage
                .api(&format!("{target}/layers/latest/{region}"))
                .await?;
            ensure(answer == *table, || {
                format!("for {target} in {region} it says {answer}")
            })
        })
        .collect();
    let answers: Vec<Result<(), String>> =
        stream::iter(questions).buffered(CONCURRENT).collect().await;
    narrator.claim(
        "the read API says the same for every target and region",
        answers.into_iter().collect(),
    );
    published
}

/// Every JSON table: `TARGET/REGION.json`.
fn read(folder: &Path) -> BTreeMap<(String, String), Value> {
    let mut tables = BTreeMap::new();
    for target in TARGETS {
        for entry in fs::read_dir(folder.join(target))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(region) = name.strip_suffix(".json") else {
                continue;
            };
            let bytes = fs::read(entry.path()).unwrap_or_default();
            let table = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            tables.insert((target.to_owned(), region.to_owned()), table);
        }
    }
    tables
}

/// Whether every place has both layers, with ARNs of that region and that target.
fn complete(published: &Published) -> Result<(), String> {
    for ((target, region), table) in &published.0 {
        let names: Vec<&str> = rows(table)
            .filter_map(|row| row["package"].as_str())
            .collect();
        let part = format!("-{}-", target.replacen("p3.", "p3", 1));
        let fits =
            |arn: &String| arn.contains(&format!(":lambda:{region}:")) && arn.contains(&part);
        ensure(names == LAYERS && arns_of(table).iter().all(fits), || {
            format!("{target}/{region}.json says {table}")
        })?;
    }
    Ok(())
}

fn formats_agree(folder: &Path, published: &Published) -> Result<(), String> {
    for ((target, region), table) in &published.0 {
        for format in ["md", "csv"] {
            let path = folder.join(target).join(format!("{region}.{format}"));
            let text = fs::read_to_string(path).unwrap_or_default();
            for arn in arns_of(table) {
                ensure(text.contains(&arn), || {
                    format!("{target}/{region}.{format} lacks {arn}")
                })?;
            }
        }
    }
    Ok(())
}

fn rows(table: &Value) -> impl Iterator<Item = &Value> {
    table.as_array().into_iter().flatten()
}

fn arns_of(table: &Value) -> Vec<String> {
    rows(table)
        .filter_map(|row| row["arn"].as_str().map(str::to_owned))
        .collect()
}

//! What became of one layer: a row for each target, its ARNs, and what failed where.

use super::document::Block;
use super::escape::{code, cut, fenced, html_code};
use super::layer_plan::reason;
use super::links::Links;
use super::outcome::{OutcomeView, TablesResult, is_wanted, usability};
use super::words::{count, listed, region_span, regions, skipped, targets};
use crate::model::{LayerArn, LayerName, Region, Target};
use crate::plan::{Action, Entry, Outcome};
use std::collections::{BTreeMap, BTreeSet};

/// Regions whose ARNs are shown without unfolding: these where they are among them, else the first ones.
const FAMILIAR_REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
/// Failed regions shown in a row.
const SHOWN_REGIONS: usize = 4;
/// Different failures shown of a layer.
const SHOWN_FAILURES: usize = 10;
/// Characters shown of a version.
const VERSION_LIMIT: usize = 64;

/// What is known of one target of a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub target: Target,
    pub entry: Option<&'a Entry>,
    pub outcome: Option<&'a Outcome>,
    /// Versions that were deprecated because nobody asks for the layer any more.
    pub retired: Option<usize>,
}

impl Row<'_> {
    /// Wanted, and live nowhere because nothing was published.
    pub(super) fn is_missing(&self) -> bool {
        self.outcome.is_none() && self.entry.is_some_and(|entry| is_wanted(&entry.action))
    }

    pub(super) fn is_unfinished_retirement(&self) -> bool {
        let planned = self
            .entry
            .is_some_and(|entry| matches!(entry.action, Action::Retire { .. }));
        planned && self.retired.is_none()
    }

    fn is_kept(&self) -> bool {
        let kept = |entry: &Entry| matches!(entry.action, Action::Keep { .. });
        self.outcome.is_none() && self.retired.is_none() && self.entry.is_none_or(kept)
    }
}

/// Everything there is to say, by layer, then target; layers where nothing happened are left out.
pub(super) fn rows<'a>(view: &OutcomeView<'a>) -> BTreeMap<&'a LayerName, Vec<Row<'a>>> {
    let mut all: BTreeMap<(&LayerName, Target), Row<'a>> = BTreeMap::new();
    fn row<'m, 'a>(
        all: &'m mut BTreeMap<(&'a LayerName, Target), Row<'a>>,
        layer: &'a LayerName,
        target: Target,
    ) -> &'m mut Row<'a> {
        all.entry((layer, target)).or_insert(Row {
            target,
            entry: None,
            outcome: None,
            retired: None,
        })
    }
    for entry in &view.plan.entries {
        row(&mut all, &entry.layer, entry.target).entry = Some(entry);
    }
    for outcome in view.outcomes {
        row(&mut all, &outcome.layer, outcome.target).outcome = Some(outcome);
    }
    for (layer, target, versions) in view.retired {
        row(&mut all, layer, *target).retired = Some(*versions);
    }
    let mut layers: BTreeMap<&LayerName, Vec<Row<'a>>> = BTreeMap::new();
    for ((layer, _), row) in all {
        layers.entry(layer).or_default().push(row);
    }
    layers.retain(|_, rows| !rows.iter().all(Row::is_kept));
    layers
}

pub(super) fn block(
    view: &OutcomeView<'_>,
    layer: &LayerName,
    rows: &[Row<'_>],
    fold: bool,
) -> Block {
    let mut body = format!(
        "| Target | Version | Live in | Not live |\n|---|---|---|---|\n{}",
        rows.iter()
            .map(|row| row_text(view, row))
            .collect::<Vec<_>>()
            .join("\n")
    );
    for failure in failures(rows) {
        body.push_str("\n\n");
        body.push_str(&failure);
    }
    let arns: Vec<&LayerArn> = rows
        .iter()
        .filter_map(|row| row.outcome)
        .flat_map(|outcome| &outcome.published)
        .collect();
    let familiar = familiar_regions(&arns);
    body.push_str(&familiar_arns(rows, &familiar));
    if let Some(page) = page(view, layer) {
        body.push_str(&page);
    }
    let state = state(rows);
    let whole = |body: &str| {
        if fold {
            let name = html_code(layer.as_str());
            format!("<details><summary>{name} · {state}</summary>\n\n{body}\n\n</details>")
        } else {
            format!("#### {} · {state}\n\n{body}", code(layer.as_str()))
        }
    };
    let mut forms = Vec::new();
    if arns.iter().any(|arn| !familiar.contains(&arn.region)) {
        let all: Vec<String> = arns.iter().map(|arn| cut(&arn.to_string(), 300)).collect();
        forms.push(whole(&format!(
            "{body}\n\n<details><summary>All {} ARNs</summary>\n\n{}\n\n</details>",
            arns.len(),
            fenced(&all.join("\n"))
        )));
    }
    forms.push(whole(&body));
    forms.push(format!(
        "- {} · {state} · {}",
        code(layer.as_str()),
        count(rows.len(), "target")
    ));
    Block {
        name: code(layer.as_str()),
        forms,
    }
}

/// What became of the layer in a few words without Markdown.
fn state(rows: &[Row<'_>]) -> String {
    let live_in = |it: &Outcome| it.published.len() + it.already.len();
    let live: Vec<usize> = rows
        .iter()
        .filter_map(|row| row.outcome)
        .map(live_in)
        .filter(|number| *number > 0)
        .collect();
    let failed: usize = rows
        .iter()
        .filter_map(|row| row.outcome)
        .map(|outcome| outcome.failed.len())
        .sum();
    let missing = rows.iter().filter(|row| row.is_missing()).count();
    let mut parts = Vec::new();
    if !live.is_empty() {
        parts.push(format!("live in {}", region_span(live)));
    }
    if failed > 0 {
        parts.push(format!("⚠️ {} not live", count(failed, "version")));
    }
    let outcomes = rows.iter().filter_map(|row| row.outcome);
    let skipped: usize = outcomes.map(|outcome| outcome.skipped.len()).sum();
    if skipped > 0 {
        parts.push(format!("{} skipped", count(skipped, "version")));
    }
    if missing > 0 {
        parts.push(format!("❌ {} not published", count(missing, "target")));
    }
    if rows.iter().any(|row| row.retired.is_some()) {
        parts.push("deprecated".to_owned());
    }
    if rows.iter().any(Row::is_unfinished_retirement) {
        parts.push("⚠️ not deprecated yet".to_owned());
    }
    if parts.is_empty() {
        "as it was".to_owned()
    } else {
        parts.join(", ")
    }
}

fn row_text(view: &OutcomeView<'_>, row: &Row<'_>) -> String {
    let target = code(&row.target.to_string());
    if let Some(outcome) = row.outcome {
        let leaves = row.entry.and_then(|entry| match &entry.action {
            Action::Publish(publication) if !publication.leaves.is_empty() => {
                Some(&publication.leaves)
            }
            _ => None,
        });
        let left = leaves.map_or_else(String::new, |leaves| {
            format!(
                "; not wanted any more in {}",
                regions(leaves, SHOWN_REGIONS)
            )
        });
        let already = match outcome.already.len() {
            0 => String::new(),
            number => format!(" ({number} of them before)"),
        };
        let live = outcome.published.len() + outcome.already.len();
        let failed: Vec<Region> = outcome.failed.iter().map(|it| it.region.clone()).collect();
        let failed = match failed.len() {
            0 => String::new(),
            number => format!("⚠️ {number}: {}", regions(&failed, SHOWN_REGIONS)),
        };
        let mut not_live = vec![failed, skipped(outcome, SHOWN_REGIONS)];
        not_live.retain(|text| !text.is_empty());
        let not_live = not_live.join("; ");
        return format!(
            "| {target} | {} | {}{already}{left} | {not_live} |",
            version(&outcome.version),
            count(live, "region")
        );
    }
    if let Some(versions) = row.retired {
        return format!(
            "| {target} | {} deprecated, {} | – | |",
            count(versions, "version"),
            usability(view)
        );
    }
    match row.entry.map(|entry| &entry.action) {
        Some(Action::Blocked { .. }) => format!("| {target} | ❌ not published: see below | – | |"),
        Some(Action::Publish(publication)) if publication.regions.is_empty() => format!(
            "| {target} | {} | {}; not wanted any more in {} | |",
            version(&publication.build.version),
            count(publication.already.len(), "region"),
            regions(&publication.leaves, SHOWN_REGIONS)
        ),
        Some(Action::Publish(publication)) => format!(
            "| {target} | {} | – | ❌ not carried out: {} |",
            version(&publication.build.version),
            regions(&publication.regions, SHOWN_REGIONS)
        ),
        Some(Action::Build) => format!("| {target} | ❌ not built | – | |"),
        Some(Action::Retire {
            version: old,
            regions: places,
        }) => format!(
            "| {target} | {}: ⚠️ to be deprecated, not done yet | {} | |",
            version(old),
            count(places.len(), "region")
        ),
        Some(Action::Keep {
            version: kept,
            regions: places,
        }) => format!(
            "| {target} | {} as it was | {} | |",
            version(kept),
            count(places.len(), "region")
        ),
        None => format!("| {target} | – | – | |"),
    }
}

fn version(version: &str) -> String {
    code(&cut(version, VERSION_LIMIT))
}

/// Why something is not live.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Cause<'a> {
    /// Where; nowhere in particular when it was not published at all.
    regions: Vec<&'a Region>,
    message: &'a str,
    transient: bool,
}

/// The causes of one row, each once.
fn causes<'a>(row: &Row<'a>) -> Vec<Cause<'a>> {
    if let Some(outcome) = row.outcome {
        let mut regions: BTreeMap<(&str, bool), BTreeSet<&Region>> = BTreeMap::new();
        for failure in &outcome.failed {
            let key = (failure.message.as_str(), failure.transient);
            regions.entry(key).or_default().insert(&failure.region);
        }
        let causes = regions.into_iter();
        return causes
            .map(|((message, transient), regions)| Cause {
                regions: regions.into_iter().collect(),
                message,
                transient,
            })
            .collect();
    }
    match row.entry.map(|entry| &entry.action) {
        Some(Action::Blocked { failure, .. }) => vec![Cause {
            regions: Vec::new(),
            message: &failure.message,
            transient: failure.transient,
        }],
        _ => Vec::new(),
    }
}

/// Why something is not live, equal causes once with all their targets.
fn failures(rows: &[Row<'_>]) -> Vec<String> {
    let mut targets_of: BTreeMap<Cause<'_>, Vec<Target>> = BTreeMap::new();
    for row in rows {
        for cause in causes(row) {
            targets_of.entry(cause).or_default().push(row.target);
        }
    }
    let total = targets_of.len();
    let mut texts: Vec<String> = targets_of
        .iter()
        .take(SHOWN_FAILURES)
        .map(|(cause, of)| failure_text(cause, of))
        .collect();
    if total > SHOWN_FAILURES {
        texts.push(format!("{} more reasons.", total - SHOWN_FAILURES));
    }
    texts
}

fn failure_text(cause: &Cause<'_>, of: &[Target]) -> String {
    let whole = cause.regions.is_empty();
    let what = if whole {
        format!("❌ {} not published", targets(of))
    } else {
        let all = cause.regions.len();
        let places = listed(&cause.regions, all, |region| code(region.as_str()));
        format!("⚠️ {places} failed for {}", targets(of))
    };
    let next = match (cause.transient, whole) {
        (true, _) => "it will be retried, `/layersmith retry` tries at once",
        (false, true) => "it takes another pull request to mend this",
        (false, false) => "once this is mended, `/layersmith retry` tries again",
    };
    format!("{what}; {next}:{}", reason(cause.message))
}

fn familiar_regions(arns: &[&LayerArn]) -> BTreeSet<Region> {
    let there: BTreeSet<&Region> = arns.iter().map(|arn| &arn.region).collect();
    let is_familiar = |region: &&&Region| FAMILIAR_REGIONS.contains(&region.as_str());
    let others = there.iter().filter(|region| !is_familiar(region));
    let chosen = there.iter().filter(is_familiar).chain(others);
    chosen
        .take(FAMILIAR_REGIONS.len())
        .map(|region| (*region).clone())
        .collect()
}

/// One ARN of several, from the region most people know.
pub(super) fn example(arns: &[LayerArn]) -> Option<&LayerArn> {
    let familiar = |arn: &&LayerArn| arn.region.as_str() == FAMILIAR_REGIONS[0];
    arns.iter().find(familiar).or_else(|| arns.first())
}

/// The ARNs of a couple of regions, the newest target's in a block of its own to copy.
fn familiar_arns(rows: &[Row<'_>], familiar: &BTreeSet<Region>) -> String {
    let shown: Vec<(Target, &LayerArn)> = rows
        .iter()
        .filter_map(|row| row.outcome.map(|outcome| (row.target, outcome)))
        .flat_map(|(target, outcome)| outcome.published.iter().map(move |arn| (target, arn)))
        .filter(|(_, arn)| familiar.contains(&arn.region))
        .collect();
    let preference = |(target, arn): &&(Target, &LayerArn)| {
        let home = arn.region.as_str() == FAMILIAR_REGIONS[0];
        (home, target.python, std::cmp::Reverse(target.architecture))
    };
    let Some((target, best)) = shown.iter().max_by_key(preference) else {
        return String::new();
    };
    let table: Vec<String> = shown
        .iter()
        .map(|(target, arn)| {
            format!(
                "| {} | {} | {} |",
                code(&target.to_string()),
                code(arn.region.as_str()),
                code(&arn.to_string())
            )
        })
        .collect();
    format!(
        "\n\nTo copy, for Python {} on {} in {}:\n\n{}\n\n| Target | Region | ARN |\n|---|---|---|\n{}",
        target.python,
        target.architecture,
        code(best.region.as_str()),
        fenced(&best.to_string()),
        table.join("\n")
    )
}

/// The layer's page in the tables, where it was just written.
fn page(view: &OutcomeView<'_>, layer: &LayerName) -> Option<String> {
    let TablesResult::Pushed { commit, paths } = view.tables else {
        return None;
    };
    let path = format!("{}/layers/{layer}.md", view.policy.tables.path);
    let label = format!("{layer}.md");
    let link = Links::new(view.repository_url).file(commit, &path, None, &label);
    paths
        .contains(&path)
        .then(|| format!("\n\nOther regions, history and snippets: {link}."))
}

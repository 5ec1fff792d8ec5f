//! Plans and outcomes for a terminal: plain text without Markdown, colours or control characters.

use super::build_text;
use super::escape::{cut, line, lines};
use super::layer_outcome;
use super::layer_plan::contents_text;
use super::not_enabled;
use super::outcome::{Balance, OutcomeView, headline, usability};
use super::tally::Tally;
use super::words::{alignment_words, count, size};
use super::{parameters_as_text, problems};
use crate::model::{LayerArn, LayerName, Problem, Region, Target};
use crate::plan::{Action, Entry, Outcome, Plan, Publication, Reason};

/// What would be done, with every problem; ends with a line end.
#[must_use]
pub fn plan_as_text(plan: &Plan, problems: &[Problem]) -> String {
    let problems = problems::sorted(problems);
    let errors = problems::errors(&problems);
    let tally = Tally::of(plan, |_| true);
    let mut text = problems_text(&problems);
    let mut entries: Vec<&Entry> = plan.entries.iter().collect();
    entries.sort_by(|a, b| (&a.layer, a.target).cmp(&(&b.layer, b.target)));
    let mut layer: Option<&LayerName> = None;
    let mut listed: Option<(String, Target)> = None;
    for entry in entries {
        if layer != Some(&entry.layer) {
            text.push_str(&format!("{}\n", entry.layer));
            (layer, listed) = (Some(&entry.layer), None);
        }
        let target = entry.target.to_string();
        text.push_str(&format!("  {target:<12} {}\n", action_text(entry)));
        for remark in remarks(&entry.action) {
            text.push_str(&format!("{SHIFT}{}\n", indented(&remark)));
        }
        let Some(contents) = new_contents(&entry.action) else {
            continue;
        };
        // What every target has alike is listed once.
        match &listed {
            Some((known, of)) if *known == contents => {
                text.push_str(&format!("{SHIFT}same packages as {of}\n"));
            }
            _ => {
                text.push_str(&format!("{SHIFT}{}\n", indented(&contents)));
                listed = Some((contents, entry.target));
            }
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&not_enabled::as_text(plan, &[]));
    text.push_str(&format!("{}.\n", tally.headline(errors, "")));
    if errors > 0 || tally.is_hindered() {
        let intent = tally.intent("");
        text.extend(intent.map(|intent| format!("Apart from that, {intent}.\n")));
    }
    text
}

fn problems_text(problems: &[Problem]) -> String {
    let mut text: String = problems
        .iter()
        .map(|problem| format!("{}\n", line(&problem.to_string())))
        .collect();
    if !problems.is_empty() {
        text.push('\n');
    }
    text
}

fn action_text(entry: &Entry) -> String {
    match &entry.action {
        Action::Keep { version, regions } => format!(
            "keep      {}, live in {}",
            line(version),
            count(regions.len(), "region")
        ),
        Action::Build if !entry.from_source.is_empty() => format!(
            "build     {}: no wheel, built from source by `apply`, because `allow_build` names it",
            line(&entry.from_source.join(", "))
        ),
        Action::Build => "build     known once it is built".to_owned(),
        Action::Publish(publication) => publication_text(publication),
        Action::Retire { version, regions } => format!(
            "retire    {}, live in {}",
            line(version),
            count(regions.len(), "region")
        ),
        Action::Blocked { failure, .. } => {
            let what = if failure.transient {
                "not now  "
            } else {
                "blocked  "
            };
            format!("{what} {}", indented(&failure.message))
        }
    }
}

fn publication_text(publication: &Publication) -> String {
    let version = line(&publication.build.version);
    let artifact = &publication.build.artifact;
    let old = publication.previous_version.as_deref().map(line);
    let (verb, what) = match (publication.reason, old) {
        _ if publication.regions.is_empty() => ("leave    ", version),
        (Reason::New, _) => ("new      ", version),
        (Reason::Backfill, _) => ("backfill ", version),
        (Reason::Changed, Some(old)) => ("change   ", format!("{old} -> {version}")),
        (Reason::Changed, None) => ("change   ", version),
    };
    let mut text = format!("{verb} {what}");
    if !publication.regions.is_empty() {
        text.push_str(&format!(
            ", {} ({} of 50 MiB zipped, {} of 250 MiB unzipped)",
            to_regions(&publication.regions),
            size(artifact.size),
            size(artifact.unzipped_size)
        ));
    }
    if let Some(alignment) = &publication.alignment {
        text.push_str(&format!(", {}", alignment_words(alignment, region_list)));
    }
    if !publication.leaves.is_empty() {
        text.push_str(&format!(", leaves {}", region_list(&publication.leaves)));
    }
    text
}

/// What there is to say of a new build.
fn remarks(action: &Action) -> Vec<String> {
    match action {
        Action::Publish(publication) if publication.reason != Reason::Backfill => {
            build_text::remarks(&publication.build)
        }
        Action::Blocked {
            build: Some(build), ..
        } => build_text::remarks(build),
        _ => Vec::new(),
    }
}

/// The packages inside, a line each, where they are not live already.
fn new_contents(action: &Action) -> Option<String> {
    let Action::Publish(publication) = action else {
        return None;
    };
    let is_new = publication.reason != Reason::Backfill && !publication.regions.is_empty();
    is_new.then(|| contents_text(&publication.build.artifact.pins, &publication.changes))
}

/// Under the words of an action.
const SHIFT: &str = "                         ";

fn indented(text: &str) -> String {
    lines(&cut(text, 20_000)).replace('\n', &format!("\n{SHIFT}"))
}

fn to_regions(regions: &[Region]) -> String {
    if regions.len() <= 4 {
        format!("to {}", region_list(regions))
    } else {
        format!("to {}", count(regions.len(), "region"))
    }
}

fn region_list(regions: &[Region]) -> String {
    let names: Vec<&str> = regions.iter().map(Region::as_str).collect();
    names.join(", ")
}

/// What was done: where each version is live, one ARN of each as an example, and every failure; ends with a line end.
///
/// The marker is not used, and nothing is said of the tables: whoever wrote them knows where they are.
#[must_use]
pub fn outcome_as_text(view: &OutcomeView<'_>) -> String {
    let mut text = problems_text(&problems::sorted(view.problems));
    let layers = layer_outcome::rows(view);
    for (layer, rows) in &layers {
        text.push_str(&format!("{layer}\n"));
        for row in rows {
            let target = row.target.to_string();
            let said = if let Some(outcome) = row.outcome {
                outcome_text(outcome)
            } else if let Some(versions) = row.retired {
                format!(
                    "retired   {}, {}",
                    count(versions, "version"),
                    usability(view)
                )
            } else {
                let pending = row.is_missing() || row.is_unfinished_retirement();
                let action = row.entry.map(action_text);
                let mark = if pending { "NOT DONE  " } else { "" };
                format!("{mark}{}", action.unwrap_or_default())
            };
            text.push_str(&format!("  {target:<12} {said}\n"));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&not_enabled::as_text(view.plan, view.outcomes));
    let balance = Balance::of(view, &layers);
    text.push_str(&format!("{}.\n", headline(view, &balance)));
    text.push_str(&parameters_as_text(view.parameters));
    text
}

fn outcome_text(outcome: &Outcome) -> String {
    let version = line(&outcome.version);
    let (new, already) = (outcome.published.len(), outcome.already.len());
    let mut rows = vec![match (new, already) {
        (0, 0) => format!("NOT LIVE  {version}"),
        (0, _) => format!("live      {version} in {}", count(already, "region")),
        (_, 0) => format!("published {version} to {}", count(new, "region")),
        _ => format!(
            "published {version} to {}, live in {}",
            count(new, "more region"),
            new + already
        ),
    }];
    rows.extend(layer_outcome::example(&outcome.published).map(LayerArn::to_string));
    rows.extend(outcome.failed.iter().map(|failure| {
        let next = if failure.transient {
            "another try may help"
        } else {
            "has to be mended"
        };
        format!(
            "FAILED    {}: {} ({next})",
            failure.region,
            line(&failure.message)
        )
    }));
    rows.join(&format!("\n{SHIFT}"))
}

//! What merging a pull request would do.

use super::document::{Block, Document};
use super::escape::{code, cut, prose};
use super::layer_plan;
use super::links::Links;
use super::not_enabled;
use super::problems;
use super::tally::Tally;
use super::words::{count, short_sha};
use super::{CheckText, Conclusion, Rendered};
use crate::model::{LayerName, Policy, Problem, Visibility};
use crate::plan::{Action, Entry, Plan};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of layer tables that are shown without unfolding.
const OPEN_ROWS: usize = 24;
/// Characters shown of a note.
const NOTE_LIMIT: usize = 1_000;

/// Everything that the plan of a pull request is told from.
#[derive(Debug, Clone, Copy)]
pub struct PlanView<'a> {
    /// The comment's first line, from [`super::marker`].
    pub marker: &'a str,
    /// The pull request's head, which the plan is for.
    pub head_sha: &'a str,
    /// The repository's page, such as `https://github.com/octo/catalog`; without it files are not linked.
    pub repository_url: Option<&'a str>,
    /// The policy that the plan was made with.
    pub policy: &'a Policy,
    /// What would be done.
    pub plan: &'a Plan,
    /// What is wrong with the files.
    pub problems: &'a [Problem],
    /// The layers that the pull request touches; entries of others are only counted.
    pub changed: &'a BTreeSet<LayerName>,
    /// Whether the pull request edits the policy.
    pub policy_edited: bool,
    /// How many differences of the default branch, which the pull request does not touch, the last apply left.
    pub waiting_elsewhere: usize,
    /// What else a reader should know; a sentence each.
    pub notes: &'a [String],
}

/// The plan of a pull request, as its author reads it.
#[must_use]
pub fn render_plan(view: &PlanView<'_>) -> Rendered {
    let touched = |entry: &Entry| view.changed.contains(&entry.layer);
    let problems = problems::sorted(view.problems);
    let errors = problems::errors(&problems);
    let tally = Tally::of(view.plan, touched);
    let title = tally.headline(errors, " after the merge");
    let concerned = !view.changed.is_empty() || !problems.is_empty() || view.policy_edited;

    let links = Links::new(view.repository_url);
    let mut blocks: Vec<Block> = problems::block(&problems, links, view.head_sha)
        .into_iter()
        .collect();
    blocks.extend(remarks(view, concerned));
    blocks.extend(layers(view));
    let texts = Document {
        marker: view.marker,
        head: head(&title, &tally, errors, &problems),
        blocks,
        foot: foot(view),
        elsewhere: "`layersmith plan` prints all of it.".to_owned(),
    }
    .texts();
    Rendered {
        comment: texts.comment,
        check: CheckText {
            title,
            summary: texts.summary,
            text: texts.text,
            conclusion: if errors > 0 || tally.is_hindered() {
                Conclusion::Failure
            } else if concerned {
                Conclusion::Success
            } else {
                Conclusion::Neutral
            },
            annotations: problems::annotations(&problems, view.plan, touched),
        },
    }
}

fn head(title: &str, tally: &Tally<'_>, errors: usize, problems: &[Problem]) -> String {
    let mut head = format!("### {title}");
    let mut more = Vec::new();
    if errors > 0 || tally.is_hindered() {
        more.extend(
            tally
                .intent(" after the merge")
                .map(|intent| format!("Apart from that, {intent}.")),
        );
    }
    if problems.len() > errors {
        more.push(format!(
            "{} below.",
            count(problems.len() - errors, "warning")
        ));
    }
    if !tally.transient.is_empty() {
        more.push("`/layersmith plan` tries again.".to_owned());
    }
    if !more.is_empty() {
        head.push_str("\n\n");
        head.push_str(&more.join(" "));
    }
    head
}

fn remarks(view: &PlanView<'_>, concerned: bool) -> Vec<Block> {
    let untouched = view.plan.entries.iter().filter(|entry| {
        !view.changed.contains(&entry.layer) && !matches!(entry.action, Action::Keep { .. })
    });
    let waiting = view.waiting_elsewhere.max(untouched.count());
    let mut remarks = Vec::new();
    if view.policy_edited {
        remarks.push(format!(
            "- This pull request edits the policy (`{}`). It is planned with the policy of its base branch; the edited one counts from the merge on, and what follows from it is done then.",
            Policy::PATH
        ));
    }
    if !concerned {
        remarks.push("- No request file is touched.".to_owned());
    }
    if waiting > 0 {
        remarks.push(format!(
            "- The default branch has {} that this pull request does not touch; the next merge takes care of {}.",
            count(waiting, "more difference"),
            if waiting == 1 { "it" } else { "them" },
        ));
    }
    remarks.extend(not_enabled::remark(view.plan, &[]));
    remarks.extend(
        view.notes
            .iter()
            .map(|note| format!("- {}", prose(&cut(note, NOTE_LIMIT)))),
    );
    remarks
        .into_iter()
        .map(|remark| Block {
            name: "a note".to_owned(),
            forms: vec![remark],
        })
        .collect()
}

fn layers(view: &PlanView<'_>) -> Vec<Block> {
    let mut by_layer: BTreeMap<&LayerName, Vec<&Entry>> = BTreeMap::new();
    for entry in &view.plan.entries {
        if view.changed.contains(&entry.layer) {
            by_layer.entry(&entry.layer).or_default().push(entry);
        }
    }
    let rows: usize = by_layer.values().map(Vec::len).sum();
    by_layer
        .into_iter()
        .map(|(layer, mut entries)| {
            entries.sort_by_key(|entry| entry.target);
            layer_plan::block(layer, &entries, view.policy, rows > OPEN_ROWS)
        })
        .collect()
}

fn foot(view: &PlanView<'_>) -> String {
    let readers = match &view.policy.visibility {
        Visibility::Public => "every AWS account".to_owned(),
        Visibility::Private => "the publishing account only".to_owned(),
        Visibility::Organization(id) => format!("the AWS organization {}", code(&cut(id, 40))),
        Visibility::Accounts(ids) => count(ids.len(), "AWS account"),
    };
    format!(
        "---\n<sub>Planned for {}. What is published can be used by {readers}. A push plans anew; `/layersmith help` says what else can be asked for.</sub>",
        code(&short_sha(view.head_sha))
    )
}

//! What carrying out a plan came to.

use super::document::{Block, Document};
use super::escape::{code, cut};
use super::layer_outcome::{self, Row};
use super::layer_plan::reason;
use super::links::Links;
use super::not_enabled;
use super::words::{count, extent, region_span, usable_for};
use super::{CheckText, Conclusion, Rendered};
use super::{parameters, permissions, problems};
use crate::model::{LayerName, Policy, Problem, Target, Timestamp};
use crate::plan::{Action, Outcome, ParametersOutcome, PermissionsFailure, Plan};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of layer tables that are shown without unfolding.
const OPEN_ROWS: usize = 24;
/// Paths of tables that are listed.
const SHOWN_PATHS: usize = 200;

/// What became of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TablesResult {
    /// Committed and pushed.
    Pushed {
        /// The commit.
        commit: String,
        /// Files it writes or removes, relative to the repository.
        paths: Vec<String>,
    },
    /// They said the right thing already.
    Unchanged,
    /// They could not be committed.
    Failed {
        /// What git or the server said, without secrets.
        message: String,
        /// Whether trying again later may help.
        transient: bool,
    },
    /// The run did not get to them.
    NotTried,
}

/// Everything that an outcome is told from.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeView<'a> {
    /// The comment's first line, from [`super::marker`].
    pub marker: &'a str,
    /// The commit of the default branch that was carried out.
    pub commit_sha: &'a str,
    /// The repository's page, such as `https://github.com/octo/catalog`; without it nothing is linked.
    pub repository_url: Option<&'a str>,
    /// The policy it was carried out with.
    pub policy: &'a Policy,
    /// What was to be done.
    pub plan: &'a Plan,
    /// What became of each publication.
    pub outcomes: &'a [Outcome],
    /// What is wrong with the files.
    pub problems: &'a [Problem],
    /// Layers that nobody asks for any more, with the number of versions that are deprecated now.
    pub retired: &'a [(LayerName, Target, usize)],
    /// When the versions deprecated by this run are deleted.
    pub usable_until: Option<Timestamp>,
    /// What became of the tables.
    pub tables: &'a TablesResult,
    /// Where it could not be changed who may use what is published; sorted by region.
    pub permissions: &'a [PermissionsFailure],
    /// What became of the public names in Parameter Store.
    pub parameters: &'a ParametersOutcome,
    /// The run's id.
    pub run: &'a str,
}

/// How far an outcome is from what was asked for.
pub(super) struct Balance {
    /// Layer × target × region that are live as asked for.
    pub live: usize,
    /// The same, not live.
    pub failed: usize,
    /// Layer × target that were wanted and not published at all.
    pub missing: usize,
    /// Layer × target that were to be deprecated and are not.
    pub lingering: usize,
    /// Whether everything else is in order as well.
    pub rest_is_fine: bool,
}

impl Balance {
    pub(super) fn of(view: &OutcomeView<'_>, rows: &BTreeMap<&LayerName, Vec<Row<'_>>>) -> Self {
        let outcomes = || view.outcomes.iter();
        let rows = || rows.values().flatten();
        Self {
            live: outcomes()
                .map(|it| it.published.len() + it.already.len())
                .sum(),
            failed: outcomes().map(|it| it.failed.len()).sum(),
            missing: rows().filter(|row| row.is_missing()).count(),
            lingering: rows().filter(|row| row.is_unfinished_retirement()).count(),
            rest_is_fine: problems::errors(view.problems) == 0
                && view.permissions.is_empty()
                && !matches!(view.tables, TablesResult::Failed { .. })
                && !are_tables_due(view),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.failed + self.missing + self.lingering == 0 && self.rest_is_fine
    }
}

/// The outcome of a merge, as the author of the pull request reads it.
#[must_use]
pub fn render_outcome(view: &OutcomeView<'_>) -> Rendered {
    let problems = problems::sorted(view.problems);
    let layers = layer_outcome::rows(view);
    let balance = Balance::of(view, &layers);
    let title = headline(view, &balance);
    let links = Links::new(view.repository_url);

    let count_of_rows: usize = layers.values().map(Vec::len).sum();
    let mut blocks: Vec<Block> = problems::block(&problems, links, view.commit_sha)
        .into_iter()
        .collect();
    blocks.push(Block {
        name: "the tables' commit".to_owned(),
        forms: tables_forms(view, links),
    });
    blocks.extend(permissions::block(view.permissions));
    blocks.extend(parameters::block(view.parameters));
    blocks.extend(
        not_enabled::remark(view.plan, view.outcomes).map(|remark| Block {
            name: "a note".to_owned(),
            forms: vec![remark],
        }),
    );
    blocks.extend(
        layers.iter().map(|(layer, rows)| {
            layer_outcome::block(view, layer, rows, count_of_rows > OPEN_ROWS)
        }),
    );
    blocks.extend(paths_block(view));
    let texts = Document {
        marker: view.marker,
        head: head(&title, &balance),
        blocks,
        foot: format!(
            "---\n<sub>Carried out: {}, run {}.</sub>",
            links.commit(view.commit_sha),
            code(&cut(view.run, 80))
        ),
        elsewhere: format!(
            "Every ARN stands in the tables under {}.",
            code(&cut(&view.policy.tables.path, 200))
        ),
    }
    .texts();
    Rendered {
        comment: texts.comment,
        check: CheckText {
            title,
            summary: texts.summary,
            text: texts.text,
            conclusion: if balance.is_complete() {
                Conclusion::Success
            } else {
                Conclusion::Failure
            },
            annotations: problems::annotations(&problems, view.plan, |_| true),
        },
    }
}

/// `Published: 2 layers × 4 targets, live in 34 regions`.
pub(super) fn headline(view: &OutcomeView<'_>, balance: &Balance) -> String {
    let live: Vec<&Outcome> = view
        .outcomes
        .iter()
        .filter(|outcome| !outcome.published.is_empty() || !outcome.already.is_empty())
        .collect();
    let what = extent(live.iter().map(|it| (&it.layer, it.target)));
    let span = region_span(live.iter().map(|it| it.published.len() + it.already.len()));
    let mut parts = Vec::new();
    if balance.failed > 0 {
        let all = balance.live + balance.failed;
        parts.push(format!(
            "{} of {} are live, {} failed",
            balance.live,
            count(all, "version"),
            balance.failed
        ));
    } else if !live.is_empty() {
        parts.push(format!("{what}, live in {span}"));
    }
    let skipped = view.outcomes.iter().map(|it| it.skipped.len()).sum();
    if skipped > 0 {
        parts.push(format!("{} skipped", count(skipped, "version")));
    }
    if balance.missing > 0 {
        parts.push(format!("{} missing", count(balance.missing, "build")));
    }
    if !view.retired.is_empty() {
        let gone: BTreeSet<&LayerName> = view.retired.iter().map(|(layer, ..)| layer).collect();
        parts.push(format!("{} deprecated", count(gone.len(), "layer")));
    }
    if balance.lingering > 0 {
        parts.push(format!(
            "{} not deprecated yet",
            count(balance.lingering, "build")
        ));
    }
    let errors = problems::errors(view.problems);
    if errors > 0 {
        parts.push(format!("{} to mend", count(errors, "mistake")));
    }
    if let Some(versions) = permissions::versions(view.permissions) {
        parts.push(format!("who may use {versions} could not be changed"));
    }
    match view.tables {
        TablesResult::Failed { .. } => parts.push("the tables could not be committed".to_owned()),
        TablesResult::NotTried if are_tables_due(view) => {
            parts.push("the tables are not committed".to_owned());
        }
        _ => {}
    }
    if parts.is_empty() {
        return "Nothing had to be published".to_owned();
    }
    let lead = match (live.is_empty(), balance.failed + balance.missing) {
        (false, 0) => "Published",
        (false, _) => "Published in part",
        (true, 0) if balance.is_complete() => "Done",
        (true, _) => "Nothing was published",
    };
    format!("{lead}: {}", parts.join("; "))
}

fn head(title: &str, balance: &Balance) -> String {
    let mark = if balance.is_complete() {
        "✅"
    } else {
        "⚠️"
    };
    let mut head = format!("### {mark} {title}");
    if balance.live > 0 && balance.failed > 0 {
        head.push_str(
            "\n\nWhat is listed as live was read back and can be used. The rest is marked; `/layersmith retry` tries it again at once.",
        );
    }
    head
}

/// What became of the tables, the longest form first.
fn tables_forms(view: &OutcomeView<'_>, links: Links<'_>) -> Vec<String> {
    let line = match view.tables {
        TablesResult::Pushed { commit, paths } => format!(
            "- The tables are committed: {} changes {}.",
            links.commit(commit),
            count(paths.len(), "file")
        ),
        TablesResult::Unchanged => "- The tables say so already.".to_owned(),
        TablesResult::Failed { message, transient } => {
            let next = if *transient {
                "It will be retried; `/layersmith retry` tries at once."
            } else {
                "It takes somebody to mend that, then `/layersmith retry`."
            };
            let live = if view.outcomes.is_empty() {
                ""
            } else {
                "What was published is live all the same, and its ARNs are below. "
            };
            let line = format!("⚠️ **The tables could not be committed.** {live}{next}");
            return vec![format!("{line} What was said:{}", reason(message)), line];
        }
        TablesResult::NotTried if !are_tables_due(view) => {
            "- The tables are as they were.".to_owned()
        }
        TablesResult::NotTried => {
            "⚠️ **The tables are not committed:** the run did not get to them. `/layersmith retry` carries on.".to_owned()
        }
    };
    vec![line]
}

fn paths_block(view: &OutcomeView<'_>) -> Option<Block> {
    let TablesResult::Pushed { paths, .. } = view.tables else {
        return None;
    };
    let mut paths: Vec<&String> = paths.iter().collect();
    paths.sort();
    let mut list = paths
        .iter()
        .take(SHOWN_PATHS)
        .map(|path| cut(path, 200))
        .collect::<Vec<_>>()
        .join("\n");
    if paths.len() > SHOWN_PATHS {
        list.push_str(&format!("\nand {} more", paths.len() - SHOWN_PATHS));
    }
    let summary = count(paths.len(), "file");
    Some(Block {
        name: "the list of files".to_owned(),
        forms: vec![
            format!(
                "<details><summary>{summary} of the tables changed</summary>\n\n{}\n\n</details>",
                super::escape::fenced(&list)
            ),
            format!("- {summary} of the tables changed"),
        ],
    })
    .filter(|_| !paths.is_empty())
}

/// Whether something was done that the tables do not say yet.
fn are_tables_due(view: &OutcomeView<'_>) -> bool {
    let did_something = !view.outcomes.is_empty() || !view.retired.is_empty();
    did_something && *view.tables == TablesResult::NotTried
}

/// `usable until 2027-11-22`, or for how long.
pub(super) fn usability(view: &OutcomeView<'_>) -> String {
    view.usable_until.map_or_else(
        || usable_for(view.policy.expire_after_days),
        |until| format!("usable until {}", until.date()),
    )
}

/// Whether the plan's entry was wanted live.
pub(super) fn is_wanted(action: &Action) -> bool {
    match action {
        Action::Publish(publication) => !publication.regions.is_empty(),
        Action::Build | Action::Blocked { .. } => true,
        Action::Keep { .. } | Action::Retire { .. } => false,
    }
}

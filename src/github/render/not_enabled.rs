//! Regions that the account has not enabled: said once, and no failure.

use super::escape::code;
use super::words::{count, listed};
use crate::model::Region;
use crate::plan::{Outcome, Plan};
use std::collections::BTreeSet;

/// The regions that a plan leaves out, and those of which that showed when it was carried out.
fn regions<'a>(plan: &'a Plan, outcomes: &'a [Outcome]) -> Vec<&'a Region> {
    let shown = outcomes.iter().flat_map(|outcome| &outcome.not_enabled);
    let all: BTreeSet<&Region> = plan.not_enabled.iter().chain(shown).collect();
    all.into_iter().collect()
}

/// An item of a list in Markdown.
pub(super) fn remark(plan: &Plan, outcomes: &[Outcome]) -> Option<String> {
    let regions = regions(plan, outcomes);
    let names = listed(&regions, regions.len(), |region| code(region.as_str()));
    (!regions.is_empty()).then(|| {
        format!(
            "- Not enabled in the account, and left out: {names}. Once a region is enabled, it is filled."
        )
    })
}

/// A line for a terminal, with its end; empty when there is nothing to say.
pub(super) fn as_text(plan: &Plan, outcomes: &[Outcome]) -> String {
    let regions = regions(plan, outcomes);
    if regions.is_empty() {
        return String::new();
    }
    let names = listed(&regions, regions.len(), ToString::to_string);
    let number = count(regions.len(), "region");
    format!("{number} not enabled in the account, left out: {names}\n")
}

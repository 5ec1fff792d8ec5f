//! What a plan comes to, counted and said in one line.

use super::words::{count, extent, region_span};
use crate::model::{LayerName, Target};
use crate::plan::{Action, Entry, Plan, Publication};
use std::collections::BTreeSet;

/// The entries of a plan by what happens to them.
#[derive(Debug, Default)]
pub(super) struct Tally<'a> {
    /// To be published somewhere.
    pub publish: Vec<(&'a Entry, &'a Publication)>,
    /// Published nowhere, but to leave regions.
    pub leave: Vec<(&'a Entry, &'a Publication)>,
    /// To be deprecated.
    pub retire: Vec<&'a Entry>,
    /// Not known before packages of theirs are built from source.
    pub source: Vec<&'a Entry>,
    /// Not known before they are built.
    pub build: Vec<&'a Entry>,
    /// What is not possible for good: each reason of each layer once.
    pub impossible: BTreeSet<(&'a LayerName, &'a str)>,
    /// What could not be built this time.
    pub transient: Vec<&'a Entry>,
}

impl<'a> Tally<'a> {
    pub(super) fn of(plan: &'a Plan, concerns: impl Fn(&Entry) -> bool) -> Self {
        let mut tally = Self::default();
        for entry in plan.entries.iter().filter(|entry| concerns(entry)) {
            match &entry.action {
                Action::Keep { .. } => {}
                Action::Build if !entry.from_source.is_empty() => tally.source.push(entry),
                Action::Build => tally.build.push(entry),
                Action::Publish(publication) if publication.regions.is_empty() => {
                    tally.leave.push((entry, publication));
                }
                Action::Publish(publication) => tally.publish.push((entry, publication)),
                Action::Retire { .. } => tally.retire.push(entry),
                Action::Blocked { failure, .. } if failure.transient => {
                    tally.transient.push(entry);
                }
                Action::Blocked { failure, .. } => {
                    tally.impossible.insert((&entry.layer, &failure.message));
                }
            }
        }
        tally
    }

    /// What would be done, in a sentence without a full stop; `when` follows a publication: ` after the merge`.
    pub(super) fn intent(&self, when: &str) -> Option<String> {
        let mut parts = Vec::new();
        if !self.publish.is_empty() {
            let regions = region_span(self.publish.iter().map(|(_, it)| it.regions.len()));
            let what = extent(self.publish.iter().map(|(entry, _)| build_of(entry)));
            parts.push(format!("{what} would be published to {regions}{when}"));
        }
        if !self.source.is_empty() {
            let what = extent(self.source.iter().map(|entry| build_of(entry)));
            parts.push(format!(
                "{what} would be built from source and published{when}"
            ));
        }
        if !self.build.is_empty() {
            let what = extent(self.build.iter().map(|entry| build_of(entry)));
            parts.push(format!("{what} would be built first"));
        }
        if !self.leave.is_empty() {
            let regions = region_span(self.leave.iter().map(|(_, it)| it.leaves.len()));
            let what = layers(self.leave.iter().map(|(entry, _)| *entry));
            parts.push(format!("{what} would leave {regions}"));
        }
        if !self.retire.is_empty() {
            let what = layers(self.retire.iter().copied());
            parts.push(format!("{what} would be deprecated"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The headline of a plan.
    pub(super) fn headline(&self, errors: usize, when: &str) -> String {
        let mistakes = errors + self.impossible.len();
        if mistakes > 0 {
            return format!("{} to mend first", count(mistakes, "mistake"));
        }
        if !self.transient.is_empty() {
            return format!(
                "{} did not work out this time",
                count(self.transient.len(), "build")
            );
        }
        self.intent(when)
            .unwrap_or_else(|| "Nothing to publish".to_owned())
    }

    /// Whether anything keeps the plan from being carried out as a whole.
    pub(super) fn is_hindered(&self) -> bool {
        !self.impossible.is_empty() || !self.transient.is_empty()
    }
}

/// `2 layers`, however many targets they have.
fn layers<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    let layers: BTreeSet<&LayerName> = entries.map(|entry| &entry.layer).collect();
    count(layers.len(), "layer")
}

fn build_of(entry: &Entry) -> (&LayerName, Target) {
    (&entry.layer, entry.target)
}

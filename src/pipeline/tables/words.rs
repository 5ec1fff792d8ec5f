//! The words that tables are committed with.

use crate::model::{LayerName, Target};
use crate::plan::Outcome;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One commit says what was published: a subject of at most about 70 characters, a line for each layer, and the run,
/// by which the bot knows its own commits again.
#[must_use]
pub fn commit_message(
    outcomes: &[Outcome],
    retired: &[(LayerName, Target, usize)],
    run: &str,
) -> String {
    const SUBJECT_LIMIT: usize = 70;
    let mut published: BTreeMap<(&LayerName, &str), Vec<(Target, usize)>> = BTreeMap::new();
    for outcome in outcomes
        .iter()
        .filter(|outcome| !outcome.published.is_empty())
    {
        published
            .entry((&outcome.layer, &outcome.version))
            .or_default()
            .push((outcome.target, outcome.published.len()));
    }
    let mut gone: BTreeMap<&LayerName, Vec<Target>> = BTreeMap::new();
    for (layer, target, _) in retired {
        gone.entry(layer).or_default().push(*target);
    }
    let names: Vec<String> = published
        .keys()
        .map(|(layer, version)| format!("{layer} {version}"))
        .chain(gone.keys().map(|layer| format!("{layer} retired")))
        .collect();
    let mut subject = match names.as_slice() {
        [] => "Layer tables: as the store has them".to_owned(),
        names => format!("Layers: {}", names.join(", ")),
    };
    if subject.chars().count() > SUBJECT_LIMIT {
        subject = format!("Layers: {} and {} more", names[0], names.len() - 1);
    }
    let mut message = subject;
    message.push_str("\n\n");
    for ((layer, version), targets) in &published {
        let targets: Vec<String> = targets
            .iter()
            .map(|(target, regions)| format!("{target} ({regions} regions)"))
            .collect();
        writeln!(message, "- {layer} {version}: {}", targets.join(", ")).unwrap_or_default();
    }
    for (layer, targets) in &gone {
        let targets: Vec<String> = targets.iter().map(Target::to_string).collect();
        writeln!(message, "- {layer}: retired for {}", targets.join(", ")).unwrap_or_default();
    }
    if !published.is_empty() || !gone.is_empty() {
        message.push('\n');
    }
    message.push_str(&run_trailer(run));
    message.push('\n');
    message
}

/// The message of a commit for which a subject says everything.
pub(in crate::pipeline) fn plain_message(subject: &str, run: &str) -> String {
    format!("{subject}\n\n{}\n", run_trailer(run))
}

/// The trailer that names the run a commit was made by.
const RUN_TRAILER: &str = "Layersmith-Run";

/// The line of a commit message that names the run.
pub(in crate::pipeline) fn run_trailer(run: &str) -> String {
    format!("{RUN_TRAILER}: {run}")
}

/// The run that a commit message names in its trailer.
pub(in crate::pipeline) fn run_in_message(message: &str) -> Option<&str> {
    message.lines().rev().find_map(|line| {
        line.strip_prefix(RUN_TRAILER)?
            .strip_prefix(':')
            .map(str::trim)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    fn outcome(layer: &str, target: &str) -> Outcome {
        let arn = format!("arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-{layer}:1");
        Outcome {
            layer: layer.parse().unwrap(),
            target: target.parse().unwrap(),
            version: "2.2.3".into(),
            digest: Digest::of(b"zip"),
            published: vec![arn.parse().unwrap()],
            already: vec![],
            failed: vec![],
            not_enabled: Vec::new(),
            skipped: Vec::new(),
        }
    }

    #[test]
    fn a_commit_says_what_was_published_and_by_which_run() {
        let outcomes = [outcome("pandas", "p3.13"), outcome("pandas", "p3.13-arm64")];
        let message = commit_message(
            &outcomes,
            &[("old".parse().unwrap(), "p3.13".parse().unwrap(), 1)],
            "apply-abc-1",
        );
        insta::assert_snapshot!(message, @r"
        Layers: pandas 2.2.3, old retired

        - pandas 2.2.3: p3.13 (1 regions), p3.13-arm64 (1 regions)
        - old: retired for p3.13

        Layersmith-Run: apply-abc-1
        ");
        assert_eq!(run_in_message(&message), Some("apply-abc-1"));
    }

    #[test]
    fn a_long_subject_is_counted_instead() {
        let outcomes: Vec<Outcome> = (0..30)
            .map(|n| outcome(&format!("layer-{n:02}"), "p3.13"))
            .collect();
        let message = commit_message(&outcomes, &[], "r");
        assert_eq!(
            message.lines().next(),
            Some("Layers: layer-00 2.2.3 and 29 more")
        );
    }
}

//! What a person reads, situation by situation.

mod audit;
mod expiry;
mod limits;
mod mistakes;
mod outcome;
mod plan;
mod states;
mod terminal;

use super::*;
use crate::model::*;
use crate::plan::{
    Action, BuildFailure, Entry, Outcome, ParametersOutcome, PinChange, Plan, Publication, Reason,
    RegionFailure, SkipReason, SkippedRegion, pin_changes,
};
use std::collections::{BTreeMap, BTreeSet};

const HEAD: &str = "0123456789abcdef0123456789abcdef01234567";
const URL: &str = "https://github.com/octo/catalog";

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn two_regions() -> Vec<Region> {
    vec![region("eu-west-1"), region("us-east-1")]
}

fn target(name: &str) -> Target {
    name.parse().unwrap()
}

fn four_targets() -> Vec<Target> {
    ["p3.12", "p3.12-arm64", "p3.13", "p3.13-arm64"]
        .map(target)
        .to_vec()
}

fn pins(pins: &[(&str, &str)]) -> Vec<Pin> {
    pins.iter()
        .map(|(name, version)| Pin {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            license: Some("MIT".to_owned()),
        })
        .collect()
}

fn build(layer: &str, target: Target, contents: &[(&str, &str)]) -> BuildRecord {
    BuildRecord {
        layer: layer.parse().unwrap(),
        target,
        fingerprint: Digest::of(layer.as_bytes()),
        version: contents[0].1.to_owned(),
        lock: Lock { packages: vec![] },
        artifact: Artifact {
            digest: Digest::of(format!("{layer}{target}").as_bytes()),
            size: 13 * 1024 * 1024,
            unzipped_size: 60 * 1024 * 1024,
            files: 812,
            pins: pins(contents),
            report: BuildReport::default(),
        },
        built_at: Timestamp::from_unix(0),
    }
}

fn publication(layer: &str, target: Target, contents: &[(&str, &str)]) -> Publication {
    let build = build(layer, target, contents);
    Publication {
        reason: Reason::New,
        published_name: published_layer_name(&LayerPrefix::default(), target, &build.layer),
        regions: Region::commercial(),
        already: vec![],
        leaves: vec![],
        previous_version: None,
        alignment: None,
        changes: pin_changes(&[], &build.artifact.pins),
        build,
    }
}

fn entry(layer: &str, target: Target, action: Action) -> Entry {
    Entry {
        layer: layer.parse().unwrap(),
        target,
        request: Some((
            format!("layers/{layer}.yaml"),
            Location { line: 2, column: 5 },
        )),
        packages: BTreeMap::from([("numpy".to_owned(), Location { line: 3, column: 5 })]),
        from_source: Vec::new(),
        action,
    }
}

fn publish(publication: Publication) -> Entry {
    let layer = publication.build.layer.to_string();
    let target = publication.build.target;
    entry(&layer, target, Action::Publish(Box::new(publication)))
}

fn blocked(layer: &str, target: Target, message: &str) -> Entry {
    let failure = BuildFailure {
        message: message.to_owned(),
        package: None,
        transient: false,
    };
    let build = None;
    entry(layer, target, Action::Blocked { failure, build })
}

/// The outcome of a publication that reached the regions but the failed ones.
fn outcome(publication: &Publication, failed: Vec<RegionFailure>) -> Outcome {
    let lost: Vec<&Region> = failed.iter().map(|failure| &failure.region).collect();
    let reached = publication.regions.iter().filter(|r| !lost.contains(r));
    Outcome {
        layer: publication.build.layer.clone(),
        target: publication.build.target,
        version: publication.build.version.clone(),
        digest: publication.build.artifact.digest,
        published: reached
            .map(|region| LayerArn {
                region: region.clone(),
                account: "123456789012".into(),
                layer: publication.published_name.clone(),
                version: 1,
            })
            .collect(),
        already: publication.already.clone(),
        failed,
        not_enabled: Vec::new(),
        skipped: Vec::new(),
    }
}

/// A plan as it is told on a pull request that touches all of its layers.
fn told(entries: Vec<Entry>, problems: &[Problem]) -> Rendered {
    let changed: BTreeSet<LayerName> = entries.iter().map(|entry| entry.layer.clone()).collect();
    let plan = Plan {
        entries,
        ..Plan::default()
    };
    let policy = Policy::default();
    render_plan(&PlanView {
        marker: &marker("plan", 7),
        head_sha: HEAD,
        repository_url: Some(URL),
        policy: &policy,
        plan: &plan,
        problems,
        changed: &changed,
        policy_edited: false,
        waiting_elsewhere: 0,
        notes: &[],
    })
}

/// An outcome as it is told after the merge.
fn done(
    entries: Vec<Entry>,
    outcomes: &[Outcome],
    retired: &[(LayerName, Target, usize)],
    tables: &TablesResult,
) -> Rendered {
    let plan = Plan {
        entries,
        ..Plan::default()
    };
    let policy = Policy::default();
    render_outcome(&OutcomeView {
        marker: &marker("plan", 7),
        commit_sha: HEAD,
        repository_url: Some(URL),
        policy: &policy,
        plan: &plan,
        outcomes,
        problems: &[],
        retired,
        usable_until: Some("2027-11-22T10:00:00Z".parse().unwrap()),
        tables,
        permissions: &[],
        parameters: &ParametersOutcome::default(),
        run: "apply-0123456789ab-1",
    })
}

/// What every answer has to be: marked, within the limits, and without lines that could be taken for commands.
fn is_sound(answer: &Rendered) {
    assert!(
        answer
            .comment
            .starts_with("<!-- layersmith:plan:7 -->\n### ")
    );
    assert!(answer.comment.len() <= COMMENT_LIMIT);
    assert!(answer.check.summary.len() <= CHECK_LIMIT);
    let text = answer.check.text.as_deref().unwrap_or_default();
    assert!(text.len() <= CHECK_LIMIT);
    assert!(!answer.check.title.contains('\n'));
    for whole in [&answer.comment, &answer.check.summary, text] {
        assert!(!whole.lines().any(|line| line.starts_with("/layersmith")));
        assert_eq!(
            whole.matches("<details>").count(),
            whole.matches("</details>").count()
        );
    }
}

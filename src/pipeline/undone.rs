//! What the journal of a run that ended says it left undone.

use super::apply::step_of;
use super::flow::is_carried_out;
use super::scheduled::UpgradePlan;
use super::verify::{Mended, Verified};
use super::{Carried, Shared};
use crate::model::{LayerArn, Region, StepRecord, StepState, Timestamp};
use crate::plan::{ParametersOutcome, Plan, SkipReason};
use std::collections::BTreeSet;

/// When a verification ended its repairs without having published every live version anew that it had found lost: it may
/// have been killed after it forgot some. `None` when nothing was left, or not even forgotten.
pub(super) fn left_lost(steps: &[StepRecord]) -> Option<Timestamp> {
    let of_name = |name: &str| steps.iter().find(|step| step.name == name);
    let repair = of_name("repair")?;
    let seen: Verified = serde_json::from_value(of_name("observe")?.output.clone()).ok()?;
    if seen.disbelief().is_some() {
        return None;
    }
    // A repair that failed wrote down why, and not what it did.
    let mended: Verified = serde_json::from_value(repair.output.clone()).unwrap_or_default();
    let is_republished = |arn: &LayerArn| {
        let mut mended = mended.findings.iter();
        mended.any(|it| it.arn == *arn && matches!(it.mended, Mended::Republished(_)))
    };
    let mut lost = seen.findings.iter().filter(|it| it.is_live && it.is_lost());
    lost.any(|it| !is_republished(&it.arn))
        .then_some(repair.finished_at)
}

/// The plan that a step of an apply or an upgrade made.
fn plan_of(step: &StepRecord) -> Option<Plan> {
    let output = step.output.clone();
    match step.name.as_str() {
        "plan" => serde_json::from_value(output).ok(),
        "upgrade" => {
            let upgrade: Option<UpgradePlan> = serde_json::from_value(output).ok();
            upgrade.map(|upgrade| upgrade.plan)
        }
        _ => None,
    }
}

/// The regions that an apply or an upgrade left out because the account had not enabled them.
pub(super) fn left_out(steps: &[StepRecord]) -> Vec<Region> {
    let of_step = |step: &StepRecord| {
        if let Some(plan) = plan_of(step) {
            return Some(plan.not_enabled);
        }
        match serde_json::from_value(step.output.clone()) {
            Ok(Carried::Published(outcome)) => Some(outcome.not_enabled),
            _ => None,
        }
    };
    steps.iter().filter_map(of_step).flatten().collect()
}

/// Whether something of a plan that was carried out has no outcome: it failed as a whole, or whoever did it died.
pub(super) fn is_unanswered(steps: &[StepRecord]) -> bool {
    let done = steps.iter().filter(|step| step.state == StepState::Done);
    let done: BTreeSet<&str> = done.map(|step| step.name.as_str()).collect();
    let plans = steps.iter().filter_map(plan_of);
    let mut entries = plans.flat_map(|plan| plan.entries);
    entries.any(|entry| is_carried_out(&entry) && !done.contains(step_of(&entry).as_str()))
}

/// Whether a step left something undone for a reason that may have passed.
pub(super) fn may_work_by_now(step: &StepRecord) -> bool {
    if step.name == "tables" {
        return step.state == StepState::Failed;
    }
    if step.name == "parameters" {
        let outcome: Option<ParametersOutcome> = serde_json::from_value(step.output.clone()).ok();
        return outcome.is_some_and(|it| it.failed.iter().any(|failure| failure.transient));
    }
    if let Some(plan) = plan_of(step) {
        return plan.blocked().any(|(_, failure)| failure.transient);
    }
    if step.name == "permissions" {
        let shared: Option<Shared> = serde_json::from_value(step.output.clone()).ok();
        return shared.is_some_and(|shared| shared.failed.iter().any(|it| it.transient));
    }
    match serde_json::from_value(step.output.clone()) {
        // What was not asked for when a run came to it may be asked for once more.
        Ok(Carried::Published(outcome)) => {
            let mut skipped = outcome.skipped.iter();
            skipped.any(|it| it.reason == SkipReason::Unwanted)
                || outcome.failed.iter().any(|failure| failure.transient)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;
    use crate::pipeline::verify::{Finding, Wrong};
    use crate::plan::{Action, BuildFailure, Entry, Outcome, RegionFailure};
    use serde_json::json;

    fn published(failed: &[bool]) -> Carried {
        let failed = failed.iter().map(|&transient| RegionFailure {
            region: "eu-west-1".parse().unwrap(),
            message: "no answer".to_owned(),
            transient,
        });
        Carried::Published(Outcome {
            layer: "demo".parse().unwrap(),
            target: "p3.13".parse().unwrap(),
            version: "1.0".to_owned(),
            digest: Digest::of(b"zip"),
            published: Vec::new(),
            already: Vec::new(),
            failed: failed.collect(),
            not_enabled: Vec::new(),
            skipped: Vec::new(),
        })
    }

    fn step(name: &str, state: StepState, output: &impl serde::Serialize) -> StepRecord {
        StepRecord {
            run: "apply-1".to_owned(),
            name: name.to_owned(),
            state,
            output: serde_json::to_value(output).unwrap(),
            started_at: None,
            finished_at: Timestamp::from_unix(0),
        }
    }

    fn check(name: &str, state: StepState, output: &impl serde::Serialize) -> bool {
        may_work_by_now(&step(name, state, output))
    }

    #[test]
    fn only_what_may_have_passed_is_tried_again() {
        let publish = "publish/demo/p3.13";
        assert!(check(publish, StepState::Done, &published(&[false, true])));
        assert!(!check(publish, StepState::Done, &published(&[false])));
        assert!(!check(publish, StepState::Done, &published(&[])));
        assert!(check("tables", StepState::Failed, &"the hook says no"));
        assert!(!check("tables", StepState::Done, &"unchanged"));
        assert!(!check("check", StepState::Done, &()));
    }

    #[test]
    fn what_was_to_be_carried_out_and_has_no_outcome_is_noticed() {
        let entry = |layer: &str| Entry {
            layer: layer.parse().unwrap(),
            target: "p3.13".parse().unwrap(),
            request: None,
            packages: Default::default(),
            from_source: Vec::new(),
            action: Action::Retire {
                version: "1.0".to_owned(),
                regions: Vec::new(),
            },
        };
        let plan = Plan {
            entries: vec![entry("core"), entry("demo")],
            ..Plan::default()
        };
        let upgrade = json!({ "plan": plan, "not_rebuilt": [] });
        let done = |layer: &str, state| {
            let name = format!("publish/{layer}/p3.13");
            step(&name, state, &Carried::Retired(1))
        };
        for plan in [
            step("plan", StepState::Done, &plan),
            step("upgrade", StepState::Done, &upgrade),
        ] {
            let both = [
                plan,
                done("core", StepState::Done),
                done("demo", StepState::Done),
            ];
            assert!(!is_unanswered(&both));
            assert!(is_unanswered(&both[..2]), "nobody said what became of it");
            let [plan, core, _] = both;
            assert!(is_unanswered(&[
                plan,
                core,
                done("demo", StepState::Failed)
            ]));
        }
    }

    #[test]
    fn what_an_upgrade_left_out_is_noticed_as_well() {
        let plan = Plan {
            entries: vec![Entry {
                layer: "demo".parse().unwrap(),
                target: "p3.13".parse().unwrap(),
                request: None,
                packages: Default::default(),
                from_source: Vec::new(),
                action: Action::Blocked {
                    failure: BuildFailure {
                        message: "the index does not answer".to_owned(),
                        package: None,
                        transient: true,
                    },
                    build: None,
                },
            }],
            not_enabled: vec!["me-south-1".parse().unwrap()],
        };
        let upgrade = json!({ "plan": plan, "not_rebuilt": [] });
        for step in [
            step("plan", StepState::Done, &plan),
            step("upgrade", StepState::Done, &upgrade),
        ] {
            assert!(may_work_by_now(&step), "{step:?}");
            assert_eq!(left_out(&[step]), plan.not_enabled);
        }
    }

    #[test]
    fn a_loss_is_left_until_it_is_published_anew() {
        let arn = |region: &str| -> LayerArn {
            let arn = format!("arn:aws:lambda:{region}:123456789012:layer:Layersmith-p313-demo:1");
            arn.parse().unwrap()
        };
        let lost = |region: &str, is_live, mended| Finding {
            is_live,
            mended,
            ..Finding::new(arn(region), Wrong::Missing)
        };
        let verified = |findings: &[Finding]| Verified {
            findings: findings.to_vec(),
            ..Verified::default()
        };
        let left = |seen: &[Finding], repair: &StepRecord| {
            let seen = step("observe", StepState::Done, &verified(seen));
            left_lost(&[seen, repair.clone()]).is_some()
        };
        let mended = |findings: &[Finding]| step("repair", StepState::Done, &verified(findings));
        let seen = [
            lost("eu-west-1", true, Mended::No),
            lost("us-east-1", true, Mended::No),
        ];
        let new = |region: &str| lost(region, true, Mended::Republished(arn(region)));
        let gone = lost("us-east-1", true, Mended::Forgotten);
        let failed = lost("us-east-1", true, Mended::Failed("no answer".to_owned()));
        assert!(!left(&seen, &mended(&[new("eu-west-1"), new("us-east-1")])));
        assert!(left(&seen, &mended(&[new("eu-west-1"), gone])));
        assert!(left(&seen, &mended(&[new("eu-west-1"), failed])));
        // Killed after they were forgotten and taken up again, it does not know them any more.
        assert!(left(&seen, &mended(&[])));
        assert!(left(
            &seen,
            &step("repair", StepState::Failed, &"the store is locked")
        ));
        // What was superseded is not published anew.
        let superseded = [lost("eu-west-1", false, Mended::No)];
        assert!(!left(&superseded, &mended(&[])));
        let observed = step("observe", StepState::Done, &verified(&seen));
        assert_eq!(left_lost(&[observed]), None, "nothing is forgotten yet");
    }
}

//! The state machines walk the stages that one machine walks, and are the files of the deployment.

use super::*;
use crate::pipeline::flow::Item;
use std::collections::BTreeMap;
use std::path::Path;

/// What a state may hold (AWS Step Functions quotas, "Maximum input or output size").
const STATE_LIMIT: usize = 262_144;

fn walk(definition: &Value, kind: RunKind) -> Vec<(String, String)> {
    let states = &definition["States"];
    let choices = states["kind"]["Choices"].as_array().unwrap();
    let choice = choices.iter().find(|it| it["StringEquals"] == kind.name());
    let mut at = choice.unwrap()["Next"].as_str().unwrap().to_owned();
    let mut walked = Vec::new();
    while at != format!("{}: end", kind.name()) {
        let state = &states[&at];
        match state["Type"].as_str().unwrap() {
            "Choice" => {
                at = state["Default"].as_str().unwrap().to_owned();
                continue;
            }
            "Map" => {
                let inner = &state["ItemProcessor"];
                let one = &inner["States"][inner["StartAt"].as_str().unwrap()];
                let parameters = &one["Parameters"];
                let function = [&parameters["FunctionName"], &parameters["FunctionName.$"]];
                let function = function.iter().find_map(|it| it.as_str()).unwrap();
                let stage = state["ItemSelector"]["stage"].as_str().unwrap();
                walked.push((stage.to_owned(), function.to_owned()));
            }
            _ => {
                let stage = state["Parameters"]["Payload"]["stage"].as_str().unwrap();
                let function = state["Parameters"]["FunctionName"].as_str().unwrap();
                walked.push((stage.to_owned(), function.to_owned()));
            }
        }
        at = state["Next"].as_str().unwrap().to_owned();
    }
    walked
}

#[test]
fn a_state_machine_walks_the_stages_that_one_machine_walks() {
    for machine in Machine::ALL {
        let definition = definition(machine);
        for kind in machine.kinds() {
            assert_eq!(Machine::of(*kind), machine);
            let expected: Vec<&str> = stages(*kind).iter().map(|it| it.name()).collect();
            let walked = walk(&definition, *kind);
            let stages: Vec<&str> = walked.iter().map(|(stage, _)| stage.as_str()).collect();
            assert_eq!(stages, expected);
        }
    }
    let upgrade: BTreeMap<String, String> = walk(&definition(Machine::Apply), RunKind::Upgrade)
        .into_iter()
        .collect();
    assert_eq!(upgrade["tables"], "${TablesFunction}");
    assert_eq!(
        upgrade["build"],
        "States.Format('${BuildFunctionPrefix}{}', $.item.function)"
    );
}

/// The way that one machine goes for an item whose zip is lost: each stage of it, also when the one before failed.
#[test]
fn a_lost_zip_takes_the_way_that_one_machine_takes() {
    let definition = definition(Machine::Apply);
    for kind in [RunKind::Apply, RunKind::Upgrade] {
        for (map, end) in [("publish", ""), ("publish many", " of many")] {
            let states = &definition["States"][format!("{}: {map}", kind.name())]["ItemProcessor"];
            let mut at = states["StartAt"].as_str().unwrap().to_owned();
            let mut walked = Vec::new();
            loop {
                let state = &states["States"][&at];
                let payload = &state["Parameters"]["Payload"];
                walked.push(payload["stage"].as_str().unwrap().to_owned());
                let catches = state["Catch"].as_array().unwrap();
                let to = |error: &str| {
                    let catch = catches.iter().find(|it| it["ErrorEquals"][0] == error);
                    catch.and_then(|it| it["Next"].as_str())
                };
                let next = state["Next"].as_str().or(to("ArtifactLost"));
                let Some(next) = next else {
                    let given_up = format!("{}: publish given up{end}", kind.name());
                    assert_eq!(to("States.ALL"), Some(given_up.as_str()));
                    break;
                };
                if state["Next"] == next {
                    assert_eq!(to("States.ALL"), Some(next));
                }
                at = next.to_owned();
            }
            let expected = [Stage::Publish].iter().chain(Stage::Publish.when_lost());
            let expected: Vec<&str> = expected.map(|stage| stage.name()).collect();
            assert_eq!(walked, expected);
        }
    }
}

/// The longest list that stays in the state, with the longest names, leaves most of it free.
#[test]
fn a_list_within_the_state_is_far_from_its_limit() {
    let item = Item::new(
        "x".repeat(63).parse().unwrap(),
        "p3.13-arm64".parse().unwrap(),
    );
    let items = vec![item; INLINE_ITEMS];
    let size = json!({ "items": items }).to_string().len();
    assert!(size * 3 < STATE_LIMIT, "{size} bytes");
}

/// `make state-machines` writes them.
#[test]
fn the_files_of_the_deployment_are_the_definitions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    for machine in Machine::ALL {
        let path = folder.join(format!("{}.asl.json", machine.name()));
        let text = format!("{:#}\n", definition(machine));
        if option_env!("LAYERSMITH_WRITE_STATE_MACHINES").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{} is another one: make state-machines",
            path.display()
        );
    }
}

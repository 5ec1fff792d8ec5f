//! Every example payload GitHub's own `@octokit/webhooks-examples` has is accepted: acted on or set aside.

use crate::github::{Received, read_event};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn examples() -> Vec<Value> {
    let tools = std::env::var_os("LAYERSMITH_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools"),
        PathBuf::from,
    );
    let path = tools.join("node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let text = std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}. Install GitHub's example payloads with `npm install --prefix target/tools \
             --ignore-scripts @octokit/webhooks-examples@7`, or say in LAYERSMITH_TEST_TOOLS where they are",
            path.display()
        )
    });
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn every_example_of_github_is_accepted() {
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = 0;
    for event in examples() {
        let name = event["name"].as_str().unwrap();
        for example in event["examples"].as_array().unwrap() {
            count += 1;
            let served = example["repository"]["full_name"]
                .as_str()
                .unwrap_or("octocat/catalog");
            let body = serde_json::to_vec(example).unwrap();
            let received = read_event(name, &body, &served.parse().unwrap())
                .unwrap_or_else(|error| panic!("{name} {}: {error}", example["action"]));
            if let Received::Act(happening) = received {
                let action = example["action"].as_str().unwrap_or("-");
                let what = serde_json::to_value(&happening.what).unwrap();
                let kind = what["kind"].as_str().unwrap();
                *outcomes
                    .entry(format!("{name} {action}: {kind}"))
                    .or_default() += 1;
                let text = serde_json::to_string(&happening).unwrap();
                assert_eq!(happening, serde_json::from_str(&text).unwrap());
            }
        }
    }
    assert!(count >= 300, "only {count} examples");
    let acted: Vec<String> = outcomes
        .into_iter()
        .map(|(outcome, count)| format!("{outcome} ×{count}"))
        .collect();
    insta::assert_snapshot!(acted.join("\n"), @r"
    check_suite rerequested: check_requested ×2
    ping -: ping ×4
    pull_request closed: pull_request_closed ×2
    pull_request opened: pull_request_changed ×4
    pull_request ready_for_review: pull_request_changed ×3
    pull_request reopened: pull_request_changed ×2
    pull_request synchronize: pull_request_changed ×1
    push -: default_branch_pushed ×2
    ");
}

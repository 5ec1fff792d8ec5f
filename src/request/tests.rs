//! Tests of the room through its public face. The snapshots are what people read.

mod examples;
mod good;
mod hostile;
mod layer_shape;
mod layer_values;
mod policy;

use super::*;
use crate::model::Region;

/// The default policy with fewer packages in a layer and one region excluded.
fn house_policy() -> Policy {
    let excluded: Region = "me-south-1".parse().unwrap();
    let mut policy = Policy {
        exclude_regions: vec![excluded],
        ..Policy::default()
    };
    policy.limits.packages_per_layer = 15;
    policy
}

/// The problems of a request file, one a line; checks that there is a value exactly when none is an error.
fn layer(text: &str) -> String {
    named_layer("layers/a.yaml", text)
}

fn named_layer(path: &str, text: &str) -> String {
    let (value, problems) = parse_layer(path, text.as_bytes(), &house_policy());
    lines(value.is_some(), &problems)
}

/// The same for a policy file.
fn policy(text: &str) -> String {
    let (value, problems) = parse_policy(Policy::PATH, text.as_bytes());
    lines(value.is_some(), &problems)
}

fn lines(has_value: bool, problems: &[Problem]) -> String {
    let errors = problems
        .iter()
        .any(|problem| problem.level == crate::model::Level::Error);
    assert_ne!(has_value, errors, "{problems:?}");
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

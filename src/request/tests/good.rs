//! Files without mistakes, one for each feature.

use super::*;
use crate::model::{Bytecode, LayerRequest, PlanFrom, Schedule, SlimKind, TableFormat, Visibility};

fn good(text: &str) -> LayerRequest {
    let (value, problems) = parse_layer("layers/a.yaml", text.as_bytes(), &Policy::default());
    assert_eq!(problems, [], "{text}");
    value.unwrap()
}

fn good_policy(text: &str) -> Policy {
    let (value, problems) = parse_policy(Policy::PATH, text.as_bytes());
    assert_eq!(problems, [], "{text}");
    value.unwrap()
}

fn targets(request: &LayerRequest) -> String {
    let targets: Vec<String> = request.targets.iter().map(ToString::to_string).collect();
    targets.join(" ")
}

#[test]
fn packages_alone_leave_the_rest_to_the_policy() {
    let request = good("packages: [requests]\n");
    assert_eq!(request.name.as_str(), "a");
    assert_eq!(request.path, "layers/a.yaml");
    assert_eq!(
        targets(&request),
        "p3.12 p3.12-arm64 p3.13 p3.13-arm64 p3.14 p3.14-arm64"
    );
    assert_eq!(request.regions, None);
    assert_eq!(request.bytecode, Bytecode::All);
    assert_eq!(request.description, None);
    assert_eq!(request.license, None);
}

#[test]
fn requirements_are_brought_to_normal_form() {
    let text = r#"packages:
  - "  Foo.Bar [B, a , a]  >= 1.0 , != 1.5"
  - requests
  - numpy ~=2.1 ; python_version  >=  "3.12"
  - exact===1.0
"#;
    let request = good(text);
    let texts: Vec<&str> = request.packages.iter().map(|p| p.text.as_str()).collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    foo-bar[a,b]>=1.0,!=1.5
    requests
    numpy~=2.1 ; python_version >= "3.12"
    exact===1.0
    "#);
    assert_eq!(request.packages[0].name, "foo-bar");
    let place = request.packages[2].location;
    assert_eq!((place.line, place.column), (4, 5));
}

#[test]
fn a_number_is_taken_as_it_is_written() {
    let request = good("packages: [a]\npython: [3.13, \"3.12\", 3.11]\nkeep: [2.10, 3]\n");
    assert_eq!(
        targets(&request),
        "p3.11 p3.11-arm64 p3.12 p3.12-arm64 p3.13 p3.13-arm64"
    );
    assert_eq!(request.keep, ["2.10", "3"]);
}

#[test]
fn python_3_10_without_quotes_is_not_3_1() {
    let (request, _) = parse_layer(
        "layers/a.yaml",
        b"packages: [a]\npython: [3.10]\narchitectures: [arm64]\n",
        &Policy::default(),
    );
    assert_eq!(targets(&request.unwrap()), "p3.10-arm64");
}

#[test]
fn lists_whose_order_means_nothing_are_sorted() {
    let request = good(
        "packages: [z, a]\nregions: [us-east-1, eu-west-1]\nexclude: ['**/z', '**/a']\n\
         allow_build: [Z.z, a_A]\nkeep: ['2', '1']\nowners: ['@Octocat', hubot]\n",
    );
    let packages: Vec<&str> = request.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(packages, ["z", "a"], "the first package gives the version");
    let regions: Vec<String> = request
        .regions
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(regions, ["eu-west-1", "us-east-1"]);
    assert_eq!(request.exclude, ["**/a", "**/z"]);
    assert_eq!(request.allow_build, ["a-a", "z-z"]);
    assert_eq!(request.keep, ["1", "2"]);
    assert_eq!(request.owners, ["octocat", "hubot"]);
}

#[test]
fn bytecode_has_three_values() {
    let bytecode = |value: &str| good(&format!("packages: [a]\nbytecode: {value}\n")).bytecode;
    assert_eq!(bytecode("true"), Bytecode::All);
    assert_eq!(bytecode("imported"), Bytecode::Imported);
    assert_eq!(bytecode("false"), Bytecode::None);
}

#[test]
fn texts_keep_their_words() {
    let request = good(
        "packages: [a]\ndescription: '  Données & more, 2×  '\nlicense: Apache-2.0 AND (MIT OR BSD-3-Clause)\n",
    );
    assert_eq!(request.description.as_deref(), Some("Données & more, 2×"));
    assert_eq!(
        request.license.as_deref(),
        Some("Apache-2.0 AND (MIT OR BSD-3-Clause)")
    );
}

#[test]
fn the_longest_texts_are_accepted() {
    let text = format!(
        "packages: [a]\ndescription: {}\nlicense: {}\n",
        "é".repeat(120),
        "y".repeat(512)
    );
    assert_eq!(good(&text).description.unwrap().chars().count(), 120);
}

#[test]
fn all_regions_is_what_the_policy_says() {
    assert_eq!(good("packages: [a]\nregions: all\n").regions, None);
}

#[test]
fn a_byte_order_mark_windows_line_ends_anchors_and_json_are_yaml() {
    good("\u{feff}packages: [a]\r\nlicense: MIT\r\n");
    good("packages: &p [a]\nallow_build: *p\n");
    good("{\"packages\": [\"a\"], \"python\": [\"3.12\"]}");
}

#[test]
fn an_empty_policy_is_the_default() {
    for text in [
        "",
        "# nothing yet\n",
        "---\n",
        "{}\n",
        "exclude_regions: []\n",
    ] {
        assert_eq!(good_policy(text), Policy::default(), "{text:?}");
    }
}

#[test]
fn every_key_of_the_policy() {
    let policy = good_policy(
        r#"prefix: Acme
python: ["3.13", 3.12]
architectures: [arm64]
regions: [us-east-1, eu-west-1]
exclude_regions: [me-south-1]
visibility: private
expire_after_days: 30
cooldown_days: 3
index_url: https://packages.example.com/simple
upgrade: weekly
tables: {path: docs/arns/, formats: [json, md]}
limits: {packages_per_layer: 3, layers_per_pull_request: 4, build_seconds: 60}
plan_pull_requests_from: collaborators
"#,
    );
    assert_eq!(policy.prefix.as_str(), "Acme");
    let pythons: Vec<String> = policy.python.iter().map(ToString::to_string).collect();
    assert_eq!(pythons, ["3.12", "3.13"]);
    assert_eq!(policy.architectures.len(), 1);
    assert_eq!(policy.regions.unwrap().len(), 2);
    assert_eq!(policy.exclude_regions.len(), 1);
    assert_eq!(policy.visibility, Visibility::Private);
    assert_eq!((policy.expire_after_days, policy.cooldown_days), (30, 3));
    assert_eq!(
        policy.index_url.as_deref(),
        Some("https://packages.example.com/simple")
    );
    assert_eq!(policy.upgrade, Schedule::Weekly);
    assert_eq!(policy.tables.path, "docs/arns");
    assert_eq!(policy.tables.formats, [TableFormat::Json, TableFormat::Md]);
    assert_eq!(policy.limits.packages_per_layer, 3);
    assert_eq!(policy.limits.layers_per_pull_request, 4);
    assert_eq!(policy.limits.build_seconds, 60);
    assert_eq!(policy.plan_pull_requests_from, PlanFrom::Collaborators);
}

#[test]
fn parts_of_the_policy_that_are_absent_keep_their_defaults() {
    let policy = good_policy("tables: {path: x}\nlimits: {build_seconds: 5}\nregions: all\n");
    assert_eq!(policy.tables.formats.len(), 4);
    assert_eq!(policy.limits.packages_per_layer, 30);
    assert_eq!(policy.regions, None);
}

#[test]
fn visibility_has_four_shapes() {
    let visibility = |value: &str| good_policy(&format!("visibility: {value}\n")).visibility;
    assert_eq!(visibility("public"), Visibility::Public);
    assert_eq!(visibility("private"), Visibility::Private);
    assert_eq!(
        visibility("{organization: o-abc1234567}"),
        Visibility::Organization("o-abc1234567".to_owned())
    );
    assert_eq!(
        visibility("{accounts: [210987654321, 001234567890]}"),
        Visibility::Accounts(vec!["001234567890".to_owned(), "210987654321".to_owned()])
    );
}

#[test]
fn an_index_on_this_machine_may_be_unencrypted() {
    let policy = good_policy("index_url: http://127.0.0.1:8000/simple\n");
    assert_eq!(
        policy.index_url.as_deref(),
        Some("http://127.0.0.1:8000/simple")
    );
}

#[test]
fn what_is_left_out_is_all_none_or_a_list() {
    let slim = |line: &str| good(&format!("packages: [a]\n{line}\n")).slim;
    assert_eq!(slim(""), SlimKind::ALL);
    assert_eq!(slim("slim: true"), SlimKind::ALL);
    assert_eq!(slim("slim: false"), []);
    assert_eq!(
        slim("slim: [docs, tests]"),
        [SlimKind::Tests, SlimKind::Docs]
    );
    let runtime = |line: &str| good(&format!("packages: [a]\n{line}\n")).exclude_runtime;
    assert!(!runtime(""));
    assert!(runtime("exclude_runtime: true"));
}

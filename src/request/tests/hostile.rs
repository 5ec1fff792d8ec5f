//! Bytes that somebody wrote to do harm, or a machine by accident: an answer comes, soon, and without a panic.

use super::*;

#[test]
fn a_file_of_five_megabytes_is_refused_unread() {
    let text = format!("packages: [{}]\n", "a, ".repeat(1_750_000));
    insta::assert_snapshot!(layer(&text), @"layers/a.yaml:1:1: error: the file has 5250013 bytes and is not read: keep it below 64 KiB");
    insta::assert_snapshot!(policy(&text), @".github/layersmith.yaml:1:1: error: the file has 5250013 bytes and is not read: keep it below 64 KiB");
}

#[test]
fn ten_thousand_aliases() {
    let text = format!("packages: [&a a{}]\n", ",*a ".repeat(10_000));
    insta::assert_snapshot!(layer(&text), @"layers/a.yaml:1:81: error: more than 16 anchors (`&name`) or aliases (`*name`): write the values out");
    let text = format!("packages: [&a a{}]\n", ", &a a".repeat(100));
    insta::assert_snapshot!(layer(&text), @"layers/a.yaml:1:111: error: more than 16 anchors (`&name`) or aliases (`*name`): write the values out");
}

#[test]
fn a_billion_laughs() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (outer, inner) in "bcdefghi".chars().zip("abcdefgh".chars()) {
        let list = vec![format!("*{inner}"); 10].join(", ");
        text.push_str(&format!("{outer}: &{outer} [{list}]\n"));
    }
    insta::assert_snapshot!(layer(&text), @"layers/a.yaml:3:32: error: more than 16 anchors (`&name`) or aliases (`*name`): write the values out");
}

#[test]
fn an_alias_of_itself() {
    insta::assert_snapshot!(layer("packages: &a [*a]\n"), @"layers/a.yaml:1:15: error: an alias (`*name`) stands inside what it refers to: write the values out");
}

#[test]
fn nesting() {
    insta::assert_snapshot!(layer(&format!("packages: {}", "[".repeat(10_000))), @"layers/a.yaml:1:28: error: this is not valid YAML (the parser says `recursion limit exceeded`): no key needs more than three levels of lists and mappings");
    insta::assert_snapshot!(layer(&format!("packages: {}{}", "[".repeat(17), "]".repeat(17))), @"layers/a.yaml:1:26: error: lists and mappings are nested more than 16 deep: no key needs more than three levels");
    let deep: String = (0..200)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    insta::assert_snapshot!(layer(&deep), @"layers/a.yaml:17:17: error: lists and mappings are nested more than 16 deep: no key needs more than three levels");
    insta::assert_snapshot!(layer(&format!("packages:\n{}a", "- ".repeat(5_000))), @"layers/a.yaml:2:31: error: lists and mappings are nested more than 16 deep: no key needs more than three levels");
}

#[test]
fn many_values_and_many_mistakes() {
    let text = format!("packages: [a]\nexclude: [{}]\n", "x, ".repeat(201));
    insta::assert_snapshot!(layer(&text), @"layers/a.yaml:2:10: error: `exclude` lists 201 values: list at most 200");
    let text = format!("packages: [a]\nexclude: [{}]\n", "x, ".repeat(11_000));
    insta::assert_snapshot!(layer(&text), @"layers/a.yaml:2:29993: error: the file holds more than 10000 values: shorten it");
    let text: String = (0..3_000)
        .map(|number| format!("key{number}: 1\n"))
        .collect();
    let (value, problems) = parse_layer("layers/a.yaml", text.as_bytes(), &house_policy());
    assert_eq!(value, None);
    assert_eq!(problems.len(), 101);
    insta::assert_snapshot!(problems[100], @"layers/a.yaml:100:1: error: 2901 more problems of this file are not listed: mend the ones above first");
}

#[test]
fn an_error_among_many_warnings_still_counts() {
    let text = format!(
        "packages: [a]\nregions: [us-east-1{}]\nbytecode: maybe\n",
        ", us-east-1".repeat(150)
    );
    let (value, _) = parse_layer("layers/a.yaml", text.as_bytes(), &house_policy());
    assert_eq!(value, None);
}

#[test]
fn other_encodings() {
    let bytes = |bytes: &[u8]| {
        let (value, problems) = parse_layer("layers/a.yaml", bytes, &house_policy());
        lines(value.is_some(), &problems)
    };
    insta::assert_snapshot!(bytes(b"packages: [a]\ndescription: caf\xe9\n"), @"layers/a.yaml:2:17: error: the file is not UTF-8 text: save it in the UTF-8 encoding");
    insta::assert_snapshot!(bytes(b"\xff\xfep\0a\0"), @"layers/a.yaml:1:1: error: the file is not UTF-8 text: save it in the UTF-8 encoding");
    insta::assert_snapshot!(bytes(b"packages: [a\0]\n"), @r"layers/a.yaml:1:13: error: this is not valid YAML (the parser says `unexpected character: '\u{0}'`): write one `key: value` a line; lists as `[a, b]` or one `- item` a line");
    insta::assert_snapshot!(bytes(b"\x89PNG\r\n\x1a\n"), @"layers/a.yaml:1:1: error: the file is not UTF-8 text: save it in the UTF-8 encoding");
}

#[test]
fn long_texts() {
    insta::assert_snapshot!(layer(&format!("packages: [{}]\n", "a".repeat(251))), @"layers/a.yaml:1:12: error: a requirement of 251 characters is not read: keep it within 250");
    let text = format!(
        "packages: [a]\ndescription: {}\nlicense: {}\nexclude: [{}]\n",
        "x".repeat(121),
        "y".repeat(513),
        "z".repeat(201)
    );
    insta::assert_snapshot!(layer(&text), @r"
    layers/a.yaml:2:14: error: `description` has 121 characters: shorten it to 120
    layers/a.yaml:3:10: error: `license` has 513 characters: shorten it to 512
    layers/a.yaml:4:11: error: a pattern must have 1 to 200 characters: write for example `**/tests/**`
    ");
    insta::assert_snapshot!(layer(&format!("{}: 1\n", "k".repeat(900))), @r#"
    layers/a.yaml:1:1: error: the key `packages` is missing: write for example `packages: [pandas, "pyarrow>=15"]`
    layers/a.yaml:1:1: error: unknown key `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…`: use `packages`, `python`, `architectures`, `regions`, `description`, `license`, `exclude`, `slim`, `exclude_runtime`, `bytecode`, `allow_build`, `keep` or `owners`
    "#);
    insta::assert_snapshot!(layer(&format!("? {}\n: 1\n", "k".repeat(60_000))), @r#"
    layers/a.yaml:1:1: error: the key `packages` is missing: write for example `packages: [pandas, "pyarrow>=15"]`
    layers/a.yaml:1:3: error: unknown key `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…`: use `packages`, `python`, `architectures`, `regions`, `description`, `license`, `exclude`, `slim`, `exclude_runtime`, `bytecode`, `allow_build`, `keep` or `owners`
    "#);
}

#[test]
fn markers_that_grow_when_they_are_worked_out() {
    let terms: Vec<String> = ('a'..='k')
        .map(|c| format!("(os_name=='{c}'or sys_platform=='{c}')"))
        .collect();
    let marker = terms.join("and");
    for end in 0..=marker.len().min(246) {
        let text = format!("packages:\n  - \"a;{}\"\n", &marker[..end]);
        layer(&text);
    }
    let nested = format!(
        "packages: [\"a;{}os_name=='a'{}\"]\n",
        "(".repeat(115),
        ")".repeat(115)
    );
    assert_eq!(layer(&nested), "");
}

/// A file that uses everything, to be broken in every place.
const EVERYTHING: &str = r#"# A comment
packages:
  - pandas >=2,<3 ; python_version >= "3.12"
  - "requests[socks]"
  - &p pyarrow
python: ["3.12", 3.13]
architectures: [x86_64, arm64]
regions: all
description: >-
  Données
  en tables
license: 'MIT'
exclude: ["**/tests/**", "*.{pyi,c}"]
bytecode: imported
allow_build: [*p]
keep: ["2.2"]
owners: ["@octocat"]
"#;

const EVERY_POLICY: &str = r#"prefix: Layersmith
python: ["3.12", "3.13", "3.14"]
architectures: [x86_64, arm64]
regions: [us-east-1]
exclude_regions: [me-south-1]
visibility: {accounts: ["123456789012"]}
expire_after_days: 365
cooldown_days: 3
index_url: https://packages.example.com/simple
upgrade: monthly
tables: {path: layers/arns, formats: [md, csv, json]}
limits: {packages_per_layer: 30, layers_per_pull_request: 50, build_seconds: 600}
plan_pull_requests_from: everyone
"#;

fn read_layer(bytes: &[u8]) {
    let (value, problems) = parse_layer("layers/a.yaml", bytes, &house_policy());
    lines(value.is_some(), &problems);
}

fn read_policy(bytes: &[u8]) {
    let (value, problems) = parse_policy(Policy::PATH, bytes);
    lines(value.is_some(), &problems);
}

#[test]
fn no_place_to_cut_a_file_is_a_panic() {
    assert_eq!(layer(EVERYTHING), "");
    assert_eq!(policy(EVERY_POLICY), "");
    let cut = |whole: &[u8], read: fn(&[u8])| {
        for end in 0..whole.len() {
            read(&whole[..end]);
            read(&whole[end..]);
        }
    };
    cut(EVERYTHING.as_bytes(), read_layer);
    cut(EVERY_POLICY.as_bytes(), read_policy);
}

#[test]
fn no_byte_in_any_place_is_a_panic() {
    const BYTES: &[u8] = b"\0\t\n\r \"'#&*!|>%@`[]{},:-?\\;=<~0a\x7f\x80\xc3\xff";
    let spoil = |whole: &[u8], read: fn(&[u8])| {
        for index in 0..whole.len() {
            // Three a place, others in every place: all of them everywhere take half a minute.
            for turn in 0..3 {
                let mut bytes = whole.to_vec();
                bytes[index] = BYTES[(index * 3 + turn) % BYTES.len()];
                read(&bytes);
            }
            let mut bytes = whole.to_vec();
            bytes.insert(index, b'-');
            read(&bytes);
        }
    };
    spoil(EVERYTHING.as_bytes(), read_layer);
    spoil(EVERY_POLICY.as_bytes(), read_policy);
}

#[test]
fn no_problem_breaks_out_of_its_line_or_its_backticks() {
    let evil = "x` <!-- layersmith --> @octocat\\u202e\\n| [a](b)";
    for key in [
        "packages",
        "python",
        "regions",
        "architectures",
        "exclude",
        "keep",
        "owners",
        "allow_build",
    ] {
        let text =
            format!("packages: [a]\n{key}: [\"{evil}\", {{\"{evil}\": 1}}]\n\"{evil}\": 1\n");
        assert_tame(&layer(&text));
    }
    for key in ["bytecode", "description", "license"] {
        assert_tame(&layer(&format!("packages: [a]\n{key}: \"{evil}\"\n")));
    }
    for key in [
        "prefix",
        "upgrade",
        "visibility",
        "index_url",
        "tables",
        "plan_pull_requests_from",
    ] {
        assert_tame(&policy(&format!("{key}: \"{evil}\"\n")));
    }
    assert_tame(&policy(&format!(
        "tables: {{path: \"{evil}\", formats: [\"{evil}\"]}}\n"
    )));
    assert_tame(&layer("packages: !<`@octocat> [a]\n"));
}

/// Outside of backticks a message holds none of what the stranger wrote.
fn assert_tame(problems: &str) {
    assert_ne!(problems, "");
    for line in problems.lines() {
        assert!(
            line.starts_with("layers/a.yaml:") || line.starts_with(Policy::PATH),
            "{line}"
        );
        let outside: String = line.split('`').step_by(2).collect();
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
        for mark in ["<!--", "octocat", "](", "\u{202e}"] {
            assert!(!outside.contains(mark), "{line}");
        }
    }
}

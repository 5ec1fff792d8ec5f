//! What keeps a request file from being read, and keys and kinds of values.

use super::*;

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(layer(""), @r#"layers/a.yaml:1:1: error: the file is empty: write at least `packages: [pandas, "pyarrow>=15"]`"#);
}

#[test]
fn a_file_of_comments() {
    insta::assert_snapshot!(layer("# later\n"), @r#"layers/a.yaml:1:1: error: the file is empty: write at least `packages: [pandas, "pyarrow>=15"]`"#);
}

#[test]
fn a_list_instead_of_a_mapping() {
    insta::assert_snapshot!(layer("- pandas\n"), @r#"layers/a.yaml:1:1: error: the file must be a mapping of keys to values, found a list: write at least `packages: [pandas, "pyarrow>=15"]`"#);
}

#[test]
fn plain_text_instead_of_a_mapping() {
    insta::assert_snapshot!(layer("pandas\n"), @r#"layers/a.yaml:1:1: error: the file must be a mapping of keys to values, found text: write at least `packages: [pandas, "pyarrow>=15"]`"#);
}

#[test]
fn no_packages() {
    insta::assert_snapshot!(layer("python: ['3.12']\n"), @r#"layers/a.yaml:1:1: error: the key `packages` is missing: write for example `packages: [pandas, "pyarrow>=15"]`"#);
}

#[test]
fn a_key_without_value() {
    insta::assert_snapshot!(layer("packages:\npython:\n"), @r#"
    layers/a.yaml:1:9: error: `packages` has no value: write for example `packages: [pandas, "pyarrow>=15"]`, or remove the line
    layers/a.yaml:2:7: error: `python` has no value: write for example `python: ["3.12", "3.13"]`, or remove the line
    "#);
}

#[test]
fn unknown_and_misspelt_keys() {
    insta::assert_snapshot!(layer(r#"pakages: [a]
packages: [a]
Regions: all
foo: 1
3: x
? [a]
: b
<<: {a: b}
"#), @"
    layers/a.yaml:1:1: error: unknown key `pakages`: did you mean `packages`?
    layers/a.yaml:3:1: error: unknown key `Regions`: did you mean `regions`?
    layers/a.yaml:4:1: error: unknown key `foo`: use `packages`, `python`, `architectures`, `regions`, `description`, `license`, `exclude`, `slim`, `exclude_runtime`, `bytecode`, `allow_build`, `keep` or `owners`
    layers/a.yaml:5:1: error: unknown key `3`: use `packages`, `python`, `architectures`, `regions`, `description`, `license`, `exclude`, `slim`, `exclude_runtime`, `bytecode`, `allow_build`, `keep` or `owners`
    layers/a.yaml:6:3: error: a key must be text, found a list: use text such as `packages`
    layers/a.yaml:8:1: error: unknown key `<<`: merge keys are not supported; write the keys out
    ");
}

#[test]
fn keys_that_are_there_twice() {
    insta::assert_snapshot!(layer(r#"packages: [a]
license: MIT
packages: [b]
license: BSD
"#), @r"
    layers/a.yaml:3:1: error: the key `packages` is here a second time: keep one of them; the first is on line 1
    layers/a.yaml:4:1: error: the key `license` is here a second time: keep one of them; the first is on line 2
    ");
}

#[test]
fn every_mistake_at_once() {
    insta::assert_snapshot!(layer(r#"packages:
  - pandas >>2
python: [3.9]
regions: [us-est-1]
architectures: [amd64]
bytecode: maybe
owner: me
"#), @r#"
    layers/a.yaml:2:12: error: `pandas >>2` is not a requirement (PEP 508): write for example `pyarrow>=15` (the parser says `no such comparison operator ">>", must be one of ~= == != <= >= < > ===`)
    layers/a.yaml:3:10: error: Python 3.9 has ended on AWS Lambda: use `3.11`, `3.12`, `3.13` or `3.14`
    layers/a.yaml:4:11: error: `us-est-1` is not a region of AWS Lambda: did you mean `us-east-1`?
    layers/a.yaml:5:17: error: `amd64` is not an architecture of AWS Lambda: did you mean `x86_64`?
    layers/a.yaml:6:11: error: `bytecode` cannot be `maybe`: use `true`, `false` or `imported`
    layers/a.yaml:7:1: error: unknown key `owner`: did you mean `owners`?
    "#);
}

#[test]
fn two_documents() {
    insta::assert_snapshot!(layer(r#"packages: [a]
---
packages: [b]
"#), @"layers/a.yaml:3:1: error: the file holds several YAML documents: remove the line `---` and what follows: one file describes one thing");
}

#[test]
fn a_tab_as_indentation() {
    insta::assert_snapshot!(layer("packages:\n\t- a\n"), @"layers/a.yaml:2:2: error: this is not valid YAML (the parser says `tabs disallowed within this context (block indentation)`): indent with spaces: YAML does not allow tabs there");
}

#[test]
fn a_tab_on_the_next_line() {
    insta::assert_snapshot!(layer("packages:\n  - a\nlicense: MIT\n\tpython: [3.12]\n"), @"layers/a.yaml:3:10: error: this is not valid YAML (the parser says `while scanning a plain scalar, found a tab`): indent with spaces: YAML does not allow tabs there");
}

#[test]
fn an_unquoted_star() {
    insta::assert_snapshot!(layer(r#"packages: [a]
exclude:
  - **/tests/**
"#), @"layers/a.yaml:3:5: error: this is not valid YAML (the parser says `reference to unknown value`): write texts that begin with `*` in quotes");
}

#[test]
fn an_unquoted_star_in_a_list() {
    insta::assert_snapshot!(layer("packages: [a]\nexclude: [*.pyi]\n"), @"layers/a.yaml:2:11: error: this is not valid YAML (the parser says `reference to unknown value`): write texts that begin with `*` in quotes");
}

#[test]
fn an_unquoted_at() {
    insta::assert_snapshot!(layer("packages: [a]\nowners: [@octocat]\n"), @"layers/a.yaml:2:10: error: this is not valid YAML (the parser says `unexpected character: '@'`): write texts that begin with `@` in quotes");
}

#[test]
fn an_open_list() {
    insta::assert_snapshot!(layer("packages: [a, b\nlicense: MIT\n"), @"layers/a.yaml:2:8: error: this is not valid YAML (the parser says `illegal placement of ':' indicator`): close the list with `]`");
}

#[test]
fn an_open_quote() {
    insta::assert_snapshot!(layer("packages: [a]\nlicense: \"MIT\n"), @"layers/a.yaml:2:10: error: this is not valid YAML (the parser says `unclosed quote`): close the quotes on the line they begin on");
}

#[test]
fn a_colon_in_text() {
    insta::assert_snapshot!(layer("packages: [a]\ndescription: Data: frames\n"), @"layers/a.yaml:2:18: error: this is not valid YAML (the parser says `mapping values are not allowed in this context`): write texts that contain `: ` in quotes");
}

#[test]
fn extras_in_brackets() {
    insta::assert_snapshot!(layer("packages: [requests[socks]]\n"), @"layers/a.yaml:1:20: error: this is not valid YAML (the parser says `while parsing a flow sequence, expected ',' or ']'`): in a list in brackets, texts that contain `[`, `]` or `,` need quotes");
}

#[test]
fn bad_indentation() {
    insta::assert_snapshot!(layer(r#"packages:
  - a
 - b
"#), @"layers/a.yaml:3:2: error: this is not valid YAML (the parser says `while parsing a block mapping, did not find expected key`): write one `key: value` a line; lists as `[a, b]` or one `- item` a line");
}

#[test]
fn a_binary_tag() {
    insta::assert_snapshot!(layer("packages: !!binary [a]\n"), @"layers/a.yaml:1:20: error: this is not valid YAML (the parser says `unsupported tag '!!binary'`): write texts that begin with `!` in quotes");
}

#[test]
fn an_unknown_tag() {
    insta::assert_snapshot!(layer("packages: !include x\n"), @"layers/a.yaml:1:20: error: this is not valid YAML (the parser says `unsupported tag '!include'`): write texts that begin with `!` in quotes");
}

#[test]
fn python_is_a_number() {
    insta::assert_snapshot!(layer("packages: [a]\npython: 3.12\n"), @r#"layers/a.yaml:2:9: error: `python` must be a list, found a number: write for example `python: ["3.12", "3.13"]`"#);
}

#[test]
fn python_is_text() {
    insta::assert_snapshot!(layer("packages: [a]\npython: \"3.12\"\n"), @r#"layers/a.yaml:2:9: error: `python` must be a list, found text: write for example `python: ["3.12", "3.13"]`"#);
}

#[test]
fn packages_is_text() {
    insta::assert_snapshot!(layer("packages: a\n"), @r#"layers/a.yaml:1:11: error: `packages` must be a list, found text: write for example `packages: [pandas, "pyarrow>=15"]`"#);
}

#[test]
fn packages_is_a_mapping() {
    insta::assert_snapshot!(layer("packages:\n  requests: 2.0\n"), @r#"layers/a.yaml:2:3: error: `packages` must be a list, found a mapping: write for example `packages: [pandas, "pyarrow>=15"]`"#);
}

#[test]
fn a_package_is_a_mapping() {
    insta::assert_snapshot!(layer(r#"packages:
  - requests: 2.10
  - a: b
"#), @r"
    layers/a.yaml:2:5: error: a package must be text, found a mapping: did you mean `requests==2.10`?
    layers/a.yaml:3:5: error: a package must be text, found a mapping: write one requirement as text, such as `pyarrow>=15`
    ");
}

#[test]
fn a_package_is_a_number() {
    insta::assert_snapshot!(layer("packages: [1, true, [a]]\n"), @r"
    layers/a.yaml:1:12: error: a package must be text, found a number: write a requirement such as `pyarrow>=15`
    layers/a.yaml:1:15: error: a package must be text, found the truth value `true`: write a requirement such as `pyarrow>=15`
    layers/a.yaml:1:21: error: a package must be text, found a list: write a requirement such as `pyarrow>=15`
    ");
}

#[test]
fn description_is_a_number() {
    insta::assert_snapshot!(layer(r#"packages: [a]
description: 2024
license: true
"#), @r#"
    layers/a.yaml:2:14: error: `description` must be text, found a number: write it in quotes: `"2024"`
    layers/a.yaml:3:10: error: `license` must be text, found the truth value `true`: write it in quotes: `"true"`
    "#);
}

#[test]
fn bytecode_in_another_shape() {
    insta::assert_snapshot!(layer("packages: [a]\nbytecode: 'true'\n"), @"layers/a.yaml:2:11: error: `bytecode` cannot be `true`: did you mean `true`, without quotes?");
    insta::assert_snapshot!(layer("packages: [a]\nbytecode: yes\n"), @"layers/a.yaml:2:11: error: `bytecode` cannot be `yes`: did you mean `true`, without quotes?");
    insta::assert_snapshot!(layer("packages: [a]\nbytecode: [true]\n"), @"layers/a.yaml:2:11: error: `bytecode` must be `true`, `false` or `imported`, found a list: write for example `bytecode: imported`");
}

#[test]
fn slim_in_another_shape() {
    insta::assert_snapshot!(layer("packages: [a]\nslim: 'true'\n"), @"layers/a.yaml:2:7: error: `slim` cannot be `true`: use `true`, `false` or a list such as `[tests, headers]`");
    insta::assert_snapshot!(layer("packages: [a]\nslim: [test, pyc]\n"), @"
    layers/a.yaml:2:8: error: `slim` knows no `test`: did you mean `tests`?
    layers/a.yaml:2:14: error: `slim` knows no `pyc`: use `tests`, `headers`, `stubs`, `docs` or `debug`
    ");
    insta::assert_snapshot!(layer("packages: [a]\nslim: 3\n"), @"layers/a.yaml:2:7: error: `slim` must be `true`, `false` or a list, found a number: write for example `slim: [tests, headers]`");
    insta::assert_snapshot!(layer("packages: [a]\nslim: []\n"), @"layers/a.yaml:2:7: error: `slim` is an empty list: write for example `slim: [tests, headers]`");
    insta::assert_snapshot!(layer("packages: [a]\nexclude_runtime: 'true'\n"), @"layers/a.yaml:2:18: error: `exclude_runtime` must be `true` or `false`, found text: write for example `exclude_runtime: true`");
}

#[test]
fn empty_lists() {
    insta::assert_snapshot!(layer("packages: []\nexclude: []\n"), @r#"
    layers/a.yaml:1:11: error: `packages` is an empty list: write for example `packages: [pandas, "pyarrow>=15"]`
    layers/a.yaml:2:10: error: `exclude` is an empty list: write for example `exclude: ["**/tests/**"]`
    "#);
}

#[test]
fn words_of_the_wrong_kind() {
    insta::assert_snapshot!(layer(r#"packages: [a]
python: [[3.12], {a: b}]
keep: [true]
"#), @r#"
    layers/a.yaml:2:10: error: `python` must list texts, found a list: write for example `python: ["3.12", "3.13"]`
    layers/a.yaml:2:18: error: `python` must list texts, found a mapping: write for example `python: ["3.12", "3.13"]`
    layers/a.yaml:3:8: error: `keep` must list texts, found the truth value `true`: write for example `keep: ["2.2"]`
    "#);
}

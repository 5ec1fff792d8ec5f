//! Values of a request file that are not valid.

use super::*;

#[test]
fn pythons() {
    insta::assert_snapshot!(layer(r#"packages: [a]
python:
  - 3.9
  - 3.1
  - 3.15
  - '312'
  - python3.13
  - 3.12.4
  - 2.7
  - latest
  - '>=3.12'
"#), @r#"
    layers/a.yaml:3:5: error: Python 3.9 has ended on AWS Lambda: use `3.11`, `3.12`, `3.13` or `3.14`
    layers/a.yaml:4:5: error: `3.1` is not a Python version of AWS Lambda: did you mean 3.10? Write it in quotes: `"3.10"`
    layers/a.yaml:5:5: error: AWS Lambda has no Python 3.15: use `3.11`, `3.12`, `3.13` or `3.14`
    layers/a.yaml:6:5: error: `312` is not a Python version of AWS Lambda: write the minor version alone: `"3.12"`
    layers/a.yaml:7:5: error: `python3.13` is not a Python version of AWS Lambda: write the minor version alone: `"3.13"`
    layers/a.yaml:8:5: error: `3.12.4` is not a Python version of AWS Lambda: write the minor version alone: `"3.12"`
    layers/a.yaml:9:5: error: `2.7` is not a Python version of AWS Lambda: use `3.11`, `3.12`, `3.13` or `3.14`
    layers/a.yaml:10:5: error: `latest` is not a Python version of AWS Lambda: use `3.11`, `3.12`, `3.13` or `3.14`
    layers/a.yaml:11:5: error: `>=3.12` is not a Python version of AWS Lambda: write the minor version alone: `"3.12"`
    "#);
}

#[test]
fn python_3_10() {
    insta::assert_snapshot!(layer("packages: [a]\npython: [3.10, 3.12]\n"), @"layers/a.yaml:2:10: warning: AWS Lambda ended Python 3.10 on 2026-10-31: functions cannot be created with it from 2026-11-30, nor updated from 2027-01-15: use 3.12 or later");
}

#[test]
fn twice_the_same() {
    insta::assert_snapshot!(layer(r#"packages: [a]
python: [3.12, '3.12']
architectures: [arm64, arm64]
regions: [us-east-1, us-east-1]
"#), @r"
    layers/a.yaml:2:16: warning: `python` lists `3.12` twice: remove one of them
    layers/a.yaml:3:24: warning: `architectures` lists `arm64` twice: remove one of them
    layers/a.yaml:4:22: warning: `regions` lists `us-east-1` twice: remove one of them
    ");
}

#[test]
fn architectures() {
    insta::assert_snapshot!(layer("packages: [a]\narchitectures: [amd64, aarch64, x86-64, riscv]\n"), @r"
    layers/a.yaml:2:17: error: `amd64` is not an architecture of AWS Lambda: did you mean `x86_64`?
    layers/a.yaml:2:24: error: `aarch64` is not an architecture of AWS Lambda: did you mean `arm64`?
    layers/a.yaml:2:33: error: `x86-64` is not an architecture of AWS Lambda: did you mean `x86_64`?
    layers/a.yaml:2:41: error: `riscv` is not an architecture of AWS Lambda: use `x86_64` or `arm64`
    ");
}

#[test]
fn regions() {
    insta::assert_snapshot!(layer(r#"packages: [a]
regions: [us-est-1, us-east1, eu_west_1, us-east-1a, Frankfurt, all, eu-central-9]
"#), @r"
    layers/a.yaml:2:11: error: `us-est-1` is not a region of AWS Lambda: did you mean `us-east-1`?
    layers/a.yaml:2:21: error: `us-east1` is not a region of AWS Lambda: did you mean `us-east-1`?
    layers/a.yaml:2:31: error: `eu_west_1` is not a region of AWS Lambda: did you mean `eu-west-1`?
    layers/a.yaml:2:42: error: `us-east-1a` is not a region of AWS Lambda: did you mean `us-east-1`?
    layers/a.yaml:2:54: error: `Frankfurt` is not a region of AWS Lambda: use the code of a region, such as `us-east-1` or `eu-central-1`
    layers/a.yaml:2:65: error: `all` is not a region of AWS Lambda: for every region write `regions: all`, without a list
    layers/a.yaml:2:70: error: `eu-central-9` is not a region of AWS Lambda: did you mean `eu-central-1`?
    ");
}

#[test]
fn regions_in_another_shape() {
    insta::assert_snapshot!(layer("packages: [a]\nregions: us-east-1\n"), @"layers/a.yaml:2:10: error: `regions` must be `all` or a list, found the text `us-east-1`: write a list: `regions: [us-east-1]`");
    insta::assert_snapshot!(layer("packages: [a]\nregions: al\n"), @"layers/a.yaml:2:10: error: `regions` must be `all` or a list, found the text `al`: write `regions: all`, or a list: `regions: [us-east-1, eu-west-1]`");
    insta::assert_snapshot!(layer("packages: [a]\nregions: 3\n"), @"layers/a.yaml:2:10: error: `regions` must be `all` or a list, found a number: write for example `regions: [us-east-1, eu-west-1]`");
}

#[test]
fn one_region_excluded() {
    insta::assert_snapshot!(layer("packages: [a]\nregions: [me-south-1, us-east-1]\n"), @"layers/a.yaml:2:11: warning: the policy excludes `me-south-1`: the layer is not published there; remove it from the list");
}

#[test]
fn all_regions_excluded() {
    insta::assert_snapshot!(layer("packages: [a]\nregions: [me-south-1]\n"), @"layers/a.yaml:2:10: error: the policy excludes every region that `regions` lists: name others, or remove the line to publish wherever the policy does");
}

#[test]
fn requirements() {
    insta::assert_snapshot!(layer(r#"packages:
  - requests=2.0
  - requests 2.0
  - requests@2.0
  - requests^2.0
  - requests>>2.0
  - requests>=2.0,<
  - '   requests>=abc'
  - "requests[socks"
  - -r requirements.txt
  - ''
  - <2
  - _x
  - requests; python_versio < '3'
"#), @r#"
    layers/a.yaml:2:13: error: `requests=2.0` is not a requirement (PEP 508): did you mean `requests==2.0`?
    layers/a.yaml:3:14: error: `requests 2.0` is not a requirement (PEP 508): did you mean `requests==2.0`?
    layers/a.yaml:4:5: error: a package is given with `@`: did you mean `requests==2.0`?
    layers/a.yaml:5:13: error: `requests^2.0` is not a requirement (PEP 508): did you mean `requests>=2.0`?
    layers/a.yaml:6:13: error: `requests>>2.0` is not a requirement (PEP 508): write for example `pyarrow>=15` (the parser says `no such comparison operator ">>", must be one of ~= == != <= >= < > ===`)
    layers/a.yaml:7:19: error: `requests>=2.0,<` is not a requirement (PEP 508): write for example `pyarrow>=15` (the parser says `Unexpected end of version specifier, expected version`)
    layers/a.yaml:8:17: error: `requests>=abc` is not a requirement (PEP 508): write for example `pyarrow>=15` (the parser says `expected version to start with a number, but no leading ASCII digits were found`)
    layers/a.yaml:9:14: error: `requests[socks` is not a requirement (PEP 508): write for example `pyarrow>=15` (the parser says `Missing closing bracket (expected ']', found end of dependency specification)`)
    layers/a.yaml:10:5: error: `-r requirements.txt` is an option, not a requirement: options of installers have no place here; the policy names the index
    layers/a.yaml:11:5: error: a package is empty: write a requirement such as `pyarrow>=15`, or remove the line
    layers/a.yaml:12:5: error: `<2` is not a requirement (PEP 508): a name is missing; put requirements that contain a comma in quotes, such as `"pyarrow>=15,<17"`
    layers/a.yaml:13:5: error: `_x` is not a requirement (PEP 508): write for example `pyarrow>=15` (the parser says `Expected package name starting with an alphanumeric character, found '_'`)
    layers/a.yaml:14:15: error: the marker of `requests` is not one (PEP 508): did you mean `python_version`?
    "#);
}

#[test]
fn addresses() {
    insta::assert_snapshot!(layer(r#"packages:
  - requests @ https://user:hunter2@example.com/requests.whl
  - https://example.com/x.whl
  - git+ssh://git@example.com/x
  - ./local.whl
  - a @ file.whl
  - a @ ../b
  - a @ me:hunter2@example.com/a.tar.gz
"#), @r"
    layers/a.yaml:2:5: error: a package is given by its address: layers are made of releases on the package index, whose hashes can be checked: write `name==version`
    layers/a.yaml:3:5: error: a package is given by its address: layers are made of releases on the package index, whose hashes can be checked: write `name==version`
    layers/a.yaml:4:5: error: a package is given by its address: layers are made of releases on the package index, whose hashes can be checked: write `name==version`
    layers/a.yaml:5:5: error: `./local.whl` is a file, not a requirement: layers are made of releases on the package index: write `name==version`
    layers/a.yaml:6:5: error: a package is given by its address: layers are made of releases on the package index, whose hashes can be checked: write `name==version`
    layers/a.yaml:7:5: error: a package is given by its address: layers are made of releases on the package index, whose hashes can be checked: write `name==version`
    layers/a.yaml:8:5: error: a package is given by its address: layers are made of releases on the package index, whose hashes can be checked: write `name==version`
    ");
}

#[test]
fn odd_characters() {
    insta::assert_snapshot!(layer("packages:\n  - r\u{e9}quests\n  - \"requ\\u202eests\"\n  - \"a\\nb\"\n  - requests `x`\n"), @r"
    layers/a.yaml:2:5: error: `réquests` contains the character U+00E9: requirements are one line of plain ASCII
    layers/a.yaml:3:5: error: `requ�ests` contains the character U+202E: requirements are one line of plain ASCII
    layers/a.yaml:4:5: error: `a�b` contains the character U+000A: requirements are one line of plain ASCII
    layers/a.yaml:5:14: error: `requests 'x'` is not a requirement (PEP 508): write for example `pyarrow>=15` (the parser says `Expected one of '@', '(', '<', '=', '>', '~', '!', ';', found '''`)
    ");
}

#[test]
fn the_same_package_twice() {
    insta::assert_snapshot!(layer("packages: [Foo.Bar, foo-bar>=2, \"FOO__BAR[x]\"]\n"), @r"
    layers/a.yaml:1:21: error: the package `foo-bar` is here a second time: put all conditions into one requirement; the first is on line 1
    layers/a.yaml:1:33: error: the package `foo-bar` is here a second time: put all conditions into one requirement; the first is on line 1
    ");
}

#[test]
fn too_many_packages() {
    insta::assert_snapshot!(layer("packages: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]\n"), @"layers/a.yaml:1:11: error: `packages` lists 16 packages: the policy allows 15 in one layer: split it into several");
}

#[test]
fn markers() {
    let text = r#"packages:
  - a ; python_versio < "3"
  - b; python_version < 3
  - c; python_version << "3"
  - d; python_version < "x"
  - e; (os_name == "posix"
  - f; os_name == "posix" os_name
  - g; 'x' == '`x`'
  - h; extra == "socks"
  - i; os_name == "posix
  - j; os_name & "posix"
  - k;
  - l; python_version not in "3.8 3.9" and "linux" in sys_platform
"#;
    insta::assert_snapshot!(layer(text), @r#"
    layers/a.yaml:2:9: error: the marker of `a` is not one (PEP 508): did you mean `python_version`?
    layers/a.yaml:3:25: error: the marker of `b` is not one (PEP 508): write it in quotes: `"3"`
    layers/a.yaml:4:24: error: the marker of `c` is not one (PEP 508): a variable or a text in quotes is missing here
    layers/a.yaml:5:25: error: the marker of `d` is not one (PEP 508): `< x` is not a comparison of versions (PEP 440)
    layers/a.yaml:6:26: error: the marker of `e` is not one (PEP 508): a closing `)` is missing at the end
    layers/a.yaml:7:27: error: the marker of `f` is not one (PEP 508): `and` or `or` is missing here
    layers/a.yaml:8:8: error: the marker of `g` is not one (PEP 508): compare a variable such as `python_version` with a text in quotes
    layers/a.yaml:9:8: error: the marker of `h` is not one (PEP 508): a layer has no extras to ask about
    layers/a.yaml:10:19: error: the marker of `i` is not one (PEP 508): close the quote "
    layers/a.yaml:11:16: error: the marker of `j` is not one (PEP 508): a condition looks like `python_version < "3.13"`
    layers/a.yaml:12:6: error: the marker of `k` is not one (PEP 508): a variable or a text in quotes is missing at the end
    "#);
}

#[test]
fn names_that_end_badly() {
    let text = "packages: [panda-, \"panda- >=2\", \"a[b-]\", \"a[b., c]>=1\", \"panda_^2\"]\n";
    insta::assert_snapshot!(layer(text), @r"
    layers/a.yaml:1:12: error: `panda-` is not a name: names end with a letter or a digit
    layers/a.yaml:1:20: error: `panda-` is not a name: names end with a letter or a digit
    layers/a.yaml:1:34: error: `b-` is not a name: names end with a letter or a digit
    layers/a.yaml:1:43: error: `b.` is not a name: names end with a letter or a digit
    layers/a.yaml:1:58: error: `panda_` is not a name: names end with a letter or a digit
    ");
}

#[test]
fn markup() {
    insta::assert_snapshot!(layer(r#"packages: [a]
description: see <!-- layersmith --> or @octocat
license: "MIT\n| a | b |"
"#), @r"
    layers/a.yaml:2:14: error: `description` contains `<`: write plain text without markup
    layers/a.yaml:3:10: error: `license` has more than one line: write it on one line
    ");
}

#[test]
fn invisible() {
    insta::assert_snapshot!(layer(r#"packages: [a]
description: "a\u202eb"
license: ' '
"#), @r"
    layers/a.yaml:2:14: error: `description` contains the invisible character U+202E: remove it
    layers/a.yaml:3:10: error: `license` is empty: write for example `license: BSD-3-Clause`, or remove the line
    ");
}

#[test]
fn patterns() {
    insta::assert_snapshot!(layer(r#"packages: [a]
exclude: ['[', /tests, ../x, '**', '**/*', 'a\b', '*.dist-info/**', '{a']
"#), @r"
    layers/a.yaml:2:11: error: `[` is not a pattern (the parser says `unclosed character class; missing ']'`): write for example `**/tests/**`
    layers/a.yaml:2:16: error: the pattern `/tests` matches nothing: patterns are relative to the layer's `python/` folder: `tests`
    layers/a.yaml:2:24: error: the pattern `../x` matches nothing: patterns are relative to the layer's `python/` folder: `x`
    layers/a.yaml:2:30: error: the pattern `**` leaves out every file: name a folder or an ending, such as `**/tests/**` or `**/*.pyi`
    layers/a.yaml:2:36: error: the pattern `**/*` leaves out every file: name a folder or an ending, such as `**/tests/**` or `**/*.pyi`
    layers/a.yaml:2:44: error: the pattern `a\b` contains a character that no file of a layer has: separate folders with `/`
    layers/a.yaml:2:51: warning: the pattern `*.dist-info/**` leaves out packages' metadata: some packages look up their own version in `*.dist-info` and fail without it
    layers/a.yaml:2:69: error: `{a` is not a pattern (the parser says `unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)`): write for example `**/tests/**`
    ");
}

#[test]
fn prefixes() {
    insta::assert_snapshot!(layer("packages: [a]\nkeep: [2.2.*, '>=2', v1, foo, ==1.0, 2., 2.10]\n"), @r#"
    layers/a.yaml:2:8: error: `2.2.*` is not the beginning of a version: write the beginning of the version alone: `"2.2"`
    layers/a.yaml:2:15: error: `>=2` is not the beginning of a version: write the beginning of the version alone: `"2"`
    layers/a.yaml:2:22: error: `v1` is not the beginning of a version: write the beginning of the version alone: `"1"`
    layers/a.yaml:2:26: error: `foo` is not the beginning of a version: write the beginning of a version, such as `"2.2"`
    layers/a.yaml:2:31: error: `==1.0` is not the beginning of a version: write the beginning of the version alone: `"1.0"`
    layers/a.yaml:2:38: error: `2.` is not the beginning of a version: write the beginning of the version alone: `"2"`
    "#);
}

#[test]
fn builds() {
    insta::assert_snapshot!(layer("packages: [a]\nallow_build: [pandasql==0.7, -x, 'a b', '']\n"), @r"
    layers/a.yaml:2:15: error: `pandasql==0.7` is not a package name (PEP 508): write the name alone: `pandasql`
    layers/a.yaml:2:30: error: `-x` is not a package name (PEP 508): write the name alone: `x`
    layers/a.yaml:2:34: error: `a b` is not a package name (PEP 508): write the name alone: `a`
    layers/a.yaml:2:41: error: `` is not a package name (PEP 508): write a name such as `pandasql`
    ");
}

#[test]
fn owners() {
    insta::assert_snapshot!(layer(r#"packages: [a]
owners: ['@octocat', octo-org/team, 'a--b', 'me@example.com', 'Octocat']
"#), @r"
    layers/a.yaml:2:22: error: `octo-org/team` is not a GitHub login: name people: teams cannot be owners
    layers/a.yaml:2:37: error: `a--b` is not a GitHub login: write a login such as `octocat`: letters, digits and single hyphens, at most 39
    layers/a.yaml:2:45: error: `me@example.com` is not a GitHub login: write a login such as `octocat`: letters, digits and single hyphens, at most 39
    layers/a.yaml:2:63: warning: `owners` lists `Octocat` twice: remove one of them
    ");
}

#[test]
fn names_of_files() {
    insta::assert_snapshot!(named_layer("layers/Pandas.yaml", "packages: [a]\n"), @"layers/Pandas.yaml:1:1: error: the file's name `Pandas` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `pandas.yaml`");
    insta::assert_snapshot!(named_layer("layers/a.b.yaml", "packages: [a]\n"), @"layers/a.b.yaml:1:1: error: the file's name `a.b` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `a-b.yaml`");
    insta::assert_snapshot!(named_layer("layers/foo.yml", "packages: [a]\n"), @"layers/foo.yml:1:1: error: a request file must end in `.yaml`, found `foo.yml`: rename it to `foo.yaml`");
    insta::assert_snapshot!(named_layer("layers/arm64-x.yaml", "packages: [a]\n"), @"layers/arm64-x.yaml:1:1: error: a layer's name cannot begin with `arm64-`, found `arm64-x`: its published name would be that of `x` on arm64: choose another name");
    insta::assert_snapshot!(named_layer("layers/.yaml", "packages: [a]\n"), @"layers/.yaml:1:1: error: the file's name `` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file after its main package");
    insta::assert_snapshot!(named_layer("layers/foo.YAML", "packages: [a]\n"), @"layers/foo.YAML:1:1: error: a request file must end in `.yaml`, found `foo.YAML`: rename it to `foo.yaml`");
    insta::assert_snapshot!(named_layer("layers/`x`\n.yaml", "packages: [a]\n"), @r"
    layers/`x`
    .yaml:1:1: error: the file's name `'x'�` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `x.yaml`
    ");
}

//! The documents say what is so: links lead somewhere, and settings, commands and dependencies are those of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    ".github/CONTRIBUTING.md",
    ".github/PULL_REQUEST_TEMPLATE.md",
    ".github/SECURITY.md",
    "deploy/README.md",
    "deploy/one-machine.md",
    "deploy/policy.md",
    "layers/README.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text without what is quoted as code, in which brackets are no links.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start_matches(['>', ' ']).starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            // Every other part stands between backticks; a link's text may be code, so backticks leave a trace.
            for (n, part) in line.split('`').enumerate() {
                prose.push_str(if n % 2 == 0 { part } else { "code" });
            }
            prose.push('\n');
        }
    }
    prose
}

/// Where the links of a document lead: what stands in `](…)`.
fn links(text: &str) -> Vec<String> {
    prose(text)
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// The names that GitHub gives the headings of a document.
fn anchors(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// The rows of the table below a heading: the words in backticks of each row's first cell.
fn first_cells(text: &str, heading: &str) -> Vec<String> {
    let (_, section) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("there is no section {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

fn sources_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The variables that settings are read from: what follows `env = "`.
pub(crate) fn settings_in_code() -> BTreeSet<String> {
    sources_below(&root().join("src/settings"))
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .flat_map(|text| {
            text.split("env = \"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next().map(str::to_owned))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The words of a text that begin as the settings do; those that only tests know are left out.
fn settings_named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| word.starts_with("LAYERSMITH_") && !word.starts_with("LAYERSMITH_TEST_"))
        .map(str::to_owned)
        .collect()
}

fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_layersmith"))
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn commands_in_help() -> BTreeSet<String> {
    let help = help();
    let (_, listed) = help.split_once("Commands:\n").expect("commands are listed");
    listed
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut astray = Vec::new();
    let mut followed = 0;
    for document in DOCUMENTS {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_path_buf();
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (path, anchor) = match link.split_once('#') {
                Some((path, anchor)) => (path, Some(anchor)),
                None => (link.as_str(), None),
            };
            let target = if path.is_empty() {
                root().join(document)
            } else {
                folder.join(path)
            };
            let there = match anchor {
                None => target.exists(),
                Some(anchor) => {
                    fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor))
                }
            };
            if !there {
                astray.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(astray.is_empty(), "\n{}", astray.join("\n"));
    assert!(followed > 40, "only {followed} links were found");
}

/// Paths in backticks are no links, but they age like them.
#[test]
fn files_that_are_named_exist() {
    const PLACES: &[&str] = &["src/", "tests/", "deploy/", ".github/", ".ci/"];
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        for path in read(document).split('`').skip(1).step_by(2) {
            let is_path = PLACES.iter().any(|place| path.starts_with(place))
                && !path.contains([' ', '*', '<', '$', '\n']);
            if is_path && !root().join(path).exists() {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn settings_are_those_of_the_code() {
    let code = settings_in_code();
    assert!(code.len() > 20, "only {code:?} were found");
    let listed: BTreeSet<String> = first_cells(&read("README.md"), "Settings")
        .into_iter()
        .collect();
    assert_eq!(
        listed, code,
        "the README's table of settings (left) and src/settings (right) differ"
    );
    for document in DOCUMENTS {
        // The departures are the place for settings that do not exist.
        let text = read(document);
        let text = text
            .split("\n## Where the code departs")
            .next()
            .unwrap_or_default();
        let unknown: Vec<String> = settings_named(text)
            .into_iter()
            .filter(|name| !code.contains(name))
            .collect();
        assert!(unknown.is_empty(), "{document} names {unknown:?}");
    }
}

/// The defaults in the table are the ones `--help` states.
#[test]
fn defaults_are_those_of_the_code() {
    let serve = Command::new(env!("CARGO_BIN_EXE_layersmith"))
        .args(["serve", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(serve.stdout).unwrap();
    let mut stated: BTreeMap<String, String> = BTreeMap::new();
    let mut setting = None;
    for line in help.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("[env: ") {
            setting = rest.split(['=', ']']).next().map(str::to_owned);
        } else if let Some(rest) = line.strip_prefix("[default: ")
            && let Some(setting) = setting.take()
        {
            stated.insert(
                setting,
                rest.trim_end_matches(']').trim_matches('"').to_owned(),
            );
        }
    }
    assert!(stated.len() > 8, "only {stated:?} were found");
    let readme = read("README.md");
    for (setting, default) in stated {
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{setting}` |")))
            .unwrap_or_else(|| panic!("{setting} has no row"));
        assert!(
            row.ends_with(&format!("| `{default}` |")),
            "the default of {setting} is {default}: {row}"
        );
    }
}

#[test]
fn commands_are_those_of_the_program() {
    let documented: BTreeSet<String> = first_cells(&read("README.md"), "The command line")
        .iter()
        .filter_map(|cell| cell.strip_prefix("layersmith "))
        .filter_map(|command| command.split(' ').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(
        documented,
        commands_in_help(),
        "the README's table (left) and `layersmith --help` (right) differ"
    );
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let crates: BTreeSet<String> = manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let table: BTreeSet<String> = first_cells(&read("README.md"), "Dependencies")
        .into_iter()
        .filter(|name| name != "insta")
        .collect();
    assert_eq!(
        table, crates,
        "the README's table (left) and Cargo.toml (right) differ"
    );
}

/// The tests above must be able to fail.
#[test]
fn what_is_looked_for_is_found() {
    let text = "# A `b` title\n\nSee [`code`](src/lib.rs#x), `[no](link)`.\n\n```sh\n[no](link)\n```\n\n## T\n\n| `A_B`, `C` | `d` |\n";
    assert_eq!(links(text), ["src/lib.rs#x"]);
    assert!(anchors(text).contains("a-b-title"));
    assert_eq!(first_cells(text, "T"), ["A_B", "C"]);
    assert_eq!(
        settings_named("`LAYERSMITH_X=1`, LAYERSMITH_TEST_Y")
            .into_iter()
            .collect::<Vec<_>>(),
        ["LAYERSMITH_X"]
    );
}

//! The borders of the house: which room may know which, what a pure room may touch, how long a file may get.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor; a room may import rooms on lower floors only.
const FLOORS: &[(&str, u8)] = &[
    ("model", 0),
    ("settings", 0),
    ("request", 1),
    ("plan", 1),
    ("tables", 1),
    ("telemetry", 1),
    ("resolve", 2),
    ("build", 2),
    ("registry", 2),
    ("store", 2),
    ("gitrepo", 2),
    ("github", 2),
    ("secrets", 2),
    ("notify", 2),
    ("account", 2),
    ("pipeline", 3),
    ("server", 4),
    ("lambda", 4),
    ("cli", 4),
    ("wiring", 5),
];
/// Imports on one floor: settings are made of values, `serve` is the command that starts the server, and a function of the
/// deployment answers with its router.
const SIDEWAYS: &[(&str, &str)] = &[
    ("settings", "model"),
    ("cli", "server"),
    ("lambda", "server"),
];
const PURE: &[&str] = &["model", "request", "plan", "tables"];
/// What a pure room never mentions.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::env::",
    "std::process",
    "std::net",
    "std::io",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "now_utc",
    "tokio",
    "reqwest",
    "rusqlite",
    "git2",
    "octocrab",
    "aws_sdk",
    "axum",
    "rand::",
    "getrandom",
    "tempfile",
];
/// What only some rooms may mention.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("env::var", &["settings"]),
    ("axum", &["server"]),
    ("clap", &["cli", "settings"]),
    ("aws_sdk_dynamodb", &["account", "store"]),
    (
        "aws_sdk_lambda",
        &["account", "registry", "lambda", "wiring"],
    ),
    ("aws_sdk_sfn", &["account", "pipeline", "wiring"]),
    ("lambda_runtime", &["lambda"]),
    ("lambda_http", &["lambda"]),
    ("aws_sdk_sns", &["notify"]),
    ("aws_sdk_ssm", &["registry", "secrets"]),
    ("rusqlite", &["store"]),
    ("tracing_subscriber", &["telemetry"]),
    ("git2", &["gitrepo"]),
    ("octocrab", &["github"]),
    ("SqliteStore", &["store", "wiring"]),
    ("DynamoDbStore", &["store", "wiring"]),
    ("DirectoryRegistry", &["registry", "wiring"]),
    ("AwsRegistry", &["registry", "wiring"]),
];
const LINES: usize = 400;

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

impl Source {
    /// The lines of code, without comments, and with the parts that only tests see left out.
    fn code(&self) -> Vec<&str> {
        let is_test = self.path.components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            part == "tests" || part == "tests.rs" || part == "conformance"
        });
        if is_test {
            return Vec::new();
        }
        let code = self
            .text
            .split("\n#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        code.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect()
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let first = path
                    .strip_prefix(&root)
                    .unwrap()
                    .components()
                    .next()
                    .unwrap();
                let room = first
                    .as_os_str()
                    .to_string_lossy()
                    .trim_end_matches(".rs")
                    .to_owned();
                found.push(Source {
                    text: fs::read_to_string(&path).unwrap(),
                    path,
                    room,
                });
            }
        }
    }
    assert!(
        found.len() > 40,
        "only {} source files were found",
        found.len()
    );
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every room that a line names: `crate::store::Store` names `store`; so does each part of `crate::{store::…, model}`.
fn rooms_named<'a>(line: &'a str, rooms: &BTreeMap<&'a str, u8>) -> Vec<&'a str> {
    let ends_word = |text: &str| {
        text.chars()
            .next()
            .is_none_or(|c| !(c.is_alphanumeric() || c == '_'))
    };
    let grouped = line.contains("crate::{");
    let mut named = Vec::new();
    for room in rooms.keys() {
        let plain = line
            .match_indices(&format!("crate::{room}"))
            .any(|(at, found)| ends_word(&line[at + found.len()..]));
        let in_group = grouped
            && line
                .match_indices(room)
                .any(|(at, found)| line[at + found.len()..].starts_with("::"));
        if plain || in_group {
            named.push(*room);
        }
    }
    named
}

fn report(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_room_has_a_floor_and_imports_only_lower_ones() {
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    let mut violations = Vec::new();
    for source in sources() {
        if matches!(source.room.as_str(), "lib" | "main") {
            continue;
        }
        let Some(&floor) = floors.get(source.room.as_str()) else {
            violations.push(format!(
                "{}: the room `{}` has no floor",
                source.path.display(),
                source.room
            ));
            continue;
        };
        for line in source.code() {
            for other in rooms_named(line, &floors) {
                let allowed = other == source.room
                    || floors[other] < floor
                    || SIDEWAYS.contains(&(&source.room, other));
                if !allowed {
                    violations.push(format!(
                        "{}: `{}` may not know `{other}`: {}",
                        source.path.display(),
                        source.room,
                        line.trim()
                    ));
                }
            }
        }
    }
    report(&violations);
}

#[test]
fn pure_rooms_touch_nothing() {
    let mut violations = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| PURE.contains(&source.room.as_str()))
    {
        for line in source.code() {
            violations.extend(
                IMPURE
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| format!("{}: {word}: {}", source.path.display(), line.trim())),
            );
        }
    }
    for room in PURE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(room)
            .join("mod.rs");
        let text = fs::read_to_string(&path).unwrap();
        if !text.contains("#![deny(clippy::disallowed_methods, clippy::disallowed_types)]") {
            violations.push(format!(
                "{}: the ban list of clippy.toml is not denied",
                path.display()
            ));
        }
    }
    report(&violations);
}

#[test]
fn what_belongs_to_a_room_stays_in_it() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.room != "main") {
        for (word, rooms) in KEPT_IN {
            if rooms.contains(&source.room.as_str()) {
                continue;
            }
            for line in source.code().iter().filter(|line| line.contains(word)) {
                violations.push(format!(
                    "{}: {word}: {}",
                    source.path.display(),
                    line.trim()
                ));
            }
        }
    }
    report(&violations);
}

#[test]
fn files_are_short_and_rooms_say_what_they_are_for() {
    let mut violations = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LINES {
            violations.push(format!("{}: {lines} lines", source.path.display()));
        }
        if !source.text.starts_with("//!") {
            violations.push(format!(
                "{}: does not say what it is for",
                source.path.display()
            ));
        }
    }
    report(&violations);
}

/// The test above must be able to fail.
#[test]
fn rooms_are_found_in_imports() {
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    assert_eq!(rooms_named("use crate::store::Store;", &floors), ["store"]);
    assert_eq!(
        rooms_named("use crate::{model::Run, store::Store};", &floors),
        ["model", "store"]
    );
    assert_eq!(
        rooms_named("let storefront = crate::storefront();", &floors),
        Vec::<&str>::new()
    );
}

//! What a run leaves behind: in AWS, in the store, in the repository, on the pull request.

use super::stage::Cloud;
use layersmith::model::{Region, RunKind, RunState, Timestamp};
use layersmith::store::{SqliteStore, Store as _};
use layersmith_testbed::github::GithubDouble;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Regions whose permissions are read from moto one by one.
const LOOKED_AT: [&str; 2] = ["eu-west-1", "us-west-2"];

/// What is there at the end, each thing one line, by its kind; without what differs from run to run.
pub(super) struct Ending(BTreeMap<&'static str, Vec<String>>);

impl Ending {
    pub(super) async fn read(
        github: &GithubDouble,
        pull_request: u64,
        repository: &Path,
        store: &Path,
        cloud: &Cloud,
        normalized: impl Fn(&str) -> String,
    ) -> Self {
        let mut all = BTreeMap::new();
        all.insert("versions in AWS", versions(cloud).await);
        let store = SqliteStore::open(store).unwrap();
        let rows = store.layer_versions().await.unwrap();
        let rows = rows.iter().map(|row| {
            let arn = row.arn.as_ref().map(ToString::to_string);
            format!(
                "{} {} {} {:?} {}",
                row.key.layer,
                row.key.target,
                row.key.digest,
                row.state,
                arn.unwrap_or_default()
            )
        });
        all.insert("versions in the store", sorted(rows));
        let mut runs: Vec<String> = Vec::new();
        for state in [RunState::Open, RunState::Done, RunState::Failed] {
            let applies = store.runs_in(state).await.unwrap();
            let applies = applies.iter().filter(|run| run.kind == RunKind::Apply);
            runs.extend(applies.map(|run| format!("{} {state:?}", normalized(&run.id))));
        }
        all.insert("applies", runs);
        all.insert("files", sorted(files(repository, &normalized)));
        let log = github.log("main");
        let commits = log.iter().map(|commit| normalized(&commit.message));
        all.insert("commits", commits.collect());
        let checks = log.iter().flat_map(|commit| {
            let checks = github.check_runs(&commit.sha).into_iter();
            checks.map(|check| {
                let conclusion = check.conclusion.unwrap_or(check.status);
                let title = normalized(&check.title.unwrap_or_default());
                format!("{} {conclusion} {title}", check.name)
            })
        });
        all.insert("checks", checks.collect());
        let conversation = normalized(&github.conversation(pull_request));
        let lines = conversation.lines().map(str::to_owned);
        all.insert("conversation", lines.collect());
        all.insert("violations", github.violations());
        Self(all)
    }

    /// How another end differs, should it.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let mut told = Vec::new();
        for (kind, lines) in &self.0 {
            let others = &other.0[kind];
            if lines != others {
                let missing = lines.iter().filter(|line| !others.contains(line));
                let added = others.iter().filter(|line| !lines.contains(line));
                told.push(format!(
                    "{kind}: {} instead of {}",
                    others.len(),
                    lines.len()
                ));
                told.extend(missing.take(5).map(|line| format!("  - {line}")));
                told.extend(added.take(5).map(|line| format!("  + {line}")));
            }
        }
        (!told.is_empty()).then(|| told.join("\n"))
    }
}

/// The lines of every file on the default branch. Rows of one day stand in the order of their publication, which differs
/// from run to run, so lines are compared, not their order; of those of feeds, which name targets in that order, only
/// their words.
fn files(repository: &Path, normalized: &impl Fn(&str) -> String) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut clone = Command::new("git");
    clone.args(["clone", "-q", "--depth", "1"]);
    let clone = clone
        .arg(format!("file://{}", repository.display()))
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(clone.status.success(), "{clone:?}");
    let mut lines = Vec::new();
    let mut folders = vec![folder.path().to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with(".git") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder.path()).unwrap().display();
            let text = normalized(&fs::read_to_string(&path).unwrap());
            let of_feed = path.parent().is_some_and(is_of_feeds);
            lines.extend(text.lines().map(|line| {
                let line = if of_feed {
                    words(line)
                } else {
                    line.to_owned()
                };
                format!("{name}: {line}")
            }));
        }
    }
    lines
}

/// Region, layer, number, zip and who may use it. A number of 1 for the newest version says that there is no other.
async fn versions(cloud: &Cloud) -> Vec<String> {
    let mut found = Vec::new();
    match cloud {
        Cloud::Light(lambda) => found.extend(lambda.versions().iter().map(|version| {
            format!(
                "{} {} {} {} {:?}",
                version.region, version.layer, version.number, version.digest, version.shared_with
            )
        })),
        Cloud::Moto(moto) => {
            for region in Region::commercial() {
                let region = region.as_str();
                for (layer, version) in moto.newest_versions(region).await {
                    let number = version.version;
                    found.push(format!("{region} {layer} {number} {}", version.description));
                    if LOOKED_AT.contains(&region) {
                        let policy = moto.layer_policy(region, &layer, number).await;
                        let policy = policy.unwrap_or_default();
                        let principals = &policy["Statement"][0]["Principal"];
                        found.push(format!("{region} {layer} is shared with {principals}"));
                    }
                }
            }
        }
    }
    sorted(found)
}

/// The words of a line, sorted. A feed tells the very second at which something happened, and an entry's id is made of the
/// zip that came first.
fn words(line: &str) -> String {
    let separates = |c: char| !(c.is_alphanumeric() || "-_.:/+".contains(c));
    // What ends a sentence or begins a list stands where the last target does.
    let words = line.split(separates);
    let words = words.map(|word| word.trim_matches(['.', ':', '/']));
    let words = words.filter(|word| !word.is_empty()).map(|word| {
        if word.parse::<Timestamp>().is_ok() {
            "TIME".to_owned()
        } else if word.starts_with("urn:uuid:") {
            "ID".to_owned()
        } else {
            word.to_owned()
        }
    });
    sorted(words).join(" ")
}

fn is_of_feeds(folder: &Path) -> bool {
    folder.iter().any(|part| part == "feeds")
}

fn sorted(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().collect();
    lines.sort();
    lines
}

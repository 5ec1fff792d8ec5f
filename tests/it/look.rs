//! What a test sees beyond the conversation: the registry, the tables, and the moment something becomes true.

use crate::world::{REPOSITORY, World};
use layersmith_testbed::index::Sabotage;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// The wheel that most of the usual packages need.
pub(crate) const CORE_WHEEL: &str = "demo_core-1.0.0-py3-none-any.whl";
/// How long a condition may take to become true.
const PATIENCE: Duration = Duration::from_secs(180);

impl World {
    /// Every version that the registry, a directory or AWS, holds: `region/layer/number` → description (name, version, digest).
    pub(crate) fn published(&self) -> BTreeMap<String, String> {
        if let Some(moto) = self.moto() {
            return crate::both_engines::published(moto);
        }
        let root = self.folder.path().join("data/registry");
        let pattern = |path: &std::path::Path| {
            fs::read_dir(path)
                .map(|entries| {
                    entries
                        .map(|entry| entry.unwrap().path())
                        .collect::<Vec<_>>()
                })
                .unwrap_or_default()
        };
        let mut versions = BTreeMap::new();
        for layer in pattern(&root).iter().flat_map(|region| pattern(region)) {
            for file in pattern(&layer) {
                if file
                    .extension()
                    .is_some_and(|extension| extension == "json")
                {
                    let name = file.with_extension("");
                    let name = name.strip_prefix(&root).unwrap().display().to_string();
                    let record: serde_json::Value =
                        serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
                    versions.insert(name, record["description"].as_str().unwrap().to_owned());
                }
            }
        }
        versions
    }

    /// Asserts that nothing was published twice: one version for each zip, layer and region.
    pub(crate) fn published_once(&self) -> BTreeMap<String, String> {
        let published = self.published();
        let mut seen = BTreeMap::new();
        for (name, description) in &published {
            let layer = name.rsplit_once('/').unwrap().0;
            if let Some(other) = seen.insert((layer, description), name) {
                panic!("{name} is the same as {other}: {description}");
            }
        }
        published
    }

    /// The tables that are committed, by path.
    pub(crate) fn tables(&self) -> BTreeMap<String, String> {
        self.github
            .files_at("main")
            .into_iter()
            .filter(|path| path.starts_with("layers/arns/"))
            .map(|path| {
                let text = self.github.file_at("main", &path).unwrap();
                (path, text)
            })
            .collect()
    }

    /// One table, with what differs from run to run replaced.
    pub(crate) fn table(&self, path: &str) -> String {
        let tables = self.tables();
        let table = tables
            .get(&format!("layers/arns/{path}"))
            .unwrap_or_else(|| panic!("no {path}: {:?}", tables.keys()));
        table.clone()
    }

    /// Asserts that the committed tables are what the store says, by rendering them anew.
    pub(crate) fn tables_are_right(&self) {
        let folder = tempfile::tempdir().unwrap();
        let repository = self
            .github
            .repositories_root()
            .join(format!("{REPOSITORY}.git"));
        let cloned = Command::new("git")
            .args(["clone", "-q"])
            .arg(&repository)
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(cloned.status.success(), "{cloned:?}");
        let output = self.command(&["tables", folder.path().to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            said, "Tables in layers/arns: nothing to change.\n",
            "{output:?}"
        );
    }

    /// Waits until a condition holds.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "this did not happen: {what}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Opens a pull request of one file, whose plan waits for [`CORE_WHEEL`], which is never sent.
    pub(crate) async fn pull_request_that_hangs(&self, file: (&str, &str)) -> u64 {
        self.index.sabotage(CORE_WHEEL, Sabotage::Hang);
        let number = self.pull_request(&[file]).await;
        let is_asked_for = |world: &Self| world.index.downloads() > 0;
        self.until("the hanging wheel is asked for", is_asked_for)
            .await;
        number
    }

    /// Asks for another try, as somebody who may; the comment's id.
    pub(crate) async fn retry(&self, pull_request: u64) -> u64 {
        let text = "/layersmith retry";
        self.github.comment(pull_request, "platform", text).await
    }

    /// Opens a pull request from a branch of that name.
    pub(crate) async fn branch(&self, branch: &str, files: &[(&str, &str)]) -> u64 {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        self.github
            .open_pull_request(branch, branch, files, crate::world::AUTHOR)
            .await
    }

    /// The ids of the bot's comments in a conversation.
    pub(crate) fn comment_ids(&self, number: u64) -> Vec<u64> {
        self.conversation(number);
        self.github
            .comments(number)
            .iter()
            .filter(|comment| comment.author.ends_with("[bot]"))
            .map(|comment| comment.id)
            .collect()
    }

    /// The conclusions of every check run on a commit, oldest first.
    pub(crate) fn conclusions(&self, sha: &str) -> Vec<String> {
        self.github
            .check_runs(sha)
            .into_iter()
            .map(|run| run.conclusion.unwrap_or(run.status))
            .collect()
    }

    /// How many commits on the default branch the bot made.
    pub(crate) fn own_commits(&self) -> usize {
        self.github
            .log("main")
            .iter()
            .filter(|commit| commit.message.contains("Layersmith-Run: "))
            .count()
    }
}

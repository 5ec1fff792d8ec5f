//! A world for one test: a GitHub with a catalog repository, its git server, a package index, and the real bot.

mod text;
mod wheels;

use crate::both_engines::Stack;
use layersmith_testbed::aws_proxy::AwsProxy;
use layersmith_testbed::bot::{Bot, BotOptions};
use layersmith_testbed::github::{CheckRun, GithubDouble, GithubOptions, Permission};
use layersmith_testbed::index::PackageIndex;
use layersmith_testbed::local_client;
use layersmith_testbed::moto::Moto;
use layersmith_testbed::ssh::GitServer;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use tempfile::TempDir;
pub(crate) use text::normalize;
pub(crate) use wheels::{bulky_wheel, usual_wheels};

pub(crate) const REPOSITORY: &str = "octo/catalog";
pub(crate) const AUTHOR: &str = "mona";

/// Everything one test talks to. [`World::finish`] fails on whatever the test left unread or undone.
pub(crate) struct World {
    pub(crate) github: GithubDouble,
    pub(crate) git: GitServer,
    pub(crate) index: PackageIndex,
    pub(crate) options: BotOptions,
    pub(crate) folder: TempDir,
    bot: Option<Bot>,
    /// The stack that the bot consists of, when it is not one process.
    pub(crate) stack: Option<Stack>,
    /// moto in place of AWS, for a bot that is one process and publishes there.
    pub(crate) aws: Option<(Moto, AwsProxy)>,
    read: Mutex<BTreeSet<u64>>,
}

impl World {
    /// The usual world: two Python versions, both architectures, two regions, a GitHub App, the registry directory.
    pub(crate) async fn start() -> Self {
        Self::start_with("", |_, _| {}).await
    }

    /// The same with more lines in the policy, and the options changed before the bot starts.
    pub(crate) async fn start_with(
        policy: &str,
        change: impl FnOnce(&mut BotOptions, &Self),
    ) -> Self {
        let mut world = Self::prepare("[eu-west-1, us-east-1]", policy).await;
        let mut options = world.options.clone();
        change(&mut options, &world);
        world.options = options;
        world.start_bot().await;
        world
    }

    /// A world for other regions, and without a bot yet.
    pub(crate) async fn prepare(regions: &str, policy: &str) -> Self {
        let github = GithubDouble::start(GithubOptions::default()).await;
        let index = PackageIndex::start().await;
        for wheel in usual_wheels() {
            index.publish(wheel);
        }
        let policy = format!(
            "python: [\"3.12\", \"3.13\"]\nregions: {regions}\nindex_url: {}\n{policy}",
            index.url()
        );
        let files = [
            (".github/layersmith.yaml", policy),
            ("README.md", "# Catalog\n".to_owned()),
        ];
        github.create_repository(REPOSITORY, files).await;
        github.set_permission(AUTHOR, Permission::Read);
        github.set_permission("platform", Permission::Write);
        let git = GitServer::start(github.repositories_root()).await;
        let folder = tempfile::tempdir().unwrap();
        let options = serving(&github, &git, REPOSITORY, folder.path());
        Self {
            github,
            git,
            index,
            options,
            folder,
            bot: None,
            stack: None,
            aws: None,
            read: Mutex::default(),
        }
    }

    /// Starts the bot, again after [`World::kill_bot`]; GitHub's webhook points at it.
    pub(crate) async fn start_bot(&mut self) {
        let bot = Bot::start(&self.options).await;
        self.github
            .set_hook_url(&format!("{}/webhooks/github", bot.url()));
        self.bot = Some(bot);
    }

    /// Ends the bot as a power cut would.
    pub(crate) fn kill_bot(&mut self) {
        if let Some(mut bot) = self.bot.take() {
            bot.kill();
        }
    }

    /// Where the bot's store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("data/store.sqlite")
    }

    /// What the store answers to a query of one column.
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        let store = Connection::open(self.store()).unwrap();
        let mut query = store.prepare(sql).unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    pub(crate) fn url(&self) -> String {
        match &self.stack {
            Some(stack) => stack.cloud.url("api"),
            None => self.bot.as_ref().expect("the bot runs").url().to_owned(),
        }
    }

    pub(crate) fn log(&self) -> String {
        match &self.stack {
            Some(stack) => stack.cloud.log(),
            None => self.bot.as_ref().expect("the bot runs").log(),
        }
    }

    /// Waits until the bot has nothing left to do; pushes it made are announced by webhook and worked on, too.
    pub(crate) async fn settled(&self) {
        self.bot_settled().await;
        if !self.github.sync_pushes().await.is_empty() {
            self.bot_settled().await;
        }
    }

    async fn bot_settled(&self) {
        match &self.stack {
            Some(stack) => stack.settled().await,
            None => self.bot.as_ref().expect("the bot runs").settled().await,
        }
    }

    /// The conversation as a person reads it, with what differs from run to run replaced; marks its comments as read.
    pub(crate) fn conversation(&self, number: u64) -> String {
        let ids = self
            .github
            .comments(number)
            .into_iter()
            .map(|comment| comment.id);
        self.read.lock().unwrap().extend(ids);
        self.normalized(number, &self.github.conversation(number))
    }

    /// A text about a pull request with what differs from run to run replaced.
    pub(crate) fn normalized(&self, number: u64, text: &str) -> String {
        // Commit ids are not always seen as such by their digits: those that are known are replaced first.
        let mut text = text.to_owned();
        let mut known = vec![self.github.pull_request_head(number)];
        known.extend(self.github.log("main").into_iter().map(|commit| commit.sha));
        for delivery in self.github.deliveries() {
            let head = delivery.payload.pointer("/pull_request/head/sha");
            known.extend(head.and_then(|sha| sha.as_str()).map(str::to_owned));
        }
        for sha in known {
            for length in [sha.len(), 12, 7] {
                text = text.replace(&sha[..length], "SHA");
            }
        }
        normalize(&text)
    }

    /// The bot's living comment, hidden marker included.
    pub(crate) fn comment(&self, number: u64) -> String {
        self.conversation(number);
        let comments = self.github.comments(number);
        let own: Vec<_> = comments
            .iter()
            .filter(|comment| comment.body.contains("<!-- layersmith:pull_request:"))
            .collect();
        assert_eq!(
            own.len(),
            1,
            "one living comment is expected, not {}:\n{comments:#?}",
            own.len()
        );
        own[0].body.clone()
    }

    /// The one check run on a commit.
    pub(crate) fn check(&self, sha: &str) -> CheckRun {
        let mut checks = self.github.check_runs(sha);
        assert_eq!(
            checks.len(),
            1,
            "one check run is expected on {sha}: {checks:#?}"
        );
        checks.remove(0)
    }

    /// Adds request files on a branch and opens a pull request with them.
    pub(crate) async fn pull_request(&self, files: &[(&str, &str)]) -> u64 {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        self.github
            .open_pull_request("change", "Change layers", files, AUTHOR)
            .await
    }

    /// Runs a command of the bot's executable with the same settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let mut command: Command = self.options.command();
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    /// A GET on the bot's server.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("{}{path}", self.url());
        let response = local_client().get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Fails on anything left over: an unread comment, an open check, a request or answer that GitHub's description
    /// forbids, a fault nobody met, tables that differ from what the store says.
    pub(crate) async fn finish(self) {
        self.settled().await;
        assert_eq!(self.github.violations(), Vec::<String>::new());
        assert_eq!(
            self.github.faults_left(),
            0,
            "a fault was planned that nobody met"
        );
        let read = self.read.lock().unwrap().clone();
        for number in 1..50 {
            let Ok(comments) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.github.comments(number)
            })) else {
                break;
            };
            for comment in comments
                .iter()
                .filter(|comment| comment.author.ends_with("[bot]"))
            {
                assert!(
                    read.contains(&comment.id),
                    "nobody expected this comment on #{number}:\n{}",
                    comment.body
                );
            }
        }
        for delivery in self.github.deliveries() {
            if let Some(sha) = delivery
                .payload
                .pointer("/pull_request/head/sha")
                .and_then(|sha| sha.as_str())
            {
                for check in self.github.check_runs(sha) {
                    assert_eq!(check.status, "completed", "{check:#?}");
                }
            }
        }
        if !self.tables().is_empty() {
            self.tables_are_right();
        }
        if let Some(stack) = &self.stack {
            stack.finish().await;
        }
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        for secret in [
            self.github.webhook_secret(),
            self.github.app_private_key_pem(),
            self.git.writing_key(),
        ] {
            let telling = secret
                .lines()
                .find(|line| line.len() > 30 && !line.starts_with("---"))
                .unwrap_or(&secret)
                .to_owned();
            assert!(!log.contains(&telling), "a secret is in the log");
        }
    }
}

/// The options of a bot that serves a repository as a GitHub App, with its data in a folder.
pub(crate) fn serving(
    github: &GithubDouble,
    git: &GitServer,
    repository: &str,
    folder: &Path,
) -> BotOptions {
    let mut options = BotOptions::new(env!("CARGO_BIN_EXE_layersmith"), folder);
    options.set("LAYERSMITH_REPOSITORY", repository);
    options.set("LAYERSMITH_GITHUB_API_URL", github.url());
    options.set("LAYERSMITH_GITHUB_APP_ID", github.app_id().to_string());
    options.set(
        "LAYERSMITH_GITHUB_PRIVATE_KEY",
        github.app_private_key_pem(),
    );
    options.set("LAYERSMITH_WEBHOOK_SECRET", github.webhook_secret());
    options.set("LAYERSMITH_GIT_URL", git.url(repository));
    options.set("LAYERSMITH_DEPLOY_KEY", git.writing_key());
    options.set("LAYERSMITH_KNOWN_HOSTS", git.known_hosts());
    options
}

/// Moves every time in a store so many days into the past, as if those had gone by.
pub(crate) fn age_store(path: &std::path::Path, days: i64) {
    let store = rusqlite::Connection::open(path).unwrap();
    for (table, columns) in [
        (
            "layer_versions",
            &["created_at", "live_at", "expires_at"][..],
        ),
        ("runs", &["created_at"]),
        ("steps", &["finished_at"]),
    ] {
        for column in columns {
            let seconds = days * 86_400;
            let sql = format!("UPDATE {table} SET {column} = {column} - {seconds}");
            store.execute(&sql, []).unwrap();
        }
    }
}

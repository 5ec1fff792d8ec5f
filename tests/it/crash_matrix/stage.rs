//! Where applies are killed: one GitHub, git server, package index and AWS; a repository and a data folder for each case.

use super::copy_folder;
use super::ending::Ending;
use crate::aws::use_aws;
use crate::world::{AUTHOR, bulky_wheel, normalize, serving, usual_wheels};
use layersmith_testbed::bot::{Bot, BotOptions};
use layersmith_testbed::github::{GithubDouble, GithubOptions, Permission};
use layersmith_testbed::index::PackageIndex;
use layersmith_testbed::lambda::Lambda;
use layersmith_testbed::moto::Moto;
use layersmith_testbed::power_cut::{Line, Point, PowerCut, StoreWatch, Wire};
use layersmith_testbed::ssh::GitServer;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a process may take to its end, or its death.
const PATIENCE: Duration = Duration::from_secs(180);
/// Calls, or writes, that one undisturbed run may make more than another.
const UNSURE: usize = 10;
/// Three layers; with one Python version and both architectures, each has two targets. Most of the largest is sent ahead of its
/// publication.
const REQUESTS: [(&str, &str); 3] = [
    ("layers/app.yaml", "packages: [demo-app]\n"),
    ("layers/core.yaml", "packages: [demo-core, demo-bulk]\n"),
    ("layers/native.yaml", "packages: [demo-native]\n"),
];

/// What stands in for AWS.
pub(super) enum Cloud {
    Moto(Moto),
    Light(Lambda),
}

pub(super) struct Stage {
    github: GithubDouble,
    git: GitServer,
    // Kept alive: the wire leads to it.
    _index: PackageIndex,
    index_wire: Wire,
    cloud: Cloud,
    /// What planning keeps on disk, without the store: cases need not build anew. Stages may share it.
    kept: Arc<TempDir>,
}

/// One apply, and where it is killed; every later cut is for the process that was started after the one before.
pub(super) struct Case {
    pub(super) number: usize,
    pub(super) cuts: Vec<Point>,
}

/// How a run ends that is left alone, and how many calls and writes it makes.
pub(super) struct Undisturbed {
    pub(super) ending: Ending,
    pub(super) calls: BTreeMap<Line, usize>,
}

impl Undisturbed {
    /// Whether a run may end before it comes to a point: deliveries are taken one by one or several at once, as they come in,
    /// so that one run makes a few writes and calls more than another.
    fn is_among_the_last(&self, point: &Point) -> bool {
        let calls = self.calls.get(&point.line).copied().unwrap_or_default();
        point.number + UNSURE > calls
    }
}

/// A repository with an open, planned pull request.
struct Catalog {
    github: GithubDouble,
    name: String,
    folder: TempDir,
    options: BotOptions,
    pull_request: u64,
}

/// A process with everything it does counted.
struct Powered {
    bot: Bot,
    cut: PowerCut,
    watch: StoreWatch,
    // Kept alive as long as the process.
    _wires: [Wire; 2],
}

/// What became of a process.
enum Fate {
    Finished,
    Died,
    Stuck,
}

impl Cloud {
    pub(super) async fn moto() -> Self {
        Self::Moto(Moto::start_serial().await)
    }

    pub(super) async fn light() -> Self {
        Self::Light(Lambda::start().await)
    }

    fn endpoint(&self) -> String {
        match self {
            Self::Moto(moto) => moto.endpoint(),
            Self::Light(lambda) => lambda.endpoint().to_owned(),
        }
    }

    async fn reset(&self) {
        match self {
            Self::Moto(moto) => moto.reset().await,
            Self::Light(lambda) => lambda.reset(),
        }
    }
}

impl Stage {
    pub(super) async fn start(cloud: Cloud) -> Self {
        let github = GithubDouble::start(GithubOptions::default()).await;
        let index = PackageIndex::start().await;
        for wheel in usual_wheels().into_iter().chain([bulky_wheel()]) {
            index.publish(wheel);
        }
        let address = index.url();
        let upstream = address.trim_end_matches("/simple");
        let index_wire = Wire::start(Line::Index, upstream, &PowerCut::default()).await;
        Self {
            git: GitServer::start(github.repositories_root()).await,
            github,
            _index: index,
            index_wire,
            cloud,
            kept: Arc::new(tempfile::tempdir().unwrap()),
        }
    }

    /// Another stage with the same kind of AWS, for work side by side.
    pub(super) async fn another(&self) -> Self {
        let cloud = match self.cloud {
            Cloud::Moto(_) => Cloud::moto().await,
            Cloud::Light(_) => Cloud::light().await,
        };
        Self {
            kept: Arc::clone(&self.kept),
            ..Self::start(cloud).await
        }
    }

    /// Runs a case that is not killed, and keeps what others need not build again.
    pub(super) async fn undisturbed(&self) -> Undisturbed {
        let catalog = self.planned(0).await;
        let data = catalog.folder.path().join("data");
        copy_folder(&data, self.kept.path());
        for entry in std::fs::read_dir(self.kept.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("store.sqlite") {
                std::fs::remove_file(path).unwrap();
            }
        }
        let mut powered = self.start_bot(&catalog, None, true).await.unwrap();
        catalog.merge().await;
        let fate = self.fate(&catalog, &mut powered).await;
        assert!(matches!(fate, Fate::Finished), "{}", catalog.log());
        let mut calls: BTreeMap<Line, usize> = [Line::Aws, Line::Github, Line::Index]
            .map(|line| (line, powered.cut.calls(line)))
            .into();
        calls.insert(Line::Git, self.git.calls());
        calls.insert(Line::Journal, powered.watch.writes());
        drop(powered);
        Undisturbed {
            ending: self.ending(&catalog).await,
            calls,
        }
    }

    /// Runs a case; what is wrong with its end, should something be.
    pub(super) async fn try_case(&self, case: &Case, undisturbed: &Undisturbed) -> Option<String> {
        let catalog = self.planned(case.number).await;
        let mut merged = false;
        let mut deaths = 0;
        let mut cuts = case.cuts.iter();
        loop {
            let armed = cuts.next().copied();
            let fate = match self.start_bot(&catalog, armed, deaths == 0).await {
                Ok(mut powered) => {
                    if !merged {
                        catalog.merge().await;
                        merged = true;
                    }
                    let fate = self.fate(&catalog, &mut powered).await;
                    let Powered { cut, .. } = powered;
                    while !cut.is_quiet() {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    fate
                }
                // It died before it listened.
                Err(_) => Fate::Died,
            };
            match fate {
                Fate::Finished => break,
                Fate::Died if armed.is_some() => deaths += 1,
                Fate::Died => return Some(format!("it ended by itself\n{}", catalog.log())),
                Fate::Stuck => return Some(format!("it does not end\n{}", catalog.log())),
            }
        }
        // What is killed once more may have less to do than when it was killed first.
        if deaths == 0
            && !case
                .cuts
                .iter()
                .any(|cut| undisturbed.is_among_the_last(cut))
        {
            return Some(format!("the point was not reached\n{}", catalog.log()));
        }
        let wrong = undisturbed
            .ending
            .difference(&self.ending(&catalog).await)?;
        Some(format!("{wrong}\n{}", catalog.log()))
    }

    /// Opens a pull request and has it planned.
    async fn planned(&self, number: usize) -> Catalog {
        self.cloud.reset().await;
        let name = format!("octo/catalog-{number}");
        let policy = format!(
            "python: [\"3.13\"]\nregions: all\nindex_url: {}/simple\n",
            self.index_wire.endpoint()
        );
        let files = [(".github/layersmith.yaml", policy)];
        let github = self.github.create_repository(&name, files).await;
        github.set_permission(AUTHOR, Permission::Read);
        let folder = tempfile::tempdir().unwrap();
        copy_folder(self.kept.path(), &folder.path().join("data"));
        let mut options = serving(&github, &self.git, &name, folder.path());
        use_aws(&mut options, &self.cloud.endpoint());
        // Nothing here is slow but the machine.
        options.set("LAYERSMITH_AWS_TIMEOUT", "60");
        // What was on its way when a process died is through before the next one is started.
        options.set("LAYERSMITH_AWS_PUBLISH_TIMEOUT", "0");
        self.index_wire.switch(&PowerCut::default());
        let bot = Bot::start(&options).await;
        self.github
            .set_hook_url(&format!("{}/webhooks/github", bot.url()));
        let files = REQUESTS.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let pull_request = github
            .open_pull_request("change", "Change layers", files, AUTHOR)
            .await;
        bot.settled_within(PATIENCE).await;
        Catalog {
            github,
            name,
            folder,
            options,
            pull_request,
        }
    }

    /// Starts a process whose power may go; its log when it ends before it listens. The first one has only the webhooks to
    /// go by, later ones look for what they missed.
    async fn start_bot(
        &self,
        catalog: &Catalog,
        armed: Option<Point>,
        first: bool,
    ) -> Result<Powered, String> {
        let cut = PowerCut::at(armed);
        let aws = Wire::start(Line::Aws, &self.cloud.endpoint(), &cut).await;
        let github = Wire::start(Line::Github, &self.github.url(), &cut).await;
        self.index_wire.switch(&cut);
        let watch = StoreWatch::new(&catalog.folder.path().join("data/store.sqlite"), armed);
        let mut options = catalog.options.clone();
        options.set("AWS_ENDPOINT_URL", aws.endpoint());
        options.set("LAYERSMITH_GITHUB_API_URL", github.endpoint());
        options.set(
            "LAYERSMITH_SWEEP_INTERVAL",
            if first { "0" } else { "3600" },
        );
        for (name, value) in watch.variables() {
            options.set(name, value);
        }
        let repository = self.repository(catalog);
        let bot = Bot::try_start(&options, |process| {
            self.git.cut_power(&repository, process, armed);
            cut.process(process);
        })
        .await?;
        self.github
            .set_hook_url(&format!("{}/webhooks/github", bot.url()));
        Ok(Powered {
            bot,
            cut,
            watch,
            _wires: [aws, github],
        })
    }

    /// Waits for the end of the apply and of what its own push sets off, or for the process' death.
    async fn fate(&self, catalog: &Catalog, powered: &mut Powered) -> Fate {
        match catalog.fate(&mut powered.bot).await {
            Fate::Finished => {}
            other => return other,
        }
        catalog.github.sync_pushes().await;
        catalog.fate(&mut powered.bot).await
    }

    /// The bare repository.
    fn repository(&self, catalog: &Catalog) -> PathBuf {
        let root = self.github.repositories_root();
        root.join(format!("{}.git", catalog.name))
    }

    async fn ending(&self, catalog: &Catalog) -> Ending {
        let names = catalog.names();
        let normalized = |text: &str| {
            let replaced = names.iter().fold(text.to_owned(), |text, (name, usual)| {
                text.replace(name, usual)
            });
            normalize(&replaced)
        };
        Ending::read(
            &catalog.github,
            catalog.pull_request,
            &self.repository(catalog),
            &catalog.folder.path().join("data/store.sqlite"),
            &self.cloud,
            normalized,
        )
        .await
    }
}

impl Catalog {
    async fn merge(&self) {
        self.github.merge_pull_request(self.pull_request).await;
    }

    /// Waits until nothing is left to do, and the pull request was told of it.
    async fn fate(&self, bot: &mut Bot) -> Fate {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if bot.has_ended() {
                return Fate::Died;
            }
            let comments = self.github.comments(self.pull_request);
            if comments
                .iter()
                .any(|comment| comment.body.contains("Carried out"))
                && bot.metric("layersmith_events_waiting").await == Some(0)
                && bot.metric("layersmith_runs{state=\"open\"}").await == Some(0)
            {
                return Fate::Finished;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        Fate::Stuck
    }

    /// What differs from case to case: the repository's name and the commits.
    fn names(&self) -> Vec<(String, &'static str)> {
        let mut commits = vec![self.github.pull_request_head(self.pull_request)];
        commits.extend(self.github.log("main").into_iter().map(|commit| commit.sha));
        let mut names = vec![(self.name.clone(), "octo/catalog")];
        for sha in commits {
            names.extend([sha.len(), 12, 7].map(|length| (sha[..length].to_owned(), "SHA")));
        }
        names
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(&self.options.log).unwrap_or_default();
        tail(&log, Path::new(&self.options.log))
    }
}

/// The end of a log: its beginning is the planning.
fn tail(log: &str, path: &Path) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let end = lines[lines.len().saturating_sub(40)..].join("\n");
    format!("The end of {}:\n{end}", path.display())
}

//! Everything that runs while the story is told: GitHub, its git server, AWS where it is asked for, and the bot.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::folder::{RunFolder, shown};
use super::{Narrator, Options};
use crate::bot::{Bot, BotOptions};
use crate::github::{Comment, GithubDouble, GithubOptions, Permission};
use crate::moto::Moto;
use crate::ssh::GitServer;
use crate::tools;

pub(super) const REPOSITORY: &str = "octo/layers";
/// Who asks for layers. She may read the repository, as everybody may.
pub(super) const AUTHOR: &str = "mona";
pub(super) const TARGETS: [&str; 4] = ["p3.12", "p3.12-arm64", "p3.13", "p3.13-arm64"];
/// The region that secrets are read from in the AWS demo.
const SECRETS_REGION: &str = "us-east-1";
/// How long one piece of work may take: the first run fetches everything over a slow network, perhaps.
const PATIENCE: Duration = Duration::from_secs(300);

const POLICY: &str = r#"# Every layer: two Python versions, two architectures, every region.
python: ["3.12", "3.13"]
architectures: [x86_64, arm64]
regions: all
"#;
const README: &str = "# Layers\n\nOpen a pull request that adds a file to `layers/`.\n";

/// What runs. Everything is ended when it is dropped, the bot first.
pub struct Stage {
    pub(super) bot: Bot,
    pub(super) github: GithubDouble,
    pub(super) git: GitServer,
    pub(super) moto: Option<Moto>,
    pub(super) options: BotOptions,
    folder: RunFolder,
}

impl Stage {
    pub(super) async fn set(options: &Options, narrator: &Narrator) -> Self {
        let folder = RunFolder::create();
        let github = GithubDouble::start(GithubOptions {
            root: Some(folder.path().join("github")),
            epoch: OffsetDateTime::now_utc(),
            ..GithubOptions::default()
        })
        .await;
        github
            .create_repository(
                REPOSITORY,
                [(".github/layersmith.yaml", POLICY), ("README.md", README)],
            )
            .await;
        github.set_permission(AUTHOR, Permission::Read);
        let git = GitServer::start(github.repositories_root()).await;
        github.set_ssh(&git.base_url(), &[git.host_key()]);
        narrator.say(&format!(
            "GitHub      {}  a double with the repository {REPOSITORY}; it holds every request against GitHub's API description",
            github.url()
        ));
        narrator.say(&format!(
            "git         {}  a real OpenSSH server for the same repository, with a deploy key",
            git.url(REPOSITORY)
        ));
        let mut settings = settings(options, &folder, &github, &git);
        let moto = if options.aws {
            let moto = Moto::start().await;
            narrator.say(&format!(
                "AWS         {}  moto stands in for it",
                moto.endpoint()
            ));
            use_aws(&mut settings, &moto, &github, &git).await;
            Some(moto)
        } else {
            None
        };
        settings.listen = listen_address(options.port, narrator);
        let bot = Bot::start(&settings).await;
        github.set_hook_url(&format!("{}/webhooks/github", bot.url()));
        narrator.say(&format!(
            "layersmith  {}  the bot: `layersmith serve`, {}",
            bot.url(),
            if options.aws {
                "layers to AWS Lambda, secrets from SSM and Secrets Manager"
            } else {
                "SQLite and a registry directory, its own defaults"
            }
        ));
        narrator
            .say("The repository's policy: Python 3.12 and 3.13, x86_64 and arm64, every region.");
        narrator.dim(&format!(
            "   Everything the bot keeps, and its log: {}",
            shown(folder.path())
        ));
        Self {
            bot,
            github,
            git,
            moto,
            options: settings,
            folder,
        }
    }

    /// Waits until the bot has nothing left to do; what it pushed is announced by web hook, and that is worked on, too.
    pub(super) async fn settled(&self) {
        self.bot.settled_within(PATIENCE).await;
        if !self.github.sync_pushes().await.is_empty() {
            self.bot.settled_within(PATIENCE).await;
        }
    }

    /// Where the demo and the bot keep things.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The bot's comments on a pull request.
    pub(super) fn answers(&self, number: u64) -> Vec<Comment> {
        let mut comments = self.github.comments(number);
        comments.retain(|comment| comment.author.ends_with("[bot]"));
        comments
    }

    /// A number the bot gives of itself.
    pub(super) async fn metric(&self, name: &str) -> u64 {
        self.bot.metric(name).await.unwrap_or_default()
    }

    /// An answer of the bot's read API.
    pub(super) async fn api(&self, path: &str) -> Result<Value, String> {
        let whole = format!("/api/v2/{path}");
        let answer = async {
            self.bot
                .get(&whole)
                .await?
                .error_for_status()?
                .bytes()
                .await
        };
        let bytes = answer.await.map_err(|error| error.to_string())?;
        serde_json::from_slice(&bytes).map_err(|error| format!("{path} answers no JSON: {error}"))
    }

    /// Runs git on the repository itself, as GitHub would; what it prints, or why it failed.
    pub(super) fn git(&self, arguments: &[&str]) -> Result<String, String> {
        let repository = self
            .github
            .repositories_root()
            .join(format!("{REPOSITORY}.git"));
        let mut command = git_command();
        command.arg("--git-dir").arg(repository).args(arguments);
        output_of(&mut command)
    }

    /// What is said to whoever sits in front of it at the end.
    pub fn invitation(&self) -> String {
        format!(
            "\nThe server is up: {0}\n  a page for people  {0}/\n  the read API       {0}/api/v2/p3.13/layers/latest/eu-central-1\nCtrl-C stops it.",
            self.bot.url()
        )
    }

    /// Keeps the folder after the end; its path.
    pub(super) fn keep(mut self) -> String {
        self.folder.keep();
        shown(self.folder.path())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Asked rather than killed, it ends what it has started itself.
        self.bot.stop();
    }
}

/// `git` that reads no configuration of the machine.
pub(super) fn git_command() -> Command {
    let mut command = Command::new(tools::git().unwrap_or_else(|missing| panic!("{missing}")));
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env_remove("GIT_DIR");
    command
}

/// What a program prints, or what it complains about.
pub(super) fn output_of(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{}{}", text(&output.stdout), text(&output.stderr)))
    }
}

fn settings(
    options: &Options,
    folder: &RunFolder,
    github: &GithubDouble,
    git: &GitServer,
) -> BotOptions {
    // Commands run it from another folder, too.
    let executable = std::path::absolute(&options.layersmith).expect("the path is not empty");
    let mut settings = BotOptions::new(executable, folder.path());
    // Bytecode and the import test are part of the show.
    settings.unset("LAYERSMITH_INTERPRETERS");
    settings.unset("LAYERSMITH_BWRAP");
    settings.set("LAYERSMITH_REPOSITORY", REPOSITORY);
    settings.set("LAYERSMITH_GITHUB_API_URL", github.url());
    settings.set("LAYERSMITH_GITHUB_APP_ID", github.app_id().to_string());
    settings.set("LAYERSMITH_GIT_URL", git.url(REPOSITORY));
    settings.set("LAYERSMITH_KNOWN_HOSTS", git.known_hosts());
    if !options.aws {
        settings.set(
            "LAYERSMITH_GITHUB_PRIVATE_KEY",
            github.app_private_key_pem(),
        );
        settings.set("LAYERSMITH_WEBHOOK_SECRET", github.webhook_secret());
        settings.set("LAYERSMITH_DEPLOY_KEY", git.writing_key());
    }
    settings
}

/// Layers go to moto, and secrets lie where they would lie in AWS: the bot is told only where.
async fn use_aws(settings: &mut BotOptions, moto: &Moto, github: &GithubDouble, git: &GitServer) {
    moto.put_parameter(SECRETS_REGION, "/layersmith/deploy-key", &git.writing_key())
        .await;
    let app = json!({"private_key": github.app_private_key_pem()});
    let webhook = json!({"webhook_secret": github.webhook_secret()});
    moto.put_secret(SECRETS_REGION, "layersmith/github", &app.to_string())
        .await;
    moto.put_secret(SECRETS_REGION, "layersmith/webhook", &webhook.to_string())
        .await;
    for (name, value) in [
        ("LAYERSMITH_REGISTRY", "aws"),
        ("LAYERSMITH_DEPLOY_KEY", "ssm:/layersmith/deploy-key"),
        (
            "LAYERSMITH_WEBHOOK_SECRET",
            "secretsmanager:layersmith/webhook#webhook_secret",
        ),
        (
            "LAYERSMITH_GITHUB_PRIVATE_KEY",
            "secretsmanager:layersmith/github#private_key",
        ),
        ("AWS_REGION", SECRETS_REGION),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        settings.set(name, value);
    }
    settings.set("AWS_ENDPOINT_URL", moto.endpoint());
}

/// The port that is asked for, or a free one when somebody has it.
fn listen_address(port: u16, narrator: &Narrator) -> String {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => format!("127.0.0.1:{port}"),
        Err(_) => {
            narrator.say(&format!(
                "Port {port} is taken by another program: the bot gets a free one (DEMO_PORT chooses another)."
            ));
            "127.0.0.1:0".to_owned()
        }
    }
}

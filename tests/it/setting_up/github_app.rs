//! `layersmith setup github-app`, with the test in the browser's place.

use super::{said, shown};
use crate::aws::use_aws;
use crate::world::World;
use layersmith_testbed::moto::Moto;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Output, Stdio};

/// The command while it waits for the browser.
struct Waiting {
    process: Child,
    errors: BufReader<std::process::ChildStderr>,
    page: String,
}

impl Waiting {
    fn start(world: &World, more: &[&str]) -> Self {
        let mut command = world.options.command();
        command
            .args(["setup", "github-app", "--url", "https://bot.example.com"])
            .args(more)
            .current_dir(world.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut errors = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        let page = line
            .split_whitespace()
            .find(|word| word.starts_with("http://127.0.0.1:"))
            .unwrap_or_else(|| panic!("no page is named: {line}"))
            .to_owned();
        Self {
            process,
            errors,
            page,
        }
    }

    /// Where the form goes, and the manifest in it.
    async fn form(&self) -> (url::Url, String) {
        let page = reqwest::get(&self.page).await.unwrap();
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        let attribute = |start: &str| {
            let (_, rest) = page.split_once(start).unwrap_or_else(|| panic!("{page}"));
            let (value, _) = rest.split_once('"').unwrap();
            value.replace("&quot;", "\"").replace("&amp;", "&")
        };
        let action = attribute("form action=\"").parse().unwrap();
        (action, attribute("name=\"manifest\" value=\""))
    }

    fn end(mut self) -> Output {
        let mut stderr = Vec::new();
        self.errors.read_to_end(&mut stderr).unwrap();
        let output = self.process.wait_with_output().unwrap();
        Output { stderr, ..output }
    }
}

fn state_of(action: &url::Url) -> String {
    let state = action.query_pairs().find(|(name, _)| name == "state");
    state.unwrap().1.into_owned()
}

async fn status(url: &str) -> u16 {
    reqwest::get(url).await.unwrap().status().as_u16()
}

/// A world whose bot nobody knows yet.
async fn unknown() -> World {
    let mut world = World::prepare("[eu-west-1]", "").await;
    for name in [
        "LAYERSMITH_GITHUB_APP_ID",
        "LAYERSMITH_GITHUB_PRIVATE_KEY",
        "LAYERSMITH_WEBHOOK_SECRET",
    ] {
        world.options.unset(name);
    }
    world.options.set("LAYERSMITH_LOG", "warn");
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_app_is_made_in_a_browser_and_its_secrets_are_kept_in_secrets_manager() {
    let moto = Moto::start().await;
    let mut world = unknown().await;
    use_aws(&mut world.options, &moto.endpoint());
    let (code, text, _) = said(&world, &["setup"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(text, @"
    good     repository      octo/catalog
    not set  GitHub          GitHub does not know the bot
                             → layersmith setup github-app --url https://HOST
    not set  webhook secret  there is none
                             → layersmith setup github-app --url https://HOST
    good     deploy key      it may push
    ");

    let waiting = Waiting::start(&world, &["--organization", "octo"]);
    let (action, manifest) = waiting.form().await;
    assert_eq!(action.path(), "/organizations/octo/settings/apps/new");
    let mut shown_manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    shown_manifest["redirect_url"] = "BACK".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&shown_manifest).unwrap(), @r#"
    {
      "default_events": [
        "issue_comment",
        "pull_request",
        "push"
      ],
      "default_permissions": {
        "checks": "write",
        "contents": "read",
        "issues": "write",
        "metadata": "read",
        "pull_requests": "write"
      },
      "description": "Builds AWS Lambda layers from pull requests",
      "hook_attributes": {
        "active": true,
        "url": "https://bot.example.com/webhooks/github"
      },
      "name": "layersmith-octo",
      "public": false,
      "redirect_url": "BACK",
      "url": "https://github.com/octo/catalog"
    }
    "#);
    // Somebody else's answer is not taken, under whatever name the page is asked for.
    let forged = world.github.accept_manifest(&manifest, "somebody-else");
    assert_eq!(status(&forged).await, 400);
    let own = world.github.accept_manifest(&manifest, &state_of(&action));
    let renamed = own.replace("127.0.0.1", "localhost");
    assert_eq!(status(&renamed).await, 403);
    assert_eq!(status(&own).await, 200);
    let (code, text, _) = shown(&world, &waiting.end());
    assert_eq!(code, 0, "{text}");
    let id = world.github.app_id().to_string();
    insta::assert_snapshot!(text.replace(&id, "ID"), @"
    The App layersmith-octo is made, and its secrets are kept.

    Install it on octo/catalog, and nowhere else: https://github.com/apps/layersmith-octo/installations/new

    Then set:
      LAYERSMITH_GITHUB_APP_ID=ID
      LAYERSMITH_GITHUB_PRIVATE_KEY=secretsmanager:layersmith/github#private_key
      LAYERSMITH_WEBHOOK_SECRET=secretsmanager:layersmith/webhook#webhook_secret
    ");
    for line in text
        .lines()
        .filter(|line| line.starts_with("  LAYERSMITH_"))
    {
        let (name, value) = line.trim().split_once('=').unwrap();
        world.options.set(name, value);
    }
    let (code, text, _) = said(&world, &["setup"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("good     GitHub          as layersmith-octo[bot]"),
        "{text}"
    );

    // Nothing is overwritten, and that is known before anybody is sent to GitHub.
    let again = ["setup", "github-app", "--url", "https://bot.example.com"];
    let (code, _, error) = said(&world, &again);
    assert_eq!(code, 2, "{error}");
    assert!(
        error.contains("a secret is kept there already: --replace"),
        "{error}"
    );
    assert_eq!(world.github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_code_a_long_wait_and_an_interruption_are_said_and_keep_nothing() {
    let world = unknown().await;
    let folder = world.folder.path().join("secrets");
    let to = format!("file:{}", folder.display());
    let waiting = Waiting::start(&world, &["--to", &to]);
    let (action, manifest) = waiting.form().await;
    assert_eq!(action.path(), "/settings/apps/new");
    let back = world.github.accept_manifest(&manifest, &state_of(&action));
    world.github.expire_manifests();
    assert_eq!(status(&back).await, 200);
    let (code, _, error) = shown(&world, &waiting.end());
    assert_eq!(code, 1);
    assert!(
        error.ends_with("error: GitHub does not know this code: it is good for one hour and for one use; run the command again\n"),
        "{error}"
    );

    let waiting = Waiting::start(&world, &["--to", &to, "--wait", "1s"]);
    let (code, _, error) = shown(&world, &waiting.end());
    assert_eq!(code, 1);
    assert!(
        error.contains("GitHub sent nobody back within 1s"),
        "{error}"
    );

    let waiting = Waiting::start(&world, &["--to", &to]);
    let interrupt = format!("kill -INT {}", waiting.process.id());
    std::process::Command::new("sh")
        .args(["-c", &interrupt])
        .status()
        .unwrap();
    let (code, _, error) = shown(&world, &waiting.end());
    assert_eq!(code, 1);
    assert!(
        error.ends_with("error: stopped: nothing was changed here\n"),
        "{error}"
    );
    assert!(!folder.exists());

    let (code, _, error) = said(
        &world,
        &["setup", "github-app", "--url", "http://bot.example.com"],
    );
    assert_eq!(code, 2);
    assert!(error.contains("write https://HOST"), "{error}");
    assert_eq!(world.github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_cannot_be_kept_are_not_lost() {
    let world = unknown().await;
    let folder = world.folder.path().join("secrets");
    let to = format!("file:{}", folder.display());
    let waiting = Waiting::start(&world, &["--to", &to]);
    let (action, manifest) = waiting.form().await;
    // The place goes away meanwhile.
    std::fs::write(&folder, "a file").unwrap();
    let back = world.github.accept_manifest(&manifest, &state_of(&action));
    assert_eq!(status(&back).await, 200);
    let output = waiting.end();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let (_, rest) = error.split_once("They are in ").unwrap();
    let (path, _) = rest.split_once(" for now").unwrap();
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept.contains("PRIVATE KEY"));
    assert!(kept.contains(&world.github.webhook_secret()));
    assert!(!error.contains("PRIVATE KEY") && !error.contains(&world.github.webhook_secret()));
}

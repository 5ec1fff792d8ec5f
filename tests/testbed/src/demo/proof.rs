//! The commit, the host key, a repeated delivery, and the bot's manners, each looked at from outside.

use super::Narrator;
use super::screen::{ensure, equal, shortened};
use super::stage::{Stage, output_of};
use super::story::LAYERS;
use crate::ssh::GitServer;

/// Who the bot's commits are by, unless it is told otherwise.
const BOT_NAME: &str = "Layersmith";

/// Whether the newest commit is the bot's, alone, and says what it did; and whether the repository is sound.
pub(super) fn commit(stage: &Stage, narrator: &mut Narrator) {
    let log = stage.github.log("main");
    let (by_bot, by_people): (Vec<_>, Vec<_>) = log
        .iter()
        .partition(|commit| commit.author.name == BOT_NAME);
    narrator.claim(
        "the bot pushed one commit over SSH, on top of the merge, and it names both layers",
        equal(&by_bot.len(), &1).and_then(|()| {
            let newest = &log[0];
            ensure(
                newest.sha == by_bot[0].sha
                    && newest.committer.name == BOT_NAME
                    && newest.parents == [by_people[0].sha.clone()]
                    && LAYERS.iter().all(|layer| newest.message.contains(layer)),
                || format!("the newest is {newest:?}"),
            )
        }),
    );
    narrator.claim(
        "git fsck finds nothing wrong with the repository",
        stage
            .git(&["fsck", "--strict", "--no-dangling", "--no-progress"])
            .map(drop),
    );
}

/// The bot's commit as `git show --stat` has it.
pub(super) fn commit_shown(stage: &Stage) -> String {
    stage
        .git(&[
            "show",
            "--stat=100",
            "--stat-count=6",
            "--format=commit %h%nAuthor: %an <%ae>%n%n%B",
            "main",
        ])
        .unwrap_or_else(|error| error)
}

/// Whether the bot refuses a git server whose key is not the one it was told.
pub(super) fn host_key(stage: &Stage, narrator: &mut Narrator) {
    let mut options = stage.options.clone();
    let mut doctor = |known_hosts: String| {
        options.set("LAYERSMITH_KNOWN_HOSTS", known_hosts);
        output_of(options.command().args(["doctor"]).current_dir(stage.path()))
    };
    let right = doctor(stage.git.known_hosts());
    narrator.claim(
        "`layersmith doctor` finds everything in order",
        right.map(drop),
    );
    let wrong = doctor(someone_elses_key(&stage.git));
    narrator.claim(
        "the host key is pinned: with another one in its settings, the bot does not talk to the git server",
        match wrong {
            Ok(text) => Err(format!("it does: {text}")),
            Err(text) => ensure(text.contains("host key"), || shortened(&text, 5)),
        },
    );
}

/// The line of `known_hosts` for this server with a key that is somebody else's.
fn someone_elses_key(git: &GitServer) -> String {
    let line = git.known_hosts();
    let (start, key) = line.trim_end().split_at(line.trim_end().len() - 8);
    let changed: String = key
        .chars()
        .map(|c| if c == 'A' { 'B' } else { 'A' })
        .collect();
    format!("{start}{changed}\n")
}

/// Delivers the merge once more and looks whether anything moves.
pub(super) async fn again(stage: &Stage, narrator: &mut Narrator, number: u64) {
    let before = state(stage, number).await;
    let deliveries = stage.github.deliveries();
    let merges = deliveries.iter().filter(|delivery| {
        delivery.action.as_deref() == Some("closed") || delivery.event == "push"
    });
    let guids: Vec<&str> = merges.map(|delivery| delivery.guid.as_str()).collect();
    for guid in &guids {
        stage.github.redeliver(guid).await;
    }
    stage.settled().await;
    narrator.claim(
        "delivered a second time, the merge changes nothing: no layer, no commit, no comment",
        equal(&state(stage, number).await, &before),
    );
}

/// Everything that a repeated delivery could change.
async fn state(stage: &Stage, number: u64) -> Vec<String> {
    let comments = stage.github.comments(number);
    let mut state: Vec<String> = comments
        .iter()
        .map(|comment| format!("{} {} {}", comment.id, comment.updated_at, comment.body))
        .collect();
    state.push(stage.github.branch_head("main").unwrap_or_default());
    for name in ["live", "deprecated", "intent"] {
        let metric = format!("layersmith_layer_versions{{state=\"{name}\"}}");
        state.push(stage.metric(&metric).await.to_string());
    }
    state
}

/// Whether GitHub's own description was kept to, all deliveries were taken, and no secret was logged.
pub(super) fn manners(stage: &Stage, narrator: &mut Narrator) {
    let github = &stage.github;
    let violations = github.violations();
    narrator.claim(
        &format!(
            "none of the bot's {} requests to GitHub is against GitHub's own API description",
            github.requests().len()
        ),
        ensure(violations.is_empty(), || violations.join("; ")),
    );
    let deliveries = github.deliveries();
    let refused: Vec<String> = deliveries
        .iter()
        .filter(|delivery| delivery.status != 202)
        .map(|delivery| format!("{} {}", delivery.event, delivery.status))
        .collect();
    narrator.claim(
        &format!("the bot took all {} signed deliveries", deliveries.len()),
        ensure(refused.is_empty(), || refused.join(", ")),
    );
    let log = stage.bot.log();
    let secrets = [
        ("the webhook secret", github.webhook_secret()),
        ("the App's key", github.app_private_key_pem()),
        ("the deploy key", stage.git.writing_key()),
    ];
    let shown: Vec<&str> = secrets
        .iter()
        .filter(|(_, secret)| log.contains(telling_line(secret)))
        .map(|(name, _)| *name)
        .collect();
    narrator.claim(
        "no secret is in the bot's log, and no panic",
        ensure(shown.is_empty() && !log.contains("panicked"), || {
            format!("it shows {shown:?}")
        }),
    );
}

/// A line that is nothing but secret.
fn telling_line(secret: &str) -> &str {
    secret
        .lines()
        .find(|line| line.len() > 30 && !line.starts_with("---"))
        .unwrap_or(secret)
}

//! What happens: a pull request with a mistake, its repair, the merge, and what came of it.

use super::reading::as_shown;
use super::screen::{ensure, equal, shortened};
use super::stage::{AUTHOR, Stage, TARGETS};
use super::{Narrator, Options, behind, proof, registry, tables};
use crate::github::{Comment, Files};
use std::time::Duration;

const REQUESTS: &str = "packages:\n  - requests\ndescription: HTTP for people\n";
const REQUESTS_NEWER: &str = "packages:\n  - requests >=2.32\ndescription: HTTP for people\n";
const MISTAKEN: &str = "packages:\n  - orjson\ndescripton: Fast JSON\n";
const CORRECTED: &str = "packages:\n  - orjson\ndescription: Fast JSON\n";
/// Where the mistake is.
const MISTAKE: (&str, u64) = ("layers/orjson.yaml", 3);
pub(super) const LAYERS: [&str; 2] = ["orjson", "requests"];

/// Lines of a conversation that are shown.
const CONVERSATION_LINES: usize = 80;

pub(super) async fn tell(options: &Options, narrator: &mut Narrator) -> Stage {
    narrator.step("start", "The stage: everything listens on 127.0.0.1");
    let stage = Stage::set(options, narrator).await;
    let (number, first_comment) = ask(&stage, narrator).await;
    repair(&stage, narrator, number, &first_comment).await;
    merge(&stage, narrator, number, &first_comment).await;

    narrator.step(
        "look",
        "Is it all true? The tables, the registry and the API are looked at from outside",
    );
    let published = tables::look(&stage, narrator).await;
    registry::look(&stage, narrator, &published).await;
    proof::commit(&stage, narrator);
    proof::host_key(&stage, narrator);
    proof::again(&stage, narrator, number).await;
    if let Some(moto) = &stage.moto {
        behind::verify(&stage, narrator, moto).await;
    }
    proof::manners(&stage, narrator);

    narrator.step("show", "What people see in the end");
    narrator.say("The conversation:");
    narrator.quote(&conversation(&stage, number), CONVERSATION_LINES);
    narrator.say("\nThe bot's commit:");
    narrator.quote(&proof::commit_shown(&stage), 24);
    let table = "layers/arns/p3.13-arm64/eu-central-1.md";
    narrator.say(&format!(
        "\nOne of its {} regional tables, {table}:",
        published.places()
    ));
    let text = stage.github.file_at("main", table).unwrap_or_default();
    narrator.quote(&as_shown(&text), 15);
    stage
}

/// mona asks for two layers and misspells a key.
async fn ask(stage: &Stage, narrator: &mut Narrator) -> (u64, Comment) {
    narrator.step(
        "plan",
        &format!("{AUTHOR} opens a pull request for two layers; one file has a mistake in it"),
    );
    for (path, text) in [("layers/requests.yaml", REQUESTS), (MISTAKE.0, MISTAKEN)] {
        narrator.say(path);
        narrator.quote(&numbered(text), 10);
    }
    let files = [("layers/requests.yaml", REQUESTS), (MISTAKE.0, MISTAKEN)];
    let github = &stage.github;
    let number = github
        .open_pull_request("add-layers", "Add requests and orjson", files, AUTHOR)
        .await;
    narrator.say("GitHub signs and delivers its web hooks; the bot resolves, builds and answers:");
    stage.settled().await;
    narrator.quote(&conversation(stage, number), CONVERSATION_LINES);

    let head = github.pull_request_head(number);
    let marks: Vec<(String, u64)> = github
        .check_runs(&head)
        .iter()
        .flat_map(|run| &run.annotations)
        .map(|mark| (mark.path.clone(), mark.start_line))
        .collect();
    narrator.claim(
        &format!(
            "the check failed, with one annotation: {}, line {}",
            MISTAKE.0, MISTAKE.1
        ),
        equal(&conclusions(stage, &head), &vec!["failure".to_owned()])
            .and_then(|()| equal(&marks, &vec![(MISTAKE.0.to_owned(), MISTAKE.1)])),
    );
    let mut answers = stage.answers(number);
    let living = stage
        .metric("layersmith_layer_versions{state=\"live\"}")
        .await;
    narrator.claim("nothing is published before the merge", equal(&living, &0));
    narrator.claim("the bot wrote one comment", equal(&answers.len(), &1));
    assert!(!answers.is_empty(), "without an answer the story ends here");
    (number, answers.remove(0))
}

/// The mistake is corrected, and another push follows at once.
async fn repair(stage: &Stage, narrator: &mut Narrator, number: u64, first: &Comment) {
    narrator.step(
        "repair",
        &format!("{AUTHOR} corrects the mistake, and pushes once more before the bot is done"),
    );
    let github = &stage.github;
    let corrected = Files::new().write(MISTAKE.0, CORRECTED);
    let older = github.push_to_pull_request(number, corrected).await;
    // The next push comes as soon as the bot is seen at work on this one: its check run is there.
    for _ in 0..2_000 {
        if !github.check_runs(&older).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let more = Files::new().write("layers/requests.yaml", REQUESTS_NEWER);
    let newer = github.push_to_pull_request(number, more).await;
    narrator.say(&format!(
        "{}  {}: the key is `description` now",
        short(&older),
        MISTAKE.0
    ));
    narrator.say(&format!(
        "{}  layers/requests.yaml: requests >=2.32",
        short(&newer)
    ));
    stage.settled().await;
    narrator.quote(&conversation(stage, number), CONVERSATION_LINES);

    let superseded = stage.metric("layersmith_runs{state=\"superseded\"}").await;
    narrator.claim(
        "the run of the older push was cancelled, and so was its check",
        equal(&superseded, &1)
            .and_then(|()| equal(&conclusions(stage, &older), &vec!["cancelled".to_owned()])),
    );
    narrator.claim(
        "the check of the newer push succeeded",
        equal(&conclusions(stage, &newer), &vec!["success".to_owned()]),
    );
    narrator.claim(
        "the same comment was edited in place",
        edited(stage, number, first),
    );
}

/// The owner merges; the bot publishes and commits the tables.
async fn merge(stage: &Stage, narrator: &mut Narrator, number: u64, first: &Comment) {
    narrator.step(
        "merge",
        "The owner merges it: the bot publishes to every region and commits the tables",
    );
    let merged = stage.github.merge_pull_request(number).await;
    stage.settled().await;
    let answer = stage
        .answers(number)
        .pop()
        .map(|comment| comment.body)
        .unwrap_or_default();
    let title = answer
        .lines()
        .find(|line| line.starts_with("###"))
        .unwrap_or_default();
    narrator.say(&format!(
        "The comment says now: {}",
        title.trim_start_matches(['#', ' '])
    ));
    narrator.claim(
        "the check of the merge succeeded",
        equal(&conclusions(stage, &merged), &vec!["success".to_owned()]),
    );
    narrator.claim(
        "the same comment tells of both layers for all targets",
        edited(stage, number, first).and_then(|()| {
            let mut wanted = LAYERS.iter().chain(&TARGETS);
            ensure(
                title.contains("ublished") && wanted.all(|word| answer.contains(word)),
                || shortened(&answer, 20),
            )
        }),
    );
}

/// Whether the bot still has the one comment it began with, changed since.
fn edited(stage: &Stage, number: u64, first: &Comment) -> Result<(), String> {
    let answers = stage.answers(number);
    let ids: Vec<u64> = answers.iter().map(|comment| comment.id).collect();
    equal(&ids, &vec![first.id])?;
    ensure(answers[0].body != first.body, || {
        "its text did not change".to_owned()
    })
}

/// The conversation as a person reads it.
fn conversation(stage: &Stage, number: u64) -> String {
    as_shown(&stage.github.conversation(number))
}

fn conclusions(stage: &Stage, sha: &str) -> Vec<String> {
    let runs = stage.github.check_runs(sha);
    runs.into_iter()
        .map(|run| run.conclusion.unwrap_or(run.status))
        .collect()
}

fn numbered(text: &str) -> String {
    let lines = text.lines().enumerate();
    lines
        .map(|(n, line)| format!("{} {line}\n", n + 1))
        .collect()
}

pub(super) fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

//! The demo: one story from a pull request to published layers, told in the terminal and checked as it goes.
//!
//! People act on the GitHub double, the real executable answers; packages come from uv's own default index. Everything
//! the demo says is looked up from outside (the conversation, git, the registry, HTTP), and each claim that does not
//! hold makes it fail, naming what fell short.
//!
//! Deliberately absent: knowledge of the bot's inside, and settings beyond what an operator would set.

mod behind;
mod folder;
mod options;
mod proof;
mod reading;
mod registry;
mod screen;
mod stage;
mod story;
mod tables;

pub use options::{Asked, HELP, Options};
pub use screen::{Narrator, complain};
pub use stage::Stage;

use crate::tools;

/// Tells the story. The stage, with everything still running, when every claim held; otherwise `None`, after saying
/// what fell short.
///
/// # Panics
/// When the bench breaks or the bot does not come to an end.
pub async fn tell(options: &Options, narrator: &mut Narrator) -> Option<Stage> {
    let missing = missing(options);
    if !missing.is_empty() {
        complain(&format!("The demo cannot start:\n{}", missing.join("\n")));
        return None;
    }
    let stage = story::tell(options, narrator).await;
    narrator.plain("");
    narrator.dim(&narrator.timing());
    let shortfalls = narrator.shortfalls();
    if shortfalls.is_empty() {
        narrator.plain(&format!("All {} claims hold.", narrator.claims()));
        return Some(stage);
    }
    let kept = stage.keep();
    complain(&format!(
        "\n{} of {} claims fell short:\n{}\nThe bot's log and everything else is kept in {kept}.",
        shortfalls.len(),
        narrator.claims(),
        shortfalls
            .iter()
            .map(|shortfall| format!("  ✗ {shortfall}"))
            .collect::<Vec<_>>()
            .join("\n"),
    ));
    None
}

/// One line for each program or file that is not there.
fn missing(options: &Options) -> Vec<String> {
    let mut found = vec![
        tools::git().map(drop),
        tools::uv().map(drop),
        tools::sshd().map(drop),
        tools::github_description().map(drop),
        tools::webhook_examples().map(drop),
    ];
    if options.aws {
        found.push(tools::moto_server().map(drop));
    }
    if !options.layersmith.is_file() {
        found.push(Err(format!(
            "the executable {} is missing: cargo build --workspace",
            folder::shown(&options.layersmith)
        )));
    }
    found.into_iter().filter_map(Result::err).collect()
}

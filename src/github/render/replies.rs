//! Answers to commands.

use super::escape::{code, cut};
use super::words::short_sha;
use crate::model::{Run, RunKind, RunState};

/// The commands of the contract, with who may give them.
const COMMANDS: [(&str, &str, &str); 6] = [
    ("plan", "everybody", "Plan this pull request anew"),
    (
        "ok",
        "write permission",
        "Plan the current commit of somebody whose pull requests wait for a look",
    ),
    (
        "retry",
        "write permission",
        "Carry on with what is missing after a merge",
    ),
    (
        "cancel",
        "everybody",
        "Stop what is being done for this pull request",
    ),
    (
        "status",
        "everybody",
        "Say what was and is being done for this pull request",
    ),
    ("help", "everybody", "Say this"),
];
/// Runs listed by `status`, the newest ones.
const SHOWN_RUNS: usize = 10;

/// What can be asked for.
#[must_use]
pub fn render_help() -> String {
    let rows: Vec<String> = COMMANDS
        .iter()
        .map(|(command, who, what)| format!("| `/layersmith {command}` | {what} | {who} |"))
        .collect();
    format!(
        "Write one of these as the first words of a line in a new comment; quotes, code and edited comments are not read.\n\n\
         | Command | What it does | Who |\n|---|---|---|\n{}",
        rows.join("\n")
    )
}

/// The runs of a pull request, the newest first; `runs` come oldest first, as the store has them.
#[must_use]
pub fn render_status(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "Nothing was done for this pull request yet. `/layersmith plan` starts.".to_owned();
    }
    let rows: Vec<String> = runs.iter().rev().take(SHOWN_RUNS).map(run_row).collect();
    let mut text = format!(
        "| Started | What | Commit | State | Run |\n|---|---|---|---|---|\n{}",
        rows.join("\n")
    );
    if runs.len() > SHOWN_RUNS {
        text.push_str(&format!(
            "\n\n{} older ones are not listed.",
            runs.len() - SHOWN_RUNS
        ));
    }
    text
}

fn run_row(run: &Run) -> String {
    let kind = match run.kind {
        RunKind::Plan => "plan",
        RunKind::Apply => "publish",
        RunKind::Upgrade => "upgrade",
        RunKind::Expire => "expire",
        RunKind::Verify => "verify",
    };
    let state = match run.state {
        RunState::Open => "at work",
        RunState::Done => "done",
        RunState::Failed => "failed",
        RunState::Superseded => "a newer commit took its place",
        RunState::Cancelled => "cancelled",
    };
    let detail = run.detail.as_deref().map_or_else(String::new, |detail| {
        format!(": {}", super::escape::prose(&cut(detail, 400)))
    });
    format!(
        "| {} | {kind} | {} | {state}{detail} | {} |",
        run.created_at,
        code(&short_sha(&run.head_sha)),
        code(&run.id)
    )
}

/// A command nobody knows, with the one that was meant perhaps.
#[must_use]
pub fn render_unknown_command(command: &str, meant: Option<&str>) -> String {
    let meant = meant.map_or_else(String::new, |meant| {
        format!(
            " Did you mean {}?",
            code(&format!("/layersmith {}", cut(meant, 40)))
        )
    });
    format!(
        "{} is not something that can be asked for.{meant} `/layersmith help` lists what is.",
        code(&format!("/layersmith {}", cut(command, 80)))
    )
}

/// Somebody asked for what they may not have; `needed` is GitHub's word for the permission: `write`.
#[must_use]
pub fn render_not_allowed(login: &str, needed: &str) -> String {
    format!(
        "{} may not ask for this: it takes {} permission on this repository.",
        code(&cut(login, 80)),
        code(&cut(needed, 40))
    )
}

//! `layersmith store copy`: everything from one store into another.

use super::{Backends, Ended, Failure, Output};
use crate::github::render::count;
use crate::settings::{Settings, StoreSetting};
use crate::store::{Copied, CopyRefused, copy};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::Path;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Copies everything, reads it back and compares; typed again, it goes on where it broke off
    Copy(Options),
}

#[derive(Debug, Args)]
pub(super) struct Options {
    /// What is copied: sqlite:PATH or dynamodb:TABLE
    #[arg(long, value_name = "STORE")]
    from: StoreSetting,

    /// Where to: a store with nothing in it, or a part of the same
    #[arg(long, value_name = "STORE")]
    to: StoreSetting,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    command: &Command,
) -> Result<Ended, Failure> {
    let Command::Copy(Options { from, to }) = command;
    if is_same(from, to) {
        let message = format!("{from} and {to} are the same store: nothing is to be copied");
        return Err(Failure::Usage(message));
    }
    if let StoreSetting::Sqlite(path) = from
        && !path.is_file()
    {
        let path = path.display();
        return Err(Failure::Usage(format!("there is no store at {path}")));
    }
    let source = (backends.store)(settings.clone(), from.clone()).await;
    let target = (backends.store)(settings, to.clone()).await;
    // Whoever published meanwhile would do so into one of them only.
    let leaving = source.turn_to_publish().await?;
    let coming = target.turn_to_publish().await?;
    let progress = output.progress("copied", 0);
    let work = copy(source.as_ref(), target.as_ref(), |position, total| {
        progress.reached(position, total);
    });
    let copied = leaving.during(coming.during(work)).await??;
    progress.finish();
    match copied {
        Ok(copied) => {
            let value = json!({
                "from": from.to_string(), "to": to.to_string(), "copied": copied,
            });
            output.answer(&value, &as_text(from, to, &copied))?;
            Ok(Ended::Done)
        }
        Err(refused @ CopyRefused::OtherContents(_)) => Err(Failure::Usage(refused.to_string())),
        Err(CopyRefused::Failed(error)) => Err(Failure::Failed(error)),
        Err(differs) => Err(differs.into()),
    }
}

fn is_same(one: &StoreSetting, other: &StoreSetting) -> bool {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match (one, other) {
        (StoreSetting::Sqlite(one), StoreSetting::Sqlite(other)) => whole(one) == whole(other),
        _ => one == other,
    }
}

fn as_text(from: &StoreSetting, to: &StoreSetting, copied: &Copied) -> String {
    let all = copied.written + copied.already_there;
    let mut text = format!("{from} is in {to}: {}", count(all, "record"));
    if copied.already_there > 0 {
        text.push_str(&format!(", {} of them before", copied.already_there));
    }
    text.push('\n');
    for (kind, number) in &copied.records {
        text.push_str(&format!("  {number:>9} {kind}\n"));
    }
    text.push_str(&format!(
        "Read back, both are the same: SHA-256 {}\n",
        copied.digest
    ));
    text
}

//! `layersmith expire`: deletes superseded versions whose time is over.

use super::catalog::{CatalogOptions, problems_as_text};
use super::{Backends, Ended, Failure, Output, deliver, not_enabled, tables, told_as_text};
use crate::github::render::count;
use crate::pipeline::{Extent, commit_message, expire, tell_others};
use crate::settings::Settings;
use serde_json::json;

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &CatalogOptions,
) -> Result<Ended, Failure> {
    let catalog = options.read_whole(
        "expire takes a whole catalog: what one file does not name would not be kept",
    )?;
    let Some(desired) = &catalog.desired else {
        return catalog.cannot_be_used(output);
    };
    let repository = options.repository(backends, &settings).await?;
    let workshop = (backends.workshop)(settings).await?;
    let turn = workshop.store.turn_to_publish().await?;
    let expired = turn.during(expire(&workshop, desired)).await??;
    let message = commit_message(&[], &[], "command-line");
    let (root, repository) = (&catalog.root, repository.as_ref());
    let extent = Extent::Changes;
    let writing = tables::try_write(&workshop, desired, root, repository, &message, extent);
    let tables = turn.during(writing).await?;
    let telling = tell_others(&workshop, &desired.policy);
    let told = turn.during(telling).await?;
    drop(turn);
    let mut text = match expired.deleted.len() {
        0 => "Nothing has expired.\n".to_owned(),
        deleted => format!("Deleted {}:\n", count(deleted, "version")),
    };
    for arn in &expired.deleted {
        text.push_str(&format!("  {arn}\n"));
    }
    for failed in &expired.failed {
        text.push_str(&format!("FAILED: {}: {}\n", failed.arn, failed.message));
    }
    text.push_str(&not_enabled(&expired.not_enabled));
    text.push_str(&format!("{tables}\n"));
    text.push_str(&told_as_text(&told));
    text.push_str(&problems_as_text(&catalog.problems));
    let value = json!({
        "deleted": expired.deleted,
        "failed": expired.failed,
        "not_enabled": expired.not_enabled,
        "tables": tables,
        "parameters": told.as_ref().ok(),
        "problems": catalog.problems,
    });
    output.answer(&value, &text)?;
    deliver(&workshop).await;
    let failed = !expired.failed.is_empty() || tables.failed() || told.is_err();
    Ok(if failed {
        Ended::Incomplete
    } else {
        Ended::Done
    })
}

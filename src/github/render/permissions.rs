//! What changing who may use published versions came to. What could not be changed is in no table, so it is no warning.

use super::document::Block;
use super::escape::{code, cut};
use super::words::count;
use crate::plan::PermissionsFailure;

/// Regions whose reasons are told.
const SHOWN_REASONS: usize = 10;

/// The part of an outcome; none where nothing is wrong.
pub(super) fn block(failed: &[PermissionsFailure]) -> Option<Block> {
    let what = versions(failed)?;
    let next = if failed.iter().any(|failure| failure.transient) {
        "It will be retried; `/layersmith retry` tries at once."
    } else {
        "It takes somebody to mend that, then `/layersmith retry`."
    };
    let head = format!(
        "⚠️ **Who may use {what} could not be changed.** The tables do not list them until it is. {next}"
    );
    let mut reasons: Vec<String> = failed
        .iter()
        .take(SHOWN_REASONS)
        .map(|failure| {
            let (region, message) = (failure.region.as_str(), cut(&failure.message, 300));
            let versions = count(failure.versions, "version");
            format!("- {}, {versions}: {}", code(region), code(&message))
        })
        .collect();
    if failed.len() > SHOWN_REASONS {
        reasons.push(format!("- and {} more", failed.len() - SHOWN_REASONS));
    }
    Some(Block {
        name: "the permissions".to_owned(),
        forms: vec![format!("{head}\n\n{}", reasons.join("\n")), head],
    })
}

/// `3 versions in 2 regions`; `None` where nothing is wrong.
pub(super) fn versions(failed: &[PermissionsFailure]) -> Option<String> {
    let versions: usize = failed.iter().map(|failure| failure.versions).sum();
    let regions = count(failed.len(), "region");
    (versions > 0).then(|| format!("{} in {regions}", count(versions, "version")))
}

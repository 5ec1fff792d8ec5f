//! Building a zip again that is gone, from its lock: that gives the same bytes.

use super::Workbench;
use super::build_task::BuildRules;
use super::building::{names, not_built, options, within_limit};
use super::source_builds::restore;
use crate::build::BuildOptions;
use crate::model::{BuildRecord, LayerRequest};
use crate::plan::BuildFailure;

/// A zip that is gone, and all that it was made of.
pub(super) struct Lost<'a> {
    pub(super) build: &'a BuildRecord,
    /// What asks for it; what nothing asks for any more is built as one that asks for nothing special.
    pub(super) layer: Option<&'a LayerRequest>,
    pub(super) rules: &'a BuildRules,
    /// Whether it may be larger than a direct upload.
    pub(super) is_staged: bool,
}

/// Brings it back to where zips are kept.
///
/// # Errors
/// Why it cannot be had any more, for people.
pub(super) async fn rebuild(bench: &Workbench, lost: &Lost<'_>) -> Result<(), BuildFailure> {
    let (layer, target) = (&lost.build.layer, lost.build.target);
    tracing::warn!(%layer, %target, "building {layer} {target} again: its zip is gone");
    within_limit(bench, lost.rules, Box::pin(build(bench, lost))).await
}

async fn build(bench: &Workbench, lost: &Lost<'_>) -> Result<(), BuildFailure> {
    let Lost {
        build,
        layer,
        rules,
        is_staged,
    } = *lost;
    let (lock, target, today) = (&build.lock, build.target, bench.now());
    restore(bench, lock, target, rules).await?;
    let packages = layer.map(names).unwrap_or_default();
    let options = BuildOptions {
        is_staged,
        ..match layer {
            Some(layer) => options(layer, &packages, target, today),
            None => BuildOptions::plain(target, today),
        }
    };
    let built = bench.builder.build(lock, &options, &|_| {}).await;
    let digest = built.map_err(|error| not_built(&error))?.digest;
    if digest == build.artifact.digest {
        return Ok(());
    }
    Err(BuildFailure {
        message: format!(
            "its zip sha256:{} is gone, and building it again gives another one, sha256:{}",
            build.artifact.digest.short(),
            digest.short()
        ),
        package: None,
        transient: false,
    })
}

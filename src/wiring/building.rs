//! Settings → what resolves and builds.

use super::{aws_timeout, lazy_aws_config, now};
use crate::build::{
    ArtifactDirectory, Artifacts, Bucket, Builder, BuilderSettings, InterpreterSettings,
};
use crate::pipeline::{TaskBodies, Workbench};
use crate::resolve::{Resolver, ResolverSettings};
use crate::settings::{ArtifactsSetting, Environment, Settings};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Layers × targets fetched and assembled at once: most of that is waiting for the package index.
const CONCURRENT_BUILDS: usize = 8;
/// The part of the cache's limit that is for what uv keeps of the package index.
const INDEX_PART: u64 = 8;
/// The longest that one resolution may take.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(600);

/// What building needs and nothing more, and where builds are handed to others: `None` where zips are kept in a folder. Both
/// speak to the bucket through one client.
///
/// # Errors
/// When the settings cannot work.
pub(super) fn bench(settings: &Settings) -> anyhow::Result<(Workbench, Option<TaskBodies>)> {
    let (artifacts, bodies) = match settings.artifacts() {
        ArtifactsSetting::Directory(path) => {
            let folder = ArtifactDirectory::new(path);
            let artifacts = Artifacts::in_folder(folder, settings.cache_limit.bytes());
            (artifacts, None)
        }
        ArtifactsSetting::S3 { bucket, prefix } => {
            let config = Arc::new(lazy_aws_config(settings));
            let bucket = Bucket::new(bucket, prefix, config, aws_timeout(settings)?);
            let artifacts = Artifacts::in_bucket(
                ArtifactDirectory::new(settings.local_artifacts()),
                bucket.clone(),
                settings.cache_limit.bytes(),
            );
            (artifacts, Some(TaskBodies::new(bucket)))
        }
    };
    let bench = Workbench {
        resolver: resolver(settings),
        builder: Builder::new(builder_settings(settings, artifacts)),
        clock: Arc::new(now),
        building: Arc::new(Semaphore::new(CONCURRENT_BUILDS)),
    };
    Ok((bench, bodies))
}

pub(super) fn resolver(settings: &Settings) -> Resolver {
    Resolver::new(ResolverSettings {
        uv: settings.uv.clone(),
        search_path: Environment::search_path(),
        environment: Environment::variables(),
        cache_dir: settings.data.join("cache").join("uv"),
        time_limit: RESOLVE_TIMEOUT,
        python: settings.python.clone(),
        max_age: Duration::from_secs(settings.lock_max_age),
        cache_limit: settings.cache_limit.bytes() / INDEX_PART,
    })
}

fn builder_settings(settings: &Settings, artifacts: Artifacts) -> BuilderSettings {
    BuilderSettings {
        cache_limit: settings.cache_limit.bytes(),
        interpreters: InterpreterSettings {
            named: settings.python.iter().cloned().collect(),
            search_path: Environment::search_path(),
            home: Environment::home(),
            only: settings.interpreters.clone(),
        },
        compilers: std::thread::available_parallelism().map_or(1, usize::from),
        bwrap: settings.bwrap.clone(),
        search_path: Environment::search_path(),
        ..BuilderSettings::new(settings.data.join("cache"), artifacts)
    }
}

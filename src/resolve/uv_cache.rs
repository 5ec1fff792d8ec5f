//! Keeping uv's cache below a size.
//!
//! Its files are uv's own business: it is uv that removes them, which waits until no other uv works with the cache, of
//! this process or another (uv's concepts, "Caching"). What it can do without goes first; where that is not enough all of
//! it goes, and is fetched again as it is asked for.

use super::index::Index;
use super::resolver::Resolver;
use super::uv;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs of uv between two looks at the size: each adds some pages of an index.
const BETWEEN_LOOKS: usize = 64;
/// What makes the cache smaller, the gentlest first.
const REMEDIES: [&str; 2] = ["prune", "clean"];

/// The folder that uv keeps the pages of package indexes and packages' metadata in, and the most it may hold.
#[derive(Debug)]
pub(crate) struct UvCache {
    root: PathBuf,
    limit: u64,
    runs: AtomicUsize,
}

impl UvCache {
    /// A folder, and bytes.
    pub(crate) fn new(root: PathBuf, limit: u64) -> Self {
        Self {
            root,
            limit,
            runs: AtomicUsize::new(0),
        }
    }

    /// Whether a run of uv is one after which the size is looked at: the first, and one of some dozens from then on.
    fn is_due(&self) -> bool {
        let before = self.runs.fetch_add(1, Ordering::Relaxed);
        before.is_multiple_of(BETWEEN_LOOKS)
    }

    async fn is_too_large(&self) -> bool {
        let (root, limit) = (self.root.clone(), self.limit);
        let look = move || {
            let mut left = limit;
            !fits(&root, &mut left)
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

impl Resolver {
    /// Notes that uv ran, and has it make its cache smaller when that is too large. What fails is tried again later.
    pub(crate) async fn bound_uv_cache(&self) {
        let cache = self.uv_cache();
        if !cache.is_due() {
            return;
        }
        for remedy in REMEDIES {
            if !cache.is_too_large().await {
                return;
            }
            let limit = cache.limit;
            tracing::info!("uv's cache is larger than {limit} bytes: `uv cache {remedy}`");
            if let Err(reason) = self.run_on_cache(remedy).await {
                tracing::warn!("uv's cache stays as it is: {reason}");
                return;
            }
        }
    }

    async fn run_on_cache(&self, remedy: &str) -> Result<(), String> {
        let uv = self.uv().map_err(|error| error.to_string())?;
        let folder = self.working_folder().await;
        let folder = folder.map_err(|error| error.to_string())?;
        let mut command = self.command(&uv, folder.path(), Index::Environment);
        command.args(["cache", remedy, "--no-config", "--quiet"]);
        let finished = uv::run(command, "", self.settings().time_limit).await;
        let finished = finished.map_err(|error| error.to_string())?;
        if finished.status.success() {
            return Ok(());
        }
        Err(super::explain::clean(&finished.stderr))
    }
}

/// Whether the files of a folder take no more than what is left, which becomes less by them. Files that vanish meanwhile
/// take nothing.
fn fits(folder: &Path, left: &mut u64) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let is_small = if metadata.is_dir() {
            fits(&entry.path(), left)
        } else {
            let rest = left.checked_sub(metadata.len());
            *left = rest.unwrap_or_default();
            rest.is_some()
        };
        if !is_small {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_looked_at_after_the_first_run_and_some_later_ones() {
        let cache = UvCache::new(PathBuf::from("nowhere"), 1);
        let due: Vec<usize> = (0..130).filter(|_| cache.is_due()).collect();
        assert_eq!(due, [0, 64, 128]);
    }

    #[test]
    fn all_files_count() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(folder.path().join("one"), [0; 40]).unwrap();
        std::fs::write(deep.join("two"), [0; 60]).unwrap();
        assert!(fits(folder.path(), &mut 100));
        assert!(!fits(folder.path(), &mut 99));
        assert!(fits(&folder.path().join("missing"), &mut 0));
    }
}

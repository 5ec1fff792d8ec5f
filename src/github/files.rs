//! Files of a commit, read through the API: whole trees and whole files, never a diff.

use super::blob_cache::BlobCache;
use super::client::GithubClient;
use super::error::GithubError;
use super::pulls::segment;
use super::requests::Freshness;
use super::texts::MANY;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

/// The largest file that is read, in bytes.
pub const FILE_LIMIT: u64 = 1024 * 1024;
/// The most files that are read of one commit.
pub const FILES_LIMIT: usize = 20_000;
/// The most files of a commit that are read one by one: each is a request, and GitHub allows 5,000 an hour.
const SINGLE_FILES_LIMIT: usize = 2_000;
/// How many files are fetched at the same time.
const AT_ONCE: usize = 8;
/// Where a tree that is too big to list at once is walked.
const WALKED_FOLDERS: [&str; 2] = ["layers", ".github"];

/// What stands at a path of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// A file and its bytes.
    Bytes(Bytes),
    /// A file larger than [`FILE_LIMIT`]; not fetched.
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// A symbolic link; never followed.
    Symlink,
    /// Another repository's commit.
    Submodule,
}

#[derive(Deserialize)]
struct CommitAnswer {
    tree: Pointer,
}

#[derive(Deserialize)]
struct Pointer {
    sha: String,
}

#[derive(Deserialize)]
struct Tree {
    #[serde(default)]
    truncated: bool,
    tree: Vec<Entry>,
}

#[derive(Clone, Deserialize)]
struct Entry {
    path: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    sha: String,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct Blob {
    content: String,
    encoding: String,
}

impl GithubClient {
    /// The files of a commit whose path is wanted, by path. Files were read before by any commit come from memory.
    ///
    /// In a repository too big for one listing, only `layers/` and `.github/` are looked at.
    ///
    /// # Errors
    /// [`GithubError::TooManyFiles`] over [`FILES_LIMIT`], and over fewer where a server does not give many of them at once;
    /// otherwise see [`GithubError`].
    pub async fn files_at(
        &self,
        sha: &str,
        wanted: impl Fn(&str) -> bool + Send,
    ) -> Result<BTreeMap<String, FileContent>, GithubError> {
        let path = self.path(&format!("git/commits/{}", segment(sha)));
        let commit: CommitAnswer = self.read(&path, Freshness::MayLag).await?;
        let entries: Vec<Entry> = self
            .entries(commit.tree.sha)
            .await?
            .into_iter()
            .filter(|entry| entry.kind != "tree" && wanted(&entry.path))
            .collect();
        within(entries.len(), FILES_LIMIT)?;
        let shas: BTreeSet<String> = entries
            .iter()
            .filter(|entry| without_reading(entry).is_none())
            .map(|entry| entry.sha.clone())
            .collect();
        let blobs = self.blobs(shas).await?;
        let content = |entry: &Entry| {
            without_reading(entry).or_else(|| blobs.get(&entry.sha).map(within_limit))
        };
        Ok(entries
            .iter()
            .filter_map(|entry| Some((entry.path.clone(), content(entry)?)))
            .collect())
    }

    /// Every entry of a tree, paths from the root. A listing that GitHub cut off is replaced by listings of parts.
    async fn entries(&self, root: String) -> Result<Vec<Entry>, GithubError> {
        let mut all = Vec::new();
        let mut waiting = vec![(String::new(), root)];
        while let Some((prefix, sha)) = waiting.pop() {
            let whole = self.tree(&sha, true).await?;
            let whole_listing = !whole.truncated;
            let listing = if whole_listing {
                whole
            } else {
                self.tree(&sha, false).await?
            };
            if listing.truncated {
                let what = format!("tree {sha}");
                return Err(GithubError::unexpected(
                    &what,
                    "one folder is too big for a listing",
                ));
            }
            for mut entry in listing.tree {
                let at_root = prefix.is_empty();
                entry.path = format!("{prefix}{}", entry.path);
                if whole_listing || entry.kind != "tree" {
                    all.push(entry);
                } else if !at_root || WALKED_FOLDERS.contains(&entry.path.as_str()) {
                    waiting.push((format!("{}/", entry.path), entry.sha));
                }
            }
        }
        Ok(all)
    }

    async fn tree(&self, sha: &str, recursive: bool) -> Result<Tree, GithubError> {
        let query = if recursive { "?recursive=1" } else { "" };
        let path = self.path(&format!("git/trees/{}{query}", segment(sha)));
        self.read(&path, Freshness::MayLag).await
    }

    /// The contents of files by their ids: what is not in memory many at once, and then one by one what does not come so.
    async fn blobs(&self, shas: BTreeSet<String>) -> Result<BTreeMap<String, Bytes>, GithubError> {
        let mut blobs = BTreeMap::new();
        let mut missing = Vec::new();
        for sha in shas {
            match self.kept().get(&sha) {
                Some(content) => drop(blobs.insert(sha, content)),
                None => missing.push(sha),
            }
        }
        if missing.len() >= MANY {
            let found = match self.texts(&missing).await {
                Ok(found) => found,
                Err(error) if missing.len() <= SINGLE_FILES_LIMIT => {
                    tracing::info!("files are read one by one: {error}");
                    BTreeMap::new()
                }
                // A server that has no GraphQL, which nobody can help.
                Err(error) if error.is_not_found() => BTreeMap::new(),
                Err(error) => return Err(error),
            };
            missing.retain(|sha| !found.contains_key(sha));
            blobs.extend(found);
        }
        within(missing.len(), SINGLE_FILES_LIMIT)?;
        let mut single = stream::iter(missing)
            .map(|sha| async move { Ok::<_, GithubError>((self.blob(&sha).await?, sha)) })
            .buffer_unordered(AT_ONCE);
        while let Some((content, sha)) = single.try_next().await? {
            blobs.insert(sha, content);
        }
        Ok(blobs)
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, BlobCache> {
        // Nothing can be half done under this lock, so a panic elsewhere does not spoil it.
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn blob(&self, sha: &str) -> Result<Bytes, GithubError> {
        let path = self.path(&format!("git/blobs/{}", segment(sha)));
        let blob: Blob = self.read(&path, Freshness::MayLag).await?;
        let content = blob
            .decode()
            .ok_or_else(|| GithubError::unexpected(&format!("GET {path}"), "no valid base64"))?;
        self.kept().put(sha, content.clone());
        Ok(content)
    }
}

/// # Errors
/// [`GithubError::TooManyFiles`] above the limit.
fn within(found: usize, limit: usize) -> Result<(), GithubError> {
    if found > limit {
        return Err(GithubError::TooManyFiles { found, limit });
    }
    Ok(())
}

/// What can be said about an entry without fetching it.
fn without_reading(entry: &Entry) -> Option<FileContent> {
    match (entry.kind.as_str(), entry.mode.as_str()) {
        ("commit", _) | (_, "160000") => Some(FileContent::Submodule),
        (_, "120000") => Some(FileContent::Symlink),
        _ => entry
            .size
            .filter(|&size| size > FILE_LIMIT)
            .map(|size| FileContent::TooLarge { size }),
    }
}

fn within_limit(bytes: &Bytes) -> FileContent {
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size > FILE_LIMIT {
        FileContent::TooLarge { size }
    } else {
        FileContent::Bytes(bytes.clone())
    }
}

impl Blob {
    /// GitHub breaks base64 into lines.
    fn decode(self) -> Option<Bytes> {
        if self.encoding != "base64" {
            return (self.encoding == "utf-8").then(|| self.content.into());
        }
        let mut encoded = self.content.into_bytes();
        encoded.retain(|byte| !byte.is_ascii_whitespace());
        STANDARD.decode(encoded).ok().map(Bytes::from)
    }
}

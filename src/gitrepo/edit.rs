//! Changing some files of a folder, one after the other, without looking at the others.

use super::Snapshot;
use super::error::Fault;
use super::tree::{NextTree, is_plain_path};
use anyhow::Context as _;
use git2::{Blob, Oid};
use std::collections::BTreeMap;

/// A folder of the catalog repository while some of its files are changed. What is put is written away at once, so that
/// one file is held at a time.
pub struct FolderEdit<'a> {
    snapshot: &'a Snapshot<'a>,
    folder: &'a str,
    /// What differs, by its path in the folder; `None` is gone.
    changed: BTreeMap<String, Option<Oid>>,
}

/// The content of a file.
#[derive(Debug)]
pub struct Content<'a>(Blob<'a>);

impl AsRef<[u8]> for Content<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0.content()
    }
}

impl<'a> FolderEdit<'a> {
    pub(super) fn of(snapshot: &'a Snapshot<'a>, folder: &'a str) -> Self {
        Self {
            snapshot,
            folder,
            changed: BTreeMap::new(),
        }
    }

    /// The content of a file as it was, by its path from the root of the repository; `None` when there is no such file.
    ///
    /// # Errors
    /// When the local clone is damaged.
    pub fn get(&self, path: &str) -> anyhow::Result<Option<Content<'a>>> {
        self.snapshot
            .blob_id(path)
            .map(|id| self.snapshot.find_blob(id).map(Content))
            .transpose()
    }

    /// Puts a file in place of what was there, or takes it away.
    ///
    /// # Errors
    /// For a path outside the folder, and when the file cannot be written.
    pub fn put(&mut self, path: &str, content: Option<&[u8]>) -> anyhow::Result<()> {
        let inside = path
            .strip_prefix(self.folder)
            .and_then(|rest| rest.strip_prefix('/'));
        let inside = inside.filter(|rest| is_plain_path(rest));
        let inside =
            inside.with_context(|| format!("`{path}` is not a file under `{}/`", self.folder))?;
        let written = content
            .map(|content| self.snapshot.repository().blob(content))
            .transpose()?;
        if written == self.snapshot.blob_id(path) {
            self.changed.remove(inside);
        } else {
            self.changed.insert(inside.to_owned(), written);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<NextTree, Fault> {
        self.snapshot.with_changes(self.folder, &self.changed)
    }
}

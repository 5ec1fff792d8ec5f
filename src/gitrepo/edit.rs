//! Changing some files of a folder, one after the other, without looking at the others.

use super::error::Fault;
use super::loose::{self, LARGE, LargeFile};
use super::tree::{NextTree, is_plain_path};
use super::{GitError, Snapshot};
use anyhow::Context as _;
use git2::{Blob, Oid, Repository};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A folder of the catalog repository while some of its files are changed. What is put is written away at once, so that no
/// more than a file or two are held at a time.
pub struct FolderEdit<'a> {
    snapshot: &'a Snapshot<'a>,
    folder: &'a str,
    /// What differs, by its path in the folder; `None` is gone.
    changed: BTreeMap<String, Option<Oid>>,
    /// What a large file is put together in.
    buffer: Vec<u8>,
}

/// The content of a file.
#[derive(Debug)]
pub struct Content<'a>(Source<'a>);

impl AsRef<[u8]> for Content<'_> {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Source::Libgit2(blob) => blob.content(),
            Source::Stored(content) => content.as_ref(),
        }
    }
}

/// A piece of work on a folder, by its number.
pub type Work<'w> = dyn Fn(&mut FolderEdit<'_>, usize) -> anyhow::Result<()> + Sync + 'w;

/// Where it comes from.
#[derive(Debug)]
enum Source<'a> {
    Libgit2(Blob<'a>),
    Stored(loose::Stored),
}

impl<'a> FolderEdit<'a> {
    pub(super) fn of(snapshot: &'a Snapshot<'a>, folder: &'a str) -> Self {
        Self {
            snapshot,
            folder,
            changed: BTreeMap::new(),
            buffer: Vec::new(),
        }
    }

    /// The content of a file as it was, by its path from the root of the repository; `None` when there is no such file.
    ///
    /// # Errors
    /// When the local clone is damaged.
    pub fn get(&self, path: &str) -> anyhow::Result<Option<Content<'a>>> {
        let Some(id) = self.snapshot.blob_id(path) else {
            return Ok(None);
        };
        let stored = loose::read(self.snapshot.repository().path(), id);
        let source = match stored {
            Ok(Some(content)) => Source::Stored(content),
            Ok(None) => Source::Libgit2(self.snapshot.find_blob(id)?),
            Err(error) => return Err(self.unusable(id, &error)),
        };
        Ok(Some(Content(source)))
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
        let before = self.snapshot.blob_id(path);
        let now = match content {
            Some(content) => Some(self.write(content, before)?),
            None => None,
        };
        if now == before {
            self.changed.remove(inside);
        } else {
            self.changed.insert(inside.to_owned(), now);
        }
        Ok(())
    }

    /// Writes a file in place of what was there.
    fn write(&mut self, content: &[u8], before: Option<Oid>) -> anyhow::Result<Oid> {
        let repository = self.snapshot.repository();
        if content.len() < LARGE {
            return Ok(repository.blob(content)?);
        }
        let file = LargeFile::of(content)?;
        if before != Some(file.id) {
            // A full disk, too: a new clone may find room for itself.
            let written = file.write(repository.path(), &mut self.buffer);
            written.map_err(|error| self.unusable(file.id, &error))?;
        }
        Ok(file.id)
    }

    fn unusable(&self, id: Oid, error: &std::io::Error) -> anyhow::Error {
        let error = git2::Error::from_str(&format!("the object {id}: {error}"));
        self.snapshot.damaged(error)
    }

    /// Does so many pieces of work, told their numbers from 0, none of which looks at what another one puts: side by side,
    /// because a file is checked when it is read, and hashed when it is put. Each thread has a handle of its own on the
    /// clone.
    ///
    /// # Errors
    /// The first of those that the pieces have, and when the local clone is damaged.
    pub fn side_by_side(&mut self, pieces: usize, work: &Work<'_>) -> anyhow::Result<()> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let clone = self.snapshot.repository().path().to_owned();
        let (head, folder) = (self.snapshot.head(), self.folder);
        let next = AtomicUsize::new(0);
        let put = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.min(pieces))
                .map(|_| {
                    scope.spawn(|| {
                        let repository = Repository::open_bare(&clone)?;
                        let head = head.map(Oid::from_str).transpose()?;
                        let snapshot = Snapshot::at(&repository, head)?;
                        let mut part = FolderEdit::of(&snapshot, folder);
                        let mut numbers = std::iter::repeat_with(|| next.fetch_add(1, Relaxed))
                            .take_while(|number| *number < pieces);
                        let done = numbers.try_for_each(|number| work(&mut part, number));
                        let changed = part.changed;
                        snapshot.check_undamaged()?;
                        done?;
                        Ok::<_, Fault>(changed)
                    })
                })
                .collect();
            let ended = workers.into_iter().map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            ended.collect::<Vec<_>>()
        });
        for changed in put {
            let changed = changed.map_err(|fault| match fault {
                Fault::Damaged(error) => self.snapshot.damaged(error),
                Fault::Report(GitError::Other(error)) => error,
                Fault::Report(error) => error.into(),
            });
            self.changed.extend(changed?);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<NextTree, Fault> {
        self.snapshot.with_changes(self.folder, &self.changed)
    }
}

//! The operations on the catalog repository, each from a fresh look at the server.

use super::edit::FolderEdit;
use super::error::Fault;
use super::stop::Stop;
use super::transport::{PushAnswer, RemoteRef, Server};
use super::tree::NextTree;
use super::{Committed, Files, GitError, Identity, Snapshot, loose, tree};
use crate::model::Timestamp;
use anyhow::Context as _;
use git2::{Oid, Repository, Signature, Time};
use std::time::Duration;

/// How often a commit is made and pushed before giving up on a busy branch.
const TRIES: u32 = 8;
/// The pause before the second try; it doubles each time, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Waiting longer wins no race; all the pauses together stay under five seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The branch of an empty repository, when the settings name none.
const FIRST_BRANCH: &str = "main";
/// Where a fetched head is kept in the clone.
const FETCHED: &str = "refs/layersmith/fetched";

/// One run of an operation on one clone.
pub(super) struct Attempt<'a> {
    pub(super) server: &'a Server,
    pub(super) branch: Option<&'a str>,
    pub(super) identity: &'a Identity,
    pub(super) repository: &'a Repository,
    pub(super) stop: &'a Stop,
}

/// What to commit.
pub(super) struct Change<'a> {
    pub(super) folder: &'a str,
    pub(super) message: &'a str,
    pub(super) now: Timestamp,
}

/// The branch, and its commit unless the repository is empty.
struct Head {
    branch: String,
    commit: Option<Oid>,
}

impl Attempt<'_> {
    pub(super) fn head(&self) -> Result<String, Fault> {
        let refs = self.server.list(self.repository, self.stop)?;
        let head = self.head_of(&refs)?;
        Ok(not_empty(head.commit)?.to_string())
    }

    pub(super) fn may_push(&self) -> Result<(), Fault> {
        self.server.may_push(self.repository, self.stop)
    }

    pub(super) fn read_files(
        &self,
        commit: Option<&str>,
        wanted: fn(&str) -> bool,
    ) -> Result<(String, Files), Fault> {
        let commit = match commit {
            None => not_empty(self.fetch_head()?.commit)?,
            Some(text) => self.fetch_commit(text)?,
        };
        let files = tree::read_files(self.repository, commit, wanted)?;
        Ok((commit.to_string(), files))
    }

    /// The folder as these files.
    pub(super) fn commit_folder<F>(
        &self,
        change: &Change<'_>,
        render: &F,
    ) -> Result<Committed, Fault>
    where
        F: Fn(&Snapshot<'_>) -> anyhow::Result<Files>,
    {
        let next = |snapshot: &Snapshot<'_>| {
            let files = render(snapshot).context("rendering files for the catalog repository");
            snapshot.check_undamaged()?;
            Ok(Some(snapshot.with_folder(change.folder, &files?)?))
        };
        // There is always a next one.
        self.commit(change, next)?
            .ok_or_else(|| anyhow::anyhow!("the folder was not rendered").into())
    }

    /// The folder with these changes, where it is what they were made for.
    pub(super) fn change_folder<F>(
        &self,
        change: &Change<'_>,
        base: &str,
        edit: &F,
    ) -> Result<Option<Committed>, Fault>
    where
        F: Fn(&mut FolderEdit<'_>) -> anyhow::Result<bool>,
    {
        self.commit(change, |snapshot| {
            if snapshot.folder_tree(change.folder)?.as_deref() != Some(base) {
                return Ok(None);
            }
            let mut folder = FolderEdit::of(snapshot, change.folder);
            let done = edit(&mut folder).context("rendering files for the catalog repository");
            snapshot.check_undamaged()?;
            if !done? {
                return Ok(None);
            }
            folder.finish().map(Some)
        })
    }

    /// Commits what `next` makes of the fresh head; nothing where it makes nothing of it.
    fn commit(
        &self,
        change: &Change<'_>,
        next: impl Fn(&Snapshot<'_>) -> Result<Option<NextTree>, Fault>,
    ) -> Result<Option<Committed>, Fault> {
        let mut pause = FIRST_PAUSE;
        // The head that was built on when the server last refused a push, and its words.
        let mut refused: Option<(Option<Oid>, String)> = None;
        let mut branch = String::new();
        for attempt in 1..=TRIES {
            let head = self.fetch_head()?;
            if let Some((built_on, message)) = refused.take()
                && built_on == head.commit
            {
                // Nobody pushed meanwhile, so it was not a race: the server does not want this commit.
                return Err(GitError::Rejected { message }.into());
            }
            let snapshot = Snapshot::at(self.repository, head.commit)?;
            let Some(NextTree {
                root,
                folder,
                paths,
            }) = next(&snapshot)?
            else {
                return Ok(None);
            };
            let tree = folder.map(|tree| tree.to_string());
            if paths.is_empty() {
                let head = not_empty(head.commit)?.to_string();
                return Ok(Some(Committed::Unchanged { head, tree }));
            }
            let commit = self.write_commit(change, root, head.commit)?;
            let refspec = format!("{commit}:refs/heads/{}", head.branch);
            match self.server.push(self.repository, self.stop, &refspec)? {
                PushAnswer::Accepted => {
                    self.deflate_replaced(&snapshot, &paths);
                    return Ok(Some(Committed::Pushed {
                        commit: commit.to_string(),
                        paths,
                        tree,
                    }));
                }
                PushAnswer::Behind => {
                    tracing::info!(branch = head.branch, attempt, "somebody else pushed first");
                }
                PushAnswer::Refused(words) => refused = Some((head.commit, words)),
            }
            branch = head.branch;
            if attempt < TRIES {
                self.stop.pause(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        Err(refused
            .map_or(
                GitError::Raced {
                    branch,
                    tries: TRIES,
                },
                |(_, message)| GitError::Rejected { message },
            )
            .into())
    }

    /// Has what other files took the place of take less room. It costs nothing but room when that is not done: nobody
    /// waits for it when the time is up.
    fn deflate_replaced(&self, before: &Snapshot<'_>, paths: &[String]) {
        let replaced = paths.iter().filter_map(|path| before.blob_id(path));
        for id in replaced.take_while(|_| !self.stop.stopped()) {
            if let Err(error) = loose::deflate(self.repository.path(), id) {
                tracing::debug!(
                    "the object {id} of the local clone stays as large as it is: {error}"
                );
            }
        }
    }

    pub(super) fn changes_of(
        &self,
        commit: &str,
        line: &str,
    ) -> Result<Option<Vec<String>>, Fault> {
        let commit = self.repository.find_commit(self.fetch_commit(commit)?)?;
        let message = String::from_utf8_lossy(commit.message_bytes());
        if !message.lines().any(|known| known == line) {
            return Ok(None);
        }
        // A commit without a parent is compared with nothing.
        let parent = match commit.parent_ids().next() {
            Some(parent) => {
                let parent = self.fetch_commit(&parent.to_string())?;
                Some(self.repository.find_commit(parent)?.tree()?)
            }
            None => None,
        };
        tree::differing_paths(self.repository, parent.as_ref(), &commit.tree()?).map(Some)
    }

    fn write_commit(
        &self,
        change: &Change<'_>,
        tree: Oid,
        parent: Option<Oid>,
    ) -> Result<Oid, Fault> {
        let Identity { name, email } = self.identity;
        let signature = Signature::new(name, email, &Time::new(change.now.unix(), 0))
            .context("the bot's name or email address cannot stand in a commit")?;
        let tree = self.repository.find_tree(tree)?;
        let parent = parent
            .map(|parent| self.repository.find_commit(parent))
            .transpose()?;
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        let commit = self.repository.commit(
            None,
            &signature,
            &signature,
            change.message,
            &tree,
            &parents,
        )?;
        Ok(commit)
    }

    /// Fetches the head of the branch, without its history, unless the clone has it.
    fn fetch_head(&self) -> Result<Head, Fault> {
        let head = self
            .server
            .list_and_fetch(self.repository, self.stop, |refs| {
                let head = self.head_of(refs)?;
                let missing = head.commit.filter(|commit| !self.has(*commit));
                let refspec = missing.map(|_| format!("+refs/heads/{}:{FETCHED}", head.branch));
                Ok((head, refspec))
            })?;
        if let Some(commit) = head.commit {
            self.repository.find_commit(commit)?;
        }
        Ok(head)
    }

    /// Fetches one commit, without its history, unless the clone has it.
    fn fetch_commit(&self, text: &str) -> Result<Oid, Fault> {
        let missing = || {
            GitError::NotFound(format!(
                "the repository has no commit `{text}`, or its server does not give it out"
            ))
        };
        let commit = Oid::from_str(text).map_err(|_| missing())?;
        if text.len() != 40 {
            return Err(missing().into());
        }
        if self.has(commit) {
            return Ok(commit);
        }
        let given = self
            .server
            .fetch_commit(self.repository, self.stop, commit, FETCHED)?;
        if given && self.has(commit) {
            Ok(commit)
        } else {
            Err(missing().into())
        }
    }

    fn has(&self, commit: Oid) -> bool {
        self.repository.find_commit(commit).is_ok()
    }

    /// Picks the branch among the server's refs.
    fn head_of(&self, refs: &[RemoteRef]) -> Result<Head, GitError> {
        let branch = match self.branch {
            Some(branch) => branch,
            None if refs.is_empty() => FIRST_BRANCH,
            None => refs
                .iter()
                .find(|known| known.name == "HEAD")
                .and_then(|head| head.stands_for.as_deref()?.strip_prefix("refs/heads/"))
                .ok_or_else(|| {
                    GitError::NotFound(
                        "the repository does not say which branch is its default: name one in the settings".to_owned(),
                    )
                })?,
        };
        let name = format!("refs/heads/{branch}");
        let found = refs.iter().find(|known| known.name == name);
        if found.is_none() && !refs.is_empty() {
            return Err(GitError::NotFound(format!(
                "the repository has no branch `{branch}`"
            )));
        }
        Ok(Head {
            branch: branch.to_owned(),
            commit: found.map(|known| known.id),
        })
    }
}

fn not_empty(commit: Option<Oid>) -> Result<Oid, GitError> {
    commit.ok_or_else(|| GitError::NotFound("the repository has no commit yet".to_owned()))
}

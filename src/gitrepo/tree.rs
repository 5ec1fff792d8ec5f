//! Files of a commit, and the tree of the next one, without a working copy.

use super::error::Fault;
use super::{Files, GitError};
use anyhow::anyhow;
use git2::{Blob, FileMode, ObjectType, Oid, Repository, Tree, TreeWalkMode, TreeWalkResult};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The catalog repository at the head of its branch, before the commit that is being made.
pub struct Snapshot<'repository> {
    repository: &'repository Repository,
    head: Option<String>,
    tree: Option<Tree<'repository>>,
    /// A file that is listed but cannot be read: the clone is damaged.
    damage: RefCell<Option<git2::Error>>,
}

/// What the next commit has.
pub(super) struct NextTree {
    pub(super) root: Oid,
    /// The folder; `None` when nothing is in it.
    pub(super) folder: Option<Oid>,
    /// What differs from the head, from the root of the repository, sorted.
    pub(super) paths: Vec<String>,
}

impl<'repository> Snapshot<'repository> {
    pub(super) fn at(
        repository: &'repository Repository,
        head: Option<Oid>,
    ) -> Result<Self, Fault> {
        let tree = head
            .map(|head| repository.find_commit(head)?.tree())
            .transpose()?;
        Ok(Self {
            repository,
            head: head.map(|head| head.to_string()),
            tree,
            damage: RefCell::new(None),
        })
    }

    /// The commit's 40 hexadecimal digits; `None` when the repository has no commit yet.
    #[must_use]
    pub fn head(&self) -> Option<&str> {
        self.head.as_deref()
    }

    /// The content of a file, by its path from the root of the repository; `None` when there is no such file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        let blob = self.find_blob(self.blob_id(path)?).ok()?;
        Some(blob.content().to_vec())
    }

    pub(super) fn find_blob(&self, id: Oid) -> anyhow::Result<Blob<'repository>> {
        let found = self.repository.find_blob(id);
        found.map_err(|error| self.damaged(error))
    }

    /// Notes that the clone is damaged, which is what the whole attempt fails of.
    pub(super) fn damaged(&self, error: git2::Error) -> anyhow::Error {
        self.damage.replace(Some(error));
        anyhow!("the local clone is damaged")
    }

    /// The tree of a folder, as 40 hexadecimal digits; `None` when there is no such folder.
    pub(super) fn folder_tree(&self, folder: &str) -> Result<Option<String>, Fault> {
        let Some(root) = &self.tree else {
            return Ok(None);
        };
        match root.get_path(folder.as_ref()) {
            Ok(entry) if entry.kind() == Some(ObjectType::Tree) => Ok(Some(entry.id().to_string())),
            Ok(_) => Ok(None),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A file's object, by its path from the root of the repository.
    pub(super) fn blob_id(&self, path: &str) -> Option<Oid> {
        let entry = self.tree.as_ref()?.get_path(path.as_ref()).ok()?;
        (entry.kind() == Some(ObjectType::Blob)).then(|| entry.id())
    }

    pub(super) fn repository(&self) -> &'repository Repository {
        self.repository
    }

    pub(super) fn check_undamaged(&self) -> Result<(), Fault> {
        self.damage.take().map_or(Ok(()), |error| Err(error.into()))
    }

    /// The tree in which exactly these files are under the folder.
    pub(super) fn with_folder(&self, folder: &str, files: &Files) -> Result<NextTree, Fault> {
        let prefix = format!("{folder}/");
        let mut wanted: BTreeMap<String, Oid> = BTreeMap::new();
        for (path, content) in files {
            let inside = path
                .strip_prefix(&prefix)
                .filter(|rest| is_plain_path(rest));
            let inside =
                inside.ok_or_else(|| anyhow!("`{path}` is not a file under `{folder}/`"))?;
            wanted.insert(
                inside.to_owned(),
                Oid::hash_object(ObjectType::Blob, content)?,
            );
        }
        let present = self.files_under(folder)?;
        let as_wanted =
            |path: &str, id: &Oid| present.get(path) == Some(&(*id, FileMode::Blob.into()));
        let mut changed: Vec<String> = Vec::new();
        for (path, id) in &wanted {
            if !as_wanted(path, id) {
                let path = format!("{prefix}{path}");
                self.repository.blob(&files[&path])?;
                changed.push(path);
            }
        }
        let stale = present.keys().filter(|path| !wanted.contains_key(*path));
        changed.extend(stale.map(|path| format!("{prefix}{path}")));
        changed.sort();

        let wanted: Vec<(&str, Oid)> = wanted
            .iter()
            .map(|(path, id)| (path.as_str(), *id))
            .collect();
        let subtree = self.write_subtree(&wanted)?;
        self.next_tree(folder, subtree, changed)
    }

    /// The tree in which a folder is another one.
    fn next_tree(
        &self,
        folder: &str,
        subtree: Option<Oid>,
        paths: Vec<String>,
    ) -> Result<NextTree, Fault> {
        let components: Vec<&str> = folder.split('/').collect();
        let root = self.graft(self.tree.as_ref(), &components, subtree)?;
        let root = root.map_or_else(|| self.repository.treebuilder(None)?.write(), Ok)?;
        Ok(NextTree {
            root,
            folder: subtree,
            paths,
        })
    }

    /// The tree in which some files of a folder are other ones, or gone. Only the folders that they are in are looked at.
    pub(super) fn with_changes(
        &self,
        folder: &str,
        changes: &BTreeMap<String, Option<Oid>>,
    ) -> Result<NextTree, Fault> {
        let before = match self.folder_tree(folder)? {
            Some(tree) => Some(self.repository.find_tree(Oid::from_str(&tree)?)?),
            None => None,
        };
        let inside: Vec<(&str, Option<Oid>)> = changes
            .iter()
            .map(|(path, id)| (path.as_str(), *id))
            .collect();
        let subtree = self.rewrite(before.as_ref(), &inside)?;
        let paths = changes.keys().map(|path| format!("{folder}/{path}"));
        let mut paths: Vec<String> = paths.collect();
        paths.sort();
        self.next_tree(folder, subtree, paths)
    }

    /// Puts files in, in place of others, or takes them out; `None` when nothing is left.
    fn rewrite(
        &self,
        before: Option<&Tree<'_>>,
        changes: &[(&str, Option<Oid>)],
    ) -> Result<Option<Oid>, Fault> {
        let mut builder = self.repository.treebuilder(before)?;
        let mut folders: BTreeMap<&str, Vec<(&str, Option<Oid>)>> = BTreeMap::new();
        for (path, id) in changes {
            match (path.split_once('/'), id) {
                (Some((folder, rest)), _) => folders.entry(folder).or_default().push((rest, *id)),
                (None, Some(id)) => drop(builder.insert(path, *id, FileMode::Blob.into())?),
                (None, None) if builder.get(path)?.is_some() => builder.remove(path)?,
                (None, None) => {}
            }
        }
        for (folder, changes) in folders {
            let below = match builder.get(folder)? {
                Some(entry) if entry.kind() == Some(ObjectType::Tree) => {
                    Some(self.repository.find_tree(entry.id())?)
                }
                Some(_) => {
                    return Err(anyhow!("`{folder}` is to be both a file and a folder").into());
                }
                None => None,
            };
            match self.rewrite(below.as_ref(), &changes)? {
                Some(id) => drop(builder.insert(folder, id, FileMode::Tree.into())?),
                None if builder.get(folder)?.is_some() => builder.remove(folder)?,
                None => {}
            }
        }
        if builder.is_empty() {
            return Ok(None);
        }
        Ok(Some(builder.write()?))
    }

    /// Everything that is not a folder under a folder: path from there, object, and file mode.
    fn files_under(&self, folder: &str) -> Result<BTreeMap<String, (Oid, i32)>, Fault> {
        let mut found = BTreeMap::new();
        let Some(root) = &self.tree else {
            return Ok(found);
        };
        let entry = match root.get_path(folder.as_ref()) {
            Ok(entry) => entry,
            Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(found),
            Err(error) => return Err(error.into()),
        };
        if entry.kind() != Some(ObjectType::Tree) {
            return Err(GitError::Other(anyhow!(
                "`{folder}` is a file in the repository, but a folder is needed"
            ))
            .into());
        }
        let tree = self.repository.find_tree(entry.id())?;
        tree.walk(TreeWalkMode::PreOrder, |parent, entry| {
            if entry.kind() != Some(ObjectType::Tree) {
                let path = format!("{parent}{}", String::from_utf8_lossy(entry.name_bytes()));
                found.insert(path, (entry.id(), entry.filemode()));
            }
            TreeWalkResult::Ok
        })?;
        Ok(found)
    }

    /// Writes a tree of files given by sorted paths; `None` when there are none.
    fn write_subtree(&self, files: &[(&str, Oid)]) -> Result<Option<Oid>, Fault> {
        if files.is_empty() {
            return Ok(None);
        }
        let mut builder = self.repository.treebuilder(None)?;
        let mut folders: BTreeMap<&str, Vec<(&str, Oid)>> = BTreeMap::new();
        for (path, id) in files {
            match path.split_once('/') {
                Some((folder, rest)) => folders.entry(folder).or_default().push((rest, *id)),
                None => drop(builder.insert(path, *id, FileMode::Blob.into())?),
            }
        }
        for (folder, files) in folders {
            if builder.get(folder)?.is_some() {
                return Err(anyhow!("`{folder}` is to be both a file and a folder").into());
            }
            if let Some(id) = self.write_subtree(&files)? {
                builder.insert(folder, id, FileMode::Tree.into())?;
            }
        }
        Ok(Some(builder.write()?))
    }

    /// Puts a subtree (or nothing) in place of what is at a path of a tree; `None` when nothing is left.
    fn graft(
        &self,
        into: Option<&Tree<'_>>,
        path: &[&str],
        subtree: Option<Oid>,
    ) -> Result<Option<Oid>, Fault> {
        let Some((first, rest)) = path.split_first() else {
            return Ok(subtree);
        };
        let mut builder = self.repository.treebuilder(into)?;
        let below = match builder.get(*first)? {
            Some(entry) if entry.kind() == Some(ObjectType::Tree) => {
                Some(self.repository.find_tree(entry.id())?)
            }
            Some(_) if !rest.is_empty() => {
                return Err(anyhow!(
                    "`{first}` is a file in the repository, but a folder is needed"
                )
                .into());
            }
            _ => None,
        };
        match self.graft(below.as_ref(), rest, subtree)? {
            Some(id) => drop(builder.insert(*first, id, FileMode::Tree.into())?),
            None if builder.get(*first)?.is_some() => builder.remove(*first)?,
            None => {}
        }
        if builder.is_empty() {
            return Ok(None);
        }
        Ok(Some(builder.write()?))
    }
}

/// The regular files of a commit whose paths are wanted.
pub(super) fn read_files(
    repository: &Repository,
    commit: Oid,
    wanted: fn(&str) -> bool,
) -> Result<Files, Fault> {
    let tree = repository.find_commit(commit)?.tree()?;
    let mut found: Vec<(String, Oid)> = Vec::new();
    tree.walk(TreeWalkMode::PreOrder, |parent, entry| {
        let regular =
            entry.kind() == Some(ObjectType::Blob) && entry.filemode() != i32::from(FileMode::Link);
        // A path that is not UTF-8 is none that anybody can want.
        if regular && let Ok(name) = std::str::from_utf8(entry.name_bytes()) {
            let path = format!("{parent}{name}");
            if wanted(&path) {
                found.push((path, entry.id()));
            }
        }
        TreeWalkResult::Ok
    })?;
    let mut files = Files::new();
    for (path, id) in found {
        files.insert(path, repository.find_blob(id)?.content().to_vec());
    }
    Ok(files)
}

/// The paths that two trees do not have alike, sorted.
pub(super) fn differing_paths(
    repository: &Repository,
    before: Option<&Tree<'_>>,
    after: &Tree<'_>,
) -> Result<Vec<String>, Fault> {
    let difference = repository.diff_tree_to_tree(before, Some(after), None)?;
    let mut paths: Vec<String> = difference
        .deltas()
        .filter_map(|delta| delta.new_file().path().or_else(|| delta.old_file().path()))
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    paths.sort();
    Ok(paths)
}

/// Whether a relative path has only plain parts: none empty, `.`, `..` or `.git`.
pub(super) fn is_plain_path(path: &str) -> bool {
    path.split('/').all(|part| {
        !matches!(part, "" | "." | "..")
            && !part.eq_ignore_ascii_case(".git")
            && !part.contains(['\0', '\\'])
    })
}

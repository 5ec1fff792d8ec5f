//! `layersmith tables`: the tables, from what is recorded as live.

use super::catalog::CatalogOptions;
use super::{Backends, Ended, Failure, Output};
use crate::github::render::count;
use crate::gitrepo::{CatalogRepository, Committed};
use crate::pipeline::{
    Desired, Extent, Workshop, commit_message, commit_tables, list_as_tables, render_tables,
};
use crate::settings::Settings;
use anyhow::Context as _;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What became of the tables.
#[derive(Debug, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(super) enum TablesWritten {
    /// Into the catalog's folder.
    Files {
        folder: PathBuf,
        written: usize,
        removed: usize,
    },
    /// As a commit to the catalog repository.
    Pushed { commit: String, paths: Vec<String> },
    /// They said the right thing already.
    Unchanged { folder: String },
    /// They could not be written or pushed.
    Failed { message: String },
}

impl TablesWritten {
    /// Whether they could not be written or pushed.
    pub(super) fn failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

impl fmt::Display for TablesWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files {
                folder,
                written,
                removed,
            } => write!(
                f,
                "Tables in {}: {} written, {removed} removed.",
                folder.display(),
                count(*written, "file")
            ),
            Self::Pushed { commit, paths } => write!(
                f,
                "Tables: commit {commit} is pushed, {} changed.",
                count(paths.len(), "file")
            ),
            Self::Unchanged { folder } => write!(f, "Tables in {folder}: nothing to change."),
            Self::Failed { message } => write!(f, "Tables: FAILED: {message}"),
        }
    }
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &CatalogOptions,
) -> Result<Ended, Failure> {
    let catalog = options.read_whole(
        "tables takes a whole catalog: what one file does not name would be called retired",
    )?;
    let Some(desired) = &catalog.desired else {
        return catalog.cannot_be_used(output);
    };
    let repository = options.repository(backends, &settings).await?;
    let workshop = (backends.workshop)(settings).await?;
    let message = commit_message(&[], &[], "command-line");
    let written = write(
        &workshop,
        desired,
        &catalog.root,
        repository.as_ref(),
        &message,
        Extent::Everything,
    )
    .await?;
    let value = serde_json::json!({ "tables": written, "problems": catalog.problems });
    output.answer(&value, &written.to_string())?;
    Ok(Ended::Done)
}

/// As [`write()`]; what went wrong is part of the answer.
pub(super) async fn try_write(
    workshop: &Workshop,
    desired: &Desired,
    root: &Path,
    repository: Option<&CatalogRepository>,
    message: &str,
    extent: Extent,
) -> TablesWritten {
    write(workshop, desired, root, repository, message, extent)
        .await
        .unwrap_or_else(|error| TablesWritten::Failed {
            message: format!("{error:#}"),
        })
}

/// Renders the tables and writes what changed: into the catalog's folder, or as a commit to its repository.
pub(super) async fn write(
    workshop: &Workshop,
    desired: &Desired,
    root: &Path,
    repository: Option<&CatalogRepository>,
    message: &str,
    extent: Extent,
) -> anyhow::Result<TablesWritten> {
    let folder = &desired.policy.tables.path;
    let Some(repository) = repository else {
        let files = render_tables(workshop, desired).await?;
        let written = write_files(root, folder, &files)?;
        list_as_tables(workshop.store.as_ref(), &desired.policy).await?;
        return Ok(written);
    };
    Ok(
        match commit_tables(workshop, repository, desired, message, extent).await? {
            Committed::Unchanged { .. } => TablesWritten::Unchanged {
                folder: folder.clone(),
            },
            Committed::Pushed { commit, paths, .. } => TablesWritten::Pushed { commit, paths },
        },
    )
}

fn write_files(
    root: &Path,
    folder: &str,
    files: &BTreeMap<String, Vec<u8>>,
) -> anyhow::Result<TablesWritten> {
    let mut written = 0;
    for (path, content) in files {
        let path = root.join(path);
        if std::fs::read(&path).ok().as_ref() != Some(content) {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)
                    .with_context(|| format!("{} cannot be made", parent.display()))?;
            }
            std::fs::write(&path, content)
                .with_context(|| format!("{} cannot be written", path.display()))?;
            written += 1;
        }
    }
    let mut removed = 0;
    for stale in files_below(&root.join(folder))? {
        let known = stale
            .strip_prefix(root)
            .ok()
            .and_then(Path::to_str)
            .is_some_and(|path| files.contains_key(path));
        if !known {
            std::fs::remove_file(&stale)?;
            removed += 1;
        }
    }
    if written + removed == 0 {
        return Ok(TablesWritten::Unchanged {
            folder: folder.to_owned(),
        });
    }
    Ok(TablesWritten::Files {
        folder: root.join(folder),
        written,
        removed,
    })
}

fn files_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

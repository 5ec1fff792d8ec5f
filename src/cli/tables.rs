//! `layersmith tables`: the tables, from what is recorded as live.

use super::{Backends, Ended, Failure, Output, catalog};
use crate::gitrepo::{CatalogRepository, Committed};
use crate::pipeline::{Desired, Workshop, commit_message, render_tables};
use crate::settings::Settings;
use clap::Args;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The catalog, or its `layers/` folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Commit the tables to the catalog repository instead of writing them here
    #[arg(long)]
    push: bool,
}

/// What became of the tables.
pub(super) enum Written {
    Files {
        folder: PathBuf,
        changed: usize,
        removed: usize,
    },
    Pushed {
        commit: String,
        paths: usize,
    },
    Unchanged,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files {
                folder,
                changed,
                removed,
            } => {
                write!(
                    f,
                    "Tables in {}: {changed} files written, {removed} removed.",
                    folder.display()
                )
            }
            Self::Pushed { commit, paths } => {
                write!(f, "Tables: {paths} files changed in commit {commit}.")
            }
            Self::Unchanged => f.write_str("Tables: nothing to change."),
        }
    }
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    let catalog = catalog::read(&options.path)?;
    let Some(desired) = &catalog.desired else {
        output.answer(
            &catalog.problems,
            &catalog::problems_as_text(&catalog.problems),
        )?;
        return Ok(Ended::BadInput);
    };
    let repository = if options.push {
        Some((backends.catalog)(settings.clone()).await?)
    } else {
        None
    };
    let workshop = (backends.workshop)(settings).await?;
    let message = commit_message(&[], &[], "command-line");
    let written = write(
        &workshop,
        desired,
        &catalog.root,
        repository.as_ref(),
        &message,
    )
    .await?;
    output.answer(&written.to_string(), &written.to_string())?;
    Ok(Ended::Done)
}

/// Renders the tables and writes what changed: into the catalog's folder, or as a commit to its repository.
pub(super) async fn write(
    workshop: &Workshop,
    desired: &Desired,
    root: &Path,
    repository: Option<&CatalogRepository>,
    message: &str,
) -> Result<Written, Failure> {
    let files = render_tables(workshop, &desired.policy, &desired.layers).await?;
    let folder = &desired.policy.tables.path;
    let Some(repository) = repository else {
        return Ok(write_files(root, folder, &files)?);
    };
    let render = move |_: &crate::gitrepo::Snapshot<'_>| Ok(files.clone());
    Ok(
        match repository
            .commit_folder(folder, message, workshop.now(), render)
            .await?
        {
            Committed::Unchanged { .. } => Written::Unchanged,
            Committed::Pushed { commit, paths } => Written::Pushed {
                commit,
                paths: paths.len(),
            },
        },
    )
}

fn write_files(
    root: &Path,
    folder: &str,
    files: &BTreeMap<String, Vec<u8>>,
) -> anyhow::Result<Written> {
    let mut changed = 0;
    for (path, content) in files {
        let path = root.join(path);
        if std::fs::read(&path).ok().as_ref() != Some(content) {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, content)?;
            changed += 1;
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
    if changed + removed == 0 {
        return Ok(Written::Unchanged);
    }
    Ok(Written::Files {
        folder: root.join(folder),
        changed,
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

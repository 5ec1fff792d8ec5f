//! A catalog on this machine: the folder that holds `layers/` and `.github/layersmith.yaml`.

use super::{Backends, Ended, Failure, Output};
use crate::github::FILE_LIMIT;
use crate::gitrepo::CatalogRepository;
use crate::model::{Policy, Problem};
use crate::pipeline::{Desired, read_policy, read_tree};
use crate::request::SourceFile;
use crate::settings::Settings;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the request files are.
const FOLDER: &str = "layers";

/// What every command takes that carries something out for a catalog and writes its tables.
#[derive(Debug, Args)]
pub(super) struct CatalogOptions {
    /// The catalog, or its `layers/` folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Commit the tables to the catalog repository instead of writing them here
    #[arg(long)]
    pub(super) push: bool,
}

impl CatalogOptions {
    /// Reads the catalog.
    pub(super) fn read(&self) -> Result<LocalCatalog, Failure> {
        read(&self.path)
    }

    /// Reads the catalog, which must not be one file of it; `why` says why not, as a sentence of the command.
    pub(super) fn read_whole(&self, why: &str) -> Result<LocalCatalog, Failure> {
        if self.path.is_file() {
            return Err(Failure::Usage(why.to_owned()));
        }
        self.read()
    }

    /// Where the tables are pushed to, where that was asked for: a push that cannot work should be known before anything
    /// is done.
    pub(super) async fn repository(
        &self,
        backends: Backends,
        settings: &Settings,
    ) -> Result<Option<CatalogRepository>, Failure> {
        Ok(if self.push {
            Some((backends.catalog)(settings.clone()).await?)
        } else {
            None
        })
    }
}

/// The files of a catalog and what they ask for.
pub(super) struct LocalCatalog {
    /// The folder that holds `layers/`.
    pub(super) root: PathBuf,
    /// How many request files there are.
    pub(super) files: usize,
    /// What they ask for; absent when the policy cannot be read.
    pub(super) desired: Option<Desired>,
    /// Everything that is wrong, sorted.
    pub(super) problems: Vec<Problem>,
}

impl LocalCatalog {
    /// Says what is wrong, where nothing can be made of the catalog.
    pub(super) fn cannot_be_used(&self, output: &Output) -> Result<Ended, Failure> {
        let value = serde_json::json!({ "problems": self.problems });
        output.answer(&value, &problems_as_text(&self.problems))?;
        Ok(Ended::BadInput)
    }
}

/// Reads the catalog that a path names: its root, its `layers/` folder, or one request file in it.
pub(super) fn read(path: &Path) -> Result<LocalCatalog, Failure> {
    let (root, only) = locate(path)?;
    let mut files = BTreeMap::new();
    let folder = root.join(FOLDER);
    let entries = std::fs::read_dir(&folder).map_err(|error| {
        Failure::Usage(format!(
            "{} cannot be read: {error}; a catalog has its request files there",
            folder.display()
        ))
    })?;
    for entry in entries {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        if !entry.file_type()?.is_dir() && only.as_ref().is_none_or(|only| *only == name) {
            files.insert(format!("{FOLDER}/{name}"), source_file(&entry.path())?);
        }
    }
    files.retain(|path, _| crate::pipeline::retained(path));
    let policy = policy_file(&root)?;
    let (desired, problems) = read_tree(&files, policy.as_ref());
    Ok(LocalCatalog {
        root,
        files: files.len(),
        desired,
        problems,
    })
}

/// The policy file of the catalog in this folder, should there be one.
fn policy_file(root: &Path) -> Result<Option<SourceFile>, Failure> {
    match source_file(&root.join(Policy::PATH)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Usage(format!(
            "{} cannot be read: {error}",
            root.join(Policy::PATH).display()
        ))),
    }
}

/// The policy of the catalog in this folder; `None` where there is none.
pub(super) fn policy_of(root: &Path) -> Result<Option<Policy>, Failure> {
    let Some(file) = policy_file(root)? else {
        return Ok(None);
    };
    match read_policy(&file) {
        (Some(policy), _) => Ok(Some(policy)),
        (None, problems) => Err(Failure::Usage(problems_as_text(&problems))),
    }
}

/// A file as the server would find it in a commit: links are not followed, and what is too large is not read.
fn source_file(path: &Path) -> std::io::Result<SourceFile> {
    let metadata = std::fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        Ok(SourceFile::Elsewhere)
    } else if metadata.len() > FILE_LIMIT {
        Ok(SourceFile::TooLarge {
            size: metadata.len(),
        })
    } else {
        Ok(SourceFile::Bytes(std::fs::read(path)?))
    }
}

/// The root of the catalog a path belongs to, and the one file that is meant, should it be one.
fn locate(path: &Path) -> Result<(PathBuf, Option<String>), Failure> {
    let absolute = std::fs::canonicalize(path)
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    let parent_named = |path: &Path| path.parent().map(Path::to_path_buf);
    if absolute.is_file() {
        let folder = parent_named(&absolute)
            .filter(|folder| folder.file_name().is_some_and(|name| name == FOLDER));
        let root = folder.as_deref().and_then(parent_named);
        let name = absolute
            .file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned);
        return root.map(|root| (root, name)).ok_or_else(|| {
            Failure::Usage(format!(
                "{} is not a request file: they are {FOLDER}/NAME.yaml",
                path.display()
            ))
        });
    }
    if absolute.file_name().is_some_and(|name| name == FOLDER)
        && !absolute.join(FOLDER).is_dir()
        && let Some(root) = parent_named(&absolute)
    {
        return Ok((root, None));
    }
    Ok((absolute, None))
}

/// The problems as compilers write them, a line each.
pub(super) fn problems_as_text(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}

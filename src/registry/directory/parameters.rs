//! Public names as files: `parameters/REGION/layersmith/Layersmith/p3.13/pandas.value`.
//!
//! The ending keeps a name apart from a folder of names below it, which Parameter Store allows to be called the same.

use super::files::{create_folders, write_durably};
use super::{DirectoryRegistry, never_mends};
use crate::model::Region;
use crate::registry::{ParameterStore, RegistryError};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

const ENDING: &str = ".value";

impl DirectoryRegistry {
    /// Where a name's folder or file is, without the ending. Names that could lead out of the directory are refused.
    fn parameter_place(&self, region: &Region, name: &str) -> Result<PathBuf, RegistryError> {
        let parts: Vec<&str> = name.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        match parts.as_slice() {
            ["", rest @ ..] if !rest.is_empty() && rest.iter().all(plain) => {
                let root = self.root.join("parameters").join(region.as_str());
                Ok(rest.iter().fold(root, |folder, part| folder.join(part)))
            }
            _ => Err(RegistryError::Refused {
                region: region.clone(),
                message: format!("`{name}` is not the name of a parameter"),
            }),
        }
    }

    async fn with_files<T: Send + 'static>(
        region: &Region,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let region = region.clone();
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if never_mends(&error) => Err(RegistryError::Refused {
                region,
                message: error.to_string(),
            }),
            Ok(Err(error)) => Err(RegistryError::Unreachable {
                region,
                message: error.to_string(),
            }),
            Err(broken_off) => Err(RegistryError::Unreachable {
                region,
                message: broken_off.to_string(),
            }),
        }
    }
}

#[async_trait]
impl ParameterStore for DirectoryRegistry {
    async fn parameters(
        &self,
        region: &Region,
        path: &str,
    ) -> Result<BTreeMap<String, String>, RegistryError> {
        let (folder, path) = (self.parameter_place(region, path)?, path.to_owned());
        Self::with_files(region, move || {
            let mut found = BTreeMap::new();
            collect(&folder, &path, &mut found)?;
            Ok(found)
        })
        .await
    }

    async fn put_parameter(
        &self,
        region: &Region,
        name: &str,
        value: &str,
    ) -> Result<(), RegistryError> {
        let file = with_ending(&self.parameter_place(region, name)?);
        let value = value.to_owned();
        Self::with_files(region, move || {
            create_folders(file.parent().unwrap_or(Path::new(".")))?;
            write_durably(&file, value.as_bytes())
        })
        .await
    }

    async fn delete_parameters(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<(), RegistryError> {
        let files: Result<Vec<PathBuf>, RegistryError> = names
            .iter()
            .map(|name| Ok(with_ending(&self.parameter_place(region, name)?)))
            .collect();
        let files = files?;
        Self::with_files(region, move || {
            for file in files {
                match fs::remove_file(file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }
}

fn with_ending(place: &Path) -> PathBuf {
    let mut file = place.as_os_str().to_owned();
    file.push(ENDING);
    file.into()
}

/// Everything below a folder; `path` is the folder's own name.
fn collect(folder: &Path, path: &str, found: &mut BTreeMap<String, String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/{name}"), found)?;
        } else if let Some(name) = name.strip_suffix(ENDING) {
            found.insert(format!("{path}/{name}"), fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

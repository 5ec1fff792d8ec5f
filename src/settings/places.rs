//! Where things are, by the settings or by default in the data folder.

use super::{ArtifactsSetting, RegistrySetting, Settings, StoreSetting};
use std::path::PathBuf;

impl Settings {
    /// Where the store is.
    #[must_use]
    pub fn store(&self) -> StoreSetting {
        self.store
            .clone()
            .unwrap_or_else(|| StoreSetting::Sqlite(self.data.join("store.sqlite")))
    }

    /// Where layers are published.
    #[must_use]
    pub fn registry(&self) -> RegistrySetting {
        self.registry
            .clone()
            .unwrap_or_else(|| RegistrySetting::Directory(self.data.join("registry")))
    }

    /// Where built zips are kept.
    #[must_use]
    pub fn artifacts(&self) -> ArtifactsSetting {
        self.artifacts
            .clone()
            .unwrap_or_else(|| ArtifactsSetting::Directory(self.local_artifacts()))
    }

    /// The folder for copies of built zips that are kept elsewhere.
    #[must_use]
    pub fn local_artifacts(&self) -> PathBuf {
        self.data.join("artifacts")
    }

    /// Where the catalog repository is pushed to, when a repository is named.
    #[must_use]
    pub fn git_url(&self) -> Option<String> {
        let github = || {
            self.repository
                .as_ref()
                .map(|name| format!("ssh://git@github.com/{name}.git"))
        };
        self.git_url.clone().or_else(github)
    }
}

//! What a source distribution says of how it is built.

use pep508_rs::{VerbatimUrl, VersionOrUrl};
use serde::Deserialize;
use std::str::FromStr as _;

/// Requirements of one build that are taken at most; builds need one to five.
const REQUIREMENTS_LIMIT: usize = 50;

/// The `[build-system]` of a `pyproject.toml` (PEP 518, PEP 517).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSystem {
    /// What must be installed for building, each as PEP 508 writes it and without addresses.
    pub requires: Vec<String>,
    /// The object to call, such as `setuptools.build_meta`.
    pub backend: String,
    /// Folders of the source to look for it first.
    pub backend_path: Vec<String>,
}

impl Default for BuildSystem {
    /// For sources that say nothing: `setup.py`, as PEP 517 has it under "Source trees".
    fn default() -> Self {
        Self {
            requires: vec!["setuptools>=40.8.0".to_owned(), "wheel".to_owned()],
            backend: "setuptools.build_meta:__legacy__".to_owned(),
            backend_path: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pyproject {
    build_system: Option<Table>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Table {
    requires: Vec<String>,
    build_backend: Option<String>,
    #[serde(default)]
    backend_path: Vec<String>,
}

impl BuildSystem {
    /// Reads the text of a `pyproject.toml`, or of none.
    ///
    /// # Errors
    /// What is wrong, as a sentence without its subject.
    pub(crate) fn read(pyproject: Option<&str>) -> Result<Self, String> {
        let Some(text) = pyproject else {
            return Ok(Self::default());
        };
        let pyproject: Pyproject = toml::from_str(text)
            .map_err(|error| format!("its pyproject.toml cannot be read: {}", error.message()))?;
        let Some(table) = pyproject.build_system else {
            return Ok(Self::default());
        };
        check_requirements(&table.requires)?;
        Ok(Self {
            requires: table.requires,
            backend: table.build_backend.unwrap_or(Self::default().backend),
            backend_path: table.backend_path,
        })
    }
}

/// Takes requirements that a package index can answer, and no others.
///
/// # Errors
/// What is wrong, as a sentence without its subject.
pub(crate) fn check_requirements(requirements: &[String]) -> Result<(), String> {
    if requirements.len() > REQUIREMENTS_LIMIT {
        return Err(format!(
            "its build needs {} packages, and {REQUIREMENTS_LIMIT} are taken at most",
            requirements.len()
        ));
    }
    for text in requirements {
        let shown: String = text.chars().take(200).collect();
        let parsed = pep508_rs::Requirement::<VerbatimUrl>::from_str(text).map_err(|_| {
            format!(
                "its build needs `{}`, which is not a requirement of PEP 508",
                shown.escape_debug()
            )
        })?;
        if matches!(parsed.version_or_url, Some(VersionOrUrl::Url(_))) {
            return Err(format!(
                "its build needs `{}`, which is not from a package index",
                shown.escape_debug()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_says_nothing_is_built_with_setuptools() {
        assert_eq!(BuildSystem::read(None), Ok(BuildSystem::default()));
        assert_eq!(
            BuildSystem::read(Some("[tool.black]\n")),
            Ok(BuildSystem::default())
        );
    }

    #[test]
    fn a_backend_and_what_it_needs_are_read() {
        let text = "[build-system]\nrequires = ['flit_core >=3.2,<4', 'tomli; python_version < \"3.11\"']\nbuild-backend = 'flit_core.buildapi'\nbackend-path = ['.']\n";
        let system = BuildSystem::read(Some(text)).unwrap();
        assert_eq!(system.requires.len(), 2);
        assert_eq!(system.backend, "flit_core.buildapi");
        assert_eq!(system.backend_path, ["."]);
        let old = BuildSystem::read(Some("[build-system]\nrequires = ['setuptools']\n")).unwrap();
        assert_eq!(old.backend, "setuptools.build_meta:__legacy__");
        assert_eq!(old.requires, ["setuptools"]);
    }

    #[test]
    fn what_does_not_come_from_an_index_is_refused() {
        for bad in [
            "'x @ https://example.com/x.whl'",
            "'--index-url=https://example.com'",
            "'../x'",
            "''",
            "1",
        ] {
            let text = format!("[build-system]\nrequires = [{bad}]\n");
            assert!(BuildSystem::read(Some(&text)).is_err(), "{bad} was taken");
        }
        let many = vec!["'a'"; 51].join(",");
        assert!(BuildSystem::read(Some(&format!("[build-system]\nrequires=[{many}]\n"))).is_err());
        assert!(BuildSystem::read(Some("[[[")).is_err());
    }
}

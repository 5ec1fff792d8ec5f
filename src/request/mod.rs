//! What people ask for: request files (`layers/NAME.yaml`) and the policy (`.github/layersmith.yaml`), read into
//! validated values, with every problem at its line and column and a hint what to write instead.
//!
//! Nothing here fails half way: a file gives a value or errors, all of them at once, and whatever the bytes are,
//! reading them ends soon and without a panic. Deliberately absent: input and output, the network (whether a package
//! exists is the resolver's to say), and what is published already.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod build_choices;
mod choices;
mod document;
mod fields;
mod layer;
mod marker;
mod policy;
mod policy_outward;
mod policy_values;
mod report;
mod requirement;
mod tree;
mod words;

#[cfg(test)]
mod tests;

pub use layer::parse_layer;
pub use policy::parse_policy;

use crate::model::{LayerName, LayerRequest, Location, Policy, Problem};
use std::collections::BTreeMap;

/// The folder of the request files, with its slash.
const FOLDER: &str = "layers/";

/// What stands at a path of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceFile {
    /// A file and its bytes.
    Bytes(Vec<u8>),
    /// A file too large to be fetched at all.
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// A symbolic link, or another repository's commit: never followed.
    Elsewhere,
}

impl SourceFile {
    /// The bytes, of a file that was read.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::TooLarge { .. } | Self::Elsewhere => None,
        }
    }

    /// The bytes, or why there are none.
    ///
    /// # Errors
    /// The one problem of a file that was not read.
    pub fn read(&self, path: &str) -> Result<&[u8], Problem> {
        let problem = |message: String, hint: String| {
            Err(Problem::error(path, Location::START, message).with_hint(hint))
        };
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::TooLarge { size } => {
                let (message, hint) = document::too_large(*size);
                problem(message, hint)
            }
            Self::Elsewhere => problem(
                "this is a link, and links are not followed".to_owned(),
                "put the file itself here".to_owned(),
            ),
        }
    }
}

impl From<Vec<u8>> for SourceFile {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// Every request of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The requests of files without errors, by name.
    pub layers: BTreeMap<LayerName, LayerRequest>,
    /// All problems, warnings included, by path and place.
    pub problems: Vec<Problem>,
}

/// Reads every request file of a tree; keys are repository paths with `/`, other files are passed over.
#[must_use]
pub fn parse_catalog(files: &BTreeMap<String, SourceFile>, policy: &Policy) -> Catalog {
    let mut catalog = Catalog::default();
    for (path, file) in files.iter().filter(|(path, _)| is_request_path(path)) {
        let (layer, problems) = match file.read(path) {
            Ok(bytes) => parse_layer(path, bytes, policy),
            Err(problem) => (None, vec![problem]),
        };
        if let Some(layer) = layer {
            catalog.layers.insert(layer.name.clone(), layer);
        }
        catalog.problems.extend(problems);
    }
    for path in files.keys().filter(|path| is_misplaced_path(path)) {
        let tables = policy.tables.path.trim_end_matches('/');
        let is_table = path
            .strip_prefix(tables)
            .is_some_and(|rest| rest.starts_with('/'));
        if !is_table {
            let name = path.rsplit('/').next().unwrap_or(path);
            let message = "no request is read from here: they are files directly in `layers/`";
            let hint = format!("move it to `{FOLDER}{}`", report::shown(name));
            catalog
                .problems
                .push(Problem::warning(path, Location::START, message).with_hint(hint));
        }
    }
    catalog.problems.sort();
    catalog
}

/// Whether [`parse_catalog`] reads the file at a repository path: a YAML file directly in `layers/`, whatever the
/// spelling of its ending (anything but `.yaml` is then an error, so that no request is passed over in silence).
#[must_use]
pub fn is_request_path(path: &str) -> bool {
    path.strip_prefix(FOLDER)
        .is_some_and(|file| !file.contains('/') && is_yaml(file))
}

/// Whether [`parse_catalog`] warns of the file at a repository path: a YAML file somewhere below `layers/`, which a
/// person may take for a request.
#[must_use]
pub fn is_misplaced_path(path: &str) -> bool {
    path.strip_prefix(FOLDER)
        .is_some_and(|file| file.contains('/') && is_yaml(file))
}

fn is_yaml(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| {
        extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
    })
}

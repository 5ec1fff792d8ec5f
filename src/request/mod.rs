//! What people ask for: request files (`layers/NAME.yaml`) and the policy (`.github/layersmith.yaml`), read into
//! validated values, with every problem at its line and column and a hint what to write instead.
//!
//! Nothing here fails half way: a file gives a value or errors, all of them at once, and whatever the bytes are,
//! reading them ends soon and without a panic. Deliberately absent: input and output, the network (whether a package
//! exists is the resolver's to say), and what is published already.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod choices;
mod document;
mod fields;
mod layer;
mod marker;
mod policy;
mod policy_values;
mod report;
mod requirement;
mod tree;
mod words;

#[cfg(test)]
mod tests;

pub use layer::parse_layer;
pub use policy::parse_policy;

use crate::model::{LayerName, LayerRequest, Policy, Problem};
use std::collections::BTreeMap;

/// The folder of the request files, with its slash.
const FOLDER: &str = "layers/";

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
pub fn parse_catalog(files: &BTreeMap<String, Vec<u8>>, policy: &Policy) -> Catalog {
    let mut catalog = Catalog::default();
    for (path, bytes) in files.iter().filter(|(path, _)| is_request_path(path)) {
        let (layer, problems) = parse_layer(path, bytes, policy);
        if let Some(layer) = layer {
            catalog.layers.insert(layer.name.clone(), layer);
        }
        catalog.problems.extend(problems);
    }
    catalog.problems.sort();
    catalog
}

/// Whether [`parse_catalog`] reads the file at a repository path: a YAML file directly in `layers/`, whatever the
/// spelling of its ending (anything but `.yaml` is then an error, so that no request is passed over in silence).
#[must_use]
pub fn is_request_path(path: &str) -> bool {
    path.strip_prefix(FOLDER).is_some_and(|file| {
        !file.contains('/')
            && file.rsplit_once('.').is_some_and(|(_, extension)| {
                extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
            })
    })
}

//! What a package says of itself in `METADATA`.

use serde::{Deserialize, Serialize};

/// The longest licence taken from a `License` field that is meant to be one line: longer ones are whole texts.
const LICENSE_LINE_LIMIT: usize = 80;

/// The longest value taken of any other field, in characters: addresses, summaries, names of files.
const VALUE_LIMIT: usize = 1_000;
/// How many values are taken of a field that may stand there several times.
const VALUES_LIMIT: usize = 1_000;

/// The fields of a wheel's `METADATA` that are used here; what it does not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    /// As the package writes it.
    pub(crate) name: Option<String>,
    /// One line: the SPDX expression (PEP 639), else the classifiers, else a short `License` field.
    pub(crate) license: Option<String>,
    /// `License-Expression` (PEP 639), as the package writes it.
    pub(crate) expression: Option<String>,
    /// The classifiers about licences, whole: `License :: OSI Approved :: MIT License`.
    pub(crate) classifiers: Vec<String>,
    /// `License`, where it is one short line.
    pub(crate) license_field: Option<String>,
    /// `License-File`: paths as the package writes them.
    pub(crate) license_files: Vec<String>,
    /// `Requires-Python`, a set of versions (PEP 440).
    pub(crate) requires_python: Option<String>,
    /// `Requires-Dist`: requirements (PEP 508).
    pub(crate) requires: Vec<String>,
    /// `Summary`.
    pub(crate) summary: Option<String>,
    /// `Home-page`, else the first of `Project-URL`; any text.
    pub(crate) homepage: Option<String>,
}

/// Reads the headers of a `METADATA` file (core metadata specification: the format of e-mail headers). The
/// description after the first empty line is not looked at; what cannot be understood is passed over.
pub(crate) fn read(text: &str) -> Metadata {
    let mut metadata = Metadata::default();
    let mut project_url = None;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            break;
        }
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        let is_folded = lines
            .peek()
            .is_some_and(|next| next.starts_with([' ', '\t']));
        match key.to_ascii_lowercase().as_str() {
            "name" => metadata.name = Some(value.to_owned()),
            "license-expression" => metadata.expression = short(value),
            "license" if !is_folded && value.chars().count() <= LICENSE_LINE_LIMIT => {
                metadata.license_field = one_line(value).filter(|license| license != "UNKNOWN");
            }
            "classifier" if value.starts_with("License ::") => {
                add(&mut metadata.classifiers, value);
            }
            "license-file" => add(&mut metadata.license_files, value),
            "requires-python" => metadata.requires_python = short(value),
            "requires-dist" => add(&mut metadata.requires, value),
            "summary" => metadata.summary = short(value).filter(|summary| summary != "UNKNOWN"),
            "home-page" => metadata.homepage = short(value).filter(|page| page != "UNKNOWN"),
            // `Label, address`.
            "project-url" if project_url.is_none() => {
                project_url = value
                    .rsplit_once(',')
                    .and_then(|(_, page)| short(page.trim()));
            }
            _ => {}
        }
    }
    metadata.homepage = metadata.homepage.or(project_url);
    let classified = metadata.classified();
    metadata.license = metadata
        .expression
        .clone()
        .or((!classified.is_empty()).then(|| classified.join(" / ")))
        .or(metadata.license_field.clone());
    metadata
}

impl Metadata {
    /// The licences that the classifiers name: their last parts, of which `OSI Approved` alone says nothing.
    pub(crate) fn classified(&self) -> Vec<&str> {
        self.classifiers
            .iter()
            .filter_map(|classifier| classifier.rsplit("::").next())
            .map(str::trim)
            .filter(|last| !last.is_empty() && *last != "OSI Approved")
            .collect()
    }
}

fn short(value: &str) -> Option<String> {
    one_line(value).filter(|value| value.chars().count() <= VALUE_LIMIT)
}

fn add(values: &mut Vec<String>, value: &str) {
    if values.len() < VALUES_LIMIT {
        values.extend(short(value));
    }
}

/// The text without control characters, unless nothing is left.
fn one_line(text: &str) -> Option<String> {
    let line: String = text.chars().filter(|c| !c.is_control()).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn license(headers: &str) -> Option<String> {
        read(&format!(
            "Metadata-Version: 2.4\nName: A\n{headers}\n\nLicense: from the description\n"
        ))
        .license
    }

    #[test]
    fn the_most_exact_statement_of_a_licence_wins() {
        let expression = "License-Expression: MIT OR Apache-2.0";
        let classifier = "Classifier: License :: OSI Approved :: MIT License";
        let field = "License: MIT";
        assert_eq!(
            license(&format!("{field}\n{classifier}\n{expression}")).as_deref(),
            Some("MIT OR Apache-2.0")
        );
        assert_eq!(
            license(&format!("{field}\n{classifier}")).as_deref(),
            Some("MIT License")
        );
        assert_eq!(license(field).as_deref(), Some("MIT"));
        assert_eq!(license(""), None);
    }

    #[test]
    fn several_classifiers_are_all_said() {
        let text = "Classifier: License :: OSI Approved\nClassifier: License :: OSI Approved :: BSD License\nClassifier: License :: Public Domain\nClassifier: Programming Language :: Python";
        assert_eq!(
            license(text).as_deref(),
            Some("BSD License / Public Domain")
        );
    }

    #[test]
    fn whole_texts_and_placeholders_are_no_licence() {
        assert_eq!(license("License: UNKNOWN"), None);
        assert_eq!(license(&format!("License: {}", "x".repeat(81))), None);
        assert_eq!(
            license("License: Copyright A\n        All rights reserved"),
            None
        );
    }
}

//! What a package says of itself in `METADATA`.

/// The longest licence taken from a `License` field that is meant to be one line: longer ones are whole texts.
const LICENSE_LINE_LIMIT: usize = 80;

/// The fields of a wheel's `METADATA` that are used here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// As the package writes it.
    pub(crate) name: Option<String>,
    /// One line: the SPDX expression (PEP 639), else the classifiers, else a short `License` field.
    pub(crate) license: Option<String>,
    /// The Python versions it is for: a specifier of PEP 440, not checked.
    pub(crate) requires_python: Option<String>,
}

/// Reads the headers of a `METADATA` file (core metadata specification: the format of e-mail headers). The
/// description after the first empty line is not looked at; what cannot be understood is passed over.
pub(crate) fn read(text: &str) -> Metadata {
    let mut name = None;
    let mut requires_python = None;
    let mut expression = None;
    let mut field: Option<String> = None;
    let mut classifiers: Vec<&str> = Vec::new();
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
            "name" => name = Some(value.to_owned()),
            "requires-python" => requires_python = one_line(value),
            "license-expression" => expression = one_line(value),
            "license" if !is_folded && value.chars().count() <= LICENSE_LINE_LIMIT => {
                field = one_line(value).filter(|license| license != "UNKNOWN");
            }
            "classifier" => {
                if let Some(license) = value.strip_prefix("License ::") {
                    // The last part names it; `OSI Approved` alone says nothing.
                    let last = license.rsplit("::").next().unwrap_or_default().trim();
                    if !last.is_empty() && last != "OSI Approved" {
                        classifiers.push(last);
                    }
                }
            }
            _ => {}
        }
    }
    let classified = (!classifiers.is_empty()).then(|| classifiers.join(" / "));
    Metadata {
        name,
        license: expression.or(classified).or(field),
        requires_python,
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

//! Requirements as uv reads them, a line each.

use super::error::ResolveError;
use crate::model::{Location, Requirement, normalize_package_name};
use pep508_rs::{VerbatimUrl, VersionOrUrl};
use std::str::FromStr;

/// One line for each requirement. Only names with versions get through: the format also knows options, paths and URLs,
/// which would let a request reach into the machine.
///
/// # Errors
/// [`ResolveError::Unusable`].
pub(crate) fn lines(packages: &[Requirement]) -> Result<Vec<String>, ResolveError> {
    packages.iter().map(line).collect()
}

/// The same requirements give the same text, in whatever order they come.
pub(crate) fn joined(lines: &[impl AsRef<str>]) -> String {
    let mut lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A requirement that stands in no request file, such as one of a build.
///
/// # Errors
/// [`ResolveError::Unusable`].
pub fn requirement(text: &str) -> Result<Requirement, ResolveError> {
    let parsed = pep508_rs::Requirement::<VerbatimUrl>::from_str(text).map_err(|_| {
        ResolveError::Unusable {
            package: text.chars().take(200).collect(),
            reason: "it is not a requirement as PEP 508 writes them".to_owned(),
        }
    })?;
    Ok(Requirement {
        name: normalize_package_name(parsed.name.as_ref()),
        text: parsed.to_string(),
        location: Location::START,
    })
}

/// A requirement without its restriction to versions; `None` when it has none.
pub(crate) fn any_version(line: &str) -> Option<String> {
    let mut parsed = pep508_rs::Requirement::<VerbatimUrl>::from_str(line).ok()?;
    parsed.version_or_url.take()?;
    Some(parsed.to_string())
}

fn line(package: &Requirement) -> Result<String, ResolveError> {
    let unusable = |reason: &str| ResolveError::Unusable {
        package: package.name.clone(),
        reason: reason.to_owned(),
    };
    let parsed = pep508_rs::Requirement::<VerbatimUrl>::from_str(&package.text)
        .map_err(|_| unusable("it is not a requirement as PEP 508 writes them"))?;
    if matches!(parsed.version_or_url, Some(VersionOrUrl::Url(_))) {
        return Err(unusable("packages are taken from the index, not from URLs"));
    }
    if package.text.chars().any(char::is_control) {
        return Err(unusable("it has a control character in it"));
    }
    Ok(parsed.to_string())
}

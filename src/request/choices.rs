//! What both files choose from: Python versions, architectures, regions.

use super::fields::{Key, distinct, wrong_kind};
use super::report::{Report, nearest, one_of, shown};
use super::tree::{Node, Value};
use crate::model::{Architecture, Location, PythonVersion, Region};

/// The word for every region on offer.
const ALL: &str = "all";
/// The minor version that AWS Lambda still runs but has ended support for.
const ENDED_MINOR: u8 = 10;
/// Said about it (AWS Lambda developer guide, "Lambda runtimes", deprecation table).
const PYTHON_3_10_ENDED: &str = "AWS Lambda ended Python 3.10 on 2026-10-31: functions cannot be created with it from 2026-11-30, nor updated from 2027-01-15";

/// A list of Python versions, oldest first.
pub(super) fn pythons(node: Node, key: Key, report: &mut Report<'_>) -> Option<Vec<PythonVersion>> {
    let mut versions = distinct(node, key, report, |text, at, report| {
        let version = python(text, at, report)?;
        if version.minor() == ENDED_MINOR {
            report.warning(at, PYTHON_3_10_ENDED, "use 3.12 or later");
        }
        Some(version)
    })?;
    versions.sort();
    Some(versions)
}

fn python(text: &str, at: Location, report: &mut Report<'_>) -> Option<PythonVersion> {
    if let Ok(version) = text.parse() {
        return Some(version);
    }
    let all: Vec<String> = PythonVersion::ALL.iter().map(ToString::to_string).collect();
    let current: Vec<&str> = PythonVersion::ALL
        .iter()
        .zip(&all)
        .filter(|(version, _)| version.minor() > ENDED_MINOR)
        .map(|(_, name)| name.as_str())
        .collect();
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let minor: Option<u32> = digits
        .strip_prefix("3.")
        .or_else(|| digits.strip_prefix('3'))
        .map(|rest| rest.split('.').next().unwrap_or_default())
        .and_then(|minor| minor.parse().ok());
    let supported = minor
        .map(|minor| format!("3.{minor}"))
        .filter(|name| all.contains(name));
    let (message, hint) = match (minor, supported) {
        // What `3.10` becomes in tools that read it as a number.
        (Some(1), _) => (
            format!("`{}` is not a Python version of AWS Lambda", shown(text)),
            "did you mean 3.10? Write it in quotes: `\"3.10\"`".to_owned(),
        ),
        (_, Some(name)) => (
            format!("`{}` is not a Python version of AWS Lambda", shown(text)),
            format!("write the minor version alone: `\"{name}\"`"),
        ),
        (Some(minor @ 0..=9), None) => (
            format!("Python 3.{minor} has ended on AWS Lambda"),
            format!("use {}", one_of(&current)),
        ),
        (Some(minor), None) if minor < 100 => (
            format!("AWS Lambda has no Python 3.{minor}"),
            format!("use {}", one_of(&current)),
        ),
        _ => (
            format!("`{}` is not a Python version of AWS Lambda", shown(text)),
            format!("use {}", one_of(&current)),
        ),
    };
    report.error(at, message, hint);
    None
}

/// A list of architectures, 64-bit x86 first.
pub(super) fn architectures(
    node: Node,
    key: Key,
    report: &mut Report<'_>,
) -> Option<Vec<Architecture>> {
    let mut chosen = distinct(node, key, report, |text, at, report| {
        let parsed = text.parse().ok();
        if parsed.is_none() {
            let hint = match text.to_ascii_lowercase().as_str() {
                "amd64" | "x64" | "x86" | "x86-64" | "intel" | "x86_64" => {
                    "did you mean `x86_64`?".to_owned()
                }
                "aarch64" | "arm" | "arm64" | "armv8" | "graviton" => {
                    "did you mean `arm64`?".to_owned()
                }
                _ => super::report::suggestion(text, &["x86_64", "arm64"]),
            };
            let message = format!("`{}` is not an architecture of AWS Lambda", shown(text));
            report.error(at, message, hint);
        }
        parsed
    })?;
    chosen.sort();
    Some(chosen)
}

/// Which regions were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Regions {
    /// `all`.
    All,
    /// These, sorted, each with its place in the file.
    Named(Vec<(Region, Location)>),
}

/// `all` or a list of regions.
pub(super) fn regions(node: Node, key: Key, report: &mut Report<'_>) -> Option<Regions> {
    if let Value::Text(text) = &node.value {
        if text.text == ALL {
            return Some(Regions::All);
        }
        let hint = match nearest_region(&text.text) {
            Some(ALL) => "did you mean `all`?".to_owned(),
            Some(name) => format!("write a list: `{}: [{name}]`", key.name),
            None => format!("write `{}: all`, or a list: `{}`", key.name, key.example),
        };
        let message = format!(
            "`{}` must be `all` or a list, found the text `{}`",
            key.name,
            shown(&text.text)
        );
        report.error(node.location, message, hint);
        return None;
    }
    if !matches!(node.value, Value::List(_)) {
        wrong_kind(&node, key, "`all` or a list", report);
        return None;
    }
    named_regions(node, key, report).map(Regions::Named)
}

/// A list of regions, sorted.
pub(super) fn named_regions(
    node: Node,
    key: Key,
    report: &mut Report<'_>,
) -> Option<Vec<(Region, Location)>> {
    // Two mentions of a region are equal wherever they stand, hence the places on the side.
    let mut places = Vec::new();
    let regions = distinct(node, key, report, |text, at, report| {
        let region = region(text, at, key, report)?;
        if !places.iter().any(|(known, _)| *known == region) {
            places.push((region.clone(), at));
        }
        Some(region)
    });
    places.sort();
    regions.map(|_| places)
}

fn region(text: &str, at: Location, key: Key, report: &mut Report<'_>) -> Option<Region> {
    if let Ok(region) = text.parse() {
        return Some(region);
    }
    let hint = match nearest_region(text) {
        Some(ALL) => format!("for every region write `{}: all`, without a list", key.name),
        Some(name) => format!("did you mean `{name}`?"),
        None => "use the code of a region, such as `us-east-1` or `eu-central-1`".to_owned(),
    };
    let message = format!("`{}` is not a region of AWS Lambda", shown(text));
    report.error(at, message, hint);
    None
}

fn nearest_region(text: &str) -> Option<&'static str> {
    if text.eq_ignore_ascii_case(ALL) || text == "*" {
        return Some(ALL);
    }
    // `us_east_1` and the availability zone `us-east-1a` are common; neither is a spelling mistake.
    let plain = text.replace(['_', ' '], "-");
    let zone = plain.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    Region::known_names()
        .find(|name| *name == zone)
        .or_else(|| nearest(&plain, Region::known_names()))
}

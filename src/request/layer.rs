//! `layers/NAME.yaml` → a validated request for a layer.

use super::choices::{Regions, architectures, pythons, regions};
use super::fields::{Fields, Key, distinct, list};
use super::report::{Report, shown};
use super::requirement::requirement;
use super::tree::{Node, Value};
use super::{build_choices, document, words};
use crate::model::{
    Architecture, LayerName, LayerRequest, Location, Policy, Problem, Region, Requirement,
    SlimKind, Target,
};
use std::collections::BTreeMap;

/// The longest description a file may give, in characters: AWS takes 256, of which the bot needs 133 at most: a name
/// (63), a space, a version (40 with room to spare), ` | sha256:` with 16 digits (26) and a separator (3).
const DESCRIPTION_LIMIT: usize = 120;
/// The longest licence text AWS takes (`PublishLayerVersion`, `LicenseInfo`).
const LICENSE_LIMIT: usize = 512;

const PACKAGES: Key = key("packages", "packages: [pandas, \"pyarrow>=15\"]");
const PYTHON: Key = key("python", "python: [\"3.12\", \"3.13\"]");
const ARCHITECTURES: Key = key("architectures", "architectures: [x86_64, arm64]");
const REGIONS: Key = key("regions", "regions: [us-east-1, eu-west-1]");
const DESCRIPTION: Key = key("description", "description: Data frames");
const LICENSE: Key = key("license", "license: BSD-3-Clause");
const EXCLUDE: Key = key("exclude", "exclude: [\"**/tests/**\"]");
const SLIM: Key = key("slim", "slim: [tests, headers]");
const EXCLUDE_RUNTIME: Key = key("exclude_runtime", "exclude_runtime: true");
const BYTECODE: Key = key("bytecode", "bytecode: imported");
const ALLOW_BUILD: Key = key("allow_build", "allow_build: [pandasql]");
const KEEP: Key = key("keep", "keep: [\"2.2\"]");
const OWNERS: Key = key("owners", "owners: [\"octocat\"]");
const KEYS: [Key; 13] = [
    PACKAGES,
    PYTHON,
    ARCHITECTURES,
    REGIONS,
    DESCRIPTION,
    LICENSE,
    EXCLUDE,
    SLIM,
    EXCLUDE_RUNTIME,
    BYTECODE,
    ALLOW_BUILD,
    KEEP,
    OWNERS,
];

const fn key(name: &'static str, example: &'static str) -> Key {
    Key { name, example }
}

/// Reads one request file. The value is there exactly when no problem is an error; problems come in the file's order.
#[must_use]
pub fn parse_layer(
    path: &str,
    bytes: &[u8],
    policy: &Policy,
) -> (Option<LayerRequest>, Vec<Problem>) {
    let mut report = Report::new(path);
    let name = layer_name(path, &mut report);
    let entries = document::read(bytes, &mut report).and_then(|node| mapping(node, &mut report));
    let request = entries.and_then(|entries| validate(path, name, entries, policy, &mut report));
    report.finish(request)
}

/// The layer's name from the file's.
fn layer_name(path: &str, report: &mut Report<'_>) -> Option<LayerName> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    if extension != "yaml" {
        report.error(
            Location::START,
            format!(
                "a request file must end in `.yaml`, found `{}`",
                shown(file)
            ),
            format!("rename it to `{}.yaml`", shown(stem)),
        );
    }
    // `{prefix}-p313-arm64-x` must be the layer `x` on arm64 and nothing else.
    if let Some(rest) = stem.strip_prefix("arm64-") {
        report.error(
            Location::START,
            format!(
                "a layer's name cannot begin with `arm64-`, found `{}`",
                shown(stem)
            ),
            format!(
                "its published name would be that of `{}` on arm64: choose another name",
                shown(rest)
            ),
        );
        return None;
    }
    let name = stem.parse().ok();
    if name.is_none() {
        let mut better: String = stem
            .to_lowercase()
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '_' {
                    c
                } else {
                    '-'
                }
            })
            .take(63)
            .collect();
        better = better.trim_matches(['-', '_']).to_owned();
        let rule =
            "1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends";
        report.error(
            Location::START,
            format!(
                "the file's name `{}` is not a layer name ({rule})",
                shown(stem)
            ),
            if better.is_empty() {
                "rename the file after its main package".to_owned()
            } else {
                format!("rename the file to `{}.yaml`", shown(&better))
            },
        );
    }
    name
}

fn mapping(node: Node, report: &mut Report<'_>) -> Option<Vec<(Node, Node)>> {
    let (message, at) = match node.value {
        Value::Mapping(entries) => return Some(entries),
        Value::Nothing => ("the file is empty".to_owned(), Location::START),
        other => (
            format!(
                "the file must be a mapping of keys to values, found {}",
                other.kind()
            ),
            node.location,
        ),
    };
    report.error(
        at,
        message,
        format!("write at least `{}`", PACKAGES.example),
    );
    None
}

fn validate(
    path: &str,
    name: Option<LayerName>,
    entries: Vec<(Node, Node)>,
    policy: &Policy,
    report: &mut Report<'_>,
) -> Option<LayerRequest> {
    let mut fields = Fields::new(entries, &KEYS, report);
    if !fields.has(PACKAGES) {
        report.error(
            Location::START,
            "the key `packages` is missing",
            format!("write for example `{}`", PACKAGES.example),
        );
    }
    let packages = fields
        .take(PACKAGES, report)
        .and_then(|node| packages(node, policy, report));
    let pythons = fields
        .take(PYTHON, report)
        .and_then(|node| pythons(node, PYTHON, report));
    let architectures = fields
        .take(ARCHITECTURES, report)
        .and_then(|node| architectures(node, ARCHITECTURES, report));
    let regions = fields
        .take(REGIONS, report)
        .and_then(|node| layer_regions(node, policy, report));
    let description = fields
        .take(DESCRIPTION, report)
        .and_then(|node| words::line(&node, DESCRIPTION, DESCRIPTION_LIMIT, report));
    let license = fields
        .take(LICENSE, report)
        .and_then(|node| words::line(&node, LICENSE, LICENSE_LIMIT, report));
    let bytecode = fields
        .take(BYTECODE, report)
        .and_then(|node| build_choices::bytecode(&node, BYTECODE, report));
    let slim = fields
        .take(SLIM, report)
        .and_then(|node| build_choices::slim(node, SLIM, report));
    let exclude_runtime = fields
        .take(EXCLUDE_RUNTIME, report)
        .and_then(|node| build_choices::truth(&node, EXCLUDE_RUNTIME, report));
    let mut words = |key, parse: fn(&str, Location, &mut Report<'_>) -> Option<String>| {
        let node = fields.take(key, report)?;
        distinct(node, key, report, parse)
    };
    let exclude = words(EXCLUDE, words::pattern);
    let allow_build = words(ALLOW_BUILD, words::package_name);
    let keep = words(KEEP, words::version_prefix);
    let owners = words(OWNERS, words::login);

    Some(LayerRequest {
        name: name?,
        path: path.to_owned(),
        packages: packages?,
        targets: targets(
            pythons.as_deref().unwrap_or(&policy.python),
            architectures.as_deref().unwrap_or(&policy.architectures),
        ),
        regions,
        description,
        license,
        exclude: sorted(exclude),
        slim: slim.unwrap_or_else(|| SlimKind::ALL.to_vec()),
        exclude_runtime: exclude_runtime.unwrap_or_default(),
        bytecode: bytecode.unwrap_or_default(),
        allow_build: sorted(allow_build),
        keep: sorted(keep),
        owners: owners.unwrap_or_default(),
    })
}

/// The order of these lists means nothing, so another order is the same request.
fn sorted(values: Option<Vec<String>>) -> Vec<String> {
    let mut values = values.unwrap_or_default();
    values.sort();
    values
}

fn targets(pythons: &[crate::model::PythonVersion], architectures: &[Architecture]) -> Vec<Target> {
    let mut targets: Vec<Target> = pythons
        .iter()
        .flat_map(|python| {
            architectures.iter().map(|architecture| Target {
                python: *python,
                architecture: *architecture,
            })
        })
        .collect();
    targets.sort();
    targets.dedup();
    targets
}

fn packages(node: Node, policy: &Policy, report: &mut Report<'_>) -> Option<Vec<Requirement>> {
    let at = node.location;
    let items = list(node, PACKAGES, report)?;
    let limit = policy.limits.packages_per_layer;
    if items.len() > limit {
        report.error(
            at,
            format!("`packages` lists {} packages", items.len()),
            format!("the policy allows {limit} in one layer: split it into several"),
        );
        return None;
    }
    let mut seen: BTreeMap<String, Location> = BTreeMap::new();
    let mut packages = Vec::with_capacity(items.len());
    for item in &items {
        let Some(requirement) = requirement(item, report) else {
            continue;
        };
        if let Some(first) = seen.get(&requirement.name) {
            report.error(
                requirement.location,
                format!(
                    "the package `{}` is here a second time",
                    shown(&requirement.name)
                ),
                format!(
                    "put all conditions into one requirement; the first is on line {}",
                    first.line
                ),
            );
            continue;
        }
        seen.insert(requirement.name.clone(), requirement.location);
        packages.push(requirement);
    }
    Some(packages)
}

/// The regions a layer names; `all`, like no key, leaves it to the policy.
fn layer_regions(node: Node, policy: &Policy, report: &mut Report<'_>) -> Option<Vec<Region>> {
    let at = node.location;
    let Regions::Named(named) = regions(node, REGIONS, report)? else {
        return None;
    };
    let excluded = |region: &Region| policy.exclude_regions.contains(region);
    if named.iter().all(|(region, _)| excluded(region)) {
        report.error(
            at,
            "the policy excludes every region that `regions` lists",
            "name others, or remove the line to publish wherever the policy does",
        );
        return None;
    }
    for (region, at) in named.iter().filter(|(region, _)| excluded(region)) {
        report.warning(
            *at,
            format!("the policy excludes `{region}`"),
            "the layer is not published there; remove it from the list",
        );
    }
    Some(named.into_iter().map(|(region, _)| region).collect())
}

//! `.github/layersmith.yaml` → the policy, every default filled in.

use super::build_choices::truth;
use super::choices::{Regions, architectures, named_regions, pythons, regions};
use super::document;
use super::fields::{Fields, Key, text, whole_number};
use super::policy_outward::{notify, parameters};
use super::policy_values::{index_url, limits, tables, visibility};
use super::report::{Report, shown, suggestion};
use super::tree::{Node, Value};
use crate::model::{Location, PlanFrom, Policy, Problem, Region, StagingBucket};
use std::ops::RangeInclusive;
use std::str::FromStr;

const PREFIX: Key = key("prefix", "prefix: Layersmith");
const PYTHON: Key = key("python", "python: [\"3.12\", \"3.13\"]");
const ARCHITECTURES: Key = key("architectures", "architectures: [x86_64, arm64]");
const REGIONS: Key = key("regions", "regions: [us-east-1, eu-west-1]");
const EXCLUDE_REGIONS: Key = key("exclude_regions", "exclude_regions: [me-south-1]");
const VISIBILITY: Key = key("visibility", "visibility: public");
const EXPIRE_AFTER_DAYS: Key = key("expire_after_days", "expire_after_days: 365");
const COOLDOWN_DAYS: Key = key("cooldown_days", "cooldown_days: 3");
const INDEX_URL: Key = key(
    "index_url",
    "index_url: https://packages.example.com/simple",
);
const UPGRADE: Key = key("upgrade", "upgrade: monthly");
const ALIGN_VERSIONS: Key = key("align_versions", "align_versions: true");
const TABLES: Key = key(
    "tables",
    "tables: {path: layers/arns, formats: [md, csv, json, feed]}",
);
const STAGING: Key = key("staging", "staging: \"layersmith-{account}-{region}\"");
const LIMITS: Key = key("limits", "limits: {packages_per_layer: 30}");
const NOTIFY: Key = key(
    "notify",
    "notify: [{sns: \"arn:aws:sns:eu-west-1:123456789012:layers\"}]",
);
const PARAMETERS: Key = key("parameters", "parameters: true");
const PLAN_FROM: Key = key(
    "plan_pull_requests_from",
    "plan_pull_requests_from: everyone",
);
/// A version that is deleted on the day it is superseded would break deployments under way; ten years is for ever.
const EXPIRY_BOUNDS: RangeInclusive<u32> = 1..=3650;
/// A year: with more, security fixes would never arrive.
const COOLDOWN_BOUNDS: RangeInclusive<u32> = 0..=365;

const KEYS: [Key; 17] = [
    PREFIX,
    PYTHON,
    ARCHITECTURES,
    REGIONS,
    EXCLUDE_REGIONS,
    VISIBILITY,
    EXPIRE_AFTER_DAYS,
    COOLDOWN_DAYS,
    INDEX_URL,
    UPGRADE,
    ALIGN_VERSIONS,
    TABLES,
    STAGING,
    LIMITS,
    NOTIFY,
    PARAMETERS,
    PLAN_FROM,
];

const fn key(name: &'static str, example: &'static str) -> Key {
    Key { name, example }
}

/// Reads the policy file; keys that are absent, and an empty file, mean [`Policy::default`].
///
/// The value is there exactly when no problem is an error; problems come in the file's order.
#[must_use]
pub fn parse_policy(path: &str, bytes: &[u8]) -> (Option<Policy>, Vec<Problem>) {
    let mut report = Report::new(path);
    let entries = document::read(bytes, &mut report).and_then(|node| match node.value {
        Value::Mapping(entries) => Some(entries),
        Value::Nothing => Some(Vec::new()),
        other => {
            report.error(
                node.location,
                format!(
                    "the file must be a mapping of keys to values, found {}",
                    other.kind()
                ),
                format!("write for example `{}`", PREFIX.example),
            );
            None
        }
    });
    let policy =
        entries.map(|entries| validate(Fields::new(entries, &KEYS, &mut report), &mut report));
    report.finish(policy)
}

fn validate(mut fields: Fields, report: &mut Report<'_>) -> Policy {
    let mut policy = Policy::default();
    let mut take = |key, report: &mut Report<'_>| fields.take(key, report);

    let prefix = take(PREFIX, report).and_then(|node| {
        let hint = "use letters, digits, `-` and `_`, 65 at most, such as `Layersmith`";
        parsed(&node, PREFIX, report, |_| hint.to_owned())
    });
    set(&mut policy.prefix, prefix);
    let versions = take(PYTHON, report).and_then(|node| pythons(node, PYTHON, report));
    set(&mut policy.python, versions);
    let chosen =
        take(ARCHITECTURES, report).and_then(|node| architectures(node, ARCHITECTURES, report));
    set(&mut policy.architectures, chosen);
    let excluded = take(EXCLUDE_REGIONS, report)
        // An empty list excludes nothing, which is a fair thing to write.
        .filter(|node| !matches!(&node.value, Value::List(items) if items.is_empty()))
        .and_then(|node| named_regions(node, EXCLUDE_REGIONS, report))
        .map(without_places);
    set(&mut policy.exclude_regions, excluded);
    let regions = take(REGIONS, report)
        .and_then(|node| policy_regions(node, &policy.exclude_regions, report));
    set(&mut policy.regions, regions);
    let users = take(VISIBILITY, report).and_then(|node| visibility(node, VISIBILITY, report));
    set(&mut policy.visibility, users);
    let days = take(EXPIRE_AFTER_DAYS, report)
        .and_then(|node| whole_number(&node, EXPIRE_AFTER_DAYS, EXPIRY_BOUNDS, report));
    set(&mut policy.expire_after_days, days);
    let days = take(COOLDOWN_DAYS, report)
        .and_then(|node| whole_number(&node, COOLDOWN_DAYS, COOLDOWN_BOUNDS, report));
    set(&mut policy.cooldown_days, days);
    let index = take(INDEX_URL, report).and_then(|node| index_url(&node, INDEX_URL, report));
    set(&mut policy.index_url, index.map(Some));
    let upgrade = take(UPGRADE, report).and_then(|node| {
        let schedules = ["never", "daily", "weekly", "monthly"];
        parsed(&node, UPGRADE, report, |text| suggestion(text, &schedules))
    });
    set(&mut policy.upgrade, upgrade);
    let align = take(ALIGN_VERSIONS, report).and_then(|node| truth(&node, ALIGN_VERSIONS, report));
    set(&mut policy.align_versions, align);
    if let Some(node) = take(TABLES, report) {
        tables(node, TABLES, &mut policy.tables, report);
    }
    let bucket =
        take(STAGING, report).and_then(|node| staging(&node, policy.regions.as_deref(), report));
    set(&mut policy.staging, bucket.map(Some));
    if let Some(node) = take(LIMITS, report) {
        limits(node, LIMITS, &mut policy.limits, report);
    }
    let told = take(NOTIFY, report).and_then(|node| notify(node, NOTIFY, report));
    set(&mut policy.notify, told);
    let path = take(PARAMETERS, report).and_then(|node| parameters(node, PARAMETERS, report));
    set(&mut policy.parameters, path);
    let plan_from = take(PLAN_FROM, report).and_then(|node| plan_from(&node, report));
    set(&mut policy.plan_pull_requests_from, plan_from);
    policy
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

/// Text that a type of the model reads.
fn parsed<T: FromStr>(
    node: &Node,
    key: Key,
    report: &mut Report<'_>,
    hint: impl FnOnce(&str) -> String,
) -> Option<T> {
    let value = text(node, key, report)?.text;
    let parsed = value.parse().ok();
    if parsed.is_none() {
        let message = format!("`{}` cannot be `{}`", key.name, shown(&value));
        report.error(node.location, message, hint(&value));
    }
    parsed
}

/// The regions published to; the inner `None` is every one on offer.
fn policy_regions(
    node: Node,
    excluded: &[Region],
    report: &mut Report<'_>,
) -> Option<Option<Vec<Region>>> {
    let at = node.location;
    let named = match regions(node, REGIONS, report)? {
        Regions::All => return Some(None),
        Regions::Named(named) => without_places(named),
    };
    if named.iter().all(|region| excluded.contains(region)) {
        report.error(
            at,
            "`exclude_regions` excludes every region that `regions` lists",
            "nothing would be published: take one of them off `exclude_regions`",
        );
        return None;
    }
    Some(Some(named))
}

/// A pattern of bucket names; without `{region}` there is one bucket, and layers can go to its region only.
fn staging(
    node: &Node,
    regions: Option<&[Region]>,
    report: &mut Report<'_>,
) -> Option<StagingBucket> {
    let value = text(node, STAGING, report)?.text;
    let example = format!("write for example `{}`", STAGING.example);
    match value.parse::<StagingBucket>() {
        Err(error) => {
            let message = format!("`staging` cannot be `{}`: {error}", shown(&value));
            report.error(node.location, message, example);
            None
        }
        Ok(bucket) if !bucket.names_region() && regions.is_none_or(|named| named.len() != 1) => {
            report.error(
                node.location,
                "`staging` names one bucket for several regions, and AWS Lambda takes layers from a bucket of the same region only",
                example,
            );
            None
        }
        Ok(bucket) => Some(bucket),
    }
}

fn without_places(regions: Vec<(Region, Location)>) -> Vec<Region> {
    regions.into_iter().map(|(region, _)| region).collect()
}

fn plan_from(node: &Node, report: &mut Report<'_>) -> Option<PlanFrom> {
    let value = text(node, PLAN_FROM, report)?.text;
    match value.as_str() {
        "everyone" => Some(PlanFrom::Everyone),
        "collaborators" => Some(PlanFrom::Collaborators),
        _ => {
            report.error(
                node.location,
                format!("`{}` cannot be `{}`", PLAN_FROM.name, shown(&value)),
                suggestion(&value, &["everyone", "collaborators"]),
            );
            None
        }
    }
}

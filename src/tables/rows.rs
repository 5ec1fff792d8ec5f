//! Which layer versions are shown, and in which order.

use crate::model::{Digest, LayerName, LayerState, LayerVersion, Region, Target, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A layer version that people can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) layer: &'a LayerName,
    pub(super) target: Target,
    pub(super) region: &'a Region,
    pub(super) digest: &'a Digest,
    pub(super) version: &'a str,
    /// It is the one to use; else it was superseded or retired.
    pub(super) latest: bool,
    pub(super) expires_at: Option<Timestamp>,
    /// When people could first use it.
    pub(super) since: Timestamp,
    pub(super) arn: String,
    /// The account in the ARN.
    pub(super) account: &'a str,
    /// The number at the end of the ARN.
    pub(super) number: u64,
}

impl<'a> Row<'a> {
    fn of(version: &'a LayerVersion) -> Option<Self> {
        let latest = match version.state {
            LayerState::Live => true,
            LayerState::Deprecated => false,
            LayerState::Intent | LayerState::Deleted => return None,
        };
        let arn = version.arn.as_ref()?;
        Some(Row {
            layer: &version.key.layer,
            target: version.key.target,
            region: &version.key.region,
            digest: &version.key.digest,
            version: &version.version,
            latest,
            expires_at: version.expires_at.filter(|_| !latest),
            since: version.live_at.unwrap_or(version.created_at),
            arn: arn.to_string(),
            account: &arn.account,
            number: arn.version,
        })
    }

    /// Klayers' word for it.
    pub(super) fn status(&self) -> &'static str {
        if self.latest { "latest" } else { "deprecated" }
    }

    /// `2026-11-22`, or nothing while it is the latest.
    pub(super) fn expiry_date(&self) -> String {
        self.expires_at.map_or_else(String::new, Timestamp::date)
    }
}

/// Whether people can use a version.
fn is_usable(version: &LayerVersion) -> bool {
    matches!(version.state, LayerState::Live | LayerState::Deprecated) && version.arn.is_some()
}

/// The account of the first row of all; empty while there is none.
pub(super) fn first_account(versions: &[LayerVersion]) -> &str {
    let layers = versions.iter().filter(|version| is_usable(version));
    let first = layers.map(|version| &version.key.layer).min();
    let of_first = versions
        .iter()
        .filter(|version| Some(&version.key.layer) == first);
    usable(of_first).first().map_or("", |row| row.account)
}

/// What is usable, by layer (its name has no capital letters), then newest first.
pub(super) fn usable<'a>(versions: impl IntoIterator<Item = &'a LayerVersion>) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = versions.into_iter().filter_map(Row::of).collect();
    rows.sort_by(|a, b| {
        let key = |row: &Row<'_>| (Reverse(row.latest), Reverse(row.since), Reverse(row.number));
        (a.layer, key(a), a.target, a.region, &a.arn).cmp(&(
            b.layer,
            key(b),
            b.target,
            b.region,
            &b.arn,
        ))
    });
    rows
}

/// The rows in groups, each in the order of the rows.
pub(super) fn by<'r, 'a, K: Ord>(
    rows: &[&'r Row<'a>],
    key: impl Fn(&'r Row<'a>) -> K,
) -> BTreeMap<K, Vec<&'r Row<'a>>> {
    let mut groups: BTreeMap<K, Vec<&'r Row<'a>>> = BTreeMap::new();
    for row in rows {
        groups.entry(key(row)).or_default().push(row);
    }
    groups
}

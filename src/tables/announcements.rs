//! What receivers of notifications are told: one message for each layer and version, with all its targets and regions.
//!
//! The same news give the same message with the same id, so that receivers can tell a repetition. When it happened is part
//! of the id: the same version may go live, or be retired, once more.

use super::Builds;
use super::extent::names_or_count;
use super::ids::uuid_of;
use super::releases::{Release, releases};
use super::rows::{Row, by, usable};
use crate::model::{
    BuildRecord, Digest, LayerName, LayerState, LayerVersion, News, NewsKind, PinChange, Region,
    Target, pin_changes,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Raised when a receiver has to be changed for it.
const SCHEMA: u32 = 1;
/// Bytes a message may have. Amazon SNS takes 262,144 with its attributes (Amazon SNS quotas, "Message size").
pub const MESSAGE_LIMIT: usize = 250_000;

/// Everything that messages are made of.
#[derive(Debug, Clone, Copy)]
pub struct AnnouncementsInput<'a> {
    /// What happened.
    pub news: &'a [News],
    /// What is published of the layers it happened to, in any order.
    pub versions: &'a [LayerVersion],
    /// What is inside, in any order.
    pub builds: &'a [BuildRecord],
    /// The catalog repository's page, such as `https://github.com/octo/catalog`.
    pub repository_page: Option<&'a str>,
    /// The folder of the tables.
    pub folder: &'a str,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// A UUID, made of what is told.
    pub id: String,
    /// One line.
    pub subject: String,
    /// JSON, at most [`MESSAGE_LIMIT`] bytes.
    pub body: String,
}

#[derive(Serialize, Clone)]
struct Message<'a> {
    schema: u32,
    id: String,
    /// `published` or `retired`.
    kind: &'static str,
    layer: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    targets: Vec<TargetPart<'a>>,
    /// What was left out because the message would have been too long; it stands on the page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    omitted: Vec<&'static str>,
}

#[derive(Serialize, Clone)]
struct TargetPart<'a> {
    target: String,
    python: String,
    architecture: &'static str,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zipped_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unzipped_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_version: Option<&'a str>,
    /// How the packages differ from that version's; `null` when that is not known.
    changes: Option<Vec<PinChange>>,
    /// When it is deleted, if it was retired.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    arns: BTreeMap<&'a str, String>,
}

/// The messages about some news, by layer, the published ones first.
///
/// A version that another one took the place of is told of by the message about that one; what was deleted by now is
/// not told at all.
#[must_use]
pub fn announcements(input: &AnnouncementsInput<'_>) -> Vec<Announcement> {
    let rows = usable(input.versions);
    let builds = Builds::new(input.builds);
    let live: BTreeSet<(&LayerName, Target, &Region)> = rows
        .iter()
        .filter(|row| row.latest)
        .map(|row| (row.layer, row.target, row.region))
        .collect();
    let mut groups: BTreeMap<(&LayerName, NewsKind, &str), Vec<&LayerVersion>> = BTreeMap::new();
    for news in input.news {
        let version = &news.version;
        let key = &version.key;
        let told = match news.kind {
            NewsKind::Published => version.state == LayerState::Live,
            NewsKind::Deprecated => {
                version.state == LayerState::Deprecated
                    && !live.contains(&(&key.layer, key.target, &key.region))
            }
        };
        if told {
            groups
                .entry((&key.layer, news.kind, &version.version))
                .or_default()
                .push(version);
        }
    }
    let mut live_places: BTreeMap<&LayerName, BTreeSet<(String, &str)>> = BTreeMap::new();
    for (layer, target, region) in &live {
        let places = live_places.entry(*layer).or_default();
        places.insert((target.to_string(), region.as_str()));
    }
    let rows: Vec<&Row<'_>> = rows.iter().collect();
    let releases: BTreeMap<&LayerName, Vec<Release<'_, '_>>> = by(&rows, |row| row.layer)
        .into_iter()
        .map(|(layer, rows)| (layer, releases(&rows)))
        .collect();
    groups
        .into_iter()
        .map(|((layer, kind, version), versions)| {
            let releases = releases.get(layer).map(Vec::as_slice).unwrap_or_default();
            let kind = match kind {
                NewsKind::Published => "published",
                NewsKind::Deprecated => "retired",
            };
            let mut arns: Vec<String> = versions
                .iter()
                .filter_map(|version| version.arn.as_ref())
                .map(ToString::to_string)
                .collect();
            arns.sort();
            let moments = versions.iter().filter_map(|it| match it.state {
                LayerState::Live => it.live_at,
                _ => it.expires_at,
            });
            let newest = moments.max().map(|moment| moment.to_string());
            let names: Vec<&str> = [kind, layer.as_str(), version]
                .into_iter()
                .chain(newest.as_deref())
                .chain(arns.iter().map(String::as_str))
                .collect();
            let page = input.repository_page.map(|page| {
                let page = page.trim_end_matches('/');
                format!("{page}/blob/HEAD/{}/layers/{layer}.md", input.folder)
            });
            let message = Message {
                schema: SCHEMA,
                id: uuid_of(&names),
                kind,
                layer: layer.as_str(),
                version,
                page,
                targets: targets(&versions, releases, &builds),
                omitted: Vec::new(),
            };
            Announcement {
                id: message.id.clone(),
                subject: subject(&message, live_places.get(layer)),
                body: fitted(message),
            }
        })
        .collect()
}

fn subject(message: &Message<'_>, live: Option<&BTreeSet<(String, &str)>>) -> String {
    let Message { layer, version, .. } = message;
    match (message.kind, message.targets.as_slice()) {
        ("retired", targets) => {
            let became = live.map_or_else(
                || "is retired".to_owned(),
                |live| no_longer_published(targets, live),
            );
            format!("{layer} {version} {became}")
        }
        (_, [_]) => format!("{layer} {version} is published for 1 target"),
        (_, targets) => format!(
            "{layer} {version} is published for {} targets",
            targets.len()
        ),
    }
}

/// What became of a version of a layer that is live elsewhere, for other targets or in other regions.
fn no_longer_published(targets: &[TargetPart<'_>], live: &BTreeSet<(String, &str)>) -> String {
    let gone: BTreeSet<&str> = targets.iter().map(|part| part.target.as_str()).collect();
    if live
        .iter()
        .all(|(target, _)| !gone.contains(target.as_str()))
    {
        let gone: Vec<&str> = gone.into_iter().collect();
        let gone = names_or_count(&gone, "targets", 1);
        return format!("is no longer published for {gone}");
    }
    let regions = targets.iter().flat_map(|part| part.arns.keys().copied());
    let regions: BTreeSet<&str> = regions.collect();
    if live.iter().all(|(_, region)| !regions.contains(region)) {
        let regions: Vec<&str> = regions.into_iter().collect();
        let regions = names_or_count(&regions, "regions", 1);
        return format!("is no longer published in {regions}");
    }
    "is no longer published for some targets and regions".to_owned()
}

fn targets<'a>(
    versions: &[&'a LayerVersion],
    releases: &[Release<'_, 'a>],
    builds: &Builds<'a>,
) -> Vec<TargetPart<'a>> {
    let mut zips: BTreeMap<(Target, &'a Digest), Vec<&'a LayerVersion>> = BTreeMap::new();
    for version in versions {
        zips.entry((version.key.target, &version.key.digest))
            .or_default()
            .push(version);
    }
    let known = || releases.iter().flat_map(|release| &release.zips);
    zips.into_iter()
        .map(|((target, digest), versions)| {
            let zip = known().find(|zip| zip.target == target && zip.digest == digest);
            let build = zip.and_then(|zip| builds.of(zip.rows.first()?));
            let previous = zip.and_then(|zip| zip.previous);
            let before = previous.and_then(|row| builds.of(row));
            let changes = match (before, build, previous) {
                (Some(before), Some(build), _) => {
                    Some(pin_changes(&before.artifact.pins, &build.artifact.pins))
                }
                // Everything is new where there was nothing.
                (_, Some(build), None) => Some(pin_changes(&[], &build.artifact.pins)),
                _ => None,
            };
            let expires_at = versions
                .iter()
                .filter_map(|version| version.expires_at)
                .max();
            TargetPart {
                target: target.to_string(),
                python: target.python.to_string(),
                architecture: target.architecture.as_str(),
                sha256: digest.to_string(),
                zipped_bytes: build.map(|build| build.artifact.size),
                unzipped_bytes: build.map(|build| build.artifact.unzipped_size),
                previous_version: previous.map(|row| row.version),
                changes,
                expires_at: expires_at.map(|moment| moment.to_string()),
                arns: versions
                    .iter()
                    .filter_map(|version| {
                        let arn = version.arn.as_ref()?;
                        Some((version.key.region.as_str(), arn.to_string()))
                    })
                    .collect(),
            }
        })
        .collect()
}

/// The message as JSON; where it is too long, first without the changes, then without the ARNs.
fn fitted(mut message: Message<'_>) -> String {
    // Texts, numbers and lists of them cannot fail to become JSON.
    let json = |message: &Message<'_>| serde_json::to_string(message).unwrap_or_default();
    let text = json(&message);
    if text.len() <= MESSAGE_LIMIT {
        return text;
    }
    message.omitted.push("changes");
    for target in &mut message.targets {
        target.changes = None;
    }
    let text = json(&message);
    if text.len() <= MESSAGE_LIMIT {
        return text;
    }
    message.omitted.push("arns");
    for target in &mut message.targets {
        target.arns.clear();
    }
    json(&message)
}

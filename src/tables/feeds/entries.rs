//! What happened to one layer, as entries of a feed.

use super::{Entry, Kind, TargetOf, newest_of};
use crate::model::{BuildRecord, LayerName, PinChange, Target, Timestamp, pin_changes};
use crate::tables::extent::{SHOWN, names_or_count};
use crate::tables::ids::uuid_of;
use crate::tables::releases::{
    Ending, Release, WARNING_DAYS, Zip, arn_patterns, ending_soon, releases, retired,
};
use crate::tables::rows::Row;
use crate::tables::{Builds, TablesInput, spoken};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Packages named in an entry.
const SHOWN_PACKAGES: usize = 60;
/// Changes named in a title.
const SHOWN_IN_TITLE: usize = 2;

/// The newest entries of one layer; `rows` are its own, newest first. The pages are for the caller to fill in.
pub(super) fn of_layer(
    input: &TablesInput<'_>,
    builds: &Builds<'_>,
    layer: &LayerName,
    rows: &[&Row<'_>],
    catalog: &[&str],
    limit: usize,
) -> Vec<Entry> {
    let id = |kind: Kind, parts: &[&str]| {
        let texts = [&[kind.as_str()], catalog, &[layer.as_str()], parts].concat();
        format!("urn:uuid:{}", uuid_of(&texts))
    };
    let mut entries: Vec<Entry> = releases(rows)
        .iter()
        .take(limit)
        .filter_map(|release| {
            let first = release.zips.first()?;
            let parts = [first.target.to_string(), first.digest.to_string()];
            let id = id(Kind::Published, &[&parts[0], &parts[1]]);
            Some(published(builds, layer, release, id))
        })
        .collect();
    let lives_on = rows.iter().any(|row| row.latest);
    for ending in retired(rows) {
        let id = id(Kind::Retired, &[ending.version, &ending.expires_at.date()]);
        // When it was retired is not recorded; when it ends is, and follows from it.
        let at = days_before(&ending, input.policy.expire_after_days);
        entries.push(ended(layer, &ending, Kind::Retired, lives_on, at, id));
    }
    for ending in ending_soon(rows, input.today) {
        let id = id(Kind::Expiring, &[ending.version, &ending.expires_at.date()]);
        let at = days_before(&ending, WARNING_DAYS);
        entries.push(ended(layer, &ending, Kind::Expiring, lives_on, at, id));
    }
    newest_of(entries, limit)
}

/// Some days before it ends, but not before it came out: by then the policy may have had another number of days.
fn days_before(ending: &Ending<'_, '_>, days: u32) -> Timestamp {
    let at = ending.expires_at.minus_days(days);
    let since = ending.rows.iter().map(|row| row.since);
    since.fold(at, Timestamp::max)
}

fn published(
    builds: &Builds<'_>,
    layer: &LayerName,
    release: &Release<'_, '_>,
    id: String,
) -> Entry {
    let version = release.version;
    let contents: Vec<Contents> = contents(builds, release);
    let changes: Vec<&PinChange> = contents
        .iter()
        .flat_map(|it| it.changes.iter().flatten())
        .collect();
    let same_version = release
        .zips
        .iter()
        .all(|zip| zip.previous.is_some_and(|row| row.version == version));
    let mut title = format!("{layer} {version}");
    if same_version {
        // The same version once more: what differs is inside.
        let mut named: Vec<String> = changes.iter().map(|change| change_text(change)).collect();
        named.sort();
        named.dedup();
        let more = named.len().saturating_sub(SHOWN_IN_TITLE);
        named.truncate(SHOWN_IN_TITLE);
        title.push_str(" again");
        if !named.is_empty() {
            title.push_str(&format!(", with {}", named.join(", ")));
        }
        if more > 0 {
            title.push_str(&format!(" and {more} more"));
        }
    }
    let targets: Vec<Target> = release.zips.iter().map(|zip| zip.target).collect();
    let html = html! {
        p { (layer) " " (version) " can be used with " (sentence(&targets)) "." }
        @for part in &contents { (part.html(contents.len() > 1)) }
        (arns(&release.zips))
    };
    let rows: Vec<&Row<'_>> = release
        .zips
        .iter()
        .flat_map(|zip| zip.rows.iter().copied())
        .collect();
    Entry {
        id,
        kind: Kind::Published,
        layer: layer.to_string(),
        version: version.to_owned(),
        summary: format!("{title}, for {}", short(&targets)),
        title,
        page: String::new(),
        published: release.published,
        updated: release.updated,
        html: html.into_string(),
        targets: TargetOf::of(&rows),
    }
}

/// What is inside the zips of some targets, which all have the same in them and the same before them.
struct Contents {
    targets: Vec<Target>,
    /// The version before.
    from: Option<String>,
    /// How the packages differ from it; `None` when the contents of either are not known.
    changes: Option<Vec<PinChange>>,
    /// Everything that is inside, as `name version`; empty when it is not known.
    inside: Vec<String>,
}

/// The version before, what changed since, and everything that is inside.
type Inside = (Option<String>, Option<Vec<PinChange>>, Vec<String>);

fn contents(builds: &Builds<'_>, release: &Release<'_, '_>) -> Vec<Contents> {
    let mut parts: BTreeMap<Inside, Vec<Target>> = BTreeMap::new();
    for zip in &release.zips {
        let build = zip.rows.first().and_then(|row| builds.of(row));
        let before = zip.previous.and_then(|row| builds.of(row));
        let changes = match (before, build) {
            (Some(before), Some(build)) => {
                Some(pin_changes(&before.artifact.pins, &build.artifact.pins))
            }
            _ => None,
        };
        let from = zip.previous.map(|row| row.version.to_owned());
        let inside = build.map(inside).unwrap_or_default();
        parts
            .entry((from, changes, inside))
            .or_default()
            .push(zip.target);
    }
    let mut contents: Vec<Contents> = parts
        .into_iter()
        .map(|((from, changes, inside), targets)| Contents {
            targets,
            from,
            changes,
            inside,
        })
        .collect();
    contents.sort_by(|a, b| a.targets.cmp(&b.targets));
    contents
}

fn inside(build: &BuildRecord) -> Vec<String> {
    let pins = &build.artifact.pins;
    let mut inside: Vec<String> = pins
        .iter()
        .map(|pin| format!("{} {}", pin.name, pin.version))
        .collect();
    inside.sort();
    inside
}

impl Contents {
    fn html(&self, with_targets: bool) -> Markup {
        let whose = if with_targets {
            format!(", for {}", sentence(&self.targets))
        } else {
            String::new()
        };
        let listed = |texts: &[String]| {
            html! {
                ul {
                    @for text in texts.iter().take(SHOWN_PACKAGES) { li { (text) } }
                    @if texts.len() > SHOWN_PACKAGES { li { "and " (texts.len() - SHOWN_PACKAGES) " more" } }
                }
            }
        };
        let changes: Option<Vec<String>> = self
            .changes
            .as_ref()
            .map(|changes| changes.iter().map(change_text).collect());
        html! {
            @if let (Some(from), Some(changes)) = (&self.from, &changes) {
                @if changes.is_empty() {
                    p { "The packages are those of " (from) (whose) "." }
                } @else {
                    p { "What changed since " (from) (whose) ":" }
                    (listed(changes))
                }
            } @else if let Some(from) = &self.from {
                p { "It follows " (from) (whose) "." }
            } @else if !self.inside.is_empty() {
                p { "Inside" (whose) ":" }
                (listed(&self.inside))
            }
        }
    }
}

fn change_text(change: &PinChange) -> String {
    let name = &change.name;
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{name} {from} → {to}"),
        (None, Some(to)) => format!("{name} {to} (new)"),
        (Some(from), None) => format!("{name} {from} (gone)"),
        (None, None) => name.clone(),
    }
}

fn arns(zips: &[Zip<'_, '_>]) -> Markup {
    html! {
        p { "ARNs, with the region in the place of REGION:" }
        ul {
            @for zip in zips {
                @for (pattern, regions) in arn_patterns(&zip.rows) {
                    li {
                        (spoken(zip.target)) ": " code { (pattern) } " in "
                        (names_or_count(&regions.into_iter().collect::<Vec<_>>(), "regions", SHOWN))
                    }
                }
            }
        }
    }
}

/// A layer that was retired, or a version that goes away. Whether the layer `lives_on`, for other targets, is another
/// matter.
fn ended(
    layer: &LayerName,
    ending: &Ending<'_, '_>,
    kind: Kind,
    lives_on: bool,
    at: Timestamp,
    id: String,
) -> Entry {
    let (version, date) = (ending.version, ending.expires_at.date());
    let targets: Vec<Target> = ending.targets.iter().copied().collect();
    let named = format!("{layer} {version}");
    let title = match kind {
        Kind::Retired if lives_on => format!(
            "{layer} is no longer published for {}: {version} goes away on {date}",
            short(&targets)
        ),
        Kind::Retired => format!("{layer} is retired; {version} goes away on {date}"),
        Kind::Published | Kind::Expiring => {
            format!("{} on {date}", ending.extent.title(&named, &targets))
        }
    };
    let html = html! {
        @if kind == Kind::Retired {
            p { (layer) " gets no new versions for " (sentence(&targets)) ". " (version) " can be used until " (date) ", then it is deleted." }
        } @else {
            p { (ending.extent.goes_away(&named)) " on " (date) ", for " (sentence(&targets)) "." }
        }
        @if let Some(instead) = ending.instead { p { "Use " (instead) " instead." } }
        p { "Functions that were deployed with it go on running; what is deployed after that day needs another layer version." }
    };
    Entry {
        id,
        kind,
        layer: layer.to_string(),
        version: version.to_owned(),
        summary: format!("{title}, for {}", short(&targets)),
        title,
        page: String::new(),
        published: at,
        updated: at,
        html: html.into_string(),
        targets: TargetOf::of(&ending.rows),
    }
}

fn sentence(targets: &[Target]) -> String {
    let mut names: Vec<String> = targets.iter().copied().map(spoken).collect();
    match names.pop() {
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} and {last}", names.join(", ")),
        None => String::new(),
    }
}

fn short(targets: &[Target]) -> String {
    let names: Vec<String> = targets.iter().map(Target::to_string).collect();
    names.join(", ")
}

//! What would become of one layer: a row for each target, the reasons against, and everything inside.

use super::build_notes;
use super::document::Block;
use super::escape::{code, cut, fenced, html_code, line, prose};
use super::words::{alignment_words, count, listed, regions, share_of, size, targets, usable_for};
use crate::model::{
    BuildRecord, LayerName, Pin, Policy, Region, Target, UNZIPPED_LIMIT, ZIPPED_LIMIT,
};
use crate::plan::{Action, BuildFailure, Entry, PinChange, Publication, Reason};
use std::collections::BTreeMap;

/// Package changes shown in a row.
const SHOWN_CHANGES: usize = 4;
/// Regions shown in a row where not all of them are meant.
const SHOWN_REGIONS: usize = 4;
/// Characters shown of a version.
const VERSION_LIMIT: usize = 64;
/// Characters shown of the reason why something is not possible.
const REASON_LIMIT: usize = 6_000;

const HEAD: &str = "| Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |\n|---|---|---|---|---|\n";

pub(super) fn block(layer: &LayerName, entries: &[&Entry], policy: &Policy, fold: bool) -> Block {
    let rows: Vec<String> = entries.iter().map(|entry| row(entry, policy)).collect();
    let mut table = format!("{HEAD}{}", rows.join("\n"));
    for reason in reasons(entries) {
        table.push_str("\n\n");
        table.push_str(&reason);
    }
    if let Some(notes) = build_notes::open(entries) {
        table.push_str("\n\n");
        table.push_str(&notes);
    }
    let state = state(entries, code);
    let whole = |body: &str| {
        if fold {
            let state = self::state(entries, html_code);
            let name = html_code(layer.as_str());
            format!("<details><summary>{name} · {state}</summary>\n\n{body}\n\n</details>")
        } else {
            format!("#### {} · {state}\n\n{body}", code(layer.as_str()))
        }
    };
    let mut forms = Vec::new();
    if let Some(details) = details(entries) {
        forms.push(whole(&format!("{table}\n\n{details}")));
    }
    forms.push(whole(&table));
    forms.push(format!(
        "- {} · {state} · {}",
        code(layer.as_str()),
        count(entries.len(), "target")
    ));
    Block {
        name: code(layer.as_str()),
        forms,
    }
}

/// What happens to the layer in a few words, by target where the targets differ.
fn state(entries: &[&Entry], code: fn(&str) -> String) -> String {
    let version = |version: &str| code(&cut(version, VERSION_LIMIT));
    let mut phrases: BTreeMap<String, Vec<Target>> = BTreeMap::new();
    for entry in entries {
        let phrase = match &entry.action {
            Action::Keep { version: kept, .. } => format!("{} as it is", version(kept)),
            Action::Build if !entry.from_source.is_empty() => "to be built from source".to_owned(),
            Action::Build => "to be built first".to_owned(),
            Action::Publish(publication) => {
                let new = version(&publication.build.version);
                match (&publication.previous_version, publication.reason) {
                    _ if publication.regions.is_empty() => format!("{new} leaves regions"),
                    (_, Reason::Backfill) => format!("{new} for more regions"),
                    (Some(old), Reason::Changed) if *old != publication.build.version => {
                        format!("{} → {new}", version(old))
                    }
                    (_, Reason::Changed) => format!("{new} anew"),
                    (_, Reason::New) => format!("first publication of {new}"),
                }
            }
            Action::Retire { version: old, .. } => format!("{} goes", version(old)),
            Action::Blocked { failure, .. } if failure.transient => "did not work out".to_owned(),
            Action::Blocked { .. } => "not possible".to_owned(),
        };
        phrases.entry(phrase).or_default().push(entry.target);
    }
    if phrases.len() == 1 {
        return phrases.into_keys().collect();
    }
    let mut by_target: Vec<(Vec<Target>, String)> = phrases
        .into_iter()
        .map(|(phrase, targets)| (targets, phrase))
        .collect();
    by_target.sort();
    let texts: Vec<String> = by_target
        .into_iter()
        .map(|(targets, phrase)| {
            let targets = listed(&targets, 3, |target| code(&target.to_string()));
            format!("{phrase} ({targets})")
        })
        .collect();
    texts.join(", ")
}

fn row(entry: &Entry, policy: &Policy) -> String {
    let target = code(&entry.target.to_string());
    let version = |version: &str| code(&cut(version, VERSION_LIMIT));
    match &entry.action {
        Action::Keep {
            version: kept,
            regions,
        } => format!(
            "| {target} | {} stays as it is | – | – | live in {} |",
            version(kept),
            regions.len()
        ),
        Action::Build => {
            format!("| {target} | known once it is built | – | – | – |")
        }
        Action::Publish(publication) => format!(
            "| {target} | {} | {} | {} |",
            packages(publication),
            sizes(&publication.build, policy),
            destination(publication)
        ),
        Action::Retire {
            version: old,
            regions,
        } => format!(
            "| {target} | {} is not asked for any more: deprecated, {} | – | – | live in {} |",
            version(old),
            usable_for(policy.expire_after_days),
            regions.len()
        ),
        Action::Blocked { failure, build } => format!(
            "| {target} | {}: see below | {} | – |",
            if failure.transient {
                "⚠️ did not work out this time"
            } else {
                "❌ not possible"
            },
            build
                .as_deref()
                .map_or_else(|| "– | –".to_owned(), |build| sizes(build, policy))
        ),
    }
}

fn sizes(build: &BuildRecord, policy: &Policy) -> String {
    let zipped = if policy.staging.is_some() && build.artifact.size > ZIPPED_LIMIT {
        format!("{}, through a bucket", size(build.artifact.size))
    } else {
        share_of(build.artifact.size, ZIPPED_LIMIT)
    };
    format!(
        "{zipped} | {}",
        share_of(build.artifact.unzipped_size, UNZIPPED_LIMIT)
    )
}

fn packages(publication: &Publication) -> String {
    let version = code(&cut(&publication.build.version, VERSION_LIMIT));
    let changes = ordered(&publication.changes);
    let shown = listed(&changes, SHOWN_CHANGES, |change| change_text(change));
    match publication.reason {
        Reason::New => format!(
            "first time: {}",
            listed(&publication.build.artifact.pins, SHOWN_CHANGES, |pin| code(
                &cut(&format!("{} {}", pin.name, pin.version), VERSION_LIMIT)
            ))
        ),
        Reason::Backfill => format!("{version}, the same zip"),
        Reason::Changed if changes.is_empty() => "the same packages, built anew".to_owned(),
        // Of a version that another hand published only the number is known.
        Reason::Changed if changes.iter().all(|change| change.from.is_none()) => {
            let old = publication.previous_version.as_deref().unwrap_or_default();
            format!("{} → {version}", code(&cut(old, VERSION_LIMIT)))
        }
        Reason::Changed => shown,
    }
}

/// Changed versions first, then what comes, then what goes.
fn ordered(changes: &[PinChange]) -> Vec<&PinChange> {
    let mut ordered: Vec<&PinChange> = changes.iter().collect();
    ordered.sort_by_key(|change| {
        let kind = match (&change.from, &change.to) {
            (Some(_), Some(_)) => 0,
            (None, _) => 1,
            _ => 2,
        };
        (kind, *change)
    });
    ordered
}

fn change_text(change: &PinChange) -> String {
    let code = |text: &str| code(&cut(text, VERSION_LIMIT));
    let name = code(&change.name);
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{name} {} → {}", code(from), code(to)),
        (None, Some(to)) => format!("+ {name} {}", code(to)),
        (Some(from), None) => format!("− {name} {}", code(from)),
        (None, None) => name,
    }
}

fn destination(publication: &Publication) -> String {
    let mut parts = Vec::new();
    let new = &publication.regions;
    if publication.already.is_empty() && new.len() > SHOWN_REGIONS {
        parts.push(new.len().to_string());
    } else if !new.is_empty() {
        let more = if publication.already.is_empty() {
            ""
        } else {
            " more"
        };
        parts.push(format!(
            "{}{more}: {}",
            new.len(),
            regions(new, SHOWN_REGIONS)
        ));
    }
    if !publication.already.is_empty() {
        parts.push(format!("live in {}", publication.already.len()));
    }
    if let Some(alignment) = &publication.alignment {
        parts.push(alignment_words(alignment, |too_far| {
            regions(too_far, SHOWN_REGIONS)
        }));
    }
    if !publication.leaves.is_empty() {
        let leaves = &publication.leaves;
        parts.push(format!(
            "leaves {}: {}",
            leaves.len(),
            regions(leaves, SHOWN_REGIONS)
        ));
    }
    parts.join("; ")
}

/// Why something is not possible, each reason once with its targets.
fn reasons(entries: &[&Entry]) -> Vec<String> {
    let mut reasons: Vec<(&BuildFailure, Vec<Target>)> = Vec::new();
    for entry in entries {
        if let Action::Blocked { failure, .. } = &entry.action {
            match reasons.iter_mut().find(|(known, _)| *known == failure) {
                Some((_, targets)) => targets.push(entry.target),
                None => reasons.push((failure, vec![entry.target])),
            }
        }
    }
    reasons
        .into_iter()
        .map(|(failure, blocked)| {
            let what = if failure.transient {
                "⚠️ Did not work out this time for"
            } else {
                "❌ Not possible for"
            };
            format!("{what} {}:{}", targets(&blocked), reason(&failure.message))
        })
        .chain(from_source(entries))
        .collect()
}

/// What is built from source, each package once with its targets.
fn from_source(entries: &[&Entry]) -> Vec<String> {
    let mut packages: BTreeMap<&str, Vec<Target>> = BTreeMap::new();
    for entry in entries {
        for package in &entry.from_source {
            packages.entry(package).or_default().push(entry.target);
        }
    }
    packages
        .into_iter()
        .map(|(package, of)| {
            format!(
                "{} has no wheel for {}; it is built from source after the merge, because `allow_build` names it. \
                 That runs the code of its authors, isolated. What it depends on and how large the layer is are known then.",
                code(&cut(package, VERSION_LIMIT)),
                targets(&of)
            )
        })
        .collect()
}

/// A reason behind its introduction: one line as a sentence, several as they are.
pub(super) fn reason(message: &str) -> String {
    let message = cut(message.trim(), REASON_LIMIT);
    if message.contains('\n') {
        format!("\n\n{}", fenced(&message))
    } else {
        format!(" {}", prose(&message))
    }
}

/// The full contents and destinations, equal ones said once.
fn details(entries: &[&Entry]) -> Option<String> {
    let mut contents: Vec<(&[Pin], &[PinChange], Vec<Target>)> = Vec::new();
    let mut places: Vec<(&[Region], Vec<Target>)> = Vec::new();
    let mut zips = Vec::new();
    for entry in entries {
        let Action::Publish(publication) = &entry.action else {
            continue;
        };
        let artifact = &publication.build.artifact;
        let changes: &[PinChange] = &publication.changes;
        match contents
            .iter_mut()
            .find(|(pins, known, _)| *pins == artifact.pins && *known == changes)
        {
            Some((_, _, targets)) => targets.push(entry.target),
            None => contents.push((&artifact.pins, changes, vec![entry.target])),
        }
        match places
            .iter_mut()
            .find(|(regions, _)| *regions == publication.regions)
        {
            Some((_, targets)) => targets.push(entry.target),
            None => places.push((&publication.regions, vec![entry.target])),
        }
        zips.push(format!(
            "- {}: {}, {}, SHA-256 {}{}",
            code(&entry.target.to_string()),
            code(&publication.published_name),
            count(
                usize::try_from(artifact.files).unwrap_or(usize::MAX),
                "file"
            ),
            code(&format!("{}…", artifact.digest.short())),
            build_notes::rest(&publication.build)
        ));
    }
    if contents.is_empty() {
        return None;
    }
    let mut text = String::from("<details><summary>What is inside, and where it goes</summary>");
    for (pins, changes, of) in contents {
        let list = fenced(&contents_text(pins, changes));
        text.push_str(&format!("\n\n{}:\n\n{list}", targets(&of)));
    }
    for (to, of) in places.iter().filter(|(to, _)| !to.is_empty()) {
        let whose = if places.len() == 1 {
            String::new()
        } else {
            format!("{} to ", targets(of))
        };
        let what = count(to.len(), "region");
        text.push_str(&format!("\n\n{whose}{what}: {}.", regions(to, to.len())));
    }
    text.push_str(&format!("\n\n{}\n\n</details>", zips.join("\n")));
    Some(text)
}

/// `numpy 2.1.3 (BSD-3-Clause), was 1.26.4`: a line for each package inside, then one for each that goes.
pub(super) fn contents_text(pins: &[Pin], changes: &[PinChange]) -> String {
    let changes: BTreeMap<&str, &PinChange> = changes
        .iter()
        .map(|change| (change.name.as_str(), change))
        .collect();
    let any_before = changes.values().any(|change| change.from.is_some());
    let mut rows: Vec<String> = pins
        .iter()
        .map(|pin| {
            let mut row = format!("{} {}", line(&pin.name), line(&pin.version));
            if let Some(license) = &pin.license {
                row.push_str(&format!(" ({})", cut(&line(license), 80)));
            }
            match changes.get(pin.name.as_str()).map(|change| &change.from) {
                Some(Some(from)) => row.push_str(&format!(", was {}", line(from))),
                Some(None) if any_before => row.push_str(", new"),
                _ => {}
            }
            row
        })
        .collect();
    rows.extend(
        changes
            .values()
            .filter(|change| change.to.is_none())
            .map(|change| {
                let from = change.from.as_deref().unwrap_or_default();
                format!("{} {} goes", line(&change.name), line(from))
            }),
    );
    rows.join("\n")
}

//! One store's contents into another: all of it, exactly, and going on where it broke off.

use super::{Record, Result, Store};
use crate::model::{Digest, Hasher};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many records a target takes in at once.
const AT_ONCE: usize = 200;
/// How many differences are told.
const SHOWN: usize = 10;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Records that this call wrote.
    pub written: usize,
    /// Records that an earlier call had written.
    pub already_there: usize,
    /// How many of each kind both stores hold now.
    pub records: BTreeMap<&'static str, usize>,
    /// The digest of all of them, the same of both.
    pub digest: Digest,
}

/// Why nothing was copied, or what is wrong with the copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyRefused {
    /// The target holds something that the source does not.
    #[error(
        "the target holds what the source does not: {0}; copy into a store with nothing in it, or go on with a copy of the same source"
    )]
    OtherContents(String),
    /// Read back, the stores are not the same.
    #[error(
        "the copy is not the same as the source: {0}; if something works with either, stop it and copy again"
    )]
    Differs(String),
    /// A store does not answer.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// What a store holds: a digest for each record, by kind and name.
type Index = BTreeMap<Named, Digest>;

/// The kind of a record, and its name among those.
type Named = (&'static str, String);

/// Copies everything, reads it back and compares. `progress` is told how many records of how many are there, and of which
/// kind the last one is.
///
/// # Errors
/// See [`CopyRefused`].
pub async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    progress: impl Fn(usize, usize) + Send + Sync,
) -> std::result::Result<Copied, CopyRefused> {
    let source = index(from).await?;
    let there = index(to).await?;
    let foreign = differences(&there, &source);
    if !foreign.is_empty() {
        return Err(CopyRefused::OtherContents(shown(&foreign)));
    }
    let mut written = 0;
    let mut after = None;
    loop {
        let page = from.export(after.as_deref()).await?;
        let mut missing = Vec::new();
        for record in page.records {
            let (name, digest) = entry(&record)?;
            if there.get(&name) != Some(&digest) {
                missing.push(record);
            }
        }
        for records in missing.chunks(AT_ONCE) {
            to.import(records).await?;
            written += records.len();
            progress(there.len() + written, source.len());
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let (source, copied) = (index(from).await?, index(to).await?);
    let mut differing = differences(&source, &copied);
    differing.extend(differences(&copied, &source));
    if !differing.is_empty() {
        return Err(CopyRefused::Differs(shown(&differing)));
    }
    to.list_for(&from.listed_for().await?).await?;
    let mut records = BTreeMap::new();
    for (kind, _) in copied.keys() {
        *records.entry(*kind).or_default() += 1;
    }
    Ok(Copied {
        written,
        already_there: there.len(),
        records,
        digest: digest_of(&copied),
    })
}

async fn index(store: &dyn Store) -> Result<Index> {
    let mut index = Index::new();
    let mut after = None;
    loop {
        let page = store.export(after.as_deref()).await?;
        for record in &page.records {
            let (name, digest) = entry(record)?;
            index.insert(name, digest);
        }
        after = page.next;
        if after.is_none() {
            return Ok(index);
        }
    }
}

fn entry(record: &Record) -> Result<(Named, Digest)> {
    let digest = Digest::of(&serde_json::to_vec(record)?);
    Ok(((record.kind(), record.name()), digest))
}

/// What the one holds and the other does not, or not the same.
fn differences<'a>(one: &'a Index, other: &Index) -> Vec<&'a Named> {
    one.iter()
        .filter(|(name, digest)| other.get(*name) != Some(digest))
        .map(|(name, _)| name)
        .collect()
}

fn shown(names: &[&Named]) -> String {
    let first = names.iter().take(SHOWN);
    let first: Vec<String> = first
        .map(|(kind, name)| format!("`{name}` ({kind})"))
        .collect();
    let first = first.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// The digest of all records, in the order of their kinds and names.
fn digest_of(index: &Index) -> Digest {
    let mut hasher = Hasher::default();
    for digest in index.values() {
        hasher.update(digest.to_string().as_bytes());
    }
    hasher.finish()
}

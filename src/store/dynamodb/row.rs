//! A layer version as an item, with the items that name it.
//!
//! The version's own item never moves while the version lasts. It is named by its slot (as an intent or live), by its
//! layer, target and region (live), and by its ARN (live or deprecated): what must never be there twice is a key.

use super::item::{Item, Key, moment, word};
use super::schema;
use super::write::Write;
use crate::model::{
    Digest, LayerState, LayerVersion, News, NewsKind, SlotKey, Timestamp, Visibility,
};
use crate::store::Result;
use anyhow::Context as _;

/// Partition keys of the index `work`.
pub(super) const INTENTS: &str = "INTENT";
pub(super) const DEPRECATED: &str = "DEPRECATED";
pub(super) const KEPT: &str = "KEPT";
/// Partition key of the index `list`: everything that somebody may use.
pub(super) const SHARED: &str = "SHARED";

/// A layer version, and what only the store knows of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) sequence: u64,
    /// Counts its changes: one is made only to what was read.
    pub(super) revision: u64,
    pub(super) version: LayerVersion,
    pub(super) visibility: Option<Visibility>,
    /// Of an intent: whether nothing that was sent for it can be at work any more.
    pub(super) is_idle: bool,
}

impl Row {
    pub(super) fn key(&self) -> Key {
        let key = &self.version.key;
        Key::new(schema::layer(&key.layer), self.sort())
    }

    pub(super) fn gone_key(&self) -> Key {
        Key::new(schema::gone(&self.version.key.layer), self.sort())
    }

    fn sort(&self) -> String {
        let key = &self.version.key;
        schema::version(key.target, &key.region, self.sequence)
    }

    pub(super) fn slot(&self) -> Key {
        schema::slot(&self.version.key)
    }

    pub(super) fn live(&self) -> Key {
        let key = &self.version.key;
        schema::live(&key.layer, key.target, &key.region)
    }

    pub(super) fn deleted_zip(&self) -> Item {
        let key = &self.version.key;
        Item::new(&schema::deleted_zip(&key.layer, key.target, &key.digest))
    }

    /// Its item; a deleted one's is somewhere else.
    pub(super) fn item(&self) -> Result<Item> {
        let (version, key) = (&self.version, &self.version.key);
        let at = match version.state {
            LayerState::Deleted => self.gone_key(),
            _ => self.key(),
        };
        let visibility = self.visibility.as_ref().map(serde_json::to_string);
        let item = Item::new(&at)
            .number("sequence", self.sequence)
            .number("revision", self.revision)
            .text("layer", &key.layer)
            .text("target", key.target)
            .text("region", &key.region)
            .text("digest", key.digest)
            .text("published_name", &key.published_name)
            .text("state", word(version.state)?)
            .optional_text("arn", version.arn.as_ref())
            .text("version", &version.version)
            .text("created_at", version.created_at)
            .optional_text("live_at", version.live_at)
            .optional_text("expires_at", version.expires_at)
            .optional_text("visibility", visibility.transpose()?)
            .optional_text("is_idle", self.is_idle.then_some("yes"));
        let work = |partition: &str, sort: String| (partition.to_owned(), sort);
        let work = match version.state {
            LayerState::Intent => Some(work(INTENTS, moment(version.created_at, self.sequence))),
            LayerState::Deprecated => Some(match version.expires_at {
                Some(time) => work(DEPRECATED, moment(time, self.sequence)),
                None => work(KEPT, format!("{:020}", self.sequence)),
            }),
            LayerState::Live | LayerState::Deleted => None,
        };
        let item = match work {
            Some((partition, sort)) => item.text("work", partition).text("work_at", sort),
            None => item,
        };
        let item = match version.state {
            LayerState::Live => item.text("live", live_in(key.target, &key.region)),
            _ => item,
        };
        Ok(match version.state {
            LayerState::Live | LayerState::Deprecated => item.text("list", SHARED).text(
                "list_at",
                format!(
                    "{}#{:020}",
                    visibility_word(self.visibility.as_ref())?,
                    self.sequence
                ),
            ),
            LayerState::Intent | LayerState::Deleted => item,
        })
    }

    /// What an item says, be it whole or from an index.
    pub(super) fn of(item: &Item) -> Result<Self> {
        let visibility = item.find("visibility").map(serde_json::from_str);
        Ok(Self {
            sequence: item.count("sequence")?,
            revision: item.count_optional("revision")?.unwrap_or_default(),
            version: LayerVersion {
                key: SlotKey {
                    layer: item.parse("layer")?,
                    target: item.parse("target")?,
                    region: item.parse("region")?,
                    digest: item.parse("digest")?,
                    published_name: item.get("published_name")?.to_owned(),
                },
                state: item.word("state")?,
                arn: item.parse_optional("arn")?,
                version: item.get("version")?.to_owned(),
                created_at: item.parse("created_at")?,
                live_at: item.parse_optional("live_at")?,
                expires_at: item.parse_optional("expires_at")?,
            },
            visibility: visibility.transpose().context("attribute `visibility`")?,
            is_idle: item.find("is_idle").is_some(),
        })
    }

    /// Writes it as a new one.
    pub(super) fn create(&self) -> Result<Write> {
        Ok(Write::put(self.item()?).when_absent())
    }

    /// Changes it, if it still is what was read.
    pub(super) fn change(&self, change: impl FnOnce(&mut Self)) -> Result<Write> {
        let mut changed = self.clone();
        changed.revision += 1;
        change(&mut changed);
        Ok(self.unchanged(Write::put(changed.item()?)))
    }

    /// Removes it, if it still is what was read.
    pub(super) fn remove(&self) -> Write {
        self.unchanged(Write::delete(self.key()))
    }

    fn unchanged(&self, write: Write) -> Write {
        let revision = super::item::number_value(self.revision);
        write
            .when("#revision = :revision")
            .value(":revision", revision)
    }

    /// The item that names it by `key`.
    pub(super) fn pointer(&self, key: &Key) -> Item {
        Item::new(key)
            .text("row_pk", self.key().partition)
            .text("row_sk", self.sort())
    }

    /// Removes the item that names it by `key`, if it still does.
    pub(super) fn unname(&self, key: Key) -> Write {
        self.named(Write::delete(key))
    }

    /// Makes a change to an item if that names this one.
    pub(super) fn named(&self, write: Write) -> Write {
        let sort = super::item::text_value(self.sort());
        let partition = super::item::text_value(self.key().partition);
        write
            .when("#row_sk = :row_sk AND #row_pk = :row_pk")
            .value(":row_sk", sort)
            .value(":row_pk", partition)
    }

    /// The item of a piece of news about it.
    pub(super) fn news(&self, kind: NewsKind, sequence: u64) -> Result<Item> {
        Self::news_of(&self.version.key, self.sequence, kind, sequence)
    }

    /// The item of a piece of news about the version with this key and place.
    pub(super) fn news_of(
        key: &SlotKey,
        version: u64,
        kind: NewsKind,
        sequence: u64,
    ) -> Result<Item> {
        let sort = schema::version(key.target, &key.region, version);
        Ok(Item::new(&schema::news(sequence))
            .text("row_pk", schema::layer(&key.layer))
            .text("row_sk", sort)
            .text("kind", word(kind)?)
            .number("sequence", sequence))
    }

    pub(super) fn as_news(&self, item: &Item) -> Result<News> {
        Ok(News {
            sequence: item.count("sequence")?,
            kind: item.word("kind")?,
            version: self.version.clone(),
        })
    }

    /// The order in which stores answer with versions.
    pub(super) fn sort_by_key(rows: &mut [Self]) {
        rows.sort_by(|a, b| {
            let place = |row: &Self| (row.version.created_at, row.sequence);
            (&a.version.key, place(a)).cmp(&(&b.version.key, place(b)))
        });
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.version.state == LayerState::Deprecated
            && self.version.expires_at.is_some_and(|time| time <= now)
    }
}

/// Where a pointer leads.
pub(super) fn target_of(pointer: &Item) -> Result<Key> {
    Ok(Key::new(pointer.get("row_pk")?, pointer.get("row_sk")?))
}

/// The partition key of the index `live`.
pub(super) fn live_in(target: crate::model::Target, region: &crate::model::Region) -> String {
    format!("{region}#{target}")
}

/// Who may use a version, as a part of a sort key: a list of accounts may be longer than such a key.
pub(super) fn visibility_word(visibility: Option<&Visibility>) -> Result<String> {
    Ok(match visibility {
        Some(visibility) => Digest::of(&serde_json::to_vec(visibility)?).to_string(),
        None => "-".to_owned(),
    })
}

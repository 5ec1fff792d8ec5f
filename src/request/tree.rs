//! A YAML file as a tree of values that know where they stand, with nothing decided about their meaning yet.
//!
//! Deserialising straight into a struct would stop at the first mistake; a tree lets every mistake be found.

use crate::model::Location;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it begins; for an alias, where the alias stands.
    pub(super) location: Location,
    /// What it is.
    pub(super) value: Value,
}

/// What a YAML value can be.
#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Nothing,
    /// `true` or `false` (YAML 1.2: `yes` and `no` are text).
    Truth(bool),
    /// A number as it is written: `3.10` stays `3.10`.
    Number(String),
    /// Text.
    Text(Text),
    /// A list.
    List(Vec<Node>),
    /// Keys and values in the order of the file, duplicates included.
    Mapping(Vec<(Node, Node)>),
}

/// Text, with what is needed to point at a character in it.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// The text itself.
    pub(super) text: String,
    /// Columns between the node's place and the first character; `None` when the file has it in another shape
    /// (escapes, several lines), so that no column can be told.
    lead: Option<u32>,
}

impl Text {
    /// The place of a character of the text that begins at `node`.
    pub(super) fn location(&self, node: Location, characters: usize) -> Location {
        match (self.lead, u32::try_from(characters)) {
            (Some(lead), Ok(characters)) => Location {
                line: node.line,
                column: node.column.saturating_add(lead).saturating_add(characters),
            },
            _ => node,
        }
    }
}

impl Value {
    /// What a person calls it: `a number`.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Truth(true) => "the truth value `true`",
            Self::Truth(false) => "the truth value `false`",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// A YAML value as the parser hands it over.
#[derive(Debug)]
pub(super) enum Raw {
    Nothing,
    Truth(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<Self>>),
    Mapping(Vec<(Spanned<Self>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Truth(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut mapping = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            mapping.push(entry);
        }
        Ok(Raw::Mapping(mapping))
    }
}

impl Node {
    /// Joins what the parser read with the file's text, from which numbers take their spelling.
    pub(super) fn new(raw: Spanned<Raw>, source: &str) -> Self {
        let spelling = spelling(&raw, source);
        let value = match raw.value {
            Raw::Nothing => Value::Nothing,
            Raw::Truth(value) => Value::Truth(value),
            Raw::Number(number) => Value::Number(match spelling {
                Some(text)
                    if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) =>
                {
                    text.to_owned()
                }
                _ => number,
            }),
            Raw::Text(text) => {
                let lead = match spelling {
                    Some(spelling) if spelling == text => Some(0),
                    Some(spelling)
                        if spelling.get(1..spelling.len().saturating_sub(1))
                            == Some(text.as_str()) =>
                    {
                        Some(1)
                    }
                    _ => None,
                };
                Value::Text(Text { text, lead })
            }
            Raw::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| Self::new(item, source))
                    .collect(),
            ),
            Raw::Mapping(entries) => Value::Mapping(
                entries
                    .into_iter()
                    .map(|(key, value)| (Self::new(key, source), Self::new(value, source)))
                    .collect(),
            ),
        };
        Self {
            location: location(raw.referenced),
            value,
        }
    }
}

/// The characters of the file that a value was read from.
fn spelling<'a>(raw: &Spanned<Raw>, source: &'a str) -> Option<&'a str> {
    let span = raw.defined.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    Some(source.get(start..start.checked_add(length)?)?.trim())
}

/// The parser's place as ours; a place it does not know is the beginning of the file.
pub(super) fn location(place: serde_saphyr::Location) -> Location {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).max(1);
    Location {
        line: number(place.line()),
        column: number(place.column()),
    }
}

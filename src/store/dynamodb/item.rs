//! Items: values to attributes and back.
//!
//! What has a text form is stored as that text, a time too (RFC 3339 in UTC sorts as text does), an enumeration as the
//! word serde gives it, so that the table can be read in a console.

use crate::model::Timestamp;
use crate::store::Result;
use anyhow::{Context as _, bail};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

/// What names an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) partition: String,
    pub(super) sort: String,
}

impl Key {
    pub(super) fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self {
            partition: partition.into(),
            sort: sort.into(),
        }
    }

    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.partition.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sort.clone())),
        ])
    }
}

/// One item of the table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item(pub(super) HashMap<String, AttributeValue>);

impl Item {
    pub(super) fn new(key: &Key) -> Self {
        Self(key.attributes())
    }

    pub(super) fn text(self, name: &str, value: impl Display) -> Self {
        self.with(name, AttributeValue::S(value.to_string()))
    }

    pub(super) fn optional_text(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    pub(super) fn number(self, name: &str, value: impl Display) -> Self {
        self.with(name, AttributeValue::N(value.to_string()))
    }

    pub(super) fn bytes(self, name: &str, value: Vec<u8>) -> Self {
        self.with(name, AttributeValue::B(Blob::new(value)))
    }

    fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    pub(super) fn key(&self) -> Result<Key> {
        Ok(Key::new(self.get("pk")?, self.get("sk")?))
    }

    /// An attribute's text.
    pub(super) fn get(&self, name: &str) -> Result<&str> {
        self.find(name)
            .with_context(|| format!("an item of the store has no `{name}`"))
    }

    /// The same where there may be none.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }

    /// An attribute that holds a type's text form.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T> {
        parse(self.get(name)?, name)
    }

    /// The same where there may be none.
    pub(super) fn parse_optional<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>> {
        self.find(name).map(|text| parse(text, name)).transpose()
    }

    /// An attribute that holds a number.
    pub(super) fn count<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T> {
        self.count_optional(name)?
            .with_context(|| format!("an item of the store has no `{name}`"))
    }

    /// The same where there may be none.
    pub(super) fn count_optional<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>> {
        let number = self.0.get(name).and_then(|value| value.as_n().ok());
        number.map(|text| parse(text, name)).transpose()
    }

    /// An attribute that holds the word of an enumeration.
    pub(super) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let word = serde_json::Value::String(self.get(name)?.to_owned());
        serde_json::from_value(word).with_context(|| format!("attribute `{name}` of the store"))
    }

    pub(super) fn blob(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name)?.as_b().ok().map(AsRef::as_ref)
    }
}

fn parse<T: FromStr<Err: Display>>(text: &str, name: &str) -> Result<T> {
    match text.parse() {
        Ok(value) => Ok(value),
        Err(reason) => bail!("attribute `{name}` of the store: {reason}"),
    }
}

/// The word serde gives an enumeration's value.
pub(super) fn word<T: Serialize>(value: T) -> Result<String> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => bail!("{other} is not a single word"),
    }
}

/// A sort key by time, then by the order of writing.
pub(super) fn moment(time: Timestamp, sequence: u64) -> String {
    format!("{time}#{sequence:020}")
}

/// An attribute's value that is a text.
pub(super) fn text_value(value: impl Display) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

/// An attribute's value that is a number.
pub(super) fn number_value(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

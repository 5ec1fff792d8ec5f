//! Values to columns and back.
//!
//! What has a text form (`Display` and `FromStr`) is stored as that text, an enumeration as the word serde gives it,
//! a time as seconds, an unsigned number as SQLite's signed one.

use crate::model::Timestamp;
use crate::store::Result;
use anyhow::{Context as _, bail};
use rusqlite::Row;
use rusqlite::types::FromSql;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;

/// A column as SQLite has it.
pub(super) fn get<T: FromSql>(row: &Row<'_>, column: &str) -> Result<T> {
    row.get(column)
        .with_context(|| format!("column `{column}` of the store"))
}

/// A column that holds a type's text form.
pub(super) fn text<T>(row: &Row<'_>, column: &str) -> Result<T>
where
    T: FromStr<Err: Display>,
{
    parse(&get::<String>(row, column)?, column)
}

/// The same where the column may be empty.
pub(super) fn optional_text<T>(row: &Row<'_>, column: &str) -> Result<Option<T>>
where
    T: FromStr<Err: Display>,
{
    get::<Option<String>>(row, column)?
        .map(|text| parse(&text, column))
        .transpose()
}

fn parse<T: FromStr<Err: Display>>(text: &str, column: &str) -> Result<T> {
    match text.parse() {
        Ok(value) => Ok(value),
        Err(reason) => bail!("column `{column}` of the store: {reason}"),
    }
}

/// A column that holds seconds since 1970-01-01T00:00:00Z.
pub(super) fn time(row: &Row<'_>, column: &str) -> Result<Timestamp> {
    Ok(Timestamp::from_unix(get(row, column)?))
}

/// The same where the column may be empty.
pub(super) fn optional_time(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, column)?.map(Timestamp::from_unix))
}

/// A number, such as GitHub's of a pull request, as SQLite keeps it.
pub(super) fn number(value: u64) -> Result<i64> {
    i64::try_from(value).with_context(|| format!("{value} is too large for the store"))
}

/// A column that holds such a number, or nothing.
pub(super) fn optional_number(row: &Row<'_>, column: &str) -> Result<Option<u64>> {
    get::<Option<i64>>(row, column)?
        .map(|value| {
            u64::try_from(value).with_context(|| format!("column `{column}` is negative: {value}"))
        })
        .transpose()
}

/// The word serde gives an enumeration's value.
pub(super) fn word<T: Serialize>(value: T) -> Result<String> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => bail!("{other} is not a single word"),
    }
}

/// A column that holds such a word.
pub(super) fn from_word<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T> {
    let word: String = get(row, column)?;
    serde_json::from_value(serde_json::Value::String(word))
        .with_context(|| format!("column `{column}` of the store"))
}

/// A column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T> {
    let text: String = get(row, column)?;
    serde_json::from_str(&text).with_context(|| format!("column `{column}` of the store"))
}

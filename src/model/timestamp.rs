//! A point in time, as a value: rooms get it as an argument and never ask a clock.

use super::{InvalidValue, serde_as_text};
use std::fmt;
use std::str::FromStr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const SECONDS_PER_DAY: i64 = 86_400;

/// Whole seconds since 1970-01-01T00:00:00Z, shown as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From seconds since 1970-01-01T00:00:00Z. Values outside the years 0 to 9999 are moved to the nearer end.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(-62_167_219_200, 253_402_300_799))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0
    }

    /// This many days later.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self::from_unix(self.0 + i64::from(days) * SECONDS_PER_DAY)
    }

    /// This many days earlier.
    #[must_use]
    pub fn minus_days(self, days: u32) -> Self {
        Self::from_unix(self.0 - i64::from(days) * SECONDS_PER_DAY)
    }

    /// The date in UTC: `2026-11-22`.
    #[must_use]
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl FromStr for Timestamp {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(|moment| Self(moment.unix_timestamp()))
            .map_err(|_| {
                InvalidValue(format!(
                    "`{text}` is not a time: write it as 2026-11-22T10:00:00Z"
                ))
            })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp(self.0).map_err(|_| fmt::Error)?;
        f.write_str(&moment.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

serde_as_text!(Timestamp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_as_it_is_shown() {
        let moment: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-22T10:00:00Z");
        assert_eq!(moment.plus_days(365).date(), "2027-11-22");
        assert_eq!(moment.minus_days(3).date(), "2026-11-19");
    }
}

//! A size as people write it.

use crate::model::InvalidValue;
use std::fmt;
use std::str::FromStr;

/// The units, the largest first.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A number of bytes, written as `10GiB`, `500MiB`, `64KiB` or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(u64);

impl ByteSize {
    /// How many bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit = UNITS
            .iter()
            .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
        let (number, unit) = unit.unwrap_or((text, 1));
        number
            .trim_end()
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .map(Self)
            .ok_or_else(|| {
                InvalidValue(format!(
                    "`{text}` is no size: write for example 10GiB, 500MiB or a number of bytes"
                ))
            })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS
            .iter()
            .find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes));
        match whole {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes) in [
            ("10GiB", 10 << 30),
            ("500MiB", 500 << 20),
            ("7", 7),
            ("2 KiB", 2048),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes, "{text}");
        }
        assert_eq!("1024MiB".parse::<ByteSize>().unwrap().to_string(), "1GiB");
        for bad in ["", "GiB", "1.5GiB", "10GB", "-1", "99999999999GiB"] {
            let error = bad.parse::<ByteSize>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{bad}` is no size")), "{error}");
        }
    }
}

//! What a layer is built for: a Python minor version on an architecture.

use super::{InvalidValue, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// A Python version that AWS Lambda runs: `3.10` to `3.14`.
///
/// Source: AWS Lambda developer guide, "Lambda runtimes".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PythonVersion {
    minor: u8,
}

impl PythonVersion {
    /// Every supported version, oldest first.
    pub const ALL: [Self; 5] = [
        Self { minor: 10 },
        Self { minor: 11 },
        Self { minor: 12 },
        Self { minor: 13 },
        Self { minor: 14 },
    ];

    /// The `13` of `3.13`.
    #[must_use]
    pub fn minor(self) -> u8 {
        self.minor
    }

    /// The managed runtime's name in AWS: `python3.13`.
    #[must_use]
    pub fn runtime(self) -> String {
        format!("python3.{}", self.minor)
    }

    /// The C library of the runtime, as (major, minor): Amazon Linux 2023 has glibc 2.34 (Python 3.12 and later),
    /// Amazon Linux 2 has 2.26.
    #[must_use]
    pub fn glibc(self) -> (u8, u8) {
        if self.minor >= 12 { (2, 34) } else { (2, 26) }
    }

    /// When AWS ends the runtime (AWS Lambda developer guide, "Lambda runtimes", as of November 2026).
    #[must_use]
    pub fn runtime_dates(self) -> RuntimeDates {
        let (deprecated, creation_blocked, update_blocked) = match self.minor {
            10 => ("2026-10-31", Some("2026-11-30"), Some("2027-01-15")),
            11 => ("2027-06-30", None, None),
            12 => ("2028-10-31", None, None),
            _ => ("2029-06-30", None, None),
        };
        RuntimeDates {
            deprecated,
            creation_blocked,
            update_blocked,
        }
    }
}

/// When AWS ends a runtime, step by step. Dates are written as `2026-10-31`, so that they sort as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeDates {
    /// From then on it gets no more security patches.
    pub deprecated: &'static str,
    /// From then on no function can be created with it, where AWS has said when.
    pub creation_blocked: Option<&'static str>,
    /// From then on no function that uses it can be updated, where AWS has said when.
    pub update_blocked: Option<&'static str>,
}

impl FromStr for PythonVersion {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|version| version.to_string() == text)
            .ok_or_else(|| {
                let all: Vec<String> = Self::ALL.iter().map(Self::to_string).collect();
                InvalidValue(format!(
                    "`{text}` is not a Python version of AWS Lambda: use one of {}",
                    all.join(", ")
                ))
            })
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.minor)
    }
}

serde_as_text!(PythonVersion);

/// A processor architecture of AWS Lambda.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Architecture {
    /// 64-bit x86, the default of AWS Lambda.
    X86_64,
    /// 64-bit ARM (Graviton).
    Arm64,
}

impl Architecture {
    /// Both, the default first.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// The name AWS uses: `x86_64` or `arm64`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name Linux and wheel tags use: `x86_64` or `aarch64`.
    #[must_use]
    pub fn machine(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

impl FromStr for Architecture {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.as_str() == text)
            .ok_or_else(|| {
                InvalidValue(format!(
                    "`{text}` is not an architecture of AWS Lambda: use x86_64 or arm64"
                ))
            })
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

serde_as_text!(Architecture);

/// A Python version on an architecture: `p3.13` (64-bit x86) or `p3.13-arm64`. Ordered by version, 64-bit x86 first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The Python minor version.
    pub python: PythonVersion,
    /// The processor architecture.
    pub architecture: Architecture,
}

impl Target {
    /// The part of a published layer's name: `p313` or `p313-arm64`.
    #[must_use]
    pub fn layer_name_part(self) -> String {
        let minor = self.python.minor();
        match self.architecture {
            Architecture::X86_64 => format!("p3{minor}"),
            Architecture::Arm64 => format!("p3{minor}-arm64"),
        }
    }

    /// Every supported target, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        PythonVersion::ALL.into_iter().flat_map(|python| {
            Architecture::ALL.into_iter().map(move |architecture| Self {
                python,
                architecture,
            })
        })
    }
}

impl FromStr for Target {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all()
            .find(|target| target.to_string() == text)
            .ok_or_else(|| {
                let all: Vec<String> = Self::all().map(|target| target.to_string()).collect();
                InvalidValue(format!(
                    "`{text}` is not a target: use one of {}",
                    all.join(", ")
                ))
            })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.architecture {
            Architecture::X86_64 => write!(f, "p{}", self.python),
            Architecture::Arm64 => write!(f, "p{}-arm64", self.python),
        }
    }
}

serde_as_text!(Target);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_back_as_they_are_shown() {
        for target in Target::all() {
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
        }
        assert!("p3.9".parse::<Target>().is_err());
        assert!("3.13".parse::<Target>().is_err());
    }

    #[test]
    fn glibc_follows_the_amazon_linux_of_the_runtime() {
        assert_eq!("3.11".parse::<PythonVersion>().unwrap().glibc(), (2, 26));
        assert_eq!("3.12".parse::<PythonVersion>().unwrap().glibc(), (2, 34));
    }
}

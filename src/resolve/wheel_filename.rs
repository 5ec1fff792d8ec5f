//! The name of a wheel file, taken apart.

use crate::model::{InvalidValue, normalize_package_name};
use pep440_rs::Version;
use std::fmt;
use std::str::FromStr;

/// A wheel's build tag: a number, then whatever follows it. Orders as PEP 427 says: number first, then text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildTag {
    /// The leading digits.
    pub number: u64,
    /// The rest, often empty.
    pub suffix: String,
}

/// `{distribution}-{version}(-{build})?-{python}-{abi}-{platform}.whl`.
///
/// Source: PEP 427, "File name convention"; compressed tag sets (`py2.py3`) are of PEP 425.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelFilename {
    text: String,
    /// Normalised name of the package (PEP 503).
    pub name: String,
    /// Version (PEP 440).
    pub version: Version,
    /// Breaks a tie between wheels that suit a target equally well.
    pub build: Option<BuildTag>,
    /// Python tags: `cp313`, `py3`.
    pub python: Vec<String>,
    /// ABI tags: `cp313`, `abi3`, `none`.
    pub abi: Vec<String>,
    /// Platform tags: `manylinux_2_28_x86_64`, `any`.
    pub platform: Vec<String>,
}

impl FromStr for WheelFilename {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid =
            |what: &str| InvalidValue(format!("`{text}` is not the file name of a wheel: {what}"));
        let stem = text
            .strip_suffix(".whl")
            .ok_or_else(|| invalid("it does not end in `.whl`"))?;
        if !stem.chars().all(is_filename_character) {
            return Err(invalid("it has a character that wheel names do not have"));
        }
        let parts: Vec<&str> = stem.split('-').collect();
        let (name, version, build, tags) = match parts[..] {
            [name, version, python, abi, platform] => {
                (name, version, None, [python, abi, platform])
            }
            [name, version, build, python, abi, platform] => {
                (name, version, Some(build), [python, abi, platform])
            }
            _ => return Err(invalid("it has not five or six parts between dashes")),
        };
        if name.is_empty() {
            return Err(invalid("its name is empty"));
        }
        // PEP 427 writes the `-` of a version as `_`.
        let version = Version::from_str(&version.replace('_', "-"))
            .or_else(|_| Version::from_str(version))
            .map_err(|_| invalid("its version is not one of PEP 440"))?;
        let build = match build {
            None => None,
            Some(build) => Some(
                parse_build_tag(build)
                    .ok_or_else(|| invalid("its build tag does not start with a digit"))?,
            ),
        };
        let [python, abi, platform] = tags.map(|set| {
            set.split('.')
                .map(str::to_lowercase)
                .collect::<Vec<String>>()
        });
        if [&python, &abi, &platform]
            .iter()
            .any(|set| set.iter().any(String::is_empty))
        {
            return Err(invalid("one of its tags is empty"));
        }
        Ok(Self {
            text: text.to_owned(),
            name: normalize_package_name(name),
            version,
            build,
            python,
            abi,
            platform,
        })
    }
}

impl fmt::Display for WheelFilename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Letters and digits of any script are allowed by PEP 427; path separators and control characters are not.
fn is_filename_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '!')
}

fn parse_build_tag(text: &str) -> Option<BuildTag> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    Some(BuildTag {
        number: number.parse().ok()?,
        suffix: suffix.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_name_apart_and_shows_it_again() {
        let text =
            "charset_normalizer-3.5.2-1b-cp37.cp38-abi3-manylinux1_x86_64.manylinux_2_5_x86_64.whl";
        let wheel: WheelFilename = text.parse().unwrap();
        assert_eq!(wheel.name, "charset-normalizer");
        assert_eq!(wheel.version.to_string(), "3.5.2");
        assert_eq!(
            wheel.build,
            Some(BuildTag {
                number: 1,
                suffix: "b".to_owned()
            })
        );
        assert_eq!(wheel.python, ["cp37", "cp38"]);
        assert_eq!(wheel.abi, ["abi3"]);
        assert_eq!(
            wheel.platform,
            ["manylinux1_x86_64", "manylinux_2_5_x86_64"]
        );
        assert_eq!(wheel.to_string(), text);
    }

    #[test]
    fn local_versions_are_read() {
        let wheel: WheelFilename = "torch-2.1.0+cpu-cp313-cp313-linux_x86_64.whl"
            .parse()
            .unwrap();
        assert_eq!(wheel.version.to_string(), "2.1.0+cpu");
        let wheel: WheelFilename = "a-1.0+local_2-py3-none-any.whl".parse().unwrap();
        assert_eq!(wheel.version.to_string(), "1.0+local.2");
    }

    #[test]
    fn build_tags_order_by_number() {
        let build = |text: &str| parse_build_tag(text).unwrap();
        assert!(build("10") > build("9z"));
        assert!(build("1b") > build("1a"));
    }

    #[test]
    fn what_is_not_a_wheel_is_refused_with_its_name() {
        for bad in [
            "",
            "six-1.0.tar.gz",
            "six-1.0-py3-none.whl",
            "-1.0-py3-none-any.whl",
            "six-one-py3-none-any.whl",
            "six-1.0-x-py3-none-any.whl",
            "six-1.0-py3..py2-none-any.whl",
            "../six-1.0-py3-none-any.whl",
            "six-1.0-1-2-py3-none-any.whl",
        ] {
            let error = bad.parse::<WheelFilename>().unwrap_err();
            assert!(error.to_string().contains(&format!("`{bad}`")), "{error}");
        }
    }
}

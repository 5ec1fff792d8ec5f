//! Names of layers: the one in the catalog, and the one AWS knows.

use super::{Digest, InvalidValue, Target, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// The longest layer name AWS accepts (`PublishLayerVersion`, `LayerName`: 1–140 characters).
const AWS_LAYER_NAME_LIMIT: usize = 140;
/// The longest description AWS accepts for a layer version.
const AWS_DESCRIPTION_LIMIT: usize = 256;

/// The name of a layer in the catalog: the stem of its request file.
///
/// `^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$`: at most 63 lowercase letters, digits, `-` and `_`, so that it is
/// safe as a file name, a path segment and a part of an AWS layer name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerName(String);

impl LayerName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LayerName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let valid = (1..=63).contains(&text.len())
            && text.starts_with(edge)
            && text.ends_with(edge)
            && text.chars().all(|c| edge(c) || c == '-' || c == '_');
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidValue(format!(
                "`{text}` is not a layer name: use 1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends"
            )))
        }
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(LayerName);

/// The first part of every published layer's name, from the policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerPrefix(String);

impl LayerPrefix {
    /// The prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LayerPrefix {
    fn default() -> Self {
        Self("Layersmith".to_owned())
    }
}

impl FromStr for LayerPrefix {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // 140 less `-p314-arm64-` (12) and the longest catalog name (63).
        const LIMIT: usize = AWS_LAYER_NAME_LIMIT - 12 - 63;
        let valid = (1..=LIMIT).contains(&text.len())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidValue(format!(
                "`{text}` is not a layer prefix: use 1 to {LIMIT} letters, digits, `-` and `_`"
            )))
        }
    }
}

impl fmt::Display for LayerPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(LayerPrefix);

/// The name a layer is published under: `{prefix}-p313[-arm64]-{name}`.
#[must_use]
pub fn published_layer_name(prefix: &LayerPrefix, target: Target, name: &LayerName) -> String {
    format!("{prefix}-{}-{name}", target.layer_name_part())
}

/// The prefix of the name that a layer is published under for a target: the other way around than [`published_layer_name`].
/// `None` when it is no such name.
#[must_use]
pub fn published_prefix(published: &str, target: Target, name: &LayerName) -> Option<LayerPrefix> {
    let rest = published.strip_suffix(name.as_str())?.strip_suffix('-')?;
    let prefix = rest
        .strip_suffix(&target.layer_name_part())?
        .strip_suffix('-')?;
    prefix.parse().ok()
}

/// Whether a name is one that a catalog with this prefix publishes under, whatever Python versions it knows. The prefix of
/// another catalog may begin with this one: `acme-prod-p313-demo` is none of `acme`'s.
#[must_use]
pub fn is_published_under(prefix: &LayerPrefix, name: &str) -> bool {
    let rest = name.strip_prefix(prefix.as_str());
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix("-p")) else {
        return false;
    };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    after.len() < rest.len() && after.starts_with('-')
}

/// The description of a published layer version: `{name} {version} | sha256:{first 16 of the zip's digest}`.
///
/// The digest in it is how an interrupted publish is found again, so it is never cut off: the version is
/// shortened instead, should the whole pass AWS' 256 characters.
#[must_use]
pub fn layer_description(name: &LayerName, version: &str, digest: &Digest) -> String {
    let tail = format!(" | sha256:{}", digest.short());
    let room = AWS_DESCRIPTION_LIMIT - tail.len() - name.as_str().len() - 1;
    let version: String = version.chars().take(room).collect();
    format!("{name} {version}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_knows_its_names_from_those_of_a_longer_prefix() {
        let acme: LayerPrefix = "acme".parse().unwrap();
        for own in ["acme-p313-demo", "acme-p39-demo", "acme-p314-arm64-demo"] {
            assert!(is_published_under(&acme, own), "{own}");
        }
        for other in [
            "acme-prod-p313-demo",
            "acme-p-demo",
            "acme-p313",
            "acme",
            "ac-p313-demo",
        ] {
            assert!(!is_published_under(&acme, other), "{other}");
        }
    }

    #[test]
    fn layer_names_are_strict() {
        for good in ["a", "pandas", "aws-lambda-powertools", "a_b", "0"] {
            assert_eq!(good.parse::<LayerName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            "a-",
            "Pandas",
            "a.b",
            "../x",
            "a b",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<LayerName>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn the_published_name_follows_the_contract() {
        let prefix = LayerPrefix::default();
        let name: LayerName = "pandas".parse().unwrap();
        let x86: Target = "p3.13".parse().unwrap();
        let arm: Target = "p3.13-arm64".parse().unwrap();
        assert_eq!(
            published_layer_name(&prefix, x86, &name),
            "Layersmith-p313-pandas"
        );
        assert_eq!(
            published_layer_name(&prefix, arm, &name),
            "Layersmith-p313-arm64-pandas"
        );
        let other: LayerPrefix = "acme-p313".parse().unwrap();
        for (prefix, target) in [(&prefix, x86), (&prefix, arm), (&other, x86)] {
            let published = published_layer_name(prefix, target, &name);
            let found = published_prefix(&published, target, &name);
            assert_eq!(found.as_ref(), Some(prefix));
        }
        assert_eq!(published_prefix("Layersmith-p312-pandas", x86, &name), None);
        assert_eq!(published_prefix("-p313-pandas", x86, &name), None);
    }

    #[test]
    fn a_description_keeps_its_digest_within_the_limit() {
        let name: LayerName = "a".repeat(63).parse().unwrap();
        let digest = Digest::of(b"zip");
        let description = layer_description(&name, &"9".repeat(400), &digest);
        assert_eq!(description.len(), AWS_DESCRIPTION_LIMIT);
        assert!(description.ends_with(&format!("sha256:{}", digest.short())));
    }
}

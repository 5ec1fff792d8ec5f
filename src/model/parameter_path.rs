//! Where the public names of layers are kept in AWS Systems Manager's Parameter Store.

use super::{InvalidValue, LayerName, LayerPrefix, Target, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// The beginning of every parameter's name: `/layersmith`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterPath(String);

/// Levels that a name may have (AWS Systems Manager API reference, `PutParameter`, `Name`), less the three below a path.
const LEVELS: usize = 15 - 3;
/// Far below the 1,011 characters that the parts of a name and its ARN may have together, with the longest names below.
const LENGTH: usize = 500;

impl ParameterPath {
    /// The folder of a catalog's parameters: `/layersmith/Layersmith`.
    #[must_use]
    pub fn of_catalog(&self, prefix: &LayerPrefix) -> String {
        format!("{}/{prefix}", self.0)
    }

    /// The parameter of a layer for a target: `/layersmith/Layersmith/p3.13-arm64/pandas`.
    #[must_use]
    pub fn of_layer(&self, prefix: &LayerPrefix, target: Target, layer: &LayerName) -> String {
        format!("{}/{target}/{layer}", self.of_catalog(prefix))
    }
}

impl Default for ParameterPath {
    fn default() -> Self {
        Self("/layersmith".to_owned())
    }
}

impl FromStr for ParameterPath {
    type Err = InvalidValue;

    /// Letters, digits, `.`, `_` and `-` between slashes. AWS keeps names that begin with `aws` or `ssm`, in any case,
    /// for itself.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |what: &str| Err(InvalidValue(format!("`{text}` {what}")));
        let Some(parts) = text.strip_prefix('/') else {
            return invalid("does not begin with `/`");
        };
        let levels: Vec<&str> = parts.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        if !levels.iter().all(plain) {
            return invalid(
                "has more in it than letters, digits, `.`, `_` and `-` between single slashes",
            );
        }
        let first = parts.to_ascii_lowercase();
        if first.starts_with("aws") || first.starts_with("ssm") {
            return invalid("begins with what AWS keeps for itself, `aws` or `ssm`");
        }
        if levels.len() > LEVELS || text.len() > LENGTH {
            return Err(InvalidValue(format!(
                "it has more than {LEVELS} levels or {LENGTH} characters"
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ParameterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(ParameterPath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_what_parameter_store_takes() {
        for path in ["/layersmith", "/a/b.c/d-e_f", "/shared/ssm"] {
            assert_eq!(path.parse::<ParameterPath>().unwrap().to_string(), path);
        }
        let deep = "/a".repeat(13);
        for path in [
            "", "/", "layers", "/a/", "/a//b", "/a b", "/AWS", "/ssm-x", &deep,
        ] {
            assert!(path.parse::<ParameterPath>().is_err(), "{path}");
        }
    }

    #[test]
    fn a_layers_parameter_is_named_by_target_and_name() {
        let target = "p3.13-arm64".parse().unwrap();
        let name = ParameterPath::default().of_layer(
            &LayerPrefix::default(),
            target,
            &"pandas".parse().unwrap(),
        );
        assert_eq!(name, "/layersmith/Layersmith/p3.13-arm64/pandas");
    }
}

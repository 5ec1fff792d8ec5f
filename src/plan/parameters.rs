//! The public names of layers in Parameter Store: which there should be, and what is to be done about those there are.

use super::RegionFailure;
use crate::model::{
    LayerArn, LayerName, LayerPrefix, LayerState, LayerVersion, ParameterPath, Region, Target,
    Timestamp, published_layer_name, published_prefix,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The parameters of one folder: values by name.
pub type Parameters = BTreeMap<String, String>;

/// What bringing the parameters up to date came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParametersOutcome {
    /// Parameters that were written, because they were missing or said something else.
    pub written: usize,
    /// Parameters that were removed, because nothing is left of what they named.
    pub removed: usize,
    /// Regions where it could not be done.
    pub failed: Vec<RegionFailure>,
}

/// A region, and the prefix of a catalog in it: where its parameters are kept together.
pub type Folder = (Region, LayerPrefix);

/// What should be there, by folder: every one that was ever published under, and nothing where all of that is deleted.
/// `versions` are all that were ever recorded.
///
/// A layer's parameter has the ARN of its latest version, and is in the folder of the prefix that this is published under.
/// After the layer was retired, or moved to another prefix, it keeps the last one, so that what is deployed by it goes on
/// working, until that version is deleted; then it goes, too.
#[must_use]
pub fn wanted_parameters(
    path: &ParameterPath,
    versions: &[LayerVersion],
) -> BTreeMap<Folder, Parameters> {
    type Best<'a> = ((bool, Option<Timestamp>, u64), &'a LayerArn);
    let mut wanted: BTreeMap<Folder, Parameters> = BTreeMap::new();
    let mut best: BTreeMap<(Folder, Target, &LayerName), Best<'_>> = BTreeMap::new();
    for version in versions {
        let key = &version.key;
        let Some(arn) = &version.arn else { continue };
        let Some(prefix) = published_prefix(&key.published_name, key.target, &key.layer) else {
            continue;
        };
        let folder = (key.region.clone(), prefix);
        wanted.entry(folder.clone()).or_default();
        if !matches!(version.state, LayerState::Live | LayerState::Deprecated) {
            continue;
        }
        let rank = (
            version.state == LayerState::Live,
            version.live_at,
            arn.version,
        );
        let known = best
            .entry((folder, key.target, &key.layer))
            .or_insert((rank, arn));
        if known.0 < rank {
            *known = (rank, arn);
        }
    }
    for ((folder, target, layer), (_, arn)) in best {
        let name = path.of_layer(&folder.1, target, layer);
        wanted
            .entry(folder)
            .or_default()
            .insert(name, arn.to_string());
    }
    wanted
}

/// What is to be written, and the names of what is to be removed; `found` is what is below the path of a catalog with this
/// prefix.
///
/// What somebody else put there stays: only a parameter that is named like one of ours and holds an ARN of that very
/// layer is removed.
#[must_use]
pub fn parameter_changes(
    path: &ParameterPath,
    prefix: &LayerPrefix,
    wanted: &Parameters,
    found: &Parameters,
) -> (Parameters, Vec<String>) {
    let write = wanted
        .iter()
        .filter(|(name, value)| found.get(*name) != Some(*value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let folder = format!("{}/", path.of_catalog(prefix));
    let is_ours = |name: &str, value: &str| {
        let (target, layer) = name.strip_prefix(&folder)?.split_once('/')?;
        let (target, layer): (Target, LayerName) = (target.parse().ok()?, layer.parse().ok()?);
        let arn: LayerArn = value.parse().ok()?;
        Some(arn.layer == published_layer_name(prefix, target, &layer))
    };
    let remove = found
        .iter()
        .filter(|(name, _)| !wanted.contains_key(*name))
        .filter(|(name, value)| is_ours(name, value) == Some(true))
        .map(|(name, _)| name.clone())
        .collect();
    (write, remove)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, SlotKey};

    fn version(layer: &str, region: &str, number: u64, state: LayerState) -> LayerVersion {
        under("Layersmith", layer, region, number, state)
    }

    fn under(
        prefix: &str,
        layer: &str,
        region: &str,
        number: u64,
        state: LayerState,
    ) -> LayerVersion {
        let target: Target = "p3.13-arm64".parse().unwrap();
        let layer: LayerName = layer.parse().unwrap();
        let published_name = published_layer_name(&prefix.parse().unwrap(), target, &layer);
        let region: Region = region.parse().unwrap();
        LayerVersion {
            arn: Some(LayerArn {
                region: region.clone(),
                account: "123456789012".to_owned(),
                layer: published_name.clone(),
                version: number,
            }),
            key: SlotKey {
                layer,
                target,
                region,
                digest: Digest::of(&number.to_be_bytes()),
                published_name,
            },
            state,
            version: "1.0".to_owned(),
            created_at: Timestamp::from_unix(0),
            live_at: Some(Timestamp::from_unix(i64::try_from(number).unwrap())),
            expires_at: None,
        }
    }

    #[test]
    fn the_latest_is_named_and_after_it_what_is_left() {
        use LayerState::{Deleted, Deprecated, Live};
        let versions = [
            version("pandas", "us-east-1", 9, Deprecated),
            version("pandas", "us-east-1", 4, Live),
            version("pandas", "eu-west-1", 2, Deprecated),
            version("pandas", "eu-west-1", 3, Deprecated),
            version("gone", "eu-west-1", 1, Deleted),
            under("acme", "pandas", "us-east-1", 7, Deprecated),
            under("old", "pandas", "sa-east-1", 1, Deleted),
        ];
        let wanted = wanted_parameters(&ParameterPath::default(), &versions);
        let lines: Vec<String> = wanted
            .values()
            .flatten()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        let empty = wanted.iter().filter(|(_, wanted)| wanted.is_empty());
        let empty: Vec<String> = empty
            .map(|((region, prefix), _)| format!("{region} {prefix}"))
            .collect();
        assert_eq!(empty, ["sa-east-1 old"]);
        insta::assert_snapshot!(lines.join("\n"), @"
        /layersmith/Layersmith/p3.13-arm64/pandas = arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-arm64-pandas:3
        /layersmith/Layersmith/p3.13-arm64/pandas = arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-arm64-pandas:4
        /layersmith/acme/p3.13-arm64/pandas = arn:aws:lambda:us-east-1:123456789012:layer:acme-p313-arm64-pandas:7
        ");
    }

    #[test]
    fn only_what_differs_is_written_and_only_ours_is_removed() {
        let arn = |name: &str| format!("arn:aws:lambda:eu-west-1:123456789012:layer:{name}:1");
        let below = |name: &str| format!("/layersmith/Layersmith/{name}");
        let wanted: Parameters = [
            ("p3.13/same", "same"),
            ("p3.13/new", "new"),
            ("p3.13/old", "2"),
        ]
        .map(|(name, value)| (below(name), value.to_owned()))
        .into();
        let found: Parameters = [
            ("p3.13/same", "same".to_owned()),
            ("p3.13/old", "1".to_owned()),
            ("p3.13/gone", arn("Layersmith-p313-gone")),
            ("p3.13/note", "somebody's own".to_owned()),
            ("p3.13/link", arn("Other-p313-link")),
            ("p3.13/deeper/gone", arn("Layersmith-p313-gone")),
        ]
        .map(|(name, value)| (below(name), value))
        .into();
        let (write, remove) = parameter_changes(
            &ParameterPath::default(),
            &LayerPrefix::default(),
            &wanted,
            &found,
        );
        let written: Vec<String> = write.into_keys().collect();
        assert_eq!(written, [below("p3.13/new"), below("p3.13/old")]);
        assert_eq!(remove, [below("p3.13/gone")]);
    }
}

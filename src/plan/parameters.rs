//! The public names of layers in Parameter Store: which there should be, and what is to be done about those there are.

use super::RegionFailure;
use crate::model::{
    LayerArn, LayerName, LayerState, LayerVersion, ParameterPath, Policy, Region, Target,
    published_layer_name,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The parameters of one region: values by name.
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

/// What should be there, by region.
///
/// A layer's parameter has the ARN of its latest version. After the layer was retired it keeps the last one, so that what
/// is deployed by it goes on working, until that version is deleted; then it goes, too.
#[must_use]
pub fn wanted_parameters(
    path: &ParameterPath,
    policy: &Policy,
    versions: &[LayerVersion],
) -> BTreeMap<Region, Parameters> {
    type Best<'a> = ((bool, Option<crate::model::Timestamp>, u64), &'a LayerArn);
    let mut best: BTreeMap<(&Region, &LayerName, Target), Best<'_>> = BTreeMap::new();
    for version in versions {
        let usable = matches!(version.state, LayerState::Live | LayerState::Deprecated);
        let Some(arn) = version.arn.as_ref().filter(|_| usable) else {
            continue;
        };
        let rank = (
            version.state == LayerState::Live,
            version.live_at,
            arn.version,
        );
        let key = (&version.key.region, &version.key.layer, version.key.target);
        let known = best.entry(key).or_insert((rank, arn));
        if known.0 < rank {
            *known = (rank, arn);
        }
    }
    let mut wanted: BTreeMap<Region, Parameters> = BTreeMap::new();
    for ((region, layer, target), (_, arn)) in best {
        let name = path.of_layer(&policy.prefix, target, layer);
        let region = wanted.entry(region.clone()).or_default();
        region.insert(name, arn.to_string());
    }
    wanted
}

/// What is to be written, and the names of what is to be removed; `found` is what is below the catalog's path.
///
/// What somebody else put there stays: only a parameter that is named like one of ours and holds an ARN of that very
/// layer is removed.
#[must_use]
pub fn parameter_changes(
    path: &ParameterPath,
    policy: &Policy,
    wanted: &Parameters,
    found: &Parameters,
) -> (Parameters, Vec<String>) {
    let write = wanted
        .iter()
        .filter(|(name, value)| found.get(*name) != Some(*value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let folder = format!("{}/", path.of_catalog(&policy.prefix));
    let is_ours = |name: &str, value: &str| {
        let (target, layer) = name.strip_prefix(&folder)?.split_once('/')?;
        let (target, layer): (Target, LayerName) = (target.parse().ok()?, layer.parse().ok()?);
        let arn: LayerArn = value.parse().ok()?;
        Some(arn.layer == published_layer_name(&policy.prefix, target, &layer))
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
    use crate::model::{Digest, SlotKey, Timestamp};

    fn version(layer: &str, region: &str, number: u64, state: LayerState) -> LayerVersion {
        let target: Target = "p3.13-arm64".parse().unwrap();
        let layer: LayerName = layer.parse().unwrap();
        let published_name = published_layer_name(&Policy::default().prefix, target, &layer);
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
        ];
        let wanted = wanted_parameters(&ParameterPath::default(), &Policy::default(), &versions);
        let lines: Vec<String> = wanted
            .values()
            .flatten()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        /layersmith/Layersmith/p3.13-arm64/pandas = arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-arm64-pandas:3
        /layersmith/Layersmith/p3.13-arm64/pandas = arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-arm64-pandas:4
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
            &Policy::default(),
            &wanted,
            &found,
        );
        let written: Vec<String> = write.into_keys().collect();
        assert_eq!(written, [below("p3.13/new"), below("p3.13/old")]);
        assert_eq!(remove, [below("p3.13/gone")]);
    }
}

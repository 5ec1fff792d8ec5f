//! The files and answers as people read them, from one small catalog.

mod announcements;
mod api;
mod changes;
mod expiry;
mod feeds;
mod files;
mod pages;

use super::{TablesInput, render};
use crate::model::{
    Artifact, BuildRecord, BuildReport, Bytecode, Digest, LayerArn, LayerName, LayerRequest,
    LayerState, LayerVersion, Location, Lock, Pin, Policy, Region, Requirement, SlotKey,
    TableFormat, Target, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

const ACCOUNT: &str = "123456789012";

fn at(date: &str) -> Timestamp {
    format!("{date}T10:00:00Z").parse().unwrap()
}

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// A published version, number `number`, of the zip that holds the text `zip`.
fn version(layer: &str, target: &str, region: &str, version: &str, number: u64) -> LayerVersion {
    let target: Target = parse(target);
    let published_name = format!("Layersmith-{}-{layer}", target.layer_name_part());
    LayerVersion {
        key: SlotKey {
            layer: parse(layer),
            target,
            region: parse(region),
            digest: Digest::of(format!("{layer} {target} {version}").as_bytes()),
            published_name: published_name.clone(),
        },
        state: LayerState::Live,
        arn: Some(LayerArn {
            region: parse(region),
            account: ACCOUNT.to_owned(),
            layer: published_name,
            version: number,
        }),
        version: version.to_owned(),
        created_at: at("2026-11-20"),
        live_at: Some(at("2026-11-20")),
        expires_at: None,
    }
}

fn deprecated(version: LayerVersion) -> LayerVersion {
    LayerVersion {
        state: LayerState::Deprecated,
        live_at: Some(at("2026-10-01")),
        expires_at: Some(at("2027-10-01")),
        ..version
    }
}

fn build(version: &LayerVersion, pins: &[(&str, &str, Option<&str>)]) -> BuildRecord {
    let pin = |(name, version, license): &(&str, &str, Option<&str>)| Pin {
        name: (*name).to_owned(),
        version: (*version).to_owned(),
        license: license.map(str::to_owned),
    };
    BuildRecord {
        layer: version.key.layer.clone(),
        target: version.key.target,
        fingerprint: Digest::of(b"request"),
        version: version.version.clone(),
        lock: Lock {
            packages: Vec::new(),
        },
        artifact: Artifact {
            digest: version.key.digest,
            size: 28_100_000,
            unzipped_size: 97_100_000,
            files: 1234,
            pins: pins.iter().map(pin).collect(),
            report: BuildReport::default(),
        },
        built_at: at("2026-11-20"),
    }
}

fn request(name: &str, description: Option<&str>, packages: &[&str]) -> LayerRequest {
    let requirement = |text: &&str| Requirement {
        text: (*text).to_owned(),
        name: (*text).to_owned(),
        location: Location::START,
    };
    LayerRequest {
        name: parse(name),
        path: format!("layers/{name}.yaml"),
        packages: packages.iter().map(requirement).collect(),
        targets: vec![parse("p3.13")],
        regions: None,
        description: description.map(str::to_owned),
        license: None,
        exclude: Vec::new(),
        slim: Vec::new(),
        exclude_runtime: false,
        bytecode: Bytecode::All,
        allow_build: Vec::new(),
        keep: Vec::new(),
        owners: Vec::new(),
    }
}

/// Two layers, of which one is built for two targets and has an older version, and rows that must not be shown.
struct Catalog {
    policy: Policy,
    layers: BTreeMap<LayerName, LayerRequest>,
    held: BTreeSet<LayerName>,
    versions: Vec<LayerVersion>,
    builds: Vec<BuildRecord>,
    repository_page: Option<&'static str>,
    today: Timestamp,
}

impl Catalog {
    fn new() -> Self {
        let mut versions = vec![
            version("pandas", "p3.13", "us-east-1", "2.3.3", 4),
            version("pandas", "p3.13", "eu-west-1", "2.3.3", 3),
            version("pandas", "p3.13-arm64", "us-east-1", "2.3.3", 2),
            version("boto3", "p3.13", "us-east-1", "1.41.2", 7),
            deprecated(version("pandas", "p3.13", "us-east-1", "2.3.2", 3)),
            deprecated(version("retired", "p3.13", "us-east-1", "1.0", 1)),
        ];
        let builds = vec![
            build(
                &versions[0],
                &[
                    ("numpy", "2.3.5", Some("BSD-3-Clause")),
                    ("pandas", "2.3.3", Some("BSD 3-Clause")),
                ],
            ),
            build(
                &versions[2],
                &[
                    ("numpy", "2.3.4", Some("BSD-3-Clause")),
                    ("pandas", "2.3.3", None),
                ],
            ),
            build(&versions[3], &[("boto3", "1.41.2", Some("Apache-2.0"))]),
        ];
        versions.push(LayerVersion {
            state: LayerState::Intent,
            arn: None,
            ..version("pandas", "p3.13", "sa-east-1", "2.3.3", 0)
        });
        versions.push(LayerVersion {
            state: LayerState::Deleted,
            ..version("pandas", "p3.13", "us-east-1", "2.2.0", 1)
        });
        versions.push(LayerVersion {
            arn: None,
            ..version("pandas", "p3.13", "ap-south-1", "2.3.3", 0)
        });
        let requests = [
            request("boto3", None, &["boto3"]),
            request("pandas", Some("Data frames"), &["pandas", "numpy>=2"]),
            request("unpublished", Some("Nothing yet"), &["six"]),
        ];
        Self {
            policy: Policy::default(),
            layers: requests
                .map(|request| (request.name.clone(), request))
                .into(),
            held: BTreeSet::new(),
            versions,
            builds,
            repository_page: None,
            today: at("2026-11-22"),
        }
    }

    fn render(&self) -> BTreeMap<String, String> {
        let files = render(&TablesInput {
            policy: &self.policy,
            layers: &self.layers,
            held: &self.held,
            versions: &self.versions,
            builds: &self.builds,
            repository_page: self.repository_page,
            today: self.today,
        });
        let text = |bytes| String::from_utf8(bytes).unwrap();
        files
            .into_iter()
            .map(|(path, bytes)| (path, text(bytes)))
            .collect()
    }
}

fn us_east_1() -> Region {
    parse("us-east-1")
}

//! A catalog of so many layers, and what the planner says of it.

use crate::model::{
    Artifact, BuildRecord, BuildReport, Digest, LayerArn, LayerRequest, LayerState, LayerVersion,
    Lock, OfferedRegions, Pin, Policy, Region, SlotKey, Timestamp,
};
use crate::plan::{BuildState, Plan, Publication, Wanted, plan, wanted};
use crate::request::parse_layer;
use std::collections::{BTreeMap, BTreeSet};

/// Size of a zip in bytes. Assumed: between `requests` with 1 MB and `pandas` with 40 MB.
pub(super) const ZIP: u64 = 12_000_000;

pub(super) struct Catalog {
    wanted: Vec<Wanted>,
    builds: Vec<BuildRecord>,
}

impl Catalog {
    /// Layers for three versions of Python and both architectures in 34 regions, each built.
    pub(super) fn of(layers: usize) -> Self {
        let policy = Policy {
            python: ["3.12", "3.13", "3.14"]
                .map(|it| it.parse().unwrap())
                .to_vec(),
            ..Policy::default()
        };
        let mut requests = BTreeMap::new();
        for number in 0..layers {
            let path = format!("layers/layer-{number:04}.yaml");
            let text = format!("packages: [package-{number}]\n");
            let (request, problems) = parse_layer(&path, text.as_bytes(), &policy);
            let request: LayerRequest = request.unwrap_or_else(|| panic!("{problems:?}"));
            requests.insert(request.name.clone(), request);
        }
        let offered = OfferedRegions::all(Region::commercial());
        let mut wanted = wanted(&requests, &policy, &offered, &[]);
        let mut builds = Vec::new();
        for wanted in &mut wanted {
            let build = build(wanted);
            wanted.build = BuildState::Built(Box::new(build.clone()));
            builds.push(build);
        }
        Self { wanted, builds }
    }

    pub(super) fn plan(&self, versions: &[LayerVersion]) -> Plan {
        plan(&self.wanted, &self.builds, versions, &BTreeSet::new())
    }
}

fn build(wanted: &Wanted) -> BuildRecord {
    let digest = Digest::of(format!("{} {}", wanted.layer, wanted.target).as_bytes());
    BuildRecord {
        layer: wanted.layer.clone(),
        target: wanted.target,
        fingerprint: wanted.fingerprint,
        version: "1.0".to_owned(),
        lock: Lock {
            packages: Vec::new(),
        },
        artifact: Artifact {
            digest,
            size: ZIP,
            unzipped_size: 3 * ZIP,
            files: 500,
            pins: vec![Pin {
                name: "package".to_owned(),
                version: "1.0".to_owned(),
                license: None,
            }],
            report: BuildReport::default(),
        },
        built_at: Timestamp::from_unix(1_800_000_000),
    }
}

/// What is live once a publication was carried out.
pub(super) fn live(publication: &Publication) -> impl Iterator<Item = LayerVersion> {
    let build = &publication.build;
    publication.regions.iter().map(move |region| LayerVersion {
        key: SlotKey {
            layer: build.layer.clone(),
            target: build.target,
            region: region.clone(),
            digest: build.artifact.digest,
            published_name: publication.published_name.clone(),
        },
        state: LayerState::Live,
        arn: Some(LayerArn {
            region: region.clone(),
            account: "123456789012".to_owned(),
            layer: publication.published_name.clone(),
            version: 1,
        }),
        version: build.version.clone(),
        created_at: build.built_at,
        live_at: Some(build.built_at),
        expires_at: None,
    })
}

//! What the tables promise, looked for where it should be: in the registry directory, or in each region of moto.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use zip::ZipArchive;

use super::Narrator;
use super::screen::{ensure, equal};
use super::stage::Stage;
use super::tables::Published;
use crate::moto::Moto;

/// Regions of moto that are asked at a time.
const CONCURRENT: usize = 4;
/// `e_machine` of ELF, at byte 18, little-endian.
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// Whether the registry holds what the tables name, exactly once, for everybody.
pub(super) async fn look(stage: &Stage, narrator: &mut Narrator, published: &Published) {
    let regions = published.regions().len();
    if let Some(moto) = &stage.moto {
        let looks = published
            .regions()
            .into_iter()
            .map(|region| look_in_region(moto, region, published));
        let found: Vec<Result<(), String>> = stream::iter(looks)
            .buffer_unordered(CONCURRENT)
            .collect()
            .await;
        narrator.claim(
            &format!("each of the {regions} regions of AWS holds each layer exactly once, and everybody may use it"),
            found.into_iter().collect(),
        );
    } else {
        let root = stage.path().join("data/registry");
        narrator.claim(
            &format!("each of the {regions} regions of the registry holds each layer exactly once, and everybody may use it"),
            published.regions().iter().try_for_each(|region| look_in_folder(&root, region, published)),
        );
    }
    narrator.claim(
        "every file of the layers lies under python/, and compiled ones are for the layer's processor",
        contents(&stage.path().join("data/artifacts")),
    );
}

async fn look_in_region(moto: &Moto, region: &str, published: &Published) -> Result<(), String> {
    let mut arns = Vec::new();
    for layer in moto.layers(region).await {
        for version in moto.layer_versions(region, &layer).await {
            let policy = moto.layer_policy(region, &layer, version.version).await;
            let statement = policy.unwrap_or_default()["Statement"][0].clone();
            let public =
                statement["Principal"] == "*" || statement["Principal"] == json!({"AWS": "*"});
            ensure(public && statement["Effect"] == "Allow", || {
                format!("{} is not public: {statement}", version.arn)
            })?;
            let fits = (version.runtimes.len(), version.architectures.len()) == (1, 1);
            ensure(fits && version.description.contains("sha256:"), || {
                format!("{version:?}")
            })?;
            arns.push(version.arn);
        }
    }
    arns.sort();
    equal(&arns, &published.arns_in(region))
}

/// `REGION/LAYER/VERSION.json` beside `VERSION.zip`.
fn look_in_folder(root: &Path, region: &str, published: &Published) -> Result<(), String> {
    let mut found = BTreeSet::new();
    for layer in names_in(&root.join(region)) {
        for file in names_in(&root.join(region).join(&layer)) {
            let Some(version) = file.strip_suffix(".json") else {
                continue;
            };
            let folder = root.join(region).join(&layer);
            let record = fs::read(folder.join(&file)).unwrap_or_default();
            let record: Value = serde_json::from_slice(&record).unwrap_or_default();
            let zip = fs::metadata(folder.join(format!("{version}.zip")));
            let size = zip.map(|zip| zip.len()).ok();
            ensure(size.is_some() && size == record["size"].as_u64(), || {
                format!("{region}/{layer}/{version}.zip is not whole")
            })?;
            ensure(record["allowed"] == json!(["everyone"]), || {
                format!("{region}/{layer}/{file} allows {}", record["allowed"])
            })?;
            found.insert(format!("{layer}:{version}"));
        }
    }
    let promised: BTreeSet<String> = published
        .arns_in(region)
        .iter()
        .filter_map(|arn| arn.split_once(":layer:"))
        .map(|(_, name)| name.to_owned())
        .collect();
    equal(&found, &promised)
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Looks into every zip that was built: the same bytes were published.
fn contents(folder: &Path) -> Result<(), String> {
    let zips = names_in(folder);
    ensure(!zips.is_empty(), || "no zip was kept".to_owned())?;
    let mut machines = BTreeSet::new();
    for name in zips.iter().filter(|name| name.ends_with(".zip")) {
        let file = File::open(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
        let mut zip = ZipArchive::new(file).map_err(|error| format!("{name}: {error}"))?;
        let mut here = BTreeSet::new();
        for index in 0..zip.len() {
            let mut entry = zip
                .by_index(index)
                .map_err(|error| format!("{name}: {error}"))?;
            let path = entry
                .name()
                .map_err(|error| format!("{name}: {error}"))?
                .into_owned();
            ensure(path.starts_with("python/"), || {
                format!("{name} holds {path}")
            })?;
            if path.ends_with(".so") {
                let mut head = [0; 20];
                entry
                    .read_exact(&mut head)
                    .map_err(|error| format!("{name}: {path}: {error}"))?;
                here.insert(u16::from_le_bytes([head[18], head[19]]));
            }
        }
        ensure(here.len() <= 1, || {
            format!("{name} mixes processors: {here:?}")
        })?;
        machines.extend(here);
    }
    equal(&machines, &BTreeSet::from([X86_64, AARCH64]))
}

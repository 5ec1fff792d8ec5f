//! The plan of one request file that is as it was, in a store that knows ten thousand layers.
//!
//! One layer is built and published by the command itself; the others are that one's rows under other names, so that the
//! file is as large as it would be, and in the layout that the command gave it. It is kept between runs.

use super::figures::Verdict;
use super::report::{header, line, seconds};
use super::statistics::Spread;
use crate::ours::{self, Catalog};
use crate::process;
use crate::programs::Programs;
use crate::say;
use anyhow::{Context as _, bail};
use rusqlite::Connection;
use serde::Serialize;
use std::path::{Path, PathBuf};

const LAYERS: usize = 10_000;
const POLICY: &str =
    "python: [\"3.12\", \"3.13\", \"3.14\"]\narchitectures: [x86_64, arm64]\nregions: all\n";
const TARGETS: usize = 6;
pub(super) const REGIONS: usize = 34;
/// The layer that is planned, and what is in it.
pub(super) const MEASURED: &str = "measured";
const PACKAGE: &str = "idna";
/// Seconds and bytes at most.
const TIME: f64 = 0.05;
const MEMORY: u64 = 150 * 1024 * 1024;
const MIB: f64 = 1024.0 * 1024.0;

/// The rows of the measured layer under every other name. What is inserted last comes last in every index.
const FILL: &str = "
    PRAGMA journal_mode = MEMORY;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -262144;
    CREATE TEMP TABLE names AS
    WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < LAYERS - 1)
    SELECT printf('other-%05d', n) AS name FROM numbers;
    BEGIN;
    INSERT INTO layer_versions
    (layer, target, region, digest, published_name, state, arn, version, created_at, live_at, visibility)
    SELECT name, target, region, digest, replace(published_name, 'measured', name), state,
           replace(arn, 'measured', name), version, created_at, live_at, visibility
    FROM names CROSS JOIN layer_versions WHERE layer = 'measured';
    INSERT INTO builds (layer, target, fingerprint, digest, built_at, record)
    SELECT name, target, fingerprint, digest, built_at, json_set(record, '$.layer', name)
    FROM names CROSS JOIN builds WHERE layer = 'measured';
    COMMIT;";

/// What plans took.
#[derive(Debug, Serialize)]
pub(crate) struct Scale {
    /// Live versions in the store.
    versions: usize,
    /// Bytes of the store.
    size: u64,
    seconds: Vec<f64>,
    /// The most anonymous memory seen, in bytes.
    memory: u64,
}

/// The catalog and the data folder, with the store filled where that was not done yet.
pub(super) async fn filled(programs: &Programs, out: &Path) -> anyhow::Result<(Catalog, PathBuf)> {
    let folder = out.join("scale");
    let catalog = Catalog::write(folder.join("catalog"))?;
    catalog.put(".github/layersmith.yaml", POLICY)?;
    catalog.request(MEASURED, &[PACKAGE], "bytecode: false\n")?;
    let data = folder.join("data");
    if !is_filled(programs, &catalog, &data).await? {
        fill(programs, &catalog, &data).await?;
    }
    Ok((catalog, data))
}

/// Plans in the filled store.
pub(crate) async fn measure(programs: &Programs, out: &Path, runs: usize) -> anyhow::Result<Scale> {
    let (catalog, data) = filled(programs, out).await?;
    let store = data.join("store.sqlite");
    let mut scale = Scale {
        versions: LAYERS * TARGETS * REGIONS,
        size: std::fs::metadata(&store)?.len(),
        seconds: Vec::new(),
        memory: 0,
    };
    process::settle_disk().await?;
    for _ in 0..runs {
        scale
            .seconds
            .push(plan(programs, &catalog, &data, false).await?.seconds);
        let watched = plan(programs, &catalog, &data, true).await?;
        scale.memory = scale.memory.max(watched.peak_anonymous);
    }
    say(&format!(
        "plan of one of {LAYERS} layers: {}, {:.1} MiB",
        seconds(&scale.seconds),
        scale.memory as f64 / MIB
    ));
    Ok(scale)
}

/// Whether the store that is there has every row, in the newest layout, and its plan finds nothing to do.
async fn is_filled(programs: &Programs, catalog: &Catalog, data: &Path) -> anyhow::Result<bool> {
    let Ok(noted) = std::fs::read_to_string(data.join("layout")) else {
        return Ok(false);
    };
    // Opening the store brings an older layout up to date.
    let unchanged = plan(programs, catalog, data, false).await.is_ok();
    Ok(unchanged && layout(&data.join("store.sqlite"))? == noted)
}

async fn fill(programs: &Programs, catalog: &Catalog, data: &Path) -> anyhow::Result<()> {
    say("filling a store with two million versions, once");
    match std::fs::remove_dir_all(data) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut apply = ours::command(programs, data);
    apply.args(["--json", "apply"]).arg(&catalog.folder);
    process::run(&mut apply)
        .await?
        .succeeded("layersmith apply")?;
    let store = data.join("store.sqlite");
    let path = store.clone();
    tokio::task::spawn_blocking(move || {
        let store = Connection::open(path)?;
        store.execute_batch(&FILL.replace("LAYERS", &LAYERS.to_string()))?;
        let rows = "SELECT count(*) FROM layer_versions WHERE state = 'live'";
        let rows: i64 = store.query_row(rows, [], |row| row.get(0))?;
        if usize::try_from(rows)? != LAYERS * TARGETS * REGIONS {
            bail!("the store has {rows} live versions");
        }
        anyhow::Ok(())
    })
    .await??;
    std::fs::write(data.join("layout"), layout(&store)?)?;
    Ok(())
}

fn layout(store: &Path) -> anyhow::Result<String> {
    let store = Connection::open(store)?;
    let version: i64 = store.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(version.to_string())
}

/// Plans the one file; every target is as it was.
async fn plan(
    programs: &Programs,
    catalog: &Catalog,
    data: &Path,
    watched: bool,
) -> anyhow::Result<process::Finished> {
    let mut plan = ours::command(programs, data);
    let file = format!("layers/{MEASURED}.yaml");
    plan.args(["--json", "plan"]).arg(catalog.folder.join(file));
    let finished = process::run_watched(&mut plan, watched)
        .await?
        .succeeded("layersmith plan")?;
    let answer: serde_json::Value = serde_json::from_str(&finished.stdout)?;
    let entries = answer["plan"]["entries"]
        .as_array()
        .context("a plan has entries")?;
    let kept = entries
        .iter()
        .filter(|entry| entry["action"]["keep"].is_object());
    if kept.count() != TARGETS || entries.len() != TARGETS {
        bail!("the plan has something to do: {}", finished.stdout);
    }
    Ok(finished)
}

impl Scale {
    pub(super) fn tell(&self, text: &mut String) {
        let title = "The plan of one request file with nothing new, in a large store";
        header(text, title, &["live versions", "store", "plan", "memory"]);
        let cells = [
            self.versions.to_string(),
            format!("{:.1} GB", self.size as f64 / 1e9),
            seconds(&self.seconds),
            format!("{:.1} MiB", self.memory as f64 / MIB),
        ];
        line(text, &cells.each_ref().map(String::as_str));
    }

    pub(super) fn judge(&self) -> Vec<Verdict> {
        let what =
            format!("plan of one of {LAYERS} layers × {TARGETS} targets × {REGIONS} regions");
        let median = Spread::of(&self.seconds).map(|spread| spread.median);
        vec![
            Verdict {
                what: format!("{what}, the whole command"),
                target: format!("≤ {:.0} ms", TIME * 1e3),
                reached: seconds(&self.seconds),
                met: median.map(|median| median <= TIME),
            },
            Verdict {
                what: format!("{what}: anonymous memory"),
                target: format!("≤ {:.0} MiB", MEMORY as f64 / MIB),
                reached: format!("{:.1} MiB", self.memory as f64 / MIB),
                met: Some(self.memory <= MEMORY),
            },
        ]
    }
}

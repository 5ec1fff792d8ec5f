//! Rendering the tables after one publication, in the store of ten thousand layers that [`super::scale`] filled.
//!
//! What a publication leaves in the store is written there directly; then the command commits the tables to a repository
//! on this machine. All of them are rendered once, which is not measured.

use super::figures::Verdict;
use super::report::{header, line, seconds};
use super::scale::{self, MEASURED};
use super::statistics::Spread;
use crate::ours::{self, Catalog};
use crate::process;
use crate::programs::Programs;
use crate::say;
use anyhow::{Context as _, bail};
use rusqlite::Connection;
use serde::Serialize;
use std::path::Path;

const TARGET: &str = "p3.13";
/// Seconds and bytes at most.
const TIME: f64 = 0.2;
const MEMORY: u64 = 150 * 1024 * 1024;
const MIB: f64 = 1024.0 * 1024.0;

/// A newer version of the measured layer for one target, in regions of which `REGIONS` says which.
const PUBLISH: &str = "
    BEGIN IMMEDIATE;
    CREATE TEMP TABLE before AS SELECT * FROM layer_versions
    WHERE layer = 'measured' AND target = 'p3.13' AND state = 'live' AND (REGIONS);
    UPDATE layer_versions SET state = 'deprecated', expires_at = unixepoch() + 90 * 86400
    WHERE sequence IN (SELECT sequence FROM before);
    INSERT INTO layer_versions
    (layer, target, region, digest, published_name, state, arn, version, created_at, live_at, visibility)
    SELECT layer, target, region, digest, published_name, 'live',
           rtrim(arn, '0123456789') || (CAST(replace(arn, rtrim(arn, '0123456789'), '') AS INTEGER) + 1),
           version, unixepoch(), unixepoch(), visibility
    FROM before;
    COMMIT;";

/// What rendering took after a publication in so many regions.
#[derive(Debug, Serialize)]
struct After {
    regions: usize,
    files: usize,
    /// Seconds until the files were written, and those of the whole command with its commit and push.
    rendering: Vec<f64>,
    command: Vec<f64>,
    /// The most anonymous memory seen, in bytes.
    memory: u64,
}

/// What rendering took.
#[derive(Debug, Serialize)]
pub(crate) struct Rerender {
    after: Vec<After>,
}

/// Publishes and renders by turns.
pub(crate) async fn measure(
    programs: &Programs,
    out: &Path,
    runs: usize,
) -> anyhow::Result<Rerender> {
    let (catalog, data) = scale::filled(programs, out).await?;
    let repository = out.join("scale/catalog.git");
    say("rendering every table of two million versions, once");
    if !repository.is_dir() {
        seed(programs, &catalog, &data, &repository).await?;
    }
    // Notes what the tables were made of.
    commit("tables", programs, &catalog, &data, &repository, false).await?;
    let mut after = Vec::new();
    for (regions, condition) in [(1, "region = 'us-east-1'"), (scale::REGIONS, "TRUE")] {
        let mut measured = After {
            regions,
            files: 0,
            rendering: Vec::new(),
            command: Vec::new(),
            memory: 0,
        };
        for run in 0..runs {
            for watched in [false, true] {
                publish(&data.join("store.sqlite"), condition).await?;
                process::settle_disk().await?;
                let committed =
                    commit("expire", programs, &catalog, &data, &repository, watched).await?;
                measured.files = committed.files;
                measured.memory = measured.memory.max(committed.finished.peak_anonymous);
                if !watched {
                    measured.command.push(committed.finished.seconds);
                    let rendering = committed.rendering;
                    let rendering = rendering.context("everything was rendered anew")?;
                    measured.rendering.push(rendering);
                }
            }
            say(&format!(
                "tables after a publication in {regions} regions {}/{runs}: {:.3} s, {} files",
                run + 1,
                measured.rendering[run],
                measured.files
            ));
        }
        after.push(measured);
    }
    Ok(Rerender { after })
}

/// A repository with every table, made by git itself: the command would have to do in two minutes what happens once.
async fn seed(
    programs: &Programs,
    catalog: &Catalog,
    data: &Path,
    repository: &Path,
) -> anyhow::Result<()> {
    let mut tables = ours::command(programs, data);
    tables.arg("tables").arg(&catalog.folder);
    process::run(&mut tables)
        .await?
        .succeeded("layersmith tables")?;
    let made = repository.with_extension("new");
    let made_text = made.to_string_lossy().into_owned();
    let commands: [&[&str]; 5] = [
        &[
            "init",
            "--quiet",
            "--bare",
            "--initial-branch=main",
            &made_text,
        ],
        &["init", "--quiet", "--initial-branch=main"],
        &["add", "--all"],
        &[
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@example.com",
            "commit",
            "--quiet",
            "--message=tables",
        ],
        &["push", "--quiet", "--force", &made_text, "HEAD:main"],
    ];
    for arguments in commands {
        let mut git = programs.command("git");
        git.arg("-C").arg(&catalog.folder).args(arguments);
        process::run(&mut git).await?.succeeded("git")?;
    }
    std::fs::rename(made, repository)?;
    Ok(())
}

async fn publish(store: &Path, condition: &str) -> anyhow::Result<()> {
    let (store, sql) = (store.to_owned(), PUBLISH.replace("REGIONS", condition));
    tokio::task::spawn_blocking(move || Ok(Connection::open(store)?.execute_batch(&sql)?)).await?
}

struct Commit {
    finished: process::Finished,
    files: usize,
    /// Seconds from the first question to the store until the last file was written; `None` when all were rendered.
    rendering: Option<f64>,
}

/// By `tables`, which renders all of them, or by a command that renders what changed; nothing expires here.
async fn commit(
    command: &str,
    programs: &Programs,
    catalog: &Catalog,
    data: &Path,
    repository: &Path,
    watched: bool,
) -> anyhow::Result<Commit> {
    let mut tables = ours::command(programs, data);
    tables
        .args(["--json", command, "--push"])
        .arg(&catalog.folder)
        .env("LAYERSMITH_GIT_URL", repository)
        // The first fetch takes more than a gigabyte.
        .env("LAYERSMITH_GIT_TIMEOUT", "1200")
        .env("LAYERSMITH_LOG", "layersmith=info")
        .env("LAYERSMITH_LOG_FORMAT", "json");
    let finished = process::run_watched(&mut tables, watched)
        .await?
        .succeeded(command)?;
    let answer: serde_json::Value = serde_json::from_str(&finished.stdout)?;
    let files = answer["tables"]["paths"].as_array().map_or(0, Vec::len);
    let rendering = finished.stderr.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let fields = line.get("fields").unwrap_or(&line);
        let part = |name: &str| fields.get(name)?.as_f64();
        Some((part("read")? + part("rendered")?) / 1000.0)
    });
    if answer["tables"]["result"] == "failed" {
        bail!("the tables were not committed: {}", finished.stdout);
    }
    Ok(Commit {
        finished,
        files,
        rendering,
    })
}

impl Rerender {
    pub(super) fn tell(&self, text: &mut String) {
        let title = "Rendering the tables after one publication, in a large store";
        let cells = [
            "published in",
            "files",
            "rendering",
            "whole command",
            "memory",
        ];
        header(text, title, &cells);
        for after in &self.after {
            let cells = [
                format!("{} regions", after.regions),
                after.files.to_string(),
                seconds(&after.rendering),
                seconds(&after.command),
                format!("{:.1} MiB", after.memory as f64 / MIB),
            ];
            line(text, &cells.each_ref().map(String::as_str));
        }
    }

    pub(super) fn judge(&self) -> Vec<Verdict> {
        let what = |after: &After| {
            format!(
                "tables after {MEASURED} was published for {TARGET} in {} regions",
                after.regions
            )
        };
        let times = self.after.iter().map(|after| {
            let median = Spread::of(&after.rendering).map(|spread| spread.median);
            Verdict {
                what: what(after),
                target: format!("≤ {:.0} ms", TIME * 1e3),
                reached: seconds(&after.rendering),
                met: median.map(|median| median <= TIME),
            }
        });
        let memory = self.after.iter().map(|after| Verdict {
            what: format!("{}: anonymous memory", what(after)),
            target: format!("≤ {:.0} MiB", MEMORY as f64 / MIB),
            reached: format!("{:.1} MiB", after.memory as f64 / MIB),
            met: Some(after.memory <= MEMORY),
        });
        times.chain(memory).collect()
    }
}

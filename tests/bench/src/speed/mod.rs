//! `make bench`: what is measured, one row of the table after the other.

mod bench;
mod catalog;
mod contender;
mod fan_out;
mod figures;
mod imports;
mod memory;
mod report;
mod rerender;
mod rounds;
mod scale;
mod start;
mod statistics;

use crate::layers::{LAYERS, Layer};
use crate::machine::Machine;
use crate::programs::Programs;
use crate::say;
use anyhow::{Context as _, bail};
use bench::Bench;
use clap::{Args, ValueEnum};
use rounds::Measured;
use std::path::Path;

/// What may be chosen; each is also a variable, for `make bench`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How often each figure is measured
    #[arg(long, env = "BENCH_RUNS", default_value_t = 5)]
    runs: usize,

    /// Layers to measure, by name: requests, boto3, pandas, scientific, pyarrow, powertools
    #[arg(long, env = "BENCH_ONLY", value_delimiter = ',')]
    only: Vec<String>,

    /// Rows to measure; default: all
    #[arg(long, env = "BENCH_ROWS", value_delimiter = ',', value_enum)]
    rows: Vec<Row>,

    /// 0 leaves out the catalog of fifty layers, which takes a while to prepare the first time
    #[arg(long, env = "BENCH_CATALOG", default_value_t = 1)]
    catalog: u8,

    /// A line more for the requests of the layers; without `slim: false`, ours have fewer files than the others'
    #[arg(long, env = "BENCH_KEYS", default_value = "slim: false")]
    keys: String,
}

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// No caches at all
    Cold,
    /// Wheels cached, lock known
    Warm,
    /// Verified and put together, against the limit of the machine
    Assembly,
    /// Anonymous memory of the builder
    Memory,
    /// Importing from a layer
    Import,
    /// A plan of 50 layers for 6 targets with nothing new
    Catalog,
    /// Publishing to 34 regions at once
    FanOut,
    /// A plan of one layer in a store of two million versions
    Scale,
    /// A function on AWS Lambda from its start to its first poll
    Lambda,
}

impl Row {
    /// Rows about the layers that are named by `--only`.
    const OF_LAYERS: [Self; 5] = [
        Self::Cold,
        Self::Warm,
        Self::Assembly,
        Self::Memory,
        Self::Import,
    ];
}

/// Measures what was asked for, prints the table and writes it; false when a figure was not reached.
pub(crate) async fn run(
    programs: &Programs,
    out: &Path,
    options: &Options,
) -> anyhow::Result<bool> {
    let layers = chosen(&options.only)?;
    let runs = options.runs.max(1);
    let asked = |row| options.rows.is_empty() || options.rows.contains(&row);
    let scratch = tempfile::Builder::new()
        .prefix("scratch-")
        .tempdir_in(out)
        .context("a folder for scratch files")?;
    let machine = Machine::describe(scratch.path());
    if let Some(warning) = machine.too_busy() {
        say(&format!("warning: {warning}"));
    }
    let mut results = report::Results::new(machine, programs.versions.clone(), runs);
    results.keys.clone_from(&options.keys);
    let of_layers = Row::OF_LAYERS.into_iter().any(asked);
    for layer in layers.iter().filter(|_| of_layers) {
        let measured = of_layer(programs, layer, scratch.path(), options, asked).await;
        if let Some(measured) = results.noting(layer.name, measured) {
            results.layers.push(measured);
        }
        // What is known so far outlives an interruption.
        results.write_json(out)?;
    }
    if asked(Row::Memory) {
        let large = memory::of_large_layer(programs, scratch.path()).await;
        results.large_memory = results.noting("memory of a large layer", large);
        let idle = memory::idle(programs, scratch.path()).await;
        results.idle_memory = results.noting("memory of the idle process", idle);
    }
    if asked(Row::Catalog) && options.catalog != 0 {
        let plans = catalog::measure(programs, out, runs).await;
        results.catalog = results.noting("plan of a catalog", plans);
    }
    if asked(Row::FanOut) {
        let published = fan_out::measure(programs, scratch.path(), runs).await;
        results.fan_out = results.noting("publishing to all regions", published);
    }
    if asked(Row::Scale) {
        let scale = scale::measure(programs, out, runs).await;
        results.scale = results.noting("plan in a large store", scale);
        let rerender = rerender::measure(programs, out, runs).await;
        results.rerender = results.noting("tables of a large store", rerender);
    }
    if asked(Row::Lambda) {
        let starts = start::measure(programs, scratch.path(), runs);
        results.starts = results.noting("starts of functions", starts);
    }
    results.machine.load = results.machine.load.max(crate::machine::load());
    let verdicts = figures::judge(&results);
    let text = report::markdown(&results, &verdicts);
    results.write_json(out)?;
    std::fs::write(out.join("build.md"), &text)?;
    report::print(&text)?;
    let is_reached = verdicts.iter().all(|verdict| verdict.met != Some(false));
    Ok(is_reached && results.troubles.is_empty())
}

/// Every row of one layer.
async fn of_layer(
    programs: &Programs,
    layer: &Layer,
    scratch: &Path,
    options: &Options,
    asked: impl Fn(Row) -> bool,
) -> anyhow::Result<Measured> {
    let runs = options.runs.max(1);
    let mut bench = Bench::prepare(programs, layer, scratch, &options.keys).await?;
    let kinds = rounds::contenders(asked(Row::Cold), asked(Row::Warm), asked(Row::Assembly));
    let mut measured = rounds::measure(&mut bench, &kinds, runs).await?;
    if asked(Row::Memory) {
        measured.memory = Some(memory::of_layer(&bench).await?);
    }
    if asked(Row::Import) {
        measured.imports = imports::measure(&mut bench, runs).await?;
    }
    // A layer's caches and outputs come to gigabytes.
    bench.discard()?;
    Ok(measured)
}

fn chosen(only: &[String]) -> anyhow::Result<Vec<Layer>> {
    if let Some(unknown) = only
        .iter()
        .find(|name| LAYERS.iter().all(|layer| layer.name != name.as_str()))
    {
        let known: Vec<&str> = LAYERS.iter().map(|layer| layer.name).collect();
        bail!(
            "there is no layer {unknown} to measure, only {}",
            known.join(", ")
        );
    }
    let all = LAYERS.into_iter();
    Ok(all
        .filter(|layer| only.is_empty() || only.iter().any(|name| name == layer.name))
        .collect())
}

//! The results as a table and as JSON.

use super::catalog::{Known, Plans};
use super::contender::Contender;
use super::fan_out::FanOut;
use super::figures::Verdict;
use super::memory::Peak;
use super::rerender::Rerender;
use super::rounds::Measured;
use super::scale::Scale;
use super::start::Start;
use super::statistics::{Spread, geometric_mean};
use crate::machine::Machine;
use crate::say;
use serde::Serialize;
use std::io::Write as _;
use std::path::Path;
use time::OffsetDateTime;

const MIB: f64 = 1024.0 * 1024.0;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// Date of the run, in UTC.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) runs: usize,
    /// Lines that the requests had besides packages and `bytecode`.
    pub(crate) keys: String,
    pub(crate) layers: Vec<Measured>,
    /// Bytes.
    pub(crate) idle_memory: Option<u64>,
    pub(crate) large_memory: Option<Peak>,
    pub(crate) catalog: Option<Plans>,
    pub(crate) fan_out: Option<FanOut>,
    pub(crate) scale: Option<Scale>,
    pub(crate) rerender: Option<Rerender>,
    pub(crate) starts: Option<Vec<Start>>,
    /// Parts that could not be measured, and why.
    pub(crate) troubles: Vec<String>,
}

impl Results {
    pub(crate) fn new(machine: Machine, versions: Vec<(String, String)>, runs: usize) -> Self {
        Self {
            date: OffsetDateTime::now_utc().date().to_string(),
            machine,
            versions,
            runs,
            keys: String::new(),
            layers: Vec::new(),
            idle_memory: None,
            large_memory: None,
            catalog: None,
            fan_out: None,
            scale: None,
            rerender: None,
            starts: None,
            troubles: Vec::new(),
        }
    }

    /// A layer by its name, when it was measured.
    pub(crate) fn layer(&self, name: &str) -> Option<&Measured> {
        self.layers.iter().find(|layer| layer.layer == name)
    }

    /// A part's result; what went wrong is noted, and the other parts go on.
    pub(crate) fn noting<T>(&mut self, part: &str, measured: anyhow::Result<T>) -> Option<T> {
        match measured {
            Ok(measured) => Some(measured),
            Err(error) => {
                let trouble = format!("{part}: {error:#}");
                say(&trouble);
                self.troubles.push(trouble);
                None
            }
        }
    }

    pub(crate) fn write_json(&self, out: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(out.join("build.json"), text)?;
        Ok(())
    }
}

/// The whole report.
pub(crate) fn markdown(results: &Results, verdicts: &[Verdict]) -> String {
    let mut text = heading(results);
    for trouble in &results.troubles {
        text.push_str(&format!("\n**Not measured:** {trouble}\n"));
    }
    for (title, ours, peers) in COMPARISONS {
        comparison(&mut text, results, title, *ours, peers);
    }
    assembly(&mut text, results);
    memory(&mut text, results);
    imports(&mut text, results);
    catalog(&mut text, results);
    if let Some(fan_out) = &results.fan_out {
        fan_out.tell(&mut text);
    }
    if let Some(scale) = &results.scale {
        scale.tell(&mut text);
    }
    if let Some(rerender) = &results.rerender {
        rerender.tell(&mut text);
    }
    super::start::tell(&mut text, results.starts.as_deref().unwrap_or_default());
    sizes(&mut text, results);
    text.push_str("\n## Figures to reach\n\n| figure | target | reached | |\n|---|---|---|---|\n");
    for verdict in verdicts {
        let mark = match verdict.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "not measured",
        };
        line(
            &mut text,
            &[&verdict.what, &verdict.target, &verdict.reached, mark],
        );
    }
    text
}

/// Prints the report on standard output.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Title, ours, and whom it is compared with.
const COMPARISONS: &[(&str, Contender, &[Contender])] = &[
    (
        "Cold: no caches at all",
        Contender::Ours,
        &[Contender::Klayers, Contender::KlayersPlain, Contender::Uv],
    ),
    (
        "Cold with bytecode",
        Contender::OursCompiled,
        &[Contender::Klayers, Contender::UvCompiled],
    ),
    (
        "Cold with bytecode, and every package imported, which the others do not do",
        Contender::OursTested,
        &[Contender::Klayers, Contender::UvCompiled],
    ),
    (
        "Cold but for what was derived from the wheels: bytecode, stripped objects",
        Contender::OursCompiledBefore,
        &[Contender::Klayers, Contender::UvCompiled],
    ),
    (
        "Warm: wheels cached, lock fresh",
        Contender::OursWarm,
        &[Contender::UvWarm],
    ),
    (
        "Warm with bytecode",
        Contender::OursWarmCompiled,
        &[Contender::UvWarmCompiled],
    ),
];

fn heading(results: &Results) -> String {
    let machine = &results.machine;
    let versions = results.versions.iter();
    let versions: Vec<String> = versions
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let mut text = format!(
        "# How fast layers are built\n\n{}, {} runs each by turns; medians, ratios of medians with the least and the most of a round.\n\n\
         {}, {} cores, {:.0} GiB of memory, {}, Linux {}; {}. Load at most {:.2}.\n",
        results.date,
        results.runs,
        machine.processor,
        machine.cores,
        machine.memory as f64 / MIB / 1024.0,
        machine.disk,
        machine.kernel,
        versions.join(", "),
        machine.load
    );
    if !results.keys.is_empty() {
        text.push_str(&format!("\nRequests have `{}`.\n", results.keys));
    }
    if let Some(warning) = machine.too_busy() {
        text.push_str(&format!("\n**Not to be quoted:** {warning}.\n"));
    }
    text
}

/// A row of a table; what cannot be in a cell is none of the things said here.
pub(super) fn line(text: &mut String, cells: &[&str]) {
    text.push_str(&format!("| {} |\n", cells.join(" | ")));
}

pub(super) fn header(text: &mut String, title: &str, cells: &[&str]) {
    text.push_str(&format!("\n## {title}\n\n"));
    line(text, cells);
    text.push_str(&"|---".repeat(cells.len()));
    text.push_str("|\n");
}

fn comparison(
    text: &mut String,
    results: &Results,
    title: &str,
    ours: Contender,
    peers: &[Contender],
) {
    let measured = results.layers.iter();
    let measured: Vec<&Measured> = measured
        .filter(|layer| !layer.seconds(ours).is_empty())
        .collect();
    if measured.is_empty() {
        return;
    }
    let mut cells = vec!["layer", "ours"];
    cells.extend(peers.iter().map(|peer| peer.title()));
    header(text, title, &cells);
    let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); peers.len()];
    for layer in measured {
        let own = layer.seconds(ours);
        let mut cells = vec![layer.packages.clone(), seconds(&own)];
        for (peer, ratios) in peers.iter().zip(&mut ratios) {
            let theirs = layer.seconds(*peer);
            let Some(ratio) = Spread::ratio(&own, &theirs) else {
                cells.push(String::new());
                continue;
            };
            ratios.push(ratio.median);
            cells.push(format!(
                "{}: **{:.1} ×** ({:.1}–{:.1})",
                seconds(&theirs),
                ratio.median,
                ratio.min,
                ratio.max
            ));
        }
        line(text, &cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let mut cells = vec!["geometric mean".to_owned(), String::new()];
    cells.extend(ratios.iter().map(|ratios| {
        geometric_mean(ratios).map_or_else(String::new, |mean| format!("**{mean:.1} ×**"))
    }));
    line(text, &cells.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The median, as seconds or as milliseconds.
pub(super) fn seconds(values: &[f64]) -> String {
    match Spread::of(values) {
        None => String::new(),
        Some(spread) if spread.median < 0.1 => format!("{:.1} ms", spread.median * 1e3),
        Some(spread) => format!("{:.2} s", spread.median),
    }
}

fn assembly(text: &mut String, results: &Results) {
    let layers = results.layers.iter();
    let limited: Vec<&Measured> = layers
        .filter(|layer| !layer.seconds(Contender::Limit).is_empty())
        .collect();
    if limited.is_empty() {
        return;
    }
    let title =
        "Verified and put together, against every byte read, hashed and written once by one thread";
    header(
        text,
        title,
        &["layer", "limit", "ours", "ours with bytecode"],
    );
    for layer in limited {
        let limit = layer.seconds(Contender::Limit);
        let own = |kind| {
            let own = layer.assembling(kind);
            let ratio = Spread::ratio(&limit, &own)?;
            Some(format!("{}: {:.2} ×", seconds(&own), ratio.median))
        };
        let cells = [
            layer.packages.clone(),
            seconds(&limit),
            own(Contender::OursWarm).unwrap_or_default(),
            own(Contender::OursWarmCompiled).unwrap_or_default(),
        ];
        line(text, &cells.each_ref().map(String::as_str));
    }
}

fn memory(text: &mut String, results: &Results) {
    let Some(idle) = results.idle_memory else {
        return;
    };
    let title = "Anonymous memory of the builder, in MiB above the idle process";
    header(text, title, &["layer", "without bytecode", "with"]);
    let large = results.large_memory;
    let layers = results.layers.iter();
    let peaks = layers
        .map(|layer| (layer.packages.as_str(), layer.memory))
        .chain([("240 MiB made for this", large)]);
    for (name, peak) in peaks {
        if let Some(peak) = peak {
            let above = |bytes: u64| format!("{:.1}", bytes.saturating_sub(idle) as f64 / MIB);
            line(text, &[name, &above(peak.plain), &above(peak.compiled)]);
        }
    }
    text.push_str(&format!(
        "\nThe idle process, which has everything at hand and plans an empty catalog, has {:.1} MiB.\n",
        idle as f64 / MIB
    ));
}

fn imports(text: &mut String, results: &Results) {
    if results.layers.iter().all(|layer| layer.imports.is_empty()) {
        return;
    }
    let title = "Importing from the layer, read-only, for the first time";
    let cells = ["layer", "ours with bytecode", "without", "Klayers' zip"];
    header(text, title, &cells);
    for layer in &results.layers {
        let of = |whose| {
            let import = layer.imports.iter().find(|import| import.whose == whose)?;
            let median = import.median()? * 1e3;
            Some(if import.compiled == 0 {
                format!("{median:.0} ms")
            } else {
                format!(
                    "{median:.0} ms ({} of {} compiled modules stale)",
                    import.stale, import.compiled
                )
            })
        };
        let cells = [
            Some(layer.packages.clone()),
            of(Contender::OursWarmCompiled),
            of(Contender::OursWarm),
            of(Contender::Klayers),
        ];
        let cells = cells.map(Option::unwrap_or_default);
        line(text, &cells.each_ref().map(String::as_str));
    }
}

fn catalog(text: &mut String, results: &Results) {
    let Some(plans) = &results.catalog else {
        return;
    };
    let title = format!(
        "A plan of {} layers × {} targets with nothing new",
        plans.layers, plans.targets
    );
    header(text, &title, &["known", "seconds"]);
    for (known, how) in [
        (
            Known::Nothing,
            "nothing: no locks, nothing of the package index",
        ),
        (Known::Index, "what uv remembers of the package index"),
        (Known::Locks, "fresh locks"),
    ] {
        if let Some(spread) = plans.spread(known) {
            let figure = format!("{:.2} ({:.2}–{:.2})", spread.median, spread.min, spread.max);
            line(text, &[how, &figure]);
        }
    }
    text.push_str(&format!(
        "\n{} of {} are built and as they were. Building and publishing them, the first time, took {:.0} s.\n",
        plans.built,
        plans.layers * plans.targets,
        plans.prepared
    ));
}

fn sizes(text: &mut String, results: &Results) {
    if results.layers.is_empty() {
        return;
    }
    header(
        text,
        "What came out",
        &[
            "layer",
            "by",
            "zip, MB",
            "unzipped, MB",
            "files",
            "compiled modules, never stale",
        ],
    );
    for layer in &results.layers {
        for (contender, contents) in &layer.contents {
            line(
                text,
                &[
                    &layer.packages,
                    contender.title(),
                    &format!("{:.2}", contents.size as f64 / 1e6),
                    &format!("{:.1}", contents.unzipped_size as f64 / 1e6),
                    &contents.files.to_string(),
                    &format!("{}, {}", contents.compiled, contents.unchecked),
                ],
            );
        }
    }
}

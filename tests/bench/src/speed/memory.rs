//! Anonymous memory of our process while it builds: what it holds that is no file. Its children are not counted.

use super::bench::Bench;
use super::contender::Contender;
use crate::ours::{self, Catalog, How};
use crate::process;
use crate::programs::Programs;
use crate::say;
use layersmith_testbed::index::{PackageIndex, Wheel};
use serde::Serialize;
use std::path::Path;

/// How often a build is watched: a peak that is short may be missed once.
const WATCHED: usize = 3;
/// The same for the idle process, which ends soon.
const WATCHED_IDLE: usize = 20;
/// The large layer: wheels, and the size of each one's two data files in bytes.
const LARGE_WHEELS: usize = 5;
const LARGE_FILE: usize = 24 * 1024 * 1024;
/// Modules in each of its wheels, and their functions.
const MODULES: usize = 40;
const FUNCTIONS: usize = 100;

/// The most anonymous memory seen, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Peak {
    /// Without bytecode.
    pub(crate) plain: u64,
    /// With it.
    pub(crate) compiled: u64,
}

/// Builds of a layer, cold and warm.
pub(crate) async fn of_layer(bench: &Bench<'_>) -> anyhow::Result<Peak> {
    let mut peak = Peak::default();
    for _ in 0..WATCHED {
        for kind in [Contender::Ours, Contender::OursWarm] {
            let finished = bench.build(kind, true).await?.0;
            peak.plain = peak.plain.max(finished.peak_anonymous);
        }
        for kind in [Contender::OursCompiled, Contender::OursWarmCompiled] {
            let finished = bench.build(kind, true).await?.0;
            peak.compiled = peak.compiled.max(finished.peak_anonymous);
        }
    }
    Ok(peak)
}

/// The idle process: it has read its settings and its catalog, has its store open, and finds nothing to resolve or build.
/// Nothing of what building takes is in it, such as the connections to a package index.
pub(crate) async fn idle(programs: &Programs, scratch: &Path) -> anyhow::Result<u64> {
    let folder = scratch.join("idle");
    let catalog = Catalog::write(folder.join("catalog"))?;
    std::fs::create_dir_all(catalog.folder.join("layers"))?;
    let mut peak = 0;
    for _ in 0..WATCHED_IDLE {
        let mut plan = ours::command(programs, &folder.join("data"));
        plan.args(["--json", "plan"]).arg(&catalog.folder);
        let finished = process::run_watched(&mut plan, true).await?;
        let finished = finished.succeeded("planning an empty catalog")?;
        peak = peak.max(finished.peak_anonymous);
    }
    Ok(peak)
}

/// A layer of 240 MiB unzipped, half of which cannot be compressed.
pub(crate) async fn of_large_layer(programs: &Programs, scratch: &Path) -> anyhow::Result<Peak> {
    say("memory of a layer of 240 MiB");
    let wheels = (0..LARGE_WHEELS).map(large_wheel).collect();
    of_made(programs, &scratch.join("large"), "large0", wheels).await
}

async fn of_made(
    programs: &Programs,
    folder: &Path,
    package: &str,
    wheels: Vec<Wheel>,
) -> anyhow::Result<Peak> {
    let index = PackageIndex::start().await;
    for wheel in wheels {
        index.publish(wheel);
    }
    let catalog = Catalog::write(folder.join("catalog"))?;
    catalog.use_index(&index.url())?;
    catalog.request("plain", &[package], "bytecode: false\n")?;
    catalog.request("compiled", &[package], "bytecode: true\n")?;
    let mut peak = Peak::default();
    let how = How {
        watched: true,
        tested: true,
    };
    let zip = folder.join("layer.zip");
    for _ in 0..WATCHED {
        let data = folder.join("data");
        for (name, most) in [("plain", &mut peak.plain), ("compiled", &mut peak.compiled)] {
            // The first build is cold, the second warm.
            for _ in 0..2 {
                let built = ours::build(programs, &catalog, name, &data, &zip, how).await?;
                *most = (*most).max(built.0.peak_anonymous);
            }
        }
        std::fs::remove_dir_all(&data)?;
    }
    Ok(peak)
}

/// One of the wheels of the large layer; the first requires the others.
fn large_wheel(number: usize) -> Wheel {
    let name = format!("large{number}");
    let mut wheel = Wheel::new(&name, "1.0").module(&name, "");
    if number == 0 {
        for other in 1..LARGE_WHEELS {
            wheel = wheel.requires(&format!("large{other}"));
        }
    }
    let text = format!("the same words over and over, in wheel {number}\n");
    let repeated = text.bytes().cycle().take(LARGE_FILE).collect::<Vec<u8>>();
    wheel = wheel
        .file(
            &format!("{name}/random.bin"),
            noise(number as u64 + 1, LARGE_FILE),
        )
        .file(&format!("{name}/words.txt"), repeated);
    for module in 0..MODULES {
        let source: String = (0..FUNCTIONS)
            .map(|n| format!("def f{n}(a, b={n}):\n    return [a + b + {module}, str(a), b]\n\n"))
            .collect();
        wheel = wheel.file(&format!("{name}/module{module}.py"), source);
    }
    wheel
}

/// Bytes without a pattern, the same every time (xorshift64, Marsaglia 2003).
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

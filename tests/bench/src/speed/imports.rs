//! Importing from a layer: unpacked, read-only, in a fresh process each time.

use super::bench::Bench;
use super::contender::Contender;
use super::statistics::Spread;
use crate::say;
use crate::{process, programs::Programs};
use anyhow::Context as _;
use serde::Serialize;
use std::path::Path;

/// Prints how many seconds a piece of code took, with a folder first on the path.
const TIMED: &str = "import sys, time
sys.path.insert(0, sys.argv[1])
code = compile(sys.argv[2], 'import', 'exec')
start = time.perf_counter()
exec(code, {})
print(time.perf_counter() - start)";

/// Whose layers are imported from.
const WHOSE: [Contender; 3] = [
    Contender::OursWarmCompiled,
    Contender::OursWarm,
    Contender::Klayers,
];

/// What importing from one zip took.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Import {
    pub(crate) whose: Contender,
    /// One a round.
    pub(crate) seconds: Vec<f64>,
    /// Compiled modules in the zip, and those that Python would not use because they do not fit their source.
    pub(crate) compiled: usize,
    pub(crate) stale: usize,
}

impl Import {
    /// The middle of the rounds.
    pub(crate) fn median(&self) -> Option<f64> {
        Spread::of(&self.seconds).map(|spread| spread.median)
    }
}

/// Unpacks each zip as AWS Lambda does, dates and all, and imports from it by turns.
pub(crate) async fn measure(bench: &mut Bench<'_>, runs: usize) -> anyhow::Result<Vec<Import>> {
    let mut imports = Vec::new();
    for whose in WHOSE {
        if whose == Contender::OursWarmCompiled && !bench.has_bytecode {
            continue;
        }
        if !bench.zip(whose).is_file() {
            bench.measure(whose).await?;
        }
        let folder = bench.empty(&format!("unpacked-{whose:?}"))?;
        let mut unzip = bench.programs.command("unzip");
        unzip.arg("-q").arg(bench.zip(whose)).arg("-d").arg(&folder);
        process::run(&mut unzip).await?.succeeded("unzip")?;
        let stale = stale(bench.programs, &folder).await?;
        imports.push((
            folder,
            Import {
                whose,
                seconds: Vec::new(),
                compiled: bench.contents[&whose].compiled,
                stale,
            },
        ));
    }
    process::settle_disk().await?;
    for _ in 0..runs {
        for (folder, import) in &mut imports {
            let seconds = import_once(bench.programs, folder, bench.layer.import).await?;
            import.seconds.push(seconds);
        }
    }
    let imports: Vec<Import> = imports.into_iter().map(|(_, import)| import).collect();
    let told = imports.iter().filter_map(|import| {
        Some(format!(
            "{} {:.0} ms",
            import.whose.title(),
            import.median()? * 1000.0
        ))
    });
    let told: Vec<String> = told.collect();
    say(&format!(
        "{} imported: {}",
        bench.layer.name,
        told.join(", ")
    ));
    Ok(imports)
}

/// Seconds that the code took inside a fresh interpreter that sees the layer read-only and writes nothing.
async fn import_once(programs: &Programs, folder: &Path, code: &str) -> anyhow::Result<f64> {
    let mut command = programs.command("bwrap");
    command
        .args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"])
        .args(["--unshare-net", "--die-with-parent", "--"])
        .arg(&programs.python)
        .args(["-I", "-S", "-B", "-c", TIMED])
        .arg(folder.join("python"))
        .arg(code);
    let finished = process::run(&mut command).await?.succeeded(code)?;
    let last = finished.stdout.lines().last().unwrap_or_default();
    last.parse()
        .with_context(|| format!("{code} printed {last}"))
}

/// How many compiled modules below a folder Python would throw away: timestamped ones whose source has another date or
/// size (PEP 552; `importlib` compares both as 32 bits).
async fn stale(programs: &Programs, folder: &Path) -> anyhow::Result<usize> {
    const COUNT: &str = "import importlib.util, os, sys
stale = 0
for at, _, names in os.walk(sys.argv[1]):
    for name in names:
        if not name.endswith('.pyc') or os.path.basename(at) != '__pycache__':
            continue
        path = os.path.join(at, name)
        with open(path, 'rb') as file:
            start = file.read(16)
        word = lambda n: int.from_bytes(start[4 * n:4 * n + 4], 'little')
        try:
            source = os.stat(importlib.util.source_from_cache(path))
        except (OSError, ValueError):
            stale += 1
            continue
        if start[:4] != importlib.util.MAGIC_NUMBER:
            stale += 1
        elif word(1) == 0:
            same = word(2) == int(source.st_mtime) & 0xffffffff and word(3) == source.st_size & 0xffffffff
            stale += not same
print(stale)";
    let mut command = programs.command(&programs.python);
    command.args(["-I", "-c", COUNT]).arg(folder);
    let finished = process::run(&mut command).await?.succeeded("counting")?;
    Ok(finished.stdout.trim().parse()?)
}

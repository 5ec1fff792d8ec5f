//! The import test: whether the packages of a finished layer can be imported, on a machine like AWS Lambda's.

use super::Interpreter;
use super::isolation::{Confined, Sandbox};
use super::run::{Ended, Ending, Limits};
use super::unpack::unpack;
use super::words;
use crate::model::{ImportTest, Target};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const DRIVER: &str = include_str!("import_test.py");
/// From the start of the interpreter to its end, all modules together; the slowest packages take some ten seconds
/// without bytecode on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// How long before that the driver says where it hangs.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The longest line of an answer that is read: the names of some tens of thousands of files.
const LINE_LIMIT: u64 = 4 * 1024 * 1024;
/// Where AWS Lambda unpacks layers.
const OPT: &str = "/opt";
/// Lines of a traceback shown.
const TRACE_LINES: usize = 20;

/// Top-level modules that the managed Python runtimes bring: the AWS SDK and what it depends on, and the runtime
/// interface client with what it depends on.
///
/// Sources: AWS Lambda developer guide, "Building Lambda functions with Python", "Runtime-included SDK versions"; the
/// dependencies of `boto3` and of `awslambdaric` as their metadata names them.
const RUNTIME_MODULES: [&str; 12] = [
    "awslambdaric",
    "boto3",
    "botocore",
    "bootstrap",
    "dateutil",
    "jmespath",
    "runtime_client",
    "s3transfer",
    "simplejson",
    "six",
    "snapshot_restore_py",
    "urllib3",
];

/// What importing a layer's packages showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportTested {
    /// What people are told.
    pub outcome: ImportTest,
    /// Modules that need what only the Lambda runtime has, each as a sentence. They count as imported.
    pub notes: Vec<String>,
    /// Modules inside of a folder that is no package itself (PEP 420) and that could not be imported, each with the end of
    /// its traceback. Whether that speaks against the layer is for whoever knows which package they are of.
    pub failed_inside: Vec<(String, String)>,
    /// The sources that were loaded, relative to the layer's `python/`, sorted; complete only after
    /// [`ImportTest::Passed`] without notes. Names as a package may have forged them: to choose among the layer's files
    /// by, never to open.
    pub loaded: Vec<String>,
}

impl ImportTested {
    fn only(outcome: ImportTest) -> Self {
        Self {
            outcome,
            notes: Vec::new(),
            failed_inside: Vec::new(),
            loaded: Vec::new(),
        }
    }

    fn skipped(reason: impl Into<String>) -> Self {
        Self::only(ImportTest::Skipped {
            reason: reason.into(),
        })
    }
}

/// Imports modules of a finished layer, in turn, with the layer at `/opt`, no network and nothing of this machine.
///
/// `modules` are the top-level modules of the packages asked for. The zip is unpacked below `working_dir`, which must be
/// there. Nothing is tried for another architecture, or where this machine's C library is older than the runtime's.
/// Dropping the future ends the test.
///
/// # Errors
/// When the layer cannot be unpacked, or bubblewrap not be started: nothing that a package does.
pub async fn test_import(
    sandbox: &Sandbox,
    interpreter: &Interpreter,
    target: Target,
    layer: &Path,
    modules: &[String],
    working_dir: &Path,
) -> io::Result<ImportTested> {
    test_import_within(
        sandbox,
        interpreter,
        target,
        layer,
        modules,
        working_dir,
        TIME_LIMIT,
    )
    .await
}

/// The same with another limit of time.
pub(crate) async fn test_import_within(
    sandbox: &Sandbox,
    interpreter: &Interpreter,
    target: Target,
    layer: &Path,
    modules: &[String],
    working_dir: &Path,
    time_limit: Duration,
) -> io::Result<ImportTested> {
    if target.architecture.machine() != std::env::consts::ARCH {
        return Ok(ImportTested::skipped(format!(
            "the layer is for {1} and this machine is {0}",
            std::env::consts::ARCH,
            target.architecture
        )));
    }
    if interpreter.python != target.python {
        return Ok(ImportTested::skipped(format!(
            "the interpreter found is Python {}, and the layer is for {}",
            interpreter.version, target.python
        )));
    }
    if modules.is_empty() {
        return Ok(ImportTested::skipped(
            "the packages asked for have no modules",
        ));
    }
    let folder = unpacked(layer, working_dir).await?;
    let _read_only = sandbox.read_only(folder.path())?;
    let opt = sandbox.place(folder.path(), Path::new(OPT))?;
    let patience = time_limit.saturating_sub(LAST_WORDS).max(time_limit / 2);
    let (major, minor) = target.python.glibc();
    let mut arguments = vec![
        patience.as_secs_f64().to_string().into(),
        target.python.minor().to_string().into(),
        format!("{major}.{minor}").into(),
        opt.clone().into(),
    ];
    arguments.extend(modules.iter().map(Into::into));
    let ended = sandbox
        .run(Confined {
            interpreter,
            driver: DRIVER,
            arguments,
            environment: lambda_environment(target, &opt),
            readable: layer_places(folder.path())?,
            folders: &["/var/task", "/var/runtime"],
            working_folder: "/var/task",
            for_building: false,
            limits: limits(time_limit),
        })
        .await?;
    judge(ended, modules, interpreter, &opt)
}

/// As on a function with the most memory: what fails here for want of it would not work there either.
fn limits(time: Duration) -> Limits {
    const MIB: u64 = 1024 * 1024;
    Limits {
        time,
        processor_seconds: time.as_secs().max(1),
        memory: 2048 * MIB,
        // AWS Lambda quotas, "Function memory allocation": 10,240 MB; reserving is not using.
        address_space: 10_240 * MIB,
        // AWS Lambda quotas, "Execution processes/threads": 1,024. Nobody needs so many to be imported.
        threads: 256,
        // AWS Lambda quotas, "File descriptors".
        open_files: 1024,
        file_size: 256 * MIB,
        // AWS Lambda quotas, "/tmp directory storage": 512 MB at the least.
        temporary_files: 512 * MIB,
        answer: 4 * LINE_LIMIT,
    }
}

async fn unpacked(layer: &Path, working_dir: &Path) -> io::Result<TempDir> {
    let (layer, working_dir) = (layer.to_owned(), working_dir.to_owned());
    tokio::task::spawn_blocking(move || {
        let folder = tempfile::Builder::new()
            .prefix("import-")
            .tempdir_in(working_dir)?;
        unpack(&mut File::open(layer)?, folder.path())?;
        Ok(folder)
    })
    .await
    .map_err(io::Error::other)?
}

/// Each folder of the layer on its own, so that an interpreter installed elsewhere in `/opt` has its place.
fn layer_places(folder: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut places = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        places.push((entry.path(), Path::new(OPT).join(entry.file_name())));
    }
    places.sort();
    Ok(places)
}

/// What packages look at on AWS Lambda, without credentials. The locale is one that every machine has. The system's own
/// folders are left out of `LD_LIBRARY_PATH`: they are searched anyway, and would come before the interpreter's.
///
/// Source: AWS Lambda developer guide, "Defined runtime environment variables".
fn lambda_environment(target: Target, opt: &Path) -> Vec<(&'static str, String)> {
    let opt = opt.display();
    let libraries =
        format!("/var/lang/lib:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:{opt}/lib");
    let programs = format!("/var/lang/bin:/usr/local/bin:/usr/bin:/bin:{opt}/bin");
    [
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "10240"),
        ("AWS_LAMBDA_FUNCTION_NAME", "layersmith-import-test"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_REGION", "us-east-1"),
        ("HOME", "/tmp"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LANG", "C.UTF-8"),
        ("LD_LIBRARY_PATH", libraries.as_str()),
        ("PATH", programs.as_str()),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONPATH", "/var/runtime"),
        ("TZ", ":UTC"),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.to_owned()))
    .chain([(
        "AWS_EXECUTION_ENV",
        format!("AWS_Lambda_{}", target.python.runtime()),
    )])
    .collect()
}

/// A line of the answer; each has one of these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    skipped: Option<String>,
    begin: Option<String>,
    passed: Option<String>,
    failed: Option<String>,
    missing: Option<String>,
    trace: Vec<String>,
    loaded: Option<Vec<String>>,
    done: bool,
}

fn judge(
    ended: Ended,
    modules: &[String],
    interpreter: &Interpreter,
    opt: &Path,
) -> io::Result<ImportTested> {
    let prefixes: [&Path; 1] = [&interpreter.prefix];
    let opt = opt.to_string_lossy();
    let clean = |text: &str| {
        let text = text.replace(&*opt, OPT);
        words::last_lines(&text, &prefixes, TRACE_LINES)
    };
    let failed = |module: &str, trace: String| {
        ImportTested::only(ImportTest::Failed {
            module: module.to_owned(),
            trace,
        })
    };
    let mut reader = BufReader::new(ended.answer);
    let mut tested = ImportTested::only(ImportTest::NotRun);
    let (mut begun, mut finished, mut done) = (None, 0, false);
    while let Some(line) = read_line(&mut reader)? {
        if let Some(reason) = line.skipped.filter(|_| begun.is_none()) {
            return Ok(ImportTested::skipped(clean(&reason)));
        }
        if line.begin.is_some() {
            begun = line.begin;
        }
        if line.passed.is_some() {
            finished += 1;
        }
        if let Some(module) = line.failed {
            let missing = line.missing.as_deref().unwrap_or_default();
            let missing = missing.split('.').next().unwrap_or_default();
            let is_the_runtimes = RUNTIME_MODULES.contains(&missing);
            if !is_the_runtimes && !module.contains('.') {
                return Ok(failed(&clean(&module), clean(&line.trace.join("\n"))));
            }
            finished += 1;
            if !is_the_runtimes {
                let trace = clean(&line.trace.join("\n"));
                tested.failed_inside.push((clean(&module), trace));
                continue;
            }
            tested.notes.push(format!(
                "`{}` needs `{missing}`, which the Lambda runtime brings; the rest of it was not imported.",
                clean(&module)
            ));
        }
        if let Some(loaded) = line.loaded {
            tested.loaded = loaded;
        }
        done |= line.done;
    }
    // What was reported counts; a package may end the process as if all were well.
    if done && finished == modules.len() {
        tested.outcome = ImportTest::Passed {
            modules: modules.to_vec(),
        };
        return Ok(tested);
    }
    let module = match begun {
        Some(module) if modules.contains(&module) => module,
        _ => modules.first().cloned().unwrap_or_default(),
    };
    let ending = match ended.ending {
        Ending::Exited(_) => format!("{}, before it had been imported", ended.ending),
        ending => ending.to_string(),
    };
    let said = clean(&ended.words);
    let trace = if said.is_empty() {
        ending
    } else {
        format!("{said}\n{ending}")
    };
    Ok(failed(&module, trace))
}

/// The next line that can be read; the rest is not looked at after one that cannot.
fn read_line(reader: &mut BufReader<File>) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    reader
        .by_ref()
        .take(LINE_LIMIT)
        .read_until(b'\n', &mut bytes)?;
    Ok(serde_json::from_slice(&bytes).ok())
}

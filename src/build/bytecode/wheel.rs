//! The modules of one wheel, compiled into an overlay.

use super::compiler::{Answer, Compiler};
use super::interpreter::Interpreter;
use super::marshal;
use super::reader::Malformed;
use crate::build::BuildError;
use crate::build::overlay::OverlayWriter;
use crate::build::slim;
use crate::build::wheel::{Content, Wheel, named};
use crate::build::zip_reader;
use futures::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

/// The largest source that is compiled; larger ones are data rather than code, and take minutes.
const SOURCE_LIMIT: u64 = 4 * 1024 * 1024;
/// Answers waiting for their turn to be written may come to so many bytes before no new file is begun.
const WAITING_LIMIT: usize = 2 * 1024 * 1024;
/// Files that a process is worth starting for.
const FILES_PER_PROCESS: usize = 8;
/// A wheel is given up when its files killed more processes.
const DEATHS_LIMIT: u64 = 8;
/// A wheel is given up when it takes longer.
const TIME_LIMIT: Duration = Duration::from_secs(20 * 60);
/// How many of the files that do not compile are named.
const NAMED_LIMIT: usize = 5;
/// Header of a `.pyc` file: magic number, flags, hash (PEP 552).
const HEADER_LENGTH: usize = 16;
/// Where a layer's `python/` is on Lambda (AWS Lambda developer guide, "Layer paths for each Lambda runtime"): tracebacks
/// say so.
const PLACE_ON_LAMBDA: &str = "/opt/python";

/// What came of compiling a wheel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BytecodeSummary {
    /// The interpreter: `CPython 3.13.0`.
    pub(crate) compiler: String,
    /// Compiled modules.
    pub(crate) files: u64,
    /// Their bytes, unzipped.
    pub(crate) bytes: u64,
    /// Sources that do not compile, such as templates and code for another Python.
    pub(crate) failed: u64,
    /// The first of them by path, with the name of the exception.
    pub(crate) failures: Vec<(String, String)>,
    /// Sources too large to be compiled.
    pub(crate) too_large: u64,
    /// Sources on which the interpreter crashed, ran out of memory or hung, twice each.
    pub(crate) died: u64,
}

/// A source and where its bytecode goes.
struct Module {
    file: usize,
    target: String,
}

/// Compiles the modules of a wheel, its tests aside, with so many processes, and writes the overlay, sorted by path. What
/// is written does not depend on how many processes there are. `None` when the wheel is given up: its files crash the
/// interpreter, or take too long.
///
/// Reading, normalising and deflating hold the calling thread up: it should be one of its own. Dropping the future kills
/// the processes.
///
/// # Errors
/// [`BuildError::BadWheel`] when a source cannot be unpacked, [`BuildError::Io`].
pub(crate) async fn compile_wheel<R: Read + Seek, W: Write>(
    wheel: &mut Wheel<R>,
    interpreter: &Interpreter,
    processes: usize,
    out: W,
) -> Result<Option<(W, BytecodeSummary)>, BuildError> {
    match tokio::time::timeout(TIME_LIMIT, compile(wheel, interpreter, processes, out)).await {
        Ok(compiled) => compiled,
        Err(_) => {
            tracing::warn!("compiling {} took too long", wheel.filename);
            Ok(None)
        }
    }
}

async fn compile<R: Read + Seek, W: Write>(
    wheel: &mut Wheel<R>,
    interpreter: &Interpreter,
    processes: usize,
    out: W,
) -> Result<Option<(W, BytecodeSummary)>, BuildError> {
    let folder = tempfile::tempdir().map_err(BuildError::io("making an empty folder"))?;
    let (modules, too_large) = modules(wheel, &interpreter.cache_tag());
    let processes = processes.clamp(1, modules.len() / FILES_PER_PROCESS + 1);
    let mut writer = Writer {
        overlay: OverlayWriter::new(out),
        interpreter,
        summary: BytecodeSummary {
            compiler: format!("CPython {}", interpreter.version),
            files: 0,
            bytes: 0,
            failed: 0,
            failures: Vec::new(),
            too_large,
            died: 0,
        },
    };
    let mut idle: Vec<Compiler> = Vec::new();
    let mut running = FuturesUnordered::new();
    let mut answers: BTreeMap<usize, Answer> = BTreeMap::new();
    let (mut begun, mut written, mut waiting) = (0, 0, 0);
    loop {
        while running.len() < processes && begun < modules.len() && waiting < WAITING_LIMIT {
            let file = &wheel.files[modules[begun].file];
            let Content::Copied(member) = &file.content else {
                return Err(BuildError::bad_wheel(&wheel.filename, "a module is made"));
            };
            let source = zip_reader::read_member(&mut wheel.reader, member, SOURCE_LIMIT)
                .map_err(|error| named(&wheel.filename, error))?;
            let path = format!("{PLACE_ON_LAMBDA}/{}", file.path);
            let (index, compiler) = (begun, idle.pop());
            let folder = folder.path();
            running.push(async move {
                let answer = compile_file(compiler, interpreter, folder, &path, &source).await;
                (index, answer)
            });
            begun += 1;
        }
        let Some((index, answer)) = running.next().await else {
            break;
        };
        let (compiler, answer) = answer.map_err(BuildError::io("running a compiler"))?;
        idle.extend(compiler);
        if let Answer::Compiled(pyc) = &answer {
            waiting += pyc.len();
        }
        answers.insert(index, answer);
        while let Some(answer) = answers.remove(&written) {
            if let Answer::Compiled(pyc) = &answer {
                waiting -= pyc.len();
            }
            let module = &modules[written];
            let source = &wheel.files[module.file].path;
            writer
                .write(source, &module.target, answer)
                .map_err(BuildError::io("writing bytecode"))?;
            written += 1;
        }
        if writer.summary.died > DEATHS_LIMIT {
            tracing::warn!("{} crashes the interpreter", wheel.filename);
            return Ok(None);
        }
    }
    let out = writer.overlay.finish();
    let out = out.map_err(BuildError::io("writing bytecode"))?;
    Ok(Some((out, writer.summary)))
}

/// Compiles a file, once more in another process when the first one dies; gives back the process, if it lives.
async fn compile_file(
    compiler: Option<Compiler>,
    interpreter: &Interpreter,
    folder: &Path,
    path: &str,
    source: &[u8],
) -> io::Result<(Option<Compiler>, Answer)> {
    let mut compiler = match compiler {
        Some(compiler) => compiler,
        None => Compiler::start(interpreter, folder)?,
    };
    for _ in 0..2 {
        match compiler.compile(path, source).await {
            Answer::Died => compiler = Compiler::start(interpreter, folder)?,
            answer => return Ok((Some(compiler), answer)),
        }
    }
    Ok((Some(compiler), Answer::Died))
}

/// The sources to compile, sorted by where their bytecode goes, and how many are too large.
fn modules<R>(wheel: &Wheel<R>, cache_tag: &str) -> (Vec<Module>, u64) {
    let mut too_large = 0;
    let mut modules = Vec::new();
    for (number, file) in wheel.files.iter().enumerate() {
        let is_copied = matches!(file.content, Content::Copied(_));
        let Some(target) = target(&file.path, cache_tag).filter(|_| is_copied) else {
            continue;
        };
        if file.size > SOURCE_LIMIT {
            too_large += 1;
            continue;
        }
        modules.push(Module {
            file: number,
            target,
        });
    }
    modules.sort_by(|one, other| one.target.cmp(&other.target));
    (modules, too_large)
}

/// Where the bytecode of a source goes (PEP 3147); `None` for what is no module, and for tests.
fn target(path: &str, cache_tag: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.strip_suffix(".py").filter(|stem| !stem.is_empty())?;
    let top = path.split('/').next().unwrap_or_default();
    // Scripts, headers and data are installed there; none of them is imported.
    let is_elsewhere =
        !folder.is_empty() && (matches!(top, "bin" | "include") || top.ends_with(".dist-info"));
    let is_cached = folder.split('/').any(|part| part == "__pycache__");
    if is_elsewhere || is_cached || slim::is_test(path) {
        return None;
    }
    let slash = if folder.is_empty() { "" } else { "/" };
    Some(format!("{folder}{slash}__pycache__/{stem}.{cache_tag}.pyc"))
}

struct Writer<'a, W> {
    overlay: OverlayWriter<W>,
    interpreter: &'a Interpreter,
    summary: BytecodeSummary,
}

impl<W: Write> Writer<'_, W> {
    fn write(&mut self, source: &str, target: &str, answer: Answer) -> io::Result<()> {
        let reason = match answer {
            Answer::Compiled(pyc) => match self.normalized(&pyc) {
                Ok(pyc) => {
                    self.summary.files += 1;
                    self.summary.bytes += pyc.len() as u64;
                    return self.overlay.add(target, false, &pyc);
                }
                Err(reason) => {
                    tracing::warn!("the bytecode of {source} cannot be read: {reason}");
                    "unknown format".to_owned()
                }
            },
            Answer::Failed(reason) => reason,
            Answer::Died => {
                self.summary.died += 1;
                return Ok(());
            }
        };
        self.summary.failed += 1;
        if self.summary.failures.len() < NAMED_LIMIT {
            self.summary.failures.push((source.to_owned(), reason));
        }
        Ok(())
    }

    fn normalized(&self, pyc: &[u8]) -> Result<Vec<u8>, Malformed> {
        let (header, code) = pyc
            .split_at_checked(HEADER_LENGTH)
            .ok_or("it ends too early")?;
        let code = marshal::normalize(code, self.interpreter.python)?;
        Ok([header, &code].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn modules_are_told_by_path() {
        for (path, expected) in [
            ("a/b.py", Some("a/__pycache__/b.cpython-313.pyc")),
            ("six.py", Some("__pycache__/six.cpython-313.pyc")),
            ("a/x.y.py", Some("a/__pycache__/x.y.cpython-313.pyc")),
            ("bin.py", Some("__pycache__/bin.cpython-313.pyc")),
            ("a/bin/b.py", Some("a/bin/__pycache__/b.cpython-313.pyc")),
            ("a/test/b.py", Some("a/test/__pycache__/b.cpython-313.pyc")),
            ("bin/tool.py", None),
            ("a/tests/b.py", None),
            ("a/conftest.py", None),
            ("a-1.dist-info/x.py", None),
            ("a/__pycache__/b.py", None),
            ("a/.py", None),
            ("a/b.pyi", None),
        ] {
            assert_eq!(target(path, "cpython-313").as_deref(), expected, "{path}");
        }
    }
}

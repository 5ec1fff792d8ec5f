//! Prepared wheels → one layer: which bytecode fits, the zip, the import test.

use super::artifacts::ArtifactDirectory;
use super::assemble::{self, Assembled, FileOrigin};
use super::contents;
use super::error::BuildError;
use super::exclude::Exclude;
use super::importer::Tester;
use super::options::BuildOptions;
use super::prepare::{Compiled, Prepared};
use super::sandbox::ImportTested;
use super::selection::{BytecodeChoice, Selection};
use super::wheel::Wheel;
use crate::model::{Bytecode, BytecodeReport, Digest, ImportTest, SlimKind, UNZIPPED_LIMIT};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

/// Headers are small: gathered, so that each is not a call to the system.
const WRITE_BUFFER: usize = 256 * 1024;

/// A layer that was written.
pub(crate) struct Written {
    pub(crate) assembled: Assembled,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Which bytecode to take, owned so that it can go to another thread.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    All,
    Only(Arc<BTreeSet<String>>),
    None,
}

/// What decides a layer's bytes besides its wheels and its bytecode, owned.
#[derive(Clone)]
struct Rules {
    artifacts: ArtifactDirectory,
    exclude: Exclude,
    slim: Vec<SlimKind>,
}

/// Makes one layer of wheels.
pub(crate) struct Making {
    rules: Rules,
    wheels: Vec<Wheel<File>>,
}

/// A layer with its bytecode decided.
pub(crate) struct Made {
    pub(crate) written: Written,
    pub(crate) bytecode: BytecodeReport,
    /// What importing showed, where it was tried already.
    pub(crate) tested: Option<ImportTested>,
}

impl Making {
    pub(crate) fn new(
        artifacts: &ArtifactDirectory,
        options: &BuildOptions<'_>,
        mut wheels: Vec<Wheel<File>>,
    ) -> Result<Self, BuildError> {
        assemble::sort(&mut wheels);
        Ok(Self {
            rules: Rules {
                artifacts: artifacts.clone(),
                exclude: Exclude::new(options.exclude)?,
                slim: options.slim.to_vec(),
            },
            wheels,
        })
    }

    /// Writes the layer with the bytecode asked for, or with less when it would not fit: with that of the modules that
    /// importing loads, then with none. `tester` imports the packages of a layer.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub(crate) async fn make(
        mut self,
        wanted: Bytecode,
        missing: Option<String>,
        tester: &Tester<'_>,
    ) -> Result<Made, BuildError> {
        let mut reason = missing;
        let wanted = if reason.is_some() {
            Bytecode::None
        } else {
            wanted
        };
        if wanted == Bytecode::All {
            if let Some(written) = self.write(Choice::All, Some(UNZIPPED_LIMIT)).await? {
                return Ok(made(written, Bytecode::All, None, None));
            }
            reason = Some("with all of it, the layer would pass 250 MiB unzipped".to_owned());
        }
        let Some(bare) = self.write(Choice::None, None).await? else {
            return Err(unlimited());
        };
        if wanted == Bytecode::None || bare.assembled.unzipped_size > UNZIPPED_LIMIT {
            return Ok(made(bare, Bytecode::None, reason, None));
        }
        let tested = tester.test(&bare).await?;
        match &tested.outcome {
            ImportTest::Passed { .. } => {
                let loaded = tested.loaded.iter().cloned().collect();
                let choice = Choice::Only(Arc::new(loaded));
                if let Some(written) = self.write(choice, Some(UNZIPPED_LIMIT)).await? {
                    self.rules.artifacts.discard(&bare.digest, &written.digest);
                    return Ok(made(written, Bytecode::Imported, reason, Some(tested)));
                }
                let reason = "with any of it, the layer would pass 250 MiB unzipped".to_owned();
                Ok(made(bare, Bytecode::None, Some(reason), Some(tested)))
            }
            ImportTest::Skipped { reason: why } if wanted == Bytecode::Imported => {
                let why = format!("which modules importing loads cannot be found out: {why}");
                if let Some(written) = self.write(Choice::All, Some(UNZIPPED_LIMIT)).await? {
                    self.rules.artifacts.discard(&bare.digest, &written.digest);
                    return Ok(made(written, Bytecode::All, Some(why), None));
                }
                Ok(made(bare, Bytecode::None, Some(why), Some(tested)))
            }
            ImportTest::Skipped { .. } | ImportTest::Failed { .. } | ImportTest::NotRun => {
                let reason = reason.or_else(|| Some("the packages cannot be imported".to_owned()));
                Ok(made(bare, Bytecode::None, reason, Some(tested)))
            }
        }
    }

    /// Writes the layer on a thread of its own; `None` when it would be larger than `limit`, and then nothing is written.
    async fn write(
        &mut self,
        choice: Choice,
        limit: Option<u64>,
    ) -> Result<Option<Written>, BuildError> {
        let (rules, mut wheels) = (self.rules.clone(), std::mem::take(&mut self.wheels));
        let work = move || {
            let written = write(&rules, &mut wheels, &choice, limit);
            written.map(|written| (wheels, written))
        };
        let (wheels, written) = super::builder::blocking(work).await?;
        self.wheels = wheels;
        Ok(written)
    }
}

fn write(
    rules: &Rules,
    wheels: &mut [Wheel<File>],
    choice: &Choice,
    limit: Option<u64>,
) -> Result<Option<Written>, BuildError> {
    let selection = Selection {
        exclude: &rules.exclude,
        slim: &rules.slim,
        bytecode: match choice {
            Choice::All => BytecodeChoice::All,
            Choice::Only(sources) => BytecodeChoice::Only(sources),
            Choice::None => BytecodeChoice::None,
        },
    };
    let contents = contents::merge(wheels, &selection)?;
    if limit.is_some_and(|limit| contents.unzipped_size > limit) {
        return Ok(None);
    }
    let mut artifact = rules.artifacts.create()?;
    let buffered = BufWriter::with_capacity(WRITE_BUFFER, &mut artifact);
    let assembled = assemble::write(wheels, contents, buffered)?;
    let (digest, size) = artifact.store()?;
    Ok(Some(Written {
        assembled,
        digest,
        size,
    }))
}

fn made(
    written: Written,
    included: Bytecode,
    reason: Option<String>,
    tested: Option<ImportTested>,
) -> Made {
    let mut bytecode = BytecodeReport {
        included,
        reason,
        ..BytecodeReport::default()
    };
    let files = written.assembled.files.iter();
    for file in files.filter(|file| file.origin == FileOrigin::Bytecode) {
        bytecode.files += 1;
        bytecode.unzipped += file.size;
        bytecode.zipped += file.compressed_size;
    }
    Made {
        written,
        bytecode,
        tested,
    }
}

fn unlimited() -> BuildError {
    BuildError::io("writing a layer")(std::io::Error::other("a limit where there is none"))
}

/// Which compiler made the bytecode of the wheels, or why there is none to be had, as a sentence.
pub(crate) fn compiler(
    prepared: &[Prepared],
    options: &BuildOptions<'_>,
) -> Result<Option<String>, String> {
    let mut compiler = None;
    for wheel in prepared {
        match &wheel.bytecode {
            Some(Compiled::Ready(summary)) => compiler = Some(summary.compiler.clone()),
            Some(Compiled::NoInterpreter) => {
                return Err(format!(
                    "there is no CPython {} where Layersmith runs",
                    options.target.python
                ));
            }
            Some(Compiled::GaveUp) => {
                return Err(format!(
                    "the modules of `{}` could not be compiled",
                    wheel.wheel.package
                ));
            }
            None => {}
        }
    }
    Ok(compiler)
}

//! Prepared wheels → one layer: which bytecode fits, the zip, the import test.

use super::artifacts::ArtifactDirectory;
use super::assemble::{self, Assembled, FileOrigin};
use super::checksum::Checksum;
use super::contents::{self, Contents};
use super::elf::WheelFacts;
use super::error::BuildError;
use super::exclude::Exclude;
use super::importer::Tester;
use super::options::BuildOptions;
use super::prepare::{Compiled, Prepared, Preparer};
use super::sandbox::ImportTested;
use super::selection::{BytecodeChoice, Selection};
use super::wheel::Wheel;
use super::window::WindowedFile;
use crate::model::{
    Bytecode, BytecodeReport, Digest, ImportTest, LockedPackage, SlimKind, UNZIPPED_LIMIT,
    ZIPPED_LIMIT,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A layer that was written.
pub(crate) struct Written {
    pub(crate) assembled: Assembled,
    pub(crate) digest: Digest,
    /// By what its zip is known again.
    pub(crate) checksum: Checksum,
    pub(crate) size: u64,
    /// Whether there was no such zip before.
    is_new: bool,
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
    /// What a layer has to be to be published.
    publishable: Size,
}

/// How large a layer may be for it to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// As large as it comes.
    Any,
    /// Such that a function can load it, however large the zip is.
    Loadable,
    /// Such that it can be published in a direct upload as well.
    Publishable,
    /// As it has to be to be published; where it would be too large for that without bytecode as well, and leaving it out
    /// would spare nothing, such that a function can load it.
    AtBest,
}

impl Size {
    /// Whether a layer of these sizes in bytes is surely not too large.
    fn allows(self, unzipped: u64, zipped: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Loadable => unzipped <= UNZIPPED_LIMIT,
            Self::Publishable | Self::AtBest => {
                unzipped <= UNZIPPED_LIMIT && zipped <= ZIPPED_LIMIT
            }
        }
    }
}

/// The wheels of one layer.
struct Wheels {
    wheels: Vec<Wheel<WindowedFile>>,
    facts: Arc<BTreeMap<String, WheelFacts>>,
    /// The wheels' digests by package.
    digests: BTreeMap<String, Digest>,
    are_stripped: bool,
}

/// Makes one layer of wheels.
pub(crate) struct Making {
    rules: Rules,
    preparer: Arc<Preparer>,
    /// Away while a layer is being written.
    wheels: Option<Wheels>,
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
        preparer: &Arc<Preparer>,
        options: &BuildOptions<'_>,
        mut wheels: Vec<Wheel<WindowedFile>>,
        facts: &Arc<BTreeMap<String, WheelFacts>>,
        locked: &[LockedPackage],
    ) -> Result<Self, BuildError> {
        assemble::sort(&mut wheels);
        Ok(Self {
            rules: Rules {
                artifacts: artifacts.clone(),
                exclude: Exclude::new(options.exclude)?,
                slim: options.slim.to_vec(),
                publishable: if options.is_staged {
                    Size::Loadable
                } else {
                    Size::Publishable
                },
            },
            preparer: Arc::clone(preparer),
            wheels: Some(Wheels {
                wheels,
                facts: Arc::clone(facts),
                digests: locked
                    .iter()
                    .map(|package| (package.name.clone(), package.wheel.sha256))
                    .collect(),
                are_stripped: false,
            }),
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
        let publishable = self.rules.publishable;
        let mut reason = missing;
        let wanted = if reason.is_some() {
            Bytecode::None
        } else {
            wanted
        };
        if wanted == Bytecode::All {
            if let Some(written) = self.write(Choice::All, Size::AtBest).await? {
                return Ok(made(written, Bytecode::All, None, None));
            }
            reason = Some("with all of it, the layer would pass the limits of AWS".to_owned());
        }
        let Some(bare) = self.write(Choice::None, Size::Any).await? else {
            return Err(gone());
        };
        let is_too_large = !publishable.allows(0, bare.size);
        if wanted == Bytecode::None
            || bare.assembled.unzipped_size > UNZIPPED_LIMIT
            || (wanted == Bytecode::All && is_too_large)
        {
            return Ok(made(bare, Bytecode::None, reason, None));
        }
        let size = if is_too_large {
            Size::Loadable
        } else {
            publishable
        };
        let tested = tester.test(&bare).await?;
        match &tested.outcome {
            ImportTest::Passed { .. } => {
                let loaded = tested.loaded.iter().cloned().collect();
                let choice = Choice::Only(Arc::new(loaded));
                if let Some(written) = self.write(choice, size).await? {
                    self.discard(&bare, &written);
                    return Ok(made(written, Bytecode::Imported, reason, Some(tested)));
                }
                let reason = "with any of it, the layer would pass the limits of AWS".to_owned();
                Ok(made(bare, Bytecode::None, Some(reason), Some(tested)))
            }
            ImportTest::Skipped { reason: why } if wanted == Bytecode::Imported => {
                let why = format!("which modules importing loads cannot be found out: {why}");
                if let Some(written) = self.write(Choice::All, size).await? {
                    self.discard(&bare, &written);
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

    /// Removes a zip that another one is taken for, unless it is there for somebody else.
    fn discard(&self, step: &Written, taken: &Written) {
        if step.is_new && step.digest != taken.digest {
            self.rules.artifacts.discard(&step.digest);
        }
    }

    /// Writes the layer on a thread of its own; `None` when it would be larger than `size`, and then nothing is written.
    async fn write(&mut self, choice: Choice, size: Size) -> Result<Option<Written>, BuildError> {
        let (rules, preparer) = (self.rules.clone(), Arc::clone(&self.preparer));
        let Some(mut wheels) = self.wheels.take() else {
            return Err(gone());
        };
        let work = move || {
            let written = write(&rules, &preparer, &mut wheels, &choice, size)?;
            Ok((wheels, written))
        };
        let (wheels, written) = super::builder::blocking(work).await?;
        self.wheels = Some(wheels);
        Ok(written)
    }
}

fn write(
    rules: &Rules,
    preparer: &Preparer,
    wheels: &mut Wheels,
    choice: &Choice,
    size: Size,
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
    let mut contents = contents::merge(&mut wheels.wheels, &selection)?;
    let is_small = |contents: &Contents| {
        let publishable = rules.publishable;
        publishable.allows(contents.unzipped_size, contents.zipped_size())
    };
    if !is_small(&contents) && rules.slim.contains(&SlimKind::Debug) && !wheels.are_stripped {
        // Compressing shared objects again takes seconds, and most have next to nothing to remove: only where it decides.
        strip(preparer, wheels)?;
        contents = contents::merge(&mut wheels.wheels, &selection)?;
    }
    let is_allowed = match size {
        Size::AtBest => {
            let is_loadable = Size::Loadable.allows(contents.unzipped_size, 0);
            is_small(&contents) || (is_loadable && is_too_large_anyway(rules, wheels, &selection)?)
        }
        size => size.allows(contents.unzipped_size, contents.zipped_size()),
    };
    if !is_allowed {
        return Ok(None);
    }
    let mut artifact = rules.artifacts.create()?;
    let assembled = assemble::write(&mut wheels.wheels, contents, &mut artifact)?;
    let stored = artifact.store()?;
    Ok(Some(Written {
        assembled,
        digest: stored.digest,
        checksum: stored.checksum,
        size: stored.size,
        is_new: stored.is_new,
    }))
}

/// Whether a layer cannot be published even without its bytecode.
fn is_too_large_anyway(
    rules: &Rules,
    wheels: &mut Wheels,
    selection: &Selection<'_>,
) -> Result<bool, BuildError> {
    let bare = Selection {
        bytecode: BytecodeChoice::None,
        ..*selection
    };
    let bare = contents::merge(&mut wheels.wheels, &bare)?;
    Ok(!rules.publishable.allows(0, bare.zipped_size()))
}

fn strip(preparer: &Preparer, wheels: &mut Wheels) -> Result<(), BuildError> {
    for wheel in &mut wheels.wheels {
        if let (Some(facts), Some(digest)) = (
            wheels.facts.get(&wheel.package),
            wheels.digests.get(&wheel.package),
        ) {
            preparer.strip(wheel, facts, digest)?;
        }
    }
    wheels.are_stripped = true;
    Ok(())
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

/// An earlier piece of the same work failed, and its error was passed on: this is not reached.
fn gone() -> BuildError {
    BuildError::io("writing a layer")(std::io::Error::other("the wheels are gone"))
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

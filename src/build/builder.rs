//! The builder: a lock in, an artifact in the artifacts folder out.

use super::artifact_store::Artifacts;
use super::cache::WheelCache;
use super::checksum::Checksum;
use super::contents;
use super::documents::{self, DocumentSet, Documented};
use super::error::BuildError;
use super::exclude::Exclude;
use super::fetch::{FetchLimits, check_announced_size};
use super::http_client::Http;
use super::importer::{Importer, Tester};
use super::judge;
use super::layer::{self, Making, Written};
use super::options::BuildOptions;
use super::prepare::{Prepared, Preparer, WHEELS};
use super::selection::Selection;
use super::settings::{BuildProgress, BuilderSettings};
use super::wheel_files::Found;
use crate::model::{
    Artifact, BuildReport, Bytecode, ImportTest, Lock, LockedPackage, PythonVersion,
};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Source distributions built at once: one may take all processors and gigabytes of memory.
const SOURCE_BUILDS: usize = 1;

/// Builds layers. Cheap to clone; builds may run at once and share fetched wheels.
#[derive(Debug, Clone)]
pub struct Builder {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) http: Http,
    pub(super) cache: Arc<WheelCache>,
    pub(super) preparer: Arc<Preparer>,
    pub(super) importer: Importer,
    artifacts: Artifacts,
    pub(super) fetching: Semaphore,
    /// A permit for each wheel that may be unpacked at once to look into it: each takes two threads, and some megabytes.
    examining: Semaphore,
    /// A permit for each source distribution that may be built at once.
    pub(super) building: Semaphore,
    concurrency: usize,
    pub(super) limits: FetchLimits,
}

/// A layer that was built.
pub(super) struct Built {
    pub(super) artifact: Artifact,
    /// By what its zip is known again.
    pub(super) checksum: Checksum,
    pub(super) documents: DocumentSet,
    /// Whether a build of the same on the same machine comes to the same: not when an interpreter crashed or took too long,
    /// or the isolation did not work, for that may pass.
    pub(super) lasts: bool,
}

impl Builder {
    /// A builder; no folder is touched yet.
    #[must_use]
    pub fn new(settings: BuilderSettings) -> Self {
        let concurrency = settings.concurrency.max(1);
        let preparer = Arc::new(Preparer::new(
            &settings.cache_dir,
            settings.cache_limit,
            settings.interpreters.clone(),
            settings.compilers,
        ));
        Self {
            inner: Arc::new(Inner {
                http: Http::new(&settings),
                cache: Arc::new(WheelCache::new(settings.cache_dir.join(WHEELS))),
                importer: Importer::new(&settings, &preparer),
                preparer,
                artifacts: settings.artifacts,
                fetching: Semaphore::new(concurrency),
                examining: Semaphore::new(settings.compilers.max(1).div_ceil(2)),
                building: Semaphore::new(SOURCE_BUILDS),
                concurrency,
                limits: FetchLimits {
                    retries: settings.retries,
                    retry_delay: settings.retry_delay,
                },
            }),
        }
    }

    /// Where finished zips are kept.
    #[must_use]
    pub fn artifacts(&self) -> &Artifacts {
        &self.inner.artifacts
    }

    /// Sets up what fetching wheels needs, while something else is waited for. What fails here fails again, and is told,
    /// when a wheel is fetched.
    pub async fn make_ready_to_fetch(&self) {
        let inner = Arc::clone(&self.inner);
        let ready = blocking(move || inner.http.client().map(drop)).await;
        if let Err(error) = ready {
            tracing::debug!("fetching is not set up yet: {error}");
        }
    }

    /// Whether this machine has an interpreter that compiles for a Python version.
    pub async fn has_interpreter(&self, python: PythonVersion) -> bool {
        let bytecode = self.inner.preparer.bytecode();
        bytecode.interpreter(python).await.is_some()
    }

    /// Builds the layer for a lock and stores it; the same lock and options give the same bytes, whatever was cached.
    ///
    /// Dropping the future stops fetching; an assembly that has begun runs to its end in the background, to no effect
    /// but the artifact. Sizes are reported, not judged: see [`crate::model::ZIPPED_LIMIT`].
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(
        &self,
        lock: &Lock,
        options: &BuildOptions<'_>,
        on_progress: &(dyn Fn(BuildProgress) + Send + Sync),
    ) -> Result<Artifact, BuildError> {
        let built = self.build_anew(lock, options, on_progress).await?;
        Ok(built.artifact)
    }

    /// As [`Self::build`], with what else is to be known of it.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub(super) async fn build_anew(
        &self,
        lock: &Lock,
        options: &BuildOptions<'_>,
        on_progress: &(dyn Fn(BuildProgress) + Send + Sync),
    ) -> Result<Built, BuildError> {
        let exclude = Exclude::new(options.exclude)?;
        let (taken, left) = options.packages_of(lock);
        let packages = || taken.iter().chain(&left).copied();
        for package in packages() {
            check_announced_size(&package.wheel)?;
        }
        on_progress(BuildProgress::Fetching {
            wheels: lock.packages.len(),
            bytes: packages().map(|package| package.wheel.size).sum(),
        });
        let locked: Vec<LockedPackage> = taken.iter().copied().cloned().collect();
        // The futures are made before the stream, so that their type names one lifetime and the build can be sent.
        // What the runtime has is looked at for its size alone.
        let of_runtime = BuildOptions {
            bytecode: Bytecode::None,
            ..*options
        };
        let wheels: Vec<_> = (taken.iter().map(|package| (*package, options)))
            .chain(left.iter().map(|package| (*package, &of_runtime)))
            .map(|(package, options)| Box::pin(self.prepared(package, options, on_progress)))
            .collect();
        let mut prepared: Vec<Prepared> = stream::iter(wheels)
            .buffered(self.inner.concurrency)
            .try_collect()
            .await?;
        let runtimes = prepared.split_off(taken.len());
        let selection = Selection {
            slim: options.slim,
            ..Selection::all_but(&exclude)
        };
        let runtimes = runtimes.iter();
        let runtimes = runtimes.map(|it| contents::left_out(&it.wheel, &selection));
        let runtimes = runtimes.reduce(|one, other| one.and(&other));
        on_progress(BuildProgress::Assembling);
        let is_compiled = prepared.iter().all(Prepared::is_compiled_for_good);
        let lacks_interpreter = prepared.iter().any(Prepared::lacks_interpreter);
        let (compiler, missing) = match layer::compiler(&prepared, options) {
            Ok(compiler) => (compiler, None),
            Err(reason) => (None, Some(reason)),
        };
        let (mut wheels, mut facts) = (Vec::new(), BTreeMap::new());
        for prepared in prepared {
            facts.insert(prepared.wheel.package.clone(), prepared.facts);
            wheels.push(prepared.wheel);
        }
        let facts = Arc::new(facts);
        let Inner {
            artifacts,
            preparer,
            ..
        } = &*self.inner;
        let artifacts = artifacts.local();
        let making = Making::new(artifacts, preparer, options, wheels, &facts, &locked)?;
        let tester = Tester {
            importer: &self.inner.importer,
            options,
            facts: &facts,
            artifacts,
            preparer: &self.inner.preparer,
            on_progress,
        };
        let mut made = making.make(options.bytecode, missing, &tester).await?;
        let tested = match made.tested.take() {
            Some(tested) => tested,
            None => tester.test(&made.written).await?,
        };
        let Written {
            assembled,
            digest,
            checksum,
            size,
            ..
        } = made.written;
        if made.bytecode.included != Bytecode::None {
            made.bytecode.compiler = compiler;
        }
        made.bytecode.lacks_interpreter = lacks_interpreter;
        made.bytecode.may_pass = !is_compiled;
        let lasts = is_compiled
            && match &tested.outcome {
                ImportTest::Passed { .. } => true,
                ImportTest::Skipped { .. } => {
                    self.inner.importer.never_tests(options, preparer).await
                }
                ImportTest::Failed { .. } | ImportTest::NotRun => false,
            };
        let findings = judge::findings(&assembled, size, options, &facts, &locked, tested.notes);
        let files = assembled.files.len() as u64;
        tracing::debug!(artifact = %digest, size, files, "built the layer {digest}");
        let artifact = Artifact {
            digest,
            size,
            unzipped_size: assembled.unzipped_size,
            files,
            pins: assembled.pins,
            report: BuildReport {
                bytecode: made.bytecode,
                slimmed: assembled.slimmed.into_iter().chain(runtimes).collect(),
                weights: assembled.weights,
                findings,
                import_test: tested.outcome,
            },
        };
        let about = Documented {
            artifact,
            choices: documents::Choices::of(options),
            locked,
            metadata: assembled.metadata,
            files: assembled.files,
        };
        let inner = Arc::clone(&self.inner);
        let (artifact, documents) = blocking(move || {
            let documents = documents::write(inner.artifacts.local(), &about)?;
            Ok((about.artifact, documents))
        })
        .await?;
        Box::pin(self.inner.artifacts.keep(&documents)).await?;
        Ok(Built {
            artifact,
            checksum,
            documents,
            lasts,
        })
    }

    /// A package's wheel with everything that is derived from it.
    async fn prepared(
        &self,
        package: &LockedPackage,
        options: &BuildOptions<'_>,
        on_progress: &(dyn Fn(BuildProgress) + Send + Sync),
    ) -> Result<Prepared, BuildError> {
        let mut prepared = {
            // Two targets often share a wheel, and the second finds what the first found out.
            let _one_at_a_time = self.inner.cache.lock(&package.wheel.sha256).await;
            let found = self.find(package, on_progress).await?;
            // The semaphore is never closed; should it be, wheels are looked into unbounded.
            let _permit = match &found {
                Found::Cached(..) => None,
                Found::Fetched(_) => self.inner.examining.acquire().await.ok(),
            };
            let (inner, own) = (Arc::clone(&self.inner), package.clone());
            blocking(move || match found {
                Found::Cached(cached) => inner.preparer.open(cached, &own),
                Found::Fetched(fetched) => inner.preparer.take_in(fetched, &own, &inner.cache),
            })
            .await?
        };
        if options.bytecode != Bytecode::None {
            let Inner {
                preparer, cache, ..
            } = &*self.inner;
            let python = options.target.python;
            preparer
                .compile(&mut prepared, cache, package, python)
                .await?;
        }
        Ok(prepared)
    }
}

/// Runs what would hold up other tasks on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)
        .map_err(BuildError::io("waiting for a build thread"))?
}

//! The builder: a lock in, an artifact in the artifacts folder out.

use super::artifacts::ArtifactDirectory;
use super::assemble::{Assembled, WheelSource, assemble};
use super::cache::WheelCache;
use super::documents::{self, Documented};
use super::error::BuildError;
use super::exclude::Exclude;
use super::fetch::{FetchLimits, check_announced_size, fetch};
use super::options::BuildOptions;
use super::selection::{BytecodeChoice, Selection};
use crate::model::{Artifact, BuildReport, Digest, Lock, LockedPackage, SlimKind, WheelFile};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Redirects followed for one wheel.
const REDIRECT_LIMIT: usize = 5;

/// How building is done.
#[derive(Debug, Clone)]
pub struct BuilderSettings {
    /// A folder for fetched wheels; made when it is not there. May be shared between processes and may be emptied.
    pub cache_dir: PathBuf,
    /// Where finished zips go.
    pub artifacts: ArtifactDirectory,
    /// Wheels fetched at once, over all builds; at least 1.
    pub concurrency: usize,
    /// The longest a connection may take to come about.
    pub connect_timeout: Duration,
    /// The longest a server may be silent.
    pub read_timeout: Duration,
    /// Tries after the first that failed on the way.
    pub retries: usize,
    /// The wait before the first of them; it doubles each time.
    pub retry_delay: Duration,
}

impl BuilderSettings {
    /// Settings that suit most machines.
    #[must_use]
    pub fn new(cache_dir: PathBuf, artifacts: ArtifactDirectory) -> Self {
        Self {
            cache_dir,
            artifacts,
            concurrency: 8,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            retries: 3,
            retry_delay: Duration::from_millis(500),
        }
    }
}

/// How far a build is, for a progress bar.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildProgress {
    /// Wheels are being looked for in the cache and fetched.
    Fetching {
        /// How many wheels.
        wheels: usize,
        /// Their size together in bytes, where the index says it of all.
        bytes: Option<u64>,
    },
    /// Some bytes came over the network.
    Received {
        /// How many.
        bytes: u64,
    },
    /// A wheel is there and verified.
    WheelReady {
        /// Its file name.
        wheel: String,
        /// Whether it was in the cache.
        cached: bool,
    },
    /// All wheels are there; the zip is being written.
    Assembling,
}

/// Builds layers. Cheap to clone; builds may run at once and share fetched wheels.
#[derive(Debug, Clone)]
pub struct Builder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: reqwest::Client,
    cache: WheelCache,
    artifacts: ArtifactDirectory,
    fetching: Semaphore,
    concurrency: usize,
    limits: FetchLimits,
}

impl Builder {
    /// A builder; no folder is touched yet.
    ///
    /// # Errors
    /// [`BuildError::Io`] when the machine's certificates cannot be used.
    pub fn new(settings: BuilderSettings) -> Result<Self, BuildError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("layersmith/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.read_timeout)
            .redirect(reqwest::redirect::Policy::limited(REDIRECT_LIMIT))
            .build()
            .map_err(io::Error::other)
            .map_err(BuildError::io("setting up HTTP"))?;
        let concurrency = settings.concurrency.max(1);
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                cache: WheelCache::new(settings.cache_dir.join("wheels")),
                artifacts: settings.artifacts,
                fetching: Semaphore::new(concurrency),
                concurrency,
                limits: FetchLimits {
                    retries: settings.retries,
                    retry_delay: settings.retry_delay,
                },
            }),
        })
    }

    /// Where finished zips are kept.
    #[must_use]
    pub fn artifacts(&self) -> &ArtifactDirectory {
        &self.inner.artifacts
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
        let exclude = Exclude::new(options.exclude)?;
        let (packages, runtimes) = options.packages_of(lock);
        for package in &packages {
            check_announced_size(&package.wheel)?;
        }
        on_progress(BuildProgress::Fetching {
            wheels: packages.len(),
            bytes: packages.iter().map(|package| package.wheel.size).sum(),
        });
        let locked: Vec<LockedPackage> = packages.iter().copied().cloned().collect();
        // The futures are made before the stream, so that their type names one lifetime and the build can be sent.
        let wheels: Vec<_> = packages
            .into_iter()
            .map(|package| self.source(package, on_progress))
            .collect();
        let sources: Vec<WheelSource<File>> = stream::iter(wheels)
            .buffer_unordered(self.inner.concurrency)
            .try_collect()
            .await?;
        on_progress(BuildProgress::Assembling);
        let (inner, slim) = (Arc::clone(&self.inner), options.slim.to_vec());
        let (assembled, digest, size) =
            blocking(move || write(&inner.artifacts, sources, &exclude, &slim)).await?;
        let files = assembled.files.len() as u64;
        tracing::debug!(artifact = %digest, size, files, "built the layer {digest}");
        let artifact = Artifact {
            digest,
            size,
            unzipped_size: assembled.unzipped_size,
            files,
            pins: assembled.pins,
            report: BuildReport {
                slimmed: assembled.slimmed.into_iter().chain(runtimes).collect(),
                weights: assembled.weights,
                ..BuildReport::default()
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
        blocking(move || {
            documents::write(&inner.artifacts, &about)?;
            Ok(about.artifact)
        })
        .await
    }

    /// A package's wheel, from the cache or the network, verified and open.
    async fn source(
        &self,
        package: &LockedPackage,
        on_progress: &(dyn Fn(BuildProgress) + Send + Sync),
    ) -> Result<WheelSource<File>, BuildError> {
        let wheel = &package.wheel;
        let _one_at_a_time = self.inner.cache.lock(&wheel.sha256).await;
        let (reader, cached) = match self.cached(wheel).await? {
            Some(file) => (file, true),
            None => {
                // The semaphore is never closed; should it be, fetching goes on unbounded.
                let _permit = self.inner.fetching.acquire().await.ok();
                let on_bytes = |bytes| on_progress(BuildProgress::Received { bytes });
                let Inner {
                    client,
                    cache,
                    limits,
                    ..
                } = &*self.inner;
                (
                    fetch(client, cache, wheel, *limits, &on_bytes).await?,
                    false,
                )
            }
        };
        on_progress(BuildProgress::WheelReady {
            wheel: wheel.filename.clone(),
            cached,
        });
        Ok(WheelSource {
            package: package.name.clone(),
            version: package.version.clone(),
            filename: wheel.filename.clone(),
            reader,
        })
    }

    async fn cached(&self, wheel: &WheelFile) -> Result<Option<File>, BuildError> {
        let (inner, digest) = (Arc::clone(&self.inner), wheel.sha256);
        blocking(move || {
            inner
                .cache
                .open(&digest)
                .map_err(BuildError::io("reading the wheel cache"))
        })
        .await
    }
}

fn write(
    artifacts: &ArtifactDirectory,
    sources: Vec<WheelSource<File>>,
    exclude: &Exclude,
    slim: &[SlimKind],
) -> Result<(Assembled, Digest, u64), BuildError> {
    let mut artifact = artifacts.create()?;
    // Headers are small: gathered, so that each is not a call to the system.
    let buffered = BufWriter::with_capacity(256 * 1024, &mut artifact);
    let selection = Selection {
        exclude,
        slim,
        bytecode: BytecodeChoice::None,
    };
    let assembled = assemble(sources, &selection, buffered)?;
    let (digest, size) = artifact.store()?;
    Ok((assembled, digest, size))
}

/// Runs what would hold up other tasks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)
        .map_err(BuildError::io("waiting for a build thread"))?
}

//! One layer, prepared so that every contender can make it again and again.

use super::contender::Contender;
use crate::archive::Contents;
use crate::layers::Layer;
use crate::ours::{self, Built, Catalog, How, Lock};
use crate::peers::{self, Task};
use crate::process;
use crate::programs::Programs;
use crate::{limit, say};
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What one measurement gave.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
}

/// A layer with everything it takes to make it.
pub(crate) struct Bench<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) layer: &'a Layer,
    /// Whether our executable makes bytecode.
    pub(crate) has_bytecode: bool,
    /// What each contender's zip holds.
    pub(crate) contents: BTreeMap<Contender, Contents>,
    folder: PathBuf,
    catalog: Catalog,
    lock: Lock,
    /// SHA-256 of our zip, by whether it has bytecode: it has to come out the same whatever was cached.
    digests: BTreeMap<bool, String>,
}

impl<'a> Bench<'a> {
    /// Builds the layer once each way of ours, so that the lock and the warm caches are there. `more_keys` are lines of
    /// the request.
    pub(crate) async fn prepare(
        programs: &'a Programs,
        layer: &'a Layer,
        scratch: &Path,
        more_keys: &str,
    ) -> anyhow::Result<Self> {
        let folder = scratch.join(layer.name);
        std::fs::create_dir_all(folder.join("kept"))?;
        let catalog = Catalog::write(folder.join("catalog"))?;
        let keys = |bytecode| format!("bytecode: {bytecode}\n{more_keys}\n");
        catalog.request(layer.name, layer.packages, &keys(false))?;
        let compiled = with_bytecode(layer);
        catalog.request(&compiled, layer.packages, &keys(true))?;
        let mut bench = Self {
            programs,
            layer,
            has_bytecode: false,
            contents: BTreeMap::new(),
            folder,
            catalog,
            lock: Lock {
                packages: Vec::new(),
            },
            digests: BTreeMap::new(),
        };
        let built = bench.build(Contender::OursWarm, false).await?.1;
        let build = built.build.context("it was built")?;
        bench.lock = build.lock;
        std::fs::write(bench.constraints(), bench.lock.constraints())?;
        bench.note(Contender::OursWarm)?;
        bench.build(Contender::OursWarmCompiled, false).await?;
        let compiled = bench.note(Contender::OursWarmCompiled)?;
        bench.has_bytecode = compiled.unchecked > 0;
        let plain = &bench.contents[&Contender::OursWarm];
        say(&format!(
            "{}: {:.1} MB zipped, {:.1} MB unzipped, {} files",
            layer.title(),
            plain.size as f64 / 1e6,
            plain.unzipped_size as f64 / 1e6,
            plain.files
        ));
        Ok(bench)
    }

    /// The zip that a contender made last.
    pub(crate) fn zip(&self, contender: Contender) -> PathBuf {
        self.folder.join("kept").join(format!("{contender:?}.zip"))
    }

    /// A folder of this layer's own, made empty.
    pub(crate) fn empty(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(name);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => std::fs::create_dir_all(&folder)?,
        }
        Ok(folder)
    }

    /// Removes everything of this layer.
    pub(crate) fn discard(self) -> std::io::Result<()> {
        std::fs::remove_dir_all(self.folder)
    }

    /// One measurement; `None` when our executable cannot do that.
    pub(crate) async fn measure(&mut self, contender: Contender) -> anyhow::Result<Option<Sample>> {
        if contender.is_ours() && contender.compiles() && !self.has_bytecode {
            return Ok(None);
        }
        let sample = match contender {
            Contender::Start => self.start().await?,
            Contender::Limit => self.limit().await?,
            _ if contender.is_ours() => {
                let Some(data) = self.data(contender).await? else {
                    return Ok(None);
                };
                process::settle_disk().await?;
                let (finished, built) = self.build_in(contender, &data, false).await?;
                self.note(contender)?;
                self.compare_digest(contender, &built)?;
                Sample {
                    seconds: finished.seconds,
                }
            }
            _ => self.peer(contender).await?,
        };
        Ok(Some(sample))
    }

    /// Our command, with the caches that the contender may use.
    pub(crate) async fn build(
        &self,
        contender: Contender,
        watched: bool,
    ) -> anyhow::Result<(process::Finished, Built)> {
        let data = self.data(contender).await?;
        let data = data.context("there is no bytecode cache")?;
        self.build_in(contender, &data, watched).await
    }

    async fn build_in(
        &self,
        contender: Contender,
        data: &Path,
        watched: bool,
    ) -> anyhow::Result<(process::Finished, Built)> {
        let compiled = with_bytecode(self.layer);
        let name = if contender.compiles() {
            &compiled
        } else {
            self.layer.name
        };
        let zip = self.zip(contender);
        // Writing over a file is another thing than writing a new one.
        remove(&zip)?;
        let how = How {
            // Memory is that of everything a build does.
            tested: watched || contender == Contender::OursTested,
            watched,
        };
        ours::build(self.programs, &self.catalog, name, data, &zip, how).await
    }

    /// The data folder a contender starts with; `None` when there is no bytecode cache to start with.
    async fn data(&self, contender: Contender) -> anyhow::Result<Option<PathBuf>> {
        let warm = self.folder.join("warm");
        match contender {
            Contender::OursWarm | Contender::OursWarmCompiled => Ok(Some(warm)),
            Contender::OursCompiledBefore => {
                let derived = warm.join("cache/derived");
                let cold = self.empty("cold")?;
                if !derived.is_dir() {
                    return Ok(None);
                }
                std::fs::create_dir_all(cold.join("cache"))?;
                let mut copy = self.programs.command("cp");
                copy.arg("-a").arg(derived).arg(cold.join("cache"));
                process::run(&mut copy).await?.succeeded("cp")?;
                Ok(Some(cold))
            }
            _ => self.empty("cold").map(Some),
        }
    }

    async fn start(&self) -> anyhow::Result<Sample> {
        let mut command = ours::command(self.programs, &self.folder.join("warm"));
        let finished = process::run(command.arg("--version")).await?;
        Ok(Sample {
            seconds: finished.succeeded("layersmith --version")?.seconds,
        })
    }

    async fn limit(&self) -> anyhow::Result<Sample> {
        let to = self.folder.join("limit");
        remove(&to)?;
        process::settle_disk().await?;
        let wheels = self.lock.cached_wheels(&self.folder.join("warm"))?;
        let copied = tokio::task::spawn_blocking(move || limit::copy(&wheels, &to)).await??;
        let locked = self.lock.packages.iter();
        let locked: Vec<&String> = locked.map(|package| &package.wheel.sha256).collect();
        if copied.digests.iter().ne(locked) {
            bail!("the cached wheels are not the locked ones");
        }
        Ok(Sample {
            seconds: copied.seconds,
        })
    }

    async fn peer(&mut self, contender: Contender) -> anyhow::Result<Sample> {
        let work = self.empty("work")?;
        let cache = match contender {
            Contender::Uv | Contender::UvCompiled => self.empty("uv-cold")?,
            _ => self.folder.join("uv-warm"),
        };
        let constraints = self.constraints();
        let task = Task {
            packages: self.layer.packages,
            constraints: &constraints,
            work: &work,
            compile: contender.compiles(),
        };
        if matches!(contender, Contender::UvWarm | Contender::UvWarmCompiled) && !cache.is_dir() {
            peers::uv_and_zip(self.programs, &task, &cache).await?;
            self.empty("work")?;
        }
        process::settle_disk().await?;
        let seconds = match contender {
            Contender::Klayers | Contender::KlayersPlain => {
                peers::klayers(self.programs, &task).await?
            }
            _ => peers::uv_and_zip(self.programs, &task, &cache).await?,
        };
        let zip = self.zip(contender);
        std::fs::rename(work.join("layer.zip"), &zip)?;
        self.note(contender)?;
        let contents = &self.contents[&contender];
        // Wheels may bring a compiled module by mistake.
        let has_bytecode = contents.compiled * 2 > contents.sources;
        if has_bytecode != contender.compiles() {
            bail!(
                "{}: {} compiled modules",
                contender.title(),
                contents.compiled
            );
        }
        self.empty("work")?;
        Ok(Sample { seconds })
    }

    /// Counts what a contender made, and holds it to the lock.
    fn note(&mut self, contender: Contender) -> anyhow::Result<Contents> {
        let contents = Contents::of(&self.zip(contender))?;
        contents.check(&self.lock, contender.title())?;
        self.contents.insert(contender, contents.clone());
        Ok(contents)
    }

    fn compare_digest(&mut self, contender: Contender, built: &Built) -> anyhow::Result<()> {
        let build = built.build.as_ref().context("it was built")?;
        let digest = &build.artifact.digest;
        let first = self.digests.entry(contender.compiles());
        let first = first.or_insert_with(|| digest.clone());
        if first != digest {
            bail!(
                "{}: {} came out as {digest}, and as {first} before",
                contender.title(),
                self.layer.name
            );
        }
        Ok(())
    }

    fn constraints(&self) -> PathBuf {
        self.folder.join("constraints.txt")
    }
}

fn with_bytecode(layer: &Layer) -> String {
    format!("{}-bytecode", layer.name)
}

fn remove(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

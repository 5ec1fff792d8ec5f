//! A catalog, a store and a registry in memory, and a clock that is set by hand.

use crate::build::{ArtifactDirectory, Builder, BuilderSettings};
use crate::model::{
    Artifact, BuildRecord, BuildReport, Digest, LayerName, LayerRequest, Lock, OfferedRegions, Pin,
    Policy, Region, Target, Timestamp,
};
use crate::pipeline::tables::{Changed, Note};
use crate::pipeline::{
    Carried, Desired, Workbench, Workshop, carry_out, expire, recorded, render_tables,
    settle_expiries, settle_intents, settle_visibility,
};
use crate::plan::{BuildState, Plan, plan, wanted};
use crate::registry::tests::memory::MemoryRegistry;
use crate::request::parse_layer;
use crate::resolve::{Resolver, ResolverSettings};
use crate::store::SqliteStore;
use crate::tables::{FileContent, FileWork, TableFiles, account_of};
use futures::{StreamExt as _, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// Layers × targets published at once.
const AT_ONCE: usize = 16;
const START: i64 = 1_800_000_000;

pub(super) struct World {
    pub(super) workshop: Workshop,
    pub(super) registry: Arc<MemoryRegistry>,
    pub(super) desired: Desired,
    /// The tables as they were committed last.
    pub(super) tables: BTreeMap<String, Vec<u8>>,
    /// How often something was done that may have changed the store.
    pub(super) written: u64,
    /// Whether it has tables, and not a test that commits them.
    pub(super) keeps_tables: bool,
    /// How often not all of the tables had to be rendered.
    pub(super) rendered_in_part: usize,
    clock: Arc<AtomicI64>,
    /// The release of each layer that an upgrade would find.
    releases: BTreeMap<LayerName, u32>,
    folder: TempDir,
}

/// A policy for one target.
pub(super) fn one_target() -> Policy {
    Policy {
        python: vec!["3.13".parse().unwrap()],
        architectures: vec!["x86_64".parse().unwrap()],
        ..Policy::default()
    }
}

impl World {
    pub(super) fn new(policy: Policy, offered: Vec<Region>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = ArtifactDirectory::new(folder.path().join("artifacts"));
        std::fs::create_dir_all(folder.path().join("artifacts")).unwrap();
        let clock = Arc::new(AtomicI64::new(START));
        let registry = Arc::new(MemoryRegistry::new(offered));
        let time = Arc::clone(&clock);
        let no_aws = || async { Vec::new() };
        let workshop = Workshop {
            notifier: crate::notify::Notifier::new(no_aws, None),
            repository_page: None,
            handover: None,
            store: Arc::new(SqliteStore::open_in_memory().unwrap()),
            registry: Arc::clone(&registry) as Arc<_>,
            bench: Workbench {
                resolver: Resolver::new(ResolverSettings {
                    uv: None,
                    search_path: None,
                    environment: Vec::new(),
                    cache_dir: folder.path().join("uv"),
                    time_limit: Duration::from_secs(1),
                    python: None,
                    max_age: Duration::ZERO,
                    cache_limit: u64::MAX,
                }),
                builder: Builder::new(BuilderSettings::new(folder.path().join("cache"), artifacts)),
                clock: Arc::new(move || Timestamp::from_unix(time.load(Ordering::Relaxed))),
                building: Arc::new(Semaphore::new(1)),
            },
        };
        Self {
            workshop,
            registry,
            desired: Desired {
                policy,
                layers: BTreeMap::new(),
                problems: Vec::new(),
                held: BTreeSet::new(),
            },
            tables: BTreeMap::new(),
            written: 0,
            keeps_tables: true,
            rendered_in_part: 0,
            clock,
            releases: BTreeMap::new(),
            folder,
        }
    }

    /// It is now so many days after the beginning.
    pub(super) fn set_day(&self, day: i64) {
        self.clock.store(START + day * 86_400, Ordering::Relaxed);
    }

    /// Adds a request file, in place of one for the same layer.
    pub(super) fn request(&mut self, name: &str, text: &str) {
        let path = format!("layers/{name}.yaml");
        let (request, problems) = parse_layer(&path, text.as_bytes(), &self.desired.policy);
        let request: LayerRequest = request.unwrap_or_else(|| panic!("{problems:?}"));
        self.releases.entry(request.name.clone()).or_insert(1);
        self.desired.layers.insert(request.name.clone(), request);
    }

    /// A new version of what the layer is made of arrives on the index.
    pub(super) fn release(&mut self, name: &str) {
        *self.releases.get_mut(&name.parse().unwrap()).unwrap() += 1;
    }

    /// The newest release of what the layer is made of is taken back.
    pub(super) fn take_back(&mut self, name: &str) {
        *self.releases.get_mut(&name.parse().unwrap()).unwrap() -= 1;
    }

    /// What an upgrade does, resolving and building aside: those of the releases are there at once.
    pub(super) async fn upgrade(&mut self) -> Plan {
        self.apply_with(true).await
    }

    /// What an apply does.
    pub(super) async fn apply(&mut self) -> Plan {
        self.apply_with(false).await
    }

    async fn apply_with(&mut self, newest: bool) -> Plan {
        let (workshop, desired) = (&self.workshop, &self.desired);
        let builds = workshop.store.builds().await.unwrap();
        let versions = recorded(&*workshop.store, &desired.policy, None)
            .await
            .unwrap();
        let offered = self.registry_regions().await;
        let mut wanted = wanted(&desired.layers, &desired.policy, &offered, &builds);
        for wanted in &mut wanted {
            if newest || wanted.build == BuildState::Unknown {
                let request = &desired.layers[&wanted.layer];
                let build = self.build(request, wanted.target, wanted.fingerprint);
                wanted.build = BuildState::Built(Box::new(build));
            }
        }
        let plan = plan(&wanted, &builds, &versions, &desired.held);
        let entries = plan.entries.iter();
        let work = entries.map(|entry| carry_out(workshop, entry, desired));
        let results: Vec<_> = stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
        for carried in results {
            if let Carried::Published(outcome) = carried.unwrap() {
                assert!(outcome.failed.iter().all(|it| it.transient), "{outcome:?}");
            }
        }
        settle_visibility(workshop, &desired.policy).await.unwrap();
        settle_intents(workshop, desired, &plan).await.unwrap();
        settle_expiries(workshop, desired).await.unwrap();
        self.commit().await;
        plan
    }

    pub(super) async fn expire(&mut self) {
        let expired = expire(&self.workshop, &self.desired).await.unwrap();
        if !expired.deleted.is_empty() {
            self.commit().await;
        }
    }

    /// Renders what changed, as a commit does.
    pub(super) async fn commit(&mut self) {
        if !self.keeps_tables {
            return;
        }
        let (workshop, desired) = (&self.workshop, &self.desired);
        let changes = workshop.store.table_changes().await.unwrap();
        let mut note = Note::of(desired, None, workshop.now());
        let before = changes.note.as_deref().and_then(Note::read);
        let mut is_known = false;
        if let Some(before) = before.filter(|before| before.allows(&note)) {
            let changed = Changed::read(workshop, desired, &changes, &before, &note);
            let changed = changed.await.unwrap();
            let mut files = InMemory(&mut self.tables);
            is_known = changed.render(desired, None, &mut files).unwrap();
            note.account = before.account;
        }
        if is_known {
            self.rendered_in_part += 1;
        } else {
            self.tables = render_tables(workshop, desired).await.unwrap();
            let versions = workshop.store.layer_versions().await.unwrap();
            account_of(&versions).clone_into(&mut note.account);
        }
        let noted = note.to_text().unwrap();
        let noted = workshop.store.note_tables(&changes.seen, &noted);
        noted.await.unwrap();
        self.written += 1;
    }

    /// The tables are what rendering all of them gives.
    pub(super) async fn compare_tables(&mut self) {
        // What a run does on a day on which something begins to be warned of.
        let written = self.written;
        self.commit().await;
        self.written = written;
        let fresh = render_tables(&self.workshop, &self.desired).await.unwrap();
        let differing = fresh
            .iter()
            .find(|(path, content)| self.tables.get(*path) != Some(content));
        assert_eq!(differing.map(|(path, _)| path), None);
        assert_eq!(fresh.len(), self.tables.len());
    }

    /// Whether something that should be live is not: what a sweep tries again.
    pub(super) async fn is_behind(&self) -> bool {
        !self.workshop.store.intents().await.unwrap().is_empty()
    }

    async fn registry_regions(&self) -> OfferedRegions {
        self.workshop.registry.regions().await.unwrap()
    }

    /// A build of the newest release; its zip is there.
    fn build(&self, request: &LayerRequest, target: Target, fingerprint: Digest) -> BuildRecord {
        let version = format!("{}.0", self.releases[&request.name]);
        let zip = zip(&format!("{} {target} {version}", request.name));
        let digest = Digest::of(&zip);
        let path = ArtifactDirectory::new(self.folder.path().join("artifacts")).path_of(&digest);
        if !path.exists() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &zip).unwrap();
        }
        BuildRecord {
            layer: request.name.clone(),
            target,
            fingerprint,
            version: version.clone(),
            lock: Lock {
                packages: Vec::new(),
            },
            artifact: Artifact {
                digest,
                size: zip.len() as u64,
                unzipped_size: 20,
                files: 1,
                pins: vec![Pin {
                    name: request.packages[0].name.clone(),
                    version,
                    license: Some("MIT".to_owned()),
                }],
                report: BuildReport::default(),
            },
            built_at: self.workshop.now(),
        }
    }
}

/// The tables that a world committed.
struct InMemory<'a>(&'a mut BTreeMap<String, Vec<u8>>);

impl TableFiles for InMemory<'_> {
    fn read(&self, path: &str) -> anyhow::Result<Option<FileContent<'_>>> {
        let content = self.0.get(path);
        Ok(content.map(|content| Box::new(content) as FileContent<'_>))
    }

    fn each(&mut self, pieces: usize, work: &FileWork<'_>) -> anyhow::Result<()> {
        (0..pieces).try_for_each(|piece| work(self, piece))
    }

    fn write(&mut self, path: &str, content: Option<&str>) -> anyhow::Result<()> {
        match content {
            Some(content) => drop(self.0.insert(path.to_owned(), content.into())),
            None => drop(self.0.remove(path)),
        }
        Ok(())
    }
}

fn zip(content: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer
        .start_file("python/a.py", zip::write::SimpleFileOptions::default())
        .unwrap();
    writer.write_all(content.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner()
}

//! The generated tables: rendered from the store, and committed.
//!
//! With each commit the store notes what it was made of ([`Note`]) and the tree that it left the folder with. While the
//! folder at the head of the branch is that tree, what the store wrote down as changed since says which files can differ,
//! and only those are rendered. Otherwise, be it that the policy changed, somebody edited a file, a push was lost or a
//! process died before its note, all of them are.

mod note;
mod words;

pub use words::commit_message;
pub(super) use words::{plain_message, run_in_message, run_trailer};

use super::visibility::list_as_tables;
use super::{Desired, StepFailure, Workshop};
use crate::gitrepo::{CatalogRepository, Committed, FolderEdit, Snapshot};
use crate::model::{BuildRecord, LayerArn, LayerName, LayerVersion, Policy, Timestamp};
use crate::store::{SeenChanges, Store, TableChanges};
use crate::tables::{
    self, ChangesInput, FileContent, FileWork, Scope, TableFiles, TablesInput, account_of,
    named_on_overview, render_changes, warned_until,
};
use crate::telemetry::milliseconds;
pub(super) use note::Note;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Which tables are rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Those that can have changed since the last commit, where that is known.
    Changes,
    /// All of them.
    Everything,
}

/// What all tables are made of, as the store has it.
struct Published {
    versions: Vec<LayerVersion>,
    builds: Vec<BuildRecord>,
}

/// Renders every table from what the store says is live; paths are relative to the catalog's root.
///
/// # Errors
/// When the store cannot be read.
pub async fn render(
    workshop: &Workshop,
    desired: &Desired,
) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let published = everything(workshop.store.as_ref(), &desired.policy).await?;
    Ok(render_all(workshop, desired, &published, workshop.now()))
}

fn render_all(
    workshop: &Workshop,
    desired: &Desired,
    published: &Published,
    today: Timestamp,
) -> BTreeMap<String, Vec<u8>> {
    let page = workshop.repository_page.as_deref();
    tables::render(&input(desired, published, page, today))
}

fn input<'a>(
    desired: &'a Desired,
    published: &'a Published,
    repository_page: Option<&'a str>,
    today: Timestamp,
) -> TablesInput<'a> {
    TablesInput {
        policy: &desired.policy,
        layers: &desired.layers,
        held: &desired.held,
        versions: &published.versions,
        builds: &published.builds,
        repository_page,
        today,
    }
}

async fn everything(store: &dyn Store, policy: &Policy) -> anyhow::Result<Published> {
    let versions = store.layer_versions().await?;
    Ok(Published {
        versions: without(versions, &hidden(store, policy, None).await?),
        builds: store.builds().await?,
    })
}

/// What the policy says that others may use is listed once they may: what is not, because they may not.
async fn hidden(
    store: &dyn Store,
    policy: &Policy,
    layers: Option<&BTreeSet<LayerName>>,
) -> anyhow::Result<BTreeSet<LayerArn>> {
    let rows = store.shared_otherwise(&policy.visibility, layers).await?;
    let rows = rows.into_iter().filter(|(_, known)| known.is_some());
    Ok(rows.filter_map(|(row, _)| row.arn).collect())
}

fn without(mut versions: Vec<LayerVersion>, hidden: &BTreeSet<LayerArn>) -> Vec<LayerVersion> {
    versions.retain(|row| row.arn.as_ref().is_none_or(|arn| !hidden.contains(arn)));
    versions
}

/// Commits the tables as the store has them now, and notes that.
///
/// # Errors
/// When the store or the catalog repository fails.
pub async fn commit(
    workshop: &Workshop,
    catalog: &CatalogRepository,
    desired: &Desired,
    message: &str,
    extent: Extent,
) -> Result<Committed, StepFailure> {
    let today = workshop.now();
    // Before anything is read of what is published: what changes meanwhile is rendered once more the next time.
    let changes = workshop.store.table_changes().await?;
    let page = workshop.repository_page.as_deref();
    let mut note = Note::of(desired, page, today);
    if extent == Extent::Changes
        && let Some(before) = changes.note.as_deref().and_then(Note::read)
        && before.allows(&note)
    {
        let changed = Changed::read(workshop, desired, &changes, &before, &note).await?;
        if let Some(committed) =
            commit_changed(workshop, catalog, desired, message, changed).await?
        {
            before.account.clone_into(&mut note.account);
            noted(workshop, desired, &changes.seen, note, &committed).await?;
            return Ok(committed);
        }
    }
    let published = everything(workshop.store.as_ref(), &desired.policy).await?;
    account_of(&published.versions).clone_into(&mut note.account);
    let files = render_all(workshop, desired, &published, today);
    drop(published);
    let folder = desired.policy.tables.path.as_str();
    let render = move |_: &Snapshot<'_>| Ok(files.clone());
    let committed = catalog
        .commit_folder(folder, message, today, render)
        .await?;
    noted(workshop, desired, &changes.seen, note, &committed).await?;
    Ok(committed)
}

async fn noted(
    workshop: &Workshop,
    desired: &Desired,
    seen: &SeenChanges,
    mut note: Note,
    committed: &Committed,
) -> anyhow::Result<()> {
    let (Committed::Unchanged { tree, .. } | Committed::Pushed { tree, .. }) = committed;
    note.tree.clone_from(tree);
    let store = workshop.store.as_ref();
    store.note_tables(seen, &note.to_text()?).await?;
    list_as_tables(store, &desired.policy).await
}

/// What can have changed since the last commit, with what that is rendered from.
pub(super) struct Changed {
    scope: Scope,
    published: Published,
    account: String,
    /// The tree of the folder that it changes.
    base: String,
    today: Timestamp,
    started: Instant,
}

impl Changed {
    pub(super) async fn read(
        workshop: &Workshop,
        desired: &Desired,
        changes: &TableChanges,
        before: &Note,
        note: &Note,
    ) -> anyhow::Result<Self> {
        let started = Instant::now();
        let (store, today) = (workshop.store.as_ref(), note.today);
        let ending = store.expired(warned_until(today)).await?;
        let ending = without(ending, &hidden(store, &desired.policy, None).await?);
        let mut scope = Scope {
            slots: changes.slots.clone(),
            layers: changes.layers.clone(),
        };
        scope.add_warned(&ending, before.today, today);
        scope.layers.extend(before.layers_that_differ(note));
        let layers = scope.all_layers();
        let mut whole = named_on_overview(&ending);
        whole.extend(layers.iter().cloned());
        let versions = store.layer_versions_of(&whole).await?;
        let hidden = hidden(store, &desired.policy, Some(&whole)).await?;
        let mut versions = without(versions, &hidden);
        let ending = ending.into_iter();
        versions.extend(ending.filter(|version| !whole.contains(&version.key.layer)));
        Ok(Self {
            scope,
            published: Published {
                versions,
                builds: store.builds_of(&layers).await?,
            },
            account: before.account.clone(),
            base: before.tree.clone().unwrap_or_default(),
            today,
            started,
        })
    }

    /// As [`render_changes`].
    pub(super) fn render(
        &self,
        desired: &Desired,
        page: Option<&str>,
        files: &mut dyn TableFiles,
    ) -> anyhow::Result<bool> {
        let input = ChangesInput {
            tables: input(desired, &self.published, page, self.today),
            scope: &self.scope,
            account: &self.account,
        };
        render_changes(&input, files)
    }
}

/// Commits what can have changed; `None` when that is not known after all.
async fn commit_changed(
    workshop: &Workshop,
    catalog: &CatalogRepository,
    desired: &Desired,
    message: &str,
    changed: Changed,
) -> Result<Option<Committed>, StepFailure> {
    let (base, today) = (changed.base.clone(), changed.today);
    let folder = desired.policy.tables.path.clone();
    let (desired, page) = (desired.clone(), workshop.repository_page.clone());
    let edit = move |folder: &mut FolderEdit<'_>| {
        let rendering = Instant::now();
        let is_known = changed.render(&desired, page.as_deref(), &mut InRepository(folder))?;
        let layers = changed.scope.all_layers().len();
        let read = milliseconds(changed.started.elapsed() - rendering.elapsed());
        let rendered = milliseconds(rendering.elapsed());
        tracing::info!(
            layers,
            read,
            rendered,
            "rendered what changed of {layers} layers in {rendered} ms, {read} ms after the store was first asked"
        );
        Ok(is_known)
    };
    let committed = catalog
        .change_folder(&folder, &base, message, today, edit)
        .await?;
    Ok(committed)
}

/// The tables in the catalog repository.
struct InRepository<'e, 'r>(&'e mut FolderEdit<'r>);

impl TableFiles for InRepository<'_, '_> {
    fn read(&self, path: &str) -> anyhow::Result<Option<FileContent<'_>>> {
        let content = self.0.get(path)?;
        Ok(content.map(|content| Box::new(content) as FileContent<'_>))
    }

    fn each(&mut self, pieces: usize, work: &FileWork<'_>) -> anyhow::Result<()> {
        self.0.side_by_side(pieces, &|folder, piece| {
            work(&mut InRepository(folder), piece)
        })
    }

    fn write(&mut self, path: &str, content: Option<&str>) -> anyhow::Result<()> {
        self.0.put(path, content.map(str::as_bytes))
    }
}

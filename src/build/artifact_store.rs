//! Where finished layer zips are kept: in a folder of this machine, or in a bucket with the folder for working copies.

use super::artifacts::{ArtifactDirectory, NEW, persist, readable_by_all};
use super::artifacts_room::{Lease, Room};
use super::bucket::{Bucket, BucketError};
use super::documents::{Document, DocumentSet};
use super::files;
use super::object_key::ObjectKey;
use crate::model::{Digest, Hasher};
use futures::future::try_join_all;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The largest object that is read as a zip: several times what AWS Lambda takes.
const LARGEST_ZIP: u64 = 2 * 1024 * 1024 * 1024;

/// Why an artifact cannot be had or kept. Texts name no bucket and no folder.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It is not there.
    #[error("the built layer sha256:{} is not there any more", .0.short())]
    Missing(Digest),
    /// Its bytes are not those of its digest; they are out of the way, so that it can be built again.
    #[error("the built layer sha256:{} was altered", .0.short())]
    Altered(Digest),
    /// The bucket does not give or take it.
    #[error("the bucket of built layers: {0}")]
    Bucket(#[from] BucketError),
    /// The machine could not read or write its own files.
    #[error("the built layer cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

impl ArtifactError {
    /// Whether the same may succeed later with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Missing(_) | Self::Altered(_) | Self::Io(_) => false,
            Self::Bucket(error) => error.is_transient(),
        }
    }

    /// Whether building it again brings it back.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Altered(_))
    }
}

/// A layer zip on this machine, verified. It stays there as long as this lives.
#[derive(Debug)]
pub struct HeldZip {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    _lease: Lease,
}

/// Where finished layer zips are kept, each under its digest. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Artifacts {
    local: ArtifactDirectory,
    room: Arc<Room>,
    /// Where they are kept when that is not the folder itself.
    home: Option<Home>,
}

#[derive(Debug, Clone)]
struct Home {
    bucket: Bucket,
}

impl From<ArtifactDirectory> for Artifacts {
    fn from(local: ArtifactDirectory) -> Self {
        Self::in_folder(local, u64::MAX)
    }
}

impl Artifacts {
    /// In a folder of this machine, which holds about `limit` bytes: what was not used for the longest time goes first, and
    /// is built again should it be asked for. What was used within the last hour, is in use or [needed](Self::need) stays.
    #[must_use]
    pub fn in_folder(local: ArtifactDirectory, limit: u64) -> Self {
        let room = Arc::new(Room::new(limit));
        let home = None;
        Self { local, room, home }
    }

    /// In a bucket. Working copies are in `local`, which holds at most `limit` bytes, besides what is in use.
    #[must_use]
    pub fn in_bucket(local: ArtifactDirectory, bucket: Bucket, limit: u64) -> Self {
        let room = Arc::new(Room::new(limit));
        let home = Some(Home { bucket });
        Self { local, room, home }
    }

    /// Whether the folder of this machine is the only place they are kept in.
    #[must_use]
    pub fn are_here_only(&self) -> bool {
        self.home.is_none()
    }

    /// Notes which artifacts are about to be published, in place of those noted before: they stay, however full it is.
    pub fn need(&self, needed: BTreeSet<Digest>) {
        self.room.need(needed);
    }

    /// The folder of this machine.
    #[must_use]
    pub fn local(&self) -> &ArtifactDirectory {
        &self.local
    }

    /// Sees to it that a finished artifact with the documents of its build, which are in the [folder](Self::local), is kept.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    pub async fn keep(&self, documents: &DocumentSet) -> Result<(), ArtifactError> {
        let digest = documents.artifact();
        let _lease = self.room.hold(digest);
        let Some(home) = &self.home else {
            return Ok(self.make_room_here(digest).await?);
        };
        // What runs beside the folder may have written to it since.
        let (path, size) = self.verified_here(digest).await?;
        let zip = async {
            let key = ObjectKey::zip(digest);
            home.put(&key, &path, digest, size).await
        };
        let all = try_join_all(Document::ALL.map(|document| async move {
            let path = self.local.document_path(documents, document);
            let (of_document, size) = described(path.clone()).await?;
            let key = ObjectKey::document(documents, document);
            home.put(&key, &path, &of_document, size).await
        }));
        tokio::try_join!(zip, all)?;
        self.room.is_at_home(digest);
        self.make_room(0).await
    }

    /// An artifact's zip as a file of this machine, its bytes verified.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    pub async fn verified(&self, digest: &Digest) -> Result<HeldZip, ArtifactError> {
        let lease = self.room.hold(digest);
        let found = match (self.verified_here(digest).await, &self.home) {
            (Err(error), Some(home)) if error.is_lost() => self.fetch(home, digest).await,
            (found, _) => found,
        };
        let (path, size) = found?;
        note_use(&path);
        Ok(HeldZip {
            path,
            size,
            _lease: lease,
        })
    }

    async fn verified_here(&self, digest: &Digest) -> Result<(PathBuf, u64), ArtifactError> {
        let found = self.local.verified(digest).await;
        found.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ArtifactError::Missing(*digest),
            io::ErrorKind::InvalidData => ArtifactError::Altered(*digest),
            _ => ArtifactError::Io(error),
        })
    }

    /// Brings a zip here. What is not it is not kept; the build that follows puts the right one in its place.
    async fn fetch(&self, home: &Home, digest: &Digest) -> Result<(PathBuf, u64), ArtifactError> {
        std::fs::create_dir_all(self.local.root())?;
        let mut file = tempfile::Builder::new()
            .prefix(NEW)
            .permissions(readable_by_all())
            .tempfile_in(self.local.root())?;
        let (mut hasher, mut size) = (Hasher::default(), 0);
        let take = |piece: &[u8]| {
            hasher.update(piece);
            size += piece.len() as u64;
            file.write_all(piece)
        };
        let key = ObjectKey::zip(digest);
        match home.bucket.read(&key, LARGEST_ZIP, take).await {
            Ok(()) if hasher.finish() == *digest => {}
            Ok(()) | Err(BucketError::Altered) => {
                tracing::warn!(artifact = %digest, "the artifact {digest} was altered in its bucket");
                return Err(ArtifactError::Altered(*digest));
            }
            Err(BucketError::Missing) => return Err(ArtifactError::Missing(*digest)),
            Err(error) => return Err(error.into()),
        }
        self.room.is_at_home(digest);
        self.make_room(size).await?;
        let path = self.local.path_of(digest);
        persist(file, &path)?;
        Ok((path, size))
    }

    async fn make_room(&self, more: u64) -> Result<(), ArtifactError> {
        let (local, room) = (self.local.clone(), Arc::clone(&self.room));
        let work = move || room.make(&local, more, SystemTime::now());
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| io::Error::other(error).into())
    }

    /// Notes that an artifact was made or found here, and keeps the folder below its limit.
    async fn make_room_here(&self, digest: &Digest) -> io::Result<()> {
        let (local, room) = (self.local.clone(), Arc::clone(&self.room));
        let path = local.path_of(digest);
        let work = move || {
            note_use(&path);
            let size = path.metadata().map_or(0, |metadata| metadata.len());
            room.wrote(&local, size, SystemTime::now());
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(io::Error::other)
    }
}

/// Notes when a zip was used last; should that not be noted, it goes earlier.
fn note_use(path: &Path) {
    let file = File::options().append(true).open(path);
    file.and_then(|file| file.set_modified(SystemTime::now()))
        .ok();
}

impl Home {
    /// Puts a file into the bucket, unless it is there as it should be.
    async fn put(
        &self,
        key: &ObjectKey,
        path: &Path,
        digest: &Digest,
        size: u64,
    ) -> Result<(), ArtifactError> {
        if self.bucket.holds(key, digest, size).await? {
            return Ok(());
        }
        Ok(self.bucket.put_file(key, path, digest, size).await?)
    }
}

/// SHA-256 and size of a file.
async fn described(path: PathBuf) -> io::Result<(Digest, u64)> {
    let work = move || {
        let file = File::open(path)?;
        Ok((files::digest(&file)?, file.metadata()?.len()))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

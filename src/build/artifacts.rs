//! The folder of finished layer zips, each under its digest.

use super::checksum::Checksum;
use super::error::BuildError;
use super::files;
use super::hashing::{Hashed, HashingWriter};
use crate::model::Digest;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What the names of files begin with that are not whole yet.
pub(super) const NEW: &str = ".new-";

/// A folder that holds layer zips as `{digest}.zip`. Cheap to clone; several processes may share it, because a file
/// appears under its name only when it is whole.
///
/// Nothing is flushed to the disk on purpose: a zip that a power failure damaged is found out when it is read, and
/// building it again gives the same bytes.
#[derive(Debug, Clone)]
pub struct ArtifactDirectory {
    root: PathBuf,
}

impl ArtifactDirectory {
    /// The folder; it is made when the first artifact is stored.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where an artifact is, or would be.
    #[must_use]
    pub fn path_of(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("{digest}.zip"))
    }

    /// Whether there is a file for the digest; whether its bytes are right shows when it is read.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path_of(digest).is_file()
    }

    /// The file of an artifact and its size, the bytes verified.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when it is not there; [`io::ErrorKind::InvalidData`] when its bytes are not those of
    /// the digest: it is then removed, so that it can be built again; anything else the system says.
    pub async fn verified(&self, digest: &Digest) -> io::Result<(PathBuf, u64)> {
        let (path, digest) = (self.path_of(digest), *digest);
        let read = tokio::task::spawn_blocking(move || {
            let file = File::open(&path)?;
            if files::digest(&file)? == digest {
                let size = file.metadata()?.len();
                return Ok((path, size));
            }
            std::fs::remove_file(&path)?;
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the artifact {digest} was altered and has been removed"),
            ))
        });
        read.await.map_err(io::Error::other)?
    }

    /// Removes an artifact that was only a step on the way to another; that it stays is no harm.
    pub(crate) fn discard(&self, digest: &Digest) {
        std::fs::remove_file(self.path_of(digest)).ok();
    }

    /// Starts a new artifact; nothing is seen of it until [`NewArtifact::store`].
    pub(crate) fn create(&self) -> Result<NewArtifact<'_>, BuildError> {
        std::fs::create_dir_all(&self.root)
            .map_err(BuildError::io("making the artifacts folder"))?;
        let file = tempfile::Builder::new()
            .prefix(NEW)
            .permissions(readable_by_all())
            .tempfile_in(&self.root)
            .map_err(BuildError::io("making an artifact"))?;
        let out = HashingWriter::new(file).map_err(BuildError::io("starting to hash"))?;
        Ok(NewArtifact {
            directory: self,
            out,
        })
    }
}

/// An artifact being written; hashed on the way, gone when dropped before it is stored.
pub(crate) struct NewArtifact<'a> {
    directory: &'a ArtifactDirectory,
    out: HashingWriter<NamedTempFile>,
}

/// An artifact in its place.
pub(crate) struct Stored {
    pub(crate) digest: Digest,
    /// By what its file is known again.
    pub(crate) checksum: Checksum,
    /// Bytes.
    pub(crate) size: u64,
    /// Whether it was not there before; otherwise another build may need it.
    pub(crate) is_new: bool,
}

impl NewArtifact<'_> {
    /// Puts it in its place.
    pub(crate) fn store(self) -> Result<Stored, BuildError> {
        let storing = || BuildError::io("storing an artifact");
        let (file, hashed) = self.out.finish().map_err(storing())?;
        let Hashed {
            digest,
            checksum,
            size,
        } = hashed;
        let path = self.directory.path_of(&digest);
        // Renaming over a file makes some file systems write the new one to the disk at once, which takes longer than
        // all the rest (ext4, `auto_da_alloc`).
        let is_new = std::fs::remove_file(&path).is_err();
        persist(file, &path).map_err(storing())?;
        Ok(Stored {
            digest,
            checksum,
            size,
            is_new,
        })
    }
}

impl Write for NewArtifact<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Renames a finished temporary file, in place of what may be there.
pub(crate) fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Temporary files are made for their owner alone; those that stay are for whoever may enter the folder.
pub(crate) fn readable_by_all() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

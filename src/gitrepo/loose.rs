//! Large files in the clone's object store, written at the speed of a disk.
//!
//! A loose object is `blob`, its length and its content, deflated, under the SHA-1 of what was deflated (Git's
//! documentation, "Git Internals - Git Objects"). libgit2 looks for signs of a forged collision while it hashes, and
//! deflates at once: for the tables of all regions, that takes several times longer than everything else. Here a file is
//! hashed by the processor's own instructions and stored as it is, for as long as it is what the next change is made of;
//! what another file has taken the place of is [deflated](deflate). Whatever is pushed is deflated and hashed by those who
//! send and receive it.

use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};
use git2::Oid;
use sha1::{Digest as _, Sha1};
use std::fs::{self, DirEntry, File, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Bytes from which a file is large: for one below, libgit2 takes less than a millisecond (1 s for 108 MB, measured).
pub(super) const LARGE: usize = 64 * 1024;

/// A file that is to be written.
pub(super) struct LargeFile<'c> {
    pub(super) id: Oid,
    head: String,
    content: &'c [u8],
}

impl<'c> LargeFile<'c> {
    pub(super) fn of(content: &'c [u8]) -> Result<Self, git2::Error> {
        let head = head_of(content.len());
        let hash = Sha1::new_with_prefix(&head).chain_update(content);
        Ok(Self {
            id: Oid::from_bytes(&hash.finalize())?,
            head,
            content,
        })
    }

    /// Writes it into a clone, in place of what may be left of it there. `buffer` is what it is put together in.
    pub(super) fn write(&self, clone: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        let mut object = ZlibEncoder::new(&mut *buffer, Compression::none());
        object.write_all(self.head.as_bytes())?;
        object.write_all(self.content)?;
        object.finish()?;
        put(&path(clone, self.id), buffer)
    }
}

/// Bytes of a clone's loose objects.
pub(super) fn size(clone: &Path) -> u64 {
    entries(&clone.join("objects"))
        // The other folders are packs and notes.
        .filter(|folder| folder.file_name().len() == 2)
        .flat_map(|folder| entries(&folder.path()))
        .filter_map(|object| Some(object.metadata().ok()?.len()))
        .sum()
}

fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct Stored {
    object: Vec<u8>,
    /// Where its content begins.
    start: usize,
}

impl AsRef<[u8]> for Stored {
    fn as_ref(&self) -> &[u8] {
        &self.object[self.start..]
    }
}

/// The content of a file that is stored as it is; `None` for any other, which is libgit2's to read.
///
/// # Errors
/// When it is damaged or cannot be read.
pub(super) fn read(clone: &Path, id: Oid) -> io::Result<Option<Stored>> {
    let mut file = match File::open(path(clone, id)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut start = [0; 3];
    if file.read_exact(&mut start).is_err() || !is_stored(start) {
        return Ok(None);
    }
    let size = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    let mut stored = Vec::with_capacity(size);
    stored.extend(start);
    file.read_to_end(&mut stored)?;
    // In one go, and so without a copy in between: it is smaller than the file, or something else than what was stored.
    let mut object = Vec::with_capacity(size);
    let read = Decompress::new(true).decompress_vec(&stored, &mut object, FlushDecompress::Finish);
    let is_whole = matches!(read, Ok(Status::StreamEnd));
    let start = object.iter().position(|byte| *byte == 0);
    match start.map(|end| end + 1) {
        Some(start) if is_whole && object[..start] == *head_of(object.len() - start).as_bytes() => {
            Ok(Some(Stored { object, start }))
        }
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

/// Deflates a file that is stored as it is; any other is left alone.
///
/// # Errors
/// When it is damaged or cannot be read or written; it is as it was then.
pub(super) fn deflate(clone: &Path, id: Oid) -> io::Result<()> {
    let Some(content) = read(clone, id)? else {
        return Ok(());
    };
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflated.write_all(&content.object)?;
    put(&path(clone, id), &deflated.finish()?)
}

/// What stands before the content of a file of so many bytes.
fn head_of(length: usize) -> String {
    format!("blob {length}\0")
}

/// Whether the first block of a zlib stream is a stored one (RFC 1950, 2.2; RFC 1951, 3.2.3).
fn is_stored([.., block]: [u8; 3]) -> bool {
    block & 0b110 == 0
}

/// Where an object is, should it be loose.
fn path(clone: &Path, id: Oid) -> PathBuf {
    let name = id.to_string();
    let (folder, file) = name.split_at(2);
    clone.join("objects").join(folder).join(file)
}

/// Puts a file in place as a whole, and as git does: nobody writes to it.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix("tmp_obj_")
        .permissions(Permissions::from_mode(0o444))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

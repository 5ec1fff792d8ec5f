//! What was derived from wheels, on disk: found by what it was derived from, believed only after hashing.

use super::artifacts::{persist, readable_by_all};
use super::checksum::Checksum;
use super::files::{self, open_if_there};
use crate::model::{Digest, Hasher};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The largest reference read: what is noted of a wheel of 10,000 shared objects stays below it.
const REFERENCE_LIMIT: u64 = 16 * 1024 * 1024;
/// Stands for "no blob" in a reference.
const NO_BLOB: &str = "-";

/// A folder of derived things: a reference named by a key says a note, and which blob belongs to it, by checksum.
///
/// Keys are digests over everything that decided the thing: what it was derived from, how, and by which revision of the
/// code. Nothing of a request but its choice among such things gets in, so nobody can put anything under the key of
/// something else. Several processes may share the folder: files appear when they are whole, and an altered one is
/// thrown away by whoever finds it.
#[derive(Debug, Clone)]
pub(crate) struct DerivedCache {
    root: PathBuf,
}

/// Something that was derived earlier.
#[derive(Debug)]
pub(crate) struct Derived {
    /// What was noted with it.
    pub(crate) note: String,
    /// The blob, verified and open at its start, where there is one.
    pub(crate) blob: Option<File>,
}

impl DerivedCache {
    /// A cache in a folder, which is made when something is put there.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The key of what is derived from these parts, the kind of thing and its revision first.
    pub(crate) fn key(parts: &[&str]) -> Digest {
        let mut hasher = Hasher::default();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finish()
    }

    /// What is kept under a key; `None` when there is nothing, or nothing that is still right.
    ///
    /// # Errors
    /// When the machine cannot read its files.
    pub(crate) fn get(&self, key: &Digest) -> io::Result<Option<Derived>> {
        let path = self.reference_path(key);
        let Some(mut file) = open_if_there(&path)? else {
            return Ok(None);
        };
        let mut text = String::new();
        let read = (&mut file).take(REFERENCE_LIMIT).read_to_string(&mut text);
        let Some((blob, note)) = read.ok().and_then(|_| understood(key, &text)) else {
            return self.throw_away(&path);
        };
        let Some(checksum) = blob else {
            touch(&file);
            let blob = None;
            return Ok(Some(Derived { note, blob }));
        };
        let blob_path = self.blob_path(&checksum);
        let Some(blob) = open_if_there(&blob_path)? else {
            return self.throw_away(&path);
        };
        if files::checksum(&blob)? != checksum {
            self.throw_away(&blob_path)?;
            return self.throw_away(&path);
        }
        touch(&file);
        touch(&blob);
        Ok(Some(Derived {
            note,
            blob: Some(blob),
        }))
    }

    /// A temporary file for a blob.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn create(&self) -> io::Result<NamedTempFile> {
        let folder = self.temporary_folder()?;
        tempfile::Builder::new()
            .permissions(readable_by_all())
            .tempfile_in(folder)
    }

    /// A folder for working files, on the same disk as the cache.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn temporary_folder(&self) -> io::Result<PathBuf> {
        let folder = self.root.join("tmp");
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Keeps a note, and a blob that was written to a file of [`Self::create`], under a key; gives the blob back, open at
    /// its start, and how many bytes are kept.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn put(
        &self,
        key: &Digest,
        note: &str,
        blob: Option<NamedTempFile>,
    ) -> io::Result<(Option<File>, u64)> {
        let (mut size, mut kept, mut name) = (0, None, NO_BLOB.to_owned());
        if let Some(blob) = blob {
            let mut file = blob.as_file().try_clone()?;
            size = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(0))?;
            let checksum = files::checksum(&file)?;
            persist_in(blob, &self.blob_path(&checksum))?;
            name = checksum.to_string();
            kept = Some(file);
        }
        let text = reference(key, &name, note);
        size += text.len() as u64;
        let mut file = self.create()?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        persist_in(file, &self.reference_path(key))?;
        Ok((kept, size))
    }

    fn reference_path(&self, key: &Digest) -> PathBuf {
        self.path("references", &key.to_string())
    }

    fn blob_path(&self, checksum: &Checksum) -> PathBuf {
        self.path("blobs", &checksum.to_string())
    }

    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.root.join(kind).join(&name[..2]).join(name)
    }

    fn throw_away(&self, path: &Path) -> io::Result<Option<Derived>> {
        tracing::info!("something in the cache is incomplete or was altered: making it again");
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(None),
        }
    }
}

/// Marks a file as used; that it cannot be marked is no reason not to use it.
pub(crate) fn touch(file: &File) {
    file.set_modified(std::time::SystemTime::now()).ok();
}

/// Digest of the rest, name of the blob, note.
fn reference(key: &Digest, blob: &str, note: &str) -> String {
    format!("{}\n{blob}\n{note}", sum_of(key, blob, note))
}

fn sum_of(key: &Digest, blob: &str, note: &str) -> Digest {
    DerivedCache::key(&[&key.to_string(), blob, note])
}

fn understood(key: &Digest, text: &str) -> Option<(Option<Checksum>, String)> {
    let (sum, rest) = text.split_once('\n')?;
    let (blob, note) = rest.split_once('\n')?;
    if sum.parse::<Digest>().ok()? != sum_of(key, blob, note) {
        return None;
    }
    let blob = match blob {
        NO_BLOB => None,
        checksum => Some(checksum.parse().ok()?),
    };
    Some((blob, note.to_owned()))
}

fn persist_in(file: NamedTempFile, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    persist(file, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::checksum::Checksummer;
    use std::io::Write as _;

    fn put(cache: &DerivedCache, key: &Digest, note: &str, bytes: &[u8]) {
        let mut blob = cache.create().unwrap();
        blob.write_all(bytes).unwrap();
        let (file, size) = cache.put(key, note, Some(blob)).unwrap();
        let mut back = Vec::new();
        file.unwrap().read_to_end(&mut back).unwrap();
        assert_eq!(back, bytes);
        assert!(size > bytes.len() as u64);
    }

    fn get(cache: &DerivedCache, key: &Digest) -> Option<(String, Vec<u8>)> {
        let derived = cache.get(key).unwrap()?;
        let mut bytes = Vec::new();
        if let Some(mut blob) = derived.blob {
            blob.read_to_end(&mut bytes).unwrap();
        }
        Some((derived.note, bytes))
    }

    #[test]
    fn what_was_put_is_got() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DerivedCache::new(folder.path().join("derived"));
        let (one, two) = (
            DerivedCache::key(&["a", "bc"]),
            DerivedCache::key(&["ab", "c"]),
        );
        assert_ne!(one, two);
        assert!(get(&cache, &one).is_none());
        put(&cache, &one, "a note\nof two lines", b"bytes");
        let expected = ("a note\nof two lines".to_owned(), b"bytes".to_vec());
        assert_eq!(get(&cache, &one), Some(expected));
        assert!(get(&cache, &two).is_none());
        cache.put(&two, "only a note", None).unwrap();
        assert_eq!(get(&cache, &two), Some(("only a note".to_owned(), vec![])));
        let tmp = std::fs::read_dir(folder.path().join("derived/tmp")).unwrap();
        assert_eq!(tmp.count(), 0, "working files stayed behind");
    }

    #[test]
    fn what_was_altered_cut_off_or_moved_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DerivedCache::new(folder.path().to_owned());
        let (key, other) = (DerivedCache::key(&["x"]), DerivedCache::key(&["y"]));
        let mut checksum = Checksummer::default();
        checksum.update(b"bytes");
        let blob = cache.blob_path(&checksum.finish());
        let reference = cache.reference_path(&key);
        type Damage<'a> = Box<dyn Fn() + 'a>;
        let damages: Vec<(&str, Damage<'_>)> = vec![
            (
                "blob altered",
                Box::new(|| std::fs::write(&blob, b"bytez").unwrap()),
            ),
            (
                "blob cut off",
                Box::new(|| std::fs::write(&blob, b"byte").unwrap()),
            ),
            (
                "blob lost",
                Box::new(|| std::fs::remove_file(&blob).unwrap()),
            ),
            (
                "reference cut off",
                Box::new(|| {
                    let text = std::fs::read_to_string(&reference).unwrap();
                    std::fs::write(&reference, &text[..text.len() - 1]).unwrap();
                }),
            ),
            (
                "reference no text",
                Box::new(|| std::fs::write(&reference, b"\xff\n-\n").unwrap()),
            ),
            (
                "reference of another",
                Box::new(|| {
                    put(&cache, &other, "another", b"other bytes");
                    std::fs::copy(cache.reference_path(&other), &reference).unwrap();
                }),
            ),
        ];
        for (name, damage) in damages {
            put(&cache, &key, "note", b"bytes");
            damage();
            assert!(get(&cache, &key).is_none(), "{name}");
            put(&cache, &key, "note", b"bytes");
            assert!(get(&cache, &key).is_some(), "{name}");
        }
    }
}

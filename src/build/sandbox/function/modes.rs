//! Making a folder read-only with all that is in it, and writable again.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The bits that let somebody write.
const WRITING: u32 = 0o222;

/// A folder that is read-only as long as this lives.
#[derive(Debug)]
pub(crate) struct ReadOnly(PathBuf);

impl ReadOnly {
    /// Makes a folder read-only, deepest first.
    ///
    /// # Errors
    /// What the system says; what was changed until then is changed back.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let guard = Self(folder.to_owned());
        lock(folder)?;
        Ok(guard)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        unlock(&self.0);
    }
}

fn lock(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            lock(&entry.path())?;
        } else if kind.is_file() {
            let mode = entry.metadata()?.permissions().mode();
            fs::set_permissions(entry.path(), Permissions::from_mode(mode & !WRITING))?;
        }
    }
    fs::set_permissions(folder, Permissions::from_mode(0o555))
}

/// Empties a folder, whatever the modes of what is in it: a function that builds for one after another begins each time with
/// nothing that a package may have left. Blocks.
///
/// # Errors
/// When something cannot be removed; nothing may be built then.
pub fn empty_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unlock(&entry.path());
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes every folder below and at a place one that can be emptied. What cannot be changed stays; whoever removes it says so.
pub(super) fn unlock(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).ok();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // The entry's own kind: a link to a folder is none.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            unlock(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_emptied_and_what_is_linked_stays() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/c"), "x").unwrap();
        fs::write(other.path().join("kept"), "x").unwrap();
        for place in ["link", "a/link"] {
            std::os::unix::fs::symlink(other.path(), folder.path().join(place)).unwrap();
        }
        lock(&folder.path().join("a")).unwrap();
        empty_folder(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(other.path().join("kept").is_file());
    }

    #[test]
    fn a_folder_is_read_only_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let (below, file) = (folder.path().join("a"), folder.path().join("a/b"));
        fs::create_dir(&below).unwrap();
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let guard = ReadOnly::new(folder.path()).unwrap();
        assert_eq!((mode(&below), mode(&file)), (0o555, 0o555));
        drop(guard);
        assert_eq!((mode(folder.path()), mode(&below)), (0o755, 0o755));
    }
}

//! Files that are there whole or not at all, also after a power failure, and locks between processes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Holds a lock until it is dropped, or its process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Waits for the lock of a folder, which has to exist.
pub(super) fn lock(folder: &Path) -> io::Result<Lock> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(folder.join(".lock"))
        .map_err(|error| about(folder, &error))?;
    file.lock().map_err(|error| about(folder, &error))?;
    Ok(Lock { _file: file })
}

/// Writes a file beside its place, makes sure it is on the disk, then moves it there.
pub(super) fn write_durably(path: &Path, mut content: impl Read) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut write = || {
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(folder)?;
        io::copy(&mut content, &mut file)?;
        make_readable(file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error: io::Error| about(path, &error))?;
    sync_folder(folder)
}

/// Makes a folder and those above it, each one entered durably into the one above.
pub(super) fn create_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folders(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(about(path, &error));
        }
        _ => {}
    }
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Makes sure that a folder's entries are on the disk.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    // Only on unix can a folder be opened like a file.
    if cfg!(unix) {
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| about(path, &error))?;
    }
    Ok(())
}

/// Temporary files are for their owner only; layers are for whoever may enter the folder.
fn make_readable(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// The error again, with the path that the standard library leaves out.
fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

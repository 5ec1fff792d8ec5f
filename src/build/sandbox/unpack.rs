//! A finished layer as a folder.

use crate::build::zip_reader::{Member, ReadError, inflate, members};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Unpacks a zip into an empty folder; names and sizes are checked as those of wheels are.
///
/// # Errors
/// When the zip is malformed (`InvalidData`), or a file cannot be written.
pub(crate) fn unpack(zip: &mut File, folder: &Path) -> io::Result<()> {
    let mut made = BTreeSet::new();
    for member in members(zip).map_err(into_io)? {
        let path = folder.join(&member.name);
        if let Some(parent) = path.parent()
            && made.insert(parent.to_owned())
        {
            fs::create_dir_all(parent)?;
        }
        write(zip, &member, &path)?;
    }
    // Readable by whoever the sandbox runs as.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

fn write(zip: &mut File, member: &Member, path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if member.is_executable { 0o755 } else { 0o644 })
        .open(path)?;
    let mut written = Ok(());
    inflate(zip, member, |piece| {
        if written.is_ok() {
            written = file.write_all(piece);
        }
    })
    .map_err(into_io)?;
    written
}

fn into_io(error: ReadError) -> io::Error {
    match error {
        ReadError::Malformed(reason) => io::Error::new(io::ErrorKind::InvalidData, reason),
        ReadError::Io(error) => error,
    }
}

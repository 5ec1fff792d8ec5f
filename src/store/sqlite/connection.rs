//! Opening the file: permissions, pragmas, layout.

use super::migrations;
use crate::store::Result;
use anyhow::{Context as _, bail};
use backon::{BlockingRetryable as _, ConstantBuilder};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{DirBuilder, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file, before and after somebody asked for something.
#[derive(Debug)]
pub(super) enum Link {
    Unopened(PathBuf),
    Open(Connection),
}

impl Link {
    pub(super) fn connection(&mut self) -> Result<&mut Connection> {
        if let Self::Unopened(path) = self {
            let connection =
                open(path).with_context(|| format!("cannot open the store {}", path.display()))?;
            *self = Self::Open(connection);
        }
        match self {
            Self::Open(connection) => Ok(connection),
            Self::Unopened(path) => bail!("the store {} is not open", path.display()),
        }
    }
}

/// How long a writer waits for another process: longer than any transaction here, shorter than anybody's patience.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// Opens the store's file, made where it is missing, with its layout brought up to date.
pub(super) fn open(path: &Path) -> Result<Connection> {
    make_private(path)?;
    // No SQLITE_OPEN_URI: a path that begins with `file:` is a path.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    use_write_ahead_log(&connection)?;
    set_up(connection)
}

/// Opens a store in memory.
pub(super) fn open_in_memory() -> Result<Connection> {
    set_up(Connection::open_in_memory()?)
}

fn set_up(mut connection: Connection) -> Result<Connection> {
    // FULL: with a write-ahead log, NORMAL may forget the last transactions when the power fails. A forgotten
    // delivery was answered with 202, and a forgotten intent may be published twice; both are dearer than an fsync.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    migrations::migrate(&mut connection, migrations::STEPS)?;
    Ok(connection)
}

/// Changing the journal mode needs the file alone and does not wait for the busy timeout, so two processes that open
/// a new file at once get in each other's way for a moment.
fn use_write_ahead_log(connection: &Connection) -> Result<()> {
    let switch = || {
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))
    };
    let mode = switch
        .retry(
            ConstantBuilder::default()
                .with_delay(Duration::from_millis(20))
                .with_max_times(250),
        )
        .when(|error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
        .call()
        .context("cannot switch on the write-ahead log")?;
    anyhow::ensure!(
        mode == "wal",
        "the file system does not allow a write-ahead log: move the store to a local disk"
    );
    Ok(())
}

/// Makes the folder (0700) and the file (0600) where they are missing; SQLite gives the file's mode to the files it
/// puts beside it.
fn make_private(path: &Path) -> Result<()> {
    let mut folder = DirBuilder::new();
    folder.recursive(true);
    let mut file = OpenOptions::new();
    file.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        folder.mode(0o700);
        file.mode(0o600);
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        folder
            .create(parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))?;
    }
    file.open(path)
        .context("the file cannot be opened for writing")?;
    Ok(())
}

//! The store itself, and how it is opened.

use super::connection::{self, Link};
use super::turn::Turns;
use crate::store::Result;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A [`Store`](crate::store::Store) in a SQLite file, or in memory.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pub(super) connection: Arc<Mutex<Link>>,
    pub(super) turns: Turns,
}

impl SqliteStore {
    /// Opens the store in this file; the file and its folder are made, for their owner only, where they are missing,
    /// and an older layout is brought up to date with everything in it. Blocks while it does so.
    ///
    /// # Errors
    /// When the file cannot be opened, is not a store, or was written by a newer program.
    pub fn open(path: &Path) -> Result<Self> {
        let mut link = Link::Unopened(path.to_owned());
        link.connection()?;
        Ok(Self::over(link, Turns::beside(Some(path))))
    }

    /// As [`Self::open`], when it is first asked for something, which then fails if that does: a command that builds a
    /// layer has no use for a store, and is over before one is open.
    #[must_use]
    pub fn open_when_used(path: &Path) -> Self {
        let link = Link::Unopened(path.to_owned());
        Self::over(link, Turns::beside(Some(path)))
    }

    /// A store that lasts as long as the value and its clones.
    ///
    /// # Errors
    /// When SQLite cannot set it up.
    pub fn open_in_memory() -> Result<Self> {
        let connection = connection::open_in_memory()?;
        Ok(Self::over(Link::Open(connection), Turns::beside(None)))
    }

    fn over(link: Link, turns: Turns) -> Self {
        Self {
            connection: Arc::new(Mutex::new(link)),
            turns,
        }
    }
}

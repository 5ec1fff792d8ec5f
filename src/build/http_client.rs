//! The HTTP client, made when the first file is fetched: reading the machine's certificates takes longer than a build
//! whose wheels are all there.

use super::error::BuildError;
use super::settings::BuilderSettings;
use reqwest::Client;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Redirects followed for one file.
const REDIRECT_LIMIT: usize = 5;

/// A client with the builder's settings.
#[derive(Debug)]
pub(crate) struct Http {
    connect_timeout: Duration,
    read_timeout: Duration,
    client: Mutex<Option<Client>>,
}

impl Http {
    pub(crate) fn new(settings: &BuilderSettings) -> Self {
        Self {
            connect_timeout: settings.connect_timeout,
            read_timeout: settings.read_timeout,
            client: Mutex::default(),
        }
    }

    /// The client; all of them share its connections.
    ///
    /// # Errors
    /// [`BuildError::Io`] when the machine's certificates cannot be used.
    pub(crate) fn client(&self) -> Result<Client, BuildError> {
        let mut made = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*made {
            return Ok(client.clone());
        }
        let client = Client::builder()
            .user_agent(concat!("layersmith/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .redirect(reqwest::redirect::Policy::limited(REDIRECT_LIMIT))
            .build()
            .map_err(io::Error::other)
            .map_err(BuildError::io("setting up HTTP"))?;
        *made = Some(client.clone());
        Ok(client)
    }
}

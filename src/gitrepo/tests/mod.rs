//! The catalog repository against a real OpenSSH server and real bare repositories, looked at with the `git` program.

mod clones;
mod editing;
mod failures;
mod races;
mod sshd;
mod writing;

use super::{CatalogRepository, CatalogSettings, Files, Identity};
use crate::model::Timestamp;
use secrecy::SecretString;
use sshd::{Access, Sshd};
use std::time::Duration;

/// Settings that work: the server's own host key, a key with write access.
fn settings(server: &Sshd) -> CatalogSettings {
    CatalogSettings {
        url: server.url("o/r.git"),
        branch: None,
        deploy_key: Some(SecretString::from(server.key(Access::Write))),
        passphrase: None,
        known_hosts: Some(server.known_hosts()),
        identity: Identity {
            name: "layersmith[bot]".to_owned(),
            email: "bot@example.com".to_owned(),
        },
        work_dir: server.folder("clone"),
        timeout: Duration::from_secs(30),
    }
}

fn open(server: &Sshd) -> CatalogRepository {
    CatalogRepository::new(settings(server)).unwrap()
}

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn files(list: &[(&str, &str)]) -> Files {
    let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
    list.iter().map(owned).collect()
}

//! GitHub: what it tells the bot, what people ask of it in comments, and what the bot reads and says there.
//!
//! Signed deliveries become a [`Happening`] or are set aside; comments become [`Command`]s; a [`GithubClient`]
//! reads files at a commit and keeps one check run and one living comment per pull request. Deliberately absent:
//! deciding what to do about any of it (that is `pipeline`), the journal of deliveries (that is `store`), the
//! HTTP intake (that is `server`), and git itself (that is `gitrepo`).

mod app_manifest;
mod blob_cache;
mod check_report;
mod checks;
mod client;
mod commands;
mod comments;
mod deliveries;
mod deploy_keys;
mod error;
mod event;
mod exchange;
mod files;
mod issues;
mod marked;
mod payload;
mod people;
mod pulls;
pub mod render;
mod requests;
mod signature;
mod texts;

#[cfg(test)]
mod tests;

pub use app_manifest::{
    APP_NAME_LIMIT, ManifestError, NewApp, app_manifest, exchange_code, fresh_state,
};
pub use check_report::{
    Annotation, AnnotationLevel, CHECK_NAME, CheckReport, CheckState, Conclusion,
};
pub use client::{GithubAuth, GithubClient, GithubSettings};
pub use commands::{COMMAND_WORD, Command, UnknownCommand, parse_commands};
pub use comments::Reaction;
pub use deliveries::{DELIVERIES_KEPT, DeliveryAttempt, Hook};
pub use deploy_keys::DeployKeyEntry;
pub use error::GithubError;
pub use event::{EventError, Happening, Person, Received, What, read_event};
pub use files::{FILE_LIMIT, FILES_LIMIT, FileContent};
pub use issues::{ISSUE_TITLE_LIMIT, Issue};
pub use people::{Identity, Permission};
pub use pulls::{PullRequest, Repository};
pub use render::COMMENT_LIMIT;
pub use signature::{SignatureError, sign, verify_signature};

//! Layersmith: a GitOps bot that builds AWS Lambda layers from pull requests and publishes them to every region.
//!
//! Rooms, from the ground up; `tests/it/architecture.rs` holds the borders between them (see `ARCHITECTURE.md`).

pub mod model;
pub mod settings;

pub mod plan;
pub mod request;
pub mod tables;
pub mod telemetry;

pub mod account;
pub mod build;
pub mod github;
pub mod gitrepo;
pub mod notify;
pub mod registry;
pub mod resolve;
pub mod secrets;
pub mod store;

pub mod pipeline;

pub mod cli;
pub mod lambda;
pub mod server;
pub mod wiring;

//! The test bench: what Layersmith's tests and its demo talk to instead of the outside world.
//!
//! | module | stands in for |
//! |---|---|
//! | [`github`] | GitHub: its REST interface, its web hooks, the people who use it; over real bare git repositories |
//! | [`ssh`] | GitHub's git over SSH: a real OpenSSH server for those repositories |
//! | [`moto`] | AWS |
//! | [`lambda`] | AWS Lambda's layers, where moto would be what is measured |
//! | [`aws_proxy`] | the way to AWS, with trouble on it |
//! | [`cloud`] | the rest of AWS: functions, Step Functions, the stack of `deploy/template.yaml` |
//! | [`runtime_api`] | AWS Lambda as one environment of a function sees it |
//! | [`index`] | a Python package index, with wheels made in code |
//! | [`power_cut`] | a power supply that fails at the n-th thing a process does |
//! | [`demo`] | people: it tells the whole story once and checks every claim it makes |
//! | [`bot`] | nothing: it starts the real executable and waits for it |
//! | [`tools`] | nothing: it finds the programs the others need and says how to get them |
//!
//! Everything listens on 127.0.0.1 and on ports the system picks, so any number of tests may
//! run side by side, and every process that was started is ended, by its id, on drop.
//!
//! The crate knows nothing of `layersmith`: it speaks the public protocols only, so it can find
//! a bot's mistakes but not share them. A broken bench (a program is missing, a file cannot be
//! written) panics with a text that says what to install; it never makes a test pass.

// The `json!` texts of whole GitHub objects are long.
#![recursion_limit = "256"]

pub mod aws_proxy;
pub mod bot;
pub mod cloud;
pub mod demo;
pub mod github;
pub mod index;
pub mod lambda;
pub mod moto;
pub mod power_cut;
mod relay;
pub mod runtime_api;
pub mod ssh;
mod support;
pub mod tools;

pub use support::local_client;

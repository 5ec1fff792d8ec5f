//! The test bench, tested: it must catch what it is there to catch.

mod cloud;
mod github;
mod github_contract;
mod github_faults;
mod index;
mod issues;
mod moto;
mod ssh;
mod support;
mod webhooks;

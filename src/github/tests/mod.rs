//! Tests of the room: payloads from GitHub's own examples, and the client against a GitHub made for it.

mod checks;
mod commands;
mod comments;
mod events;
mod examples;
mod files;
mod issues;
mod people;
mod server;
mod trouble;

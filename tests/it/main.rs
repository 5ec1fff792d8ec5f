//! Tests through the front door: signed webhooks in; comments, checks, layers and commits out. One binary for all.

mod architecture;
mod bad_input;
mod bad_wheels;
mod changes;
mod command_line;
mod commands;
mod conversation;
mod documents;
mod intake;
mod lifecycle;
mod look;
mod policy;
mod publishing;
mod races;
mod resume;
mod server;
mod settings;
mod token;
mod trouble;
mod world;

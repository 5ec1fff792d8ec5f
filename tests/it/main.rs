//! Tests through the front door: signed webhooks in; comments, checks, layers and commits out. One binary for all.

mod architecture;
mod aws;
mod aws_trouble;
mod bad_input;
mod bad_wheels;
mod changes;
mod command_line;
mod commands;
mod conversation;
mod documents;
mod fuzz_corpus;
mod git_trouble;
mod intake;
mod klayers_clients;
mod lifecycle;
mod look;
mod policy;
mod publishing;
mod races;
mod real_index;
mod resume;
mod server;
mod settings;
mod token;
mod trouble;
mod world;

//! Tests through the front door: signed webhooks in; comments, checks, layers and commits out. One binary for all.

mod architecture;
mod bad_input;
mod bad_wheels;
mod command_line;
mod conversation;
mod intake;
mod publishing;
mod server;
mod settings;
mod trouble;
mod world;

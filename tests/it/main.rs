//! Tests through the front door: signed webhooks in; comments, checks, layers and commits out. One binary for all.

mod architecture;
mod bad_input;
mod command_line;
mod conversation;
mod documents;
mod publishing;
mod world;

//! Through the public face, with wheels made in code and served on this machine.

mod archives;
mod assembling;
mod bounds;
mod building;
mod bytecode;
mod hostile;
pub(crate) mod keeping;
mod many_entries;
mod property;
mod recalling;
mod shared_objects;
mod stripping;
mod wheel_maker;

//! Through the public face, with wheels made in code and served on this machine.

mod assembling;
mod building;
mod bytecode;
mod hostile;
mod property;
mod wheel_maker;

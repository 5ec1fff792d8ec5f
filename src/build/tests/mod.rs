//! Through the public face, with wheels made in code and served on this machine.

mod archives;
mod assembling;
mod bounds;
mod building;
mod hostile;
mod property;
mod wheel_maker;

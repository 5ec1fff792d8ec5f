//! Through the public face, with uv and an index served on this machine.

mod explaining;
mod fresh;
mod index;
mod resolving;
mod running;
mod sources;

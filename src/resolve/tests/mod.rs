//! Through the public face, with uv and an index served on this machine.

mod index;
mod resolving;
mod running;

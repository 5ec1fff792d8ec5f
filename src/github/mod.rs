//! github

pub mod render;

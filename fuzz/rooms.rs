//! The rooms of Layersmith that read wheels, under the names they have there.

#[path = "../src/build/mod.rs"]
pub mod build;
#[path = "../src/model/mod.rs"]
pub mod model;

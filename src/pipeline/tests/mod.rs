//! Tests of use cases over simulated time.

mod mending;
mod parameters;
mod tables;
mod world;
mod year;

//! Tests of use cases over simulated time.

mod handing_over;
mod mending;
mod parameters;
mod tables;
mod world;
mod year;

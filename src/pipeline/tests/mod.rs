//! Tests of use cases over simulated time.

mod mending;
mod parameters;
mod world;
mod year;

//! Tests of use cases over simulated time.

mod mending;
mod world;
mod year;

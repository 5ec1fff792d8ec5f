//! Tests of use cases over simulated time.

mod world;
mod year;

//! Tests of use cases over simulated time.

mod handing_over;
mod mending;
mod world;
mod year;

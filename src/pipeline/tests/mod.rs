//! Tests of use cases over simulated time.

mod handing_over;
mod listing;
mod mending;
mod newer;
mod parameters;
mod tables;
mod unheard;
mod world;
mod year;

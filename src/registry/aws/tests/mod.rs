//! Tests that need what only this room knows.

mod scale;

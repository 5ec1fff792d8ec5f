//! Through the public face.

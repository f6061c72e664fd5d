//! Tests through the public doors of the crate, one binary.

mod stats_properties;
mod stats_vectors;

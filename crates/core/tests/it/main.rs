//! Tests through the public doors of the crate, one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests may fail loudly; clippy.toml only knows functions marked as tests"
)]

mod stats_evaluate;
mod stats_properties;
mod stats_simulation;
mod stats_vectors;

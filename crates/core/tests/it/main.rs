//! Tests through the public doors of the crate, one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests may fail loudly; clippy.toml only knows functions marked as tests"
)]

mod stats_answer;
mod stats_edges;
mod stats_evaluate;
mod stats_given;
mod stats_hostile;
mod stats_mistakes;
mod stats_plans;
mod stats_properties;
mod stats_properties_polls;
mod stats_properties_tools;
mod stats_requests;
mod stats_simulation;
mod stats_vectors;
mod stats_words;

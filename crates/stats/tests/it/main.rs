//! Tests through the public doors of the crate, one binary.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "numbers of tests are small and not negative"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests may fail loudly; clippy.toml only knows functions marked as tests"
)]

mod answer;
mod attainment;
mod edges;
mod evaluate;
mod given;
mod hostile;
mod mistakes;
mod plans;
mod properties;
mod properties_polls;
mod properties_tools;
mod requests;
mod scope;
mod ship;
mod shown;
mod simulation;
mod steps;
mod value_limits;
mod vectors;
mod words;

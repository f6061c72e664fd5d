//! Signal sources and flag services through their public doors, against real databases.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests; a skipped server is said loudly"
)]

mod contract;
mod custom_http;
mod flagd_file;
mod mysql;
mod postgres;
mod registry;
mod sqlite;

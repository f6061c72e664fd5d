//! The built program, as people and scripts use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests may fail loudly; clippy.toml only knows functions marked as tests"
)]

mod account;
mod audit;
mod basics;
mod clients;
mod docs;
mod first_hour;
mod gates;
mod guard;
mod help;
mod home;
mod init;
mod journey;
mod messages;
mod read_only;
mod scope;
mod secrets;
mod simulate;
mod stats;
mod stores;
mod terminal;
mod touch;
mod tracked;
mod work_trees;

//! The daemon as its users meet it: the real program on a free port, a browser without script, agents with tokens.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "numbers of tests are small and not negative"
)]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod api;
mod browser;
mod decide;
mod ingest;
mod life;
mod mcp;
mod pages;
mod routes;
mod support;

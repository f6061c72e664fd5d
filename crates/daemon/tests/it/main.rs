//! The daemon as its users meet it: the real program on a free port, a browser without script, agents with tokens.

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

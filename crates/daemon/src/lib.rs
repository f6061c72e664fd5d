//! The daemon: scheduled polling and evaluation, the REST API, and the pages on which humans decide. One port, on loopback
//! by default.
//!
//! A handler extracts, calls a use case of `outcome-core`, and renders. `router` holds the one table of routes, and with
//! each route who may call it; `http::guard` enforces that, so no handler can forget to. `jobs` are what runs without
//! being asked. **Invariant**: no rule about outcomes, experiments or gates lives here.

pub mod api;
mod args;
pub mod assets;
pub mod auth;
mod counters;
pub mod daemon;
mod health;
pub mod http;
pub mod jobs;
pub mod logs;
mod mcp;
mod metrics;
pub mod pages;
pub mod router;
mod serve;
mod service_manager;
mod state;

pub use args::{Args, LogFormat};
pub use state::App;

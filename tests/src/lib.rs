//! What the tests share: real database servers, a laboratory workspace, and the programs that were built.

pub mod field_trial;
pub mod forger;
pub mod held;
pub mod json;
pub mod lab;
pub mod mariadb;
pub mod mcp;
pub mod peers;
pub mod polls;
pub mod postgres;
pub mod programs;
pub mod prometheus;
pub mod sample;
mod supervised;
pub mod touch;
pub mod unleash;

pub use {insta, outcome_stats, wiremock};

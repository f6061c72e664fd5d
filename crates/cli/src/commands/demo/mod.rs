//! `demo`: the whole loop on a virtual clock, offline, in a temporary folder.
//!
//! The repository, the database, the MCP server, the signatures and the statistics are real, and everything goes through
//! the same doors as in use. What is played (the agent's texts, the visitors, the human's choices) is labelled as played.

mod agent;
mod chart;
mod printer;
mod shop;
mod story;

pub use story::run;

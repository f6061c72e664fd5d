//! The agent's way in: one MCP handler for both protocol eras, over standard input and output or under the daemon's HTTP.
//!
//! Whoever talks to it is an *agent*: it proposes, builds and asks; it cannot decide.
//! **Invariant**: it opens the workspace, names the caller and renders; it decides nothing.

mod answer;
mod args;
mod budget;
mod card;
pub mod chart;
mod completions;
mod courtesy;
mod cursor;
mod document;
mod documents;
mod lazy;
mod notices;
mod prompts;
mod protocol_error;
mod resources;
mod server;
mod skill;
mod stdio;
mod suspicion;
mod tools;

pub use server::Server;
pub use stdio::serve_stdio;

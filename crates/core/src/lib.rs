//! The library behind Outcome Runtime: everything that is a rule lives here; the MCP server, the daemon and the CLI only
//! parse input, name the principal and render output.
//!
//! Dependencies point one way: `usecases` may use everything; `lifecycle`, `stats` and `config` are pure; `store`,
//! `connectors`, `flags`, `notify` and `scope` do I/O; `domain` uses nobody. `docs/ARCHITECTURE.md` draws the map.

pub mod audit;
pub mod clock;
pub mod config;
pub mod digest;
pub mod domain;
pub mod dry_run;
pub mod error;
pub mod evaluation;
pub mod hypotheses;
pub mod identity;
pub mod ids;
pub mod lifecycle;
pub mod ports;
pub mod principal;
pub mod registry;
pub mod scope;
pub mod settings;
pub mod store;
mod text_enum;
pub mod usecases;

pub use outcome_stats as stats;

pub use error::{Code, Error, Result};

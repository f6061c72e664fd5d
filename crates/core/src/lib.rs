//! The library behind Outcome Runtime: everything that is a rule lives here; the MCP server, the daemon and the CLI only
//! parse input, name the principal and render output.
//!
//! Dependencies point one way: `usecases` may use everything; `lifecycle`, `present`, `hypotheses`, `evaluation` and `dry_run` are pure;
//! `store` and `scope` do I/O; `ports` are the traits that vendors implement, outside of this crate; `domain` uses only the
//! statistics' plain types and the base (`error`, `ids`, `principal`, `digest`, `dsse`, `text_enum`). `docs/ARCHITECTURE.md` draws the map.

pub mod address;
pub mod agent_shell;
pub mod audit;
pub mod characters;
pub mod checkout;
pub mod clock;
pub mod config;
pub mod digest;
pub mod domain;
pub mod dry_run;
pub mod dsse;
pub mod error;
pub mod evaluation;
pub mod file_trouble;
pub mod first_file;
pub mod hypotheses;
pub mod identity;
pub mod ids;
pub mod lifecycle;
pub mod ports;
pub mod present;
pub mod principal;
pub mod programs;
pub mod registry;
pub mod scope;
pub mod sealing;
pub mod seen;
pub mod settings;
pub mod store;
pub mod stores;
mod text_enum;
pub mod usecases;

pub use outcome_stats as stats;

pub use error::{Code, Error, Result};

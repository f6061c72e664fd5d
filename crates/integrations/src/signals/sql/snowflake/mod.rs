//! Snowflake over its SQL API. <https://docs.snowflake.com/en/developer-guide/sql-api/index>, version 2
//!
//! The API has no read-only mode: what protects the account is a role that only reads, and that a query is one `SELECT`.

mod answer;
mod credentials;
mod engine;
mod errors;
mod grants;
mod settings;

pub(crate) use self::settings::VENDOR;

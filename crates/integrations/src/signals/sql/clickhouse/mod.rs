//! `ClickHouse` over its HTTP interface, 24.8 and later. <https://clickhouse.com/docs/interfaces/http>
//!
//! A statement is the body of a `POST`; its parameters and the limits of this one query are in the address, the password in a header.

mod answer;
mod codes;
mod engine;
mod grants;
mod plan;
mod settings;

pub(crate) use self::settings::VENDOR;

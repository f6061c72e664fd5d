//! `BigQuery` over its REST interface, version 2. <https://cloud.google.com/bigquery/docs/reference/rest>
//!
//! Each statement is first tried dry: that says what kind of statement it is and how much it reads, costs nothing, and speaks of the query
//! alone. Only a `SELECT` is run then, with a cap on what may be billed.

mod answer;
mod engine;
mod errors;
mod settings;
mod token;
mod wire_types;

pub(crate) use self::settings::VENDOR;

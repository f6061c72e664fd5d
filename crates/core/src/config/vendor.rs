//! The table of vendors, and what a vendor's file needs to read its own keys.
//!
//! The core names no vendor: each program hands it a [`Vendors`] table, and the keys, the schema and the checks of a
//! `type:`, `provider:` or channel follow from it.

pub use super::change::Change;
pub use super::choice::Choice;
pub use super::decode::{At, Decode};
pub use super::diagnostic::Problem;
pub use super::field::{Field, key_of};
pub use super::map::{Keys, default_json, object};
pub use super::node::{Node, Value};
pub use super::reporter::{Answers, Asked, ChannelVendor, FlagVendor, Keymap, Reporter, SignalVendor, Vendors};
pub use super::span::Span;
pub use super::validate::vendor_checks::{at_least_one, list, no_inline_password, references, secret, service_address};

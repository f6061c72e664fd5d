//! Signal sources, one file a vendor.

pub(crate) mod sql;
pub(crate) mod webhook;

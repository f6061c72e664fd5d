//! Flag services, one file a vendor.

pub(crate) mod custom_http;
pub(crate) mod flagd_file;

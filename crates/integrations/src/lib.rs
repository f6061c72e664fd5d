//! The outside world: one file (or folder, for SQL) per vendor, and the one table that lists them.
//!
//! A vendor's file has its documentation link, the keys of its settings in `outcome.yaml`, their checks, how it is opened, its
//! wire types and their mapping to the core's. The core never names a vendor: each program's `main` hands it [`VENDORS`].
//! **Invariant**: nothing here decides, stores, or keeps a secret outside of an open vendor.

pub mod daemon;
mod http;
mod os_keyring;

/// Signal sources.
mod signals {
    pub(crate) mod amplitude;
    pub(crate) mod api;
    pub(crate) mod datadog;
    pub(crate) mod exec;
    pub(crate) mod ga4;
    pub(crate) mod google_key;
    pub(crate) mod http_json;
    pub(crate) mod mixpanel;
    pub(crate) mod posthog;
    pub(crate) mod prometheus;
    pub(crate) mod sql;
    pub(crate) mod webhook;
}

/// Flag services.
mod flags {
    mod api;
    pub(crate) mod custom_http;
    pub(crate) mod flagd_file;
    pub(crate) mod flagsmith;
    pub(crate) mod growthbook;
    pub(crate) mod launchdarkly;
    pub(crate) mod posthog;
    pub(crate) mod statsig;
    pub(crate) mod unleash;
}

/// Message channels.
mod notify {
    pub(crate) mod desktop;
    pub(crate) mod webhook;
}

use outcome_core::config::Vendors;

/// A directive for the log's filter of every program: notices of a source hold what its functions put there, so also rows.
///
/// Sessions with a source ask for none; a query can change that for itself.
pub const NEVER_LOGGED: &str = "sqlx::postgres::notice=off";

/// Every vendor of this version.
pub const VENDORS: Vendors = Vendors {
    signals: &[
        signals::sql::VENDOR,
        signals::sql::clickhouse::VENDOR,
        signals::sql::bigquery::VENDOR,
        signals::sql::snowflake::VENDOR,
        signals::webhook::VENDOR,
        signals::prometheus::VENDOR,
        signals::datadog::VENDOR,
        signals::posthog::VENDOR,
        signals::mixpanel::VENDOR,
        signals::amplitude::VENDOR,
        signals::ga4::VENDOR,
        signals::http_json::VENDOR,
        signals::exec::VENDOR,
    ],
    flags: &[
        flags::flagd_file::VENDOR,
        flags::custom_http::VENDOR,
        flags::flagsmith::VENDOR,
        flags::growthbook::VENDOR,
        flags::launchdarkly::VENDOR,
        flags::posthog::VENDOR,
        flags::statsig::VENDOR,
        flags::unleash::VENDOR,
    ],
    channels: &[notify::webhook::VENDOR, notify::desktop::VENDOR],
    keyring: os_keyring::KEYRING,
};

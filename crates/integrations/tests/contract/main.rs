//! Signal sources, flag services and channels through their public doors, against real databases and HTTP servers.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests; a skipped server is said loudly"
)]

mod amplitude;
mod bigquery;
mod clickhouse;
mod conformance;
mod contract;
mod custom_http;
mod datadog;
mod datadog_v2;
mod elsewhere;
mod emulator;
mod exec;
mod fifteen;
mod flag_kit;
mod flagd_file;
mod flagsmith;
mod ga4;
mod growthbook;
mod http_json;
mod kit;
mod launchdarkly;
mod metrics;
mod mixpanel;
mod mysql;
mod parts;
mod postgres;
mod posthog;
mod posthog_flags;
mod prometheus;
mod registry;
mod rights;
mod rows_in_errors;
mod snowflake;
mod sqlite;
mod statsig;
mod unleash;
mod unleash_real;
mod webhook_channel;

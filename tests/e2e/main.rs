//! Whole journeys, through public doors, with real parts.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "numbers of tests are small and not negative"
)]

mod anchors;
mod applied;
mod asos;
mod attach;
mod attacker;
mod attainment;
mod base;
mod before_after;
mod behaviours;
mod by_name;
mod clocks;
mod collectors;
mod compare;
mod conformance;
mod cookie_cats;
mod corrections;
mod crash;
mod daemons;
mod danger_walk;
mod decisions;
mod documents;
mod field_trial;
mod flags;
mod ingest;
mod inspector;
mod journey;
mod kept;
mod keys;
mod mcp_clients;
mod mcp_manifests;
mod messages;
mod metric_check;
mod metrics;
mod names;
mod negative;
mod notices;
mod older_workspaces;
mod on_violation;
mod poll;
mod proof;
mod properties;
mod queries;
mod readme;
mod recompute;
mod restatement;
mod retention;
mod root;
mod rows;
mod safety;
mod saga;
mod sealed;
mod search;
mod secrets;
mod silence;
mod soak;
mod steps;
mod tamper;
mod templates;
mod tokens;
mod touch;
mod transcript;
mod units;
mod value_limits;
mod verified;
mod wiring;
mod writers;

//! What the keys of the file mean together. Everything is checked before anything is refused: a part that cannot be used
//! is left out, and its error keeps the file from being used.

mod channel;
mod connectors;
mod constraint;
mod contract;
mod exposures;
mod flags;
mod gates;
mod llm;
mod mde;
mod outcome;
mod references;
mod relation;
mod report;
mod scope;
mod settings;
mod signal;
mod sql;
mod steps;
mod target;

pub(super) use self::gates::unknown_members;

/// What a vendor's file checks its keys with.
pub(super) mod vendor_checks {
    pub use super::references::{no_inline_password, references, secret};
    pub use super::report::{at_least_one, list};
    pub use super::settings::service_address;
}

use std::collections::{BTreeMap, BTreeSet};

use self::report::Context;
use super::Config;
use super::decode::Decode as _;
use super::file::RootFile;
use super::reporter::Reporter;

/// The checked file; `None`, or something unusable, after an error.
pub(super) fn config(file: &RootFile, reporter: &mut Reporter<'_>) -> Option<Config> {
    let mut context = Context {
        sources: BTreeMap::new(),
        channels: BTreeSet::new(),
        metrics: BTreeMap::new(),
        n_at_once: outcome::n_at_once(file),
    };
    let connectors = connectors::connectors(file, &mut context, reporter);
    let flags = flags::flags(file.feature_flags.as_ref(), reporter);
    flags::sticky(file, flags.as_ref(), reporter);
    let notifications = settings::notifications(file.notifications.as_ref(), &mut context, reporter);
    let llm = llm::llm(file.llm.as_ref(), reporter);
    let limits = settings::limits(file.limits.as_ref(), reporter);
    let retention = settings::retention(file.retention.as_ref(), reporter);
    context.metrics = contract::metrics(file, &context, reporter);
    let outcomes = outcome::outcomes(file, &context, reporter);
    steps::warn_of_steps(file, &outcomes, &connectors, reporter);
    let review_url = file.review_url.as_ref().map(|url| {
        settings::http_address(url, "https://outcomes.example.com", reporter);
        url.value.trim().trim_end_matches('/').to_owned()
    });
    let root = file.root.as_ref().map(|root| {
        settings::fingerprint(root, reporter);
        root.value.clone()
    });
    let declared = file.to_json();
    let metrics = signal::of_metrics(&context);
    Some(Config {
        outcomes,
        metrics,
        connectors,
        flags,
        llm,
        notifications,
        limits,
        retention,
        review_url,
        root,
        declared,
    })
}

//! The declared sources.

use std::sync::Arc;

use super::report::{At, Context, Problem, Reporter, list, near_or, shown, unique};
use crate::config::ConnectorSpec;
use crate::config::file::{ConnectorKeys, RootFile};
use crate::config::node::Node;
use crate::config::reporter::SignalVendor;
use crate::ports::SourceSettings;

/// Types that the original had, or that a reader may look for.
const ELSEWHERE: &[&str] = &[
    "mixpanel",
    "datadog",
    "amplitude",
    "ga4",
    "google_analytics",
    "posthog",
    "segment",
    "prometheus",
    "stripe",
    "redshift",
];
/// Names of databases that a `sql` source reads.
const DATABASES: &[&str] = &["postgres", "postgresql", "mysql", "mariadb", "sqlite", "sqlite3", "timescaledb"];

/// The usable sources; all declared names go into the context.
pub(super) fn connectors(file: &RootFile, context: &mut Context, reporter: &mut Reporter<'_>) -> Vec<ConnectorSpec> {
    let mut out = Vec::new();
    let declared: &[At<_>] = file.signal_connectors.as_ref().map_or(&[], |list| list.value.as_slice());
    for connector in declared {
        let keys = &connector.value.0;
        let vendor = vendor_of(keys, reporter);
        let settings = vendor.and_then(|vendor| settings_of(keys, vendor, reporter));
        let Some(name) = &keys.name else { continue };
        context.sources.insert(name.value.clone(), vendor);
        out.extend(vendor.zip(settings).map(|(vendor, settings)| ConnectorSpec {
            name: name.value.clone(),
            kind: vendor.kind,
            asked: vendor.asked,
            settings,
        }));
    }
    let names = declared.iter().filter_map(|c| c.value.0.name.as_ref()).map(|name| (name.value.as_str(), name.span));
    unique(names, "config.duplicate_source", "source", "give one of them another name", reporter);
    out
}

fn vendor_of(keys: &ConnectorKeys, reporter: &mut Reporter<'_>) -> Option<&'static SignalVendor> {
    let kind = keys.r#type.as_ref()?;
    let vendor = reporter.vendors().signal(&kind.value);
    if vendor.is_none() {
        unknown_type(kind, &kind.value, reporter);
    }
    vendor
}

fn settings_of(
    keys: &ConnectorKeys,
    vendor: &SignalVendor,
    reporter: &mut Reporter<'_>,
) -> Option<Arc<dyn SourceSettings>> {
    (vendor.read)(config_of(keys, vendor.example, reporter)?, reporter)
}

fn config_of<'k>(keys: &'k ConnectorKeys, example: &str, reporter: &mut Reporter<'_>) -> Option<&'k Node> {
    if let Some(config) = &keys.config {
        return Some(&config.value.0);
    }
    let problem = Problem::error("config.missing_key", keys.at, "a source needs the key `config`");
    reporter.push(
        problem
            .valid("`config`: its settings, which depend on `type`")
            .help(format!("write the settings below the type:\nconfig:\n  {example}")),
    );
    None
}

fn unknown_type(kind: &At<String>, other: &str, reporter: &mut Reporter<'_>) {
    let known: Vec<&str> = reporter.vendors().signals.iter().map(|vendor| vendor.kind).collect();
    let available = known.join(", ");
    let small = other.to_ascii_lowercase();
    let (code, message, help) = if ELSEWHERE.contains(&small.as_str()) {
        (
            "config.source_type_unavailable",
            format!("`{}` is not part of this version; available: {available}", shown(other)),
            "read the metric from your database with `type: sql`, or write a small program that pushes it to a `type: webhook`"
                .to_owned(),
        )
    } else if DATABASES.contains(&small.as_str()) {
        (
            "config.unknown_value",
            format!("`{}` is a database, not a type of source", shown(other)),
            "write `type: sql`: the address in `config.url` says which database it is".to_owned(),
        )
    } else {
        (
            "config.unknown_value",
            format!("`{}` is not a type of source", shown(other)),
            near_or(other, &known, "write one of them"),
        )
    };
    reporter.push(Problem::error(code, kind.span, message).valid(list(&known)).help(help));
}

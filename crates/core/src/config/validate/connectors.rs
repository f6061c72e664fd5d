//! The declared sources.

use super::super::decode::Decode;
use super::super::file::{ConnectorKeys, RootFile, SqlFile, WebhookFile};
use super::super::yaml::Node;
use super::super::{CONNECTOR_TYPES, ConnectorKind, ConnectorSpec, SqlConfig, WebhookConfig};
use super::references::{no_inline_password, references, secret};
use super::{At, Context, Problem, Reporter, SourceKind, at_least_one, list, near_or, shown, unique};

/// Types that the original had, or that a reader may look for.
const ELSEWHERE: &[&str] = &[
    "mixpanel",
    "datadog",
    "amplitude",
    "ga4",
    "google_analytics",
    "bigquery",
    "posthog",
    "segment",
    "snowflake",
    "prometheus",
    "stripe",
    "clickhouse",
    "redshift",
];
/// Names of databases that a `sql` source reads.
const DATABASES: &[&str] = &["postgres", "postgresql", "mysql", "mariadb", "sqlite", "sqlite3", "timescaledb"];
const SCHEMES: &[&str] = &["postgres://", "postgresql://", "mysql://", "mariadb://", "sqlite:"];

/// The usable sources; all declared names go into the context.
pub(super) fn connectors(
    file: &RootFile,
    context: &mut Context<'_>,
    reporter: &mut Reporter<'_>,
) -> Vec<ConnectorSpec> {
    let mut out = Vec::new();
    let declared: &[At<_>] = file.signal_connectors.as_ref().map_or(&[], |list| list.value.as_slice());
    for connector in declared {
        let keys = &connector.value.0;
        let kind = kind(keys, context, reporter);
        let Some(name) = &keys.name else { continue };
        let source_kind = match &kind {
            Some(ConnectorKind::Sql(_)) => SourceKind::Sql,
            Some(ConnectorKind::Webhook(_)) => SourceKind::Webhook,
            None => match keys.r#type.as_ref().map(|at| at.value.as_str()) {
                Some("sql") => SourceKind::Sql,
                Some("webhook") => SourceKind::Webhook,
                _ => SourceKind::Broken,
            },
        };
        context.sources.insert(name.value.clone(), source_kind);
        out.extend(kind.map(|kind| ConnectorSpec { name: name.value.clone(), kind }));
    }
    let names = declared.iter().filter_map(|c| c.value.0.name.as_ref()).map(|name| (name.value.as_str(), name.span));
    unique(names, "config.duplicate_source", "source", "give one of them another name", reporter);
    out
}

fn kind(keys: &ConnectorKeys, context: &Context<'_>, reporter: &mut Reporter<'_>) -> Option<ConnectorKind> {
    let kind = keys.r#type.as_ref()?;
    match kind.value.as_str() {
        "sql" => sql(config_of(keys, "url: ${DATABASE_URL}", reporter)?, context, reporter).map(ConnectorKind::Sql),
        "webhook" => webhook(config_of(keys, "secret: ${METRICS_SECRET}", reporter)?, context, reporter)
            .map(ConnectorKind::Webhook),
        other => {
            unknown_type(kind, other, reporter);
            None
        }
    }
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
    let available = CONNECTOR_TYPES.join(", ");
    let small = other.to_ascii_lowercase();
    let (code, message, help) = if ELSEWHERE.contains(&small.as_str()) {
        (
            "config.source_type_unavailable",
            format!("`{}` is not part of this version; available: {available}", shown(other)),
            "read the metric from your database with `type: sql`, or let a small program push it to a `type: webhook`"
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
            near_or(other, CONNECTOR_TYPES, "write one of them"),
        )
    };
    reporter.push(Problem::error(code, kind.span, message).valid(list(CONNECTOR_TYPES)).help(help));
}

fn sql(node: &Node, context: &Context<'_>, reporter: &mut Reporter<'_>) -> Option<SqlConfig> {
    let file = SqlFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        references(url, context, reporter);
        no_inline_password(url, "DATABASE_URL", reporter);
        check_scheme(url, reporter);
    }
    let row_cap = at_least_one(file.row_cap.as_ref(), "`row_cap`", "leave it out: the default is 1000", reporter);
    Some(SqlConfig {
        url: file.url?.value,
        statement_timeout: file.statement_timeout?.value,
        row_cap: row_cap?,
        time_format: file.time_format?.value,
    })
}

fn check_scheme(url: &At<String>, reporter: &mut Reporter<'_>) {
    let text = url.value.trim();
    if text.starts_with("${") || SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        return;
    }
    let help = match text.rsplit_once('.') {
        Some((_, "db" | "sqlite" | "sqlite3")) if !text.contains("://") => {
            "for a SQLite file write `sqlite:` in front of its path"
        }
        _ => "write the address as `${DATABASE_URL}`, or as `sqlite:app.db`",
    };
    reporter.push(
        Problem::error("config.invalid_url", url.span, "this is not the address of a database that can be read")
            .valid(list(SCHEMES))
            .help(help),
    );
}

fn webhook(node: &Node, context: &Context<'_>, reporter: &mut Reporter<'_>) -> Option<WebhookConfig> {
    let file = WebhookFile::decode(node, reporter)?;
    if let Some(value) = &file.secret {
        secret("secret", "METRICS_SECRET", value, context, reporter);
    }
    Some(WebhookConfig { secret: file.secret?.value, replay_window: file.replay_window?.value })
}

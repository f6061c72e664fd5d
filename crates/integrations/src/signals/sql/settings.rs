//! The keys of a `sql` source in `outcome.yaml`.

use std::sync::Arc;

use outcome_core::config::vendor::{
    Asked, At, Choice, Decode as _, Keymap, Node, Problem, Reporter, SignalVendor, at_least_one, list,
    no_inline_password, references,
};
use outcome_core::domain::Period;
use outcome_core::ports::{Sealing, SourceSettings};
use outcome_core::yaml_map;
use schemars::JsonSchema;
use serde::Serialize;

/// Databases that are asked with the user's own SQL, read-only.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "sql",
    example: "url: ${DATABASE_URL}",
    asked: Asked::WithSql,
    keys: Keymap::new(SqlFile::FIELDS, |generator| generator.subschema_for::<SqlFile>()),
    read,
};

const SCHEMES: &[&str] = &["postgres://", "postgresql://", "mysql://", "mariadb://", "sqlite:"];

yaml_map! {
    /// Settings of a `sql` source.
    SqlFile("the config of a `sql` source") {
        /// Address of the database, such as `${DATABASE_URL}`; `postgres://`, `mysql://` or `sqlite:`. Use a read-only
        /// user.
        required(signed) url: String,
        /// Maximum time for one statement.
        optional(signed) statement_timeout: Period = "30s",
        /// Maximum number of rows in an answer.
        optional(signed) row_cap: u32 = "1000",
        /// When a metric is read day by day and what is final is kept: `auto` once a reading of every unit takes longer than 5 s, `always`,
        /// or `never`.
        optional(signed) sealed_cohorts: Sealing = "auto",
        /// How the database stores instants, and so how `:from` and `:to` are bound.
        optional(signed) time_format: TimeFormat = "native",
    }
}

/// How the database stores instants, and so how `:from` and `:to` are bound. `native` is a timestamp with time zone on
/// PostgreSQL, a UTC datetime on MySQL and ISO 8601 text (`2026-11-20 10:00:00`) on SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum TimeFormat {
    Native,
    /// A `DATETIME` of `BigQuery`, in UTC. No other database has two native types that it does not compare.
    #[schemars(skip)]
    Datetime,
    Iso8601,
    UnixSeconds,
    UnixMillis,
}

impl Choice for TimeFormat {
    const CHOICE: &'static str = "a format of instants";
    fn choices() -> Vec<(&'static str, Self)> {
        vec![
            ("native", Self::Native),
            ("iso8601", Self::Iso8601),
            ("unix_seconds", Self::UnixSeconds),
            ("unix_millis", Self::UnixMillis),
        ]
    }
}

/// How a warehouse stores instants. `native` is a type of time: an instant, or a time without a zone that is one of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum TimeOfWarehouse {
    Native,
    UnixSeconds,
    UnixMillis,
}

impl Choice for TimeOfWarehouse {
    const CHOICE: &'static str = "a format of instants";
    fn choices() -> Vec<(&'static str, Self)> {
        vec![("native", Self::Native), ("unix_seconds", Self::UnixSeconds), ("unix_millis", Self::UnixMillis)]
    }
}

impl TimeOfWarehouse {
    pub(super) fn format(self) -> TimeFormat {
        match self {
            Self::Native => TimeFormat::Native,
            Self::UnixSeconds => TimeFormat::UnixSeconds,
            Self::UnixMillis => TimeFormat::UnixMillis,
        }
    }
}

/// The checked settings.
#[derive(Debug, Clone)]
pub(super) struct SqlSettings {
    pub(super) url: String,
    pub(super) statement_timeout: Period,
    pub(super) row_cap: u32,
    pub(super) sealed_cohorts: Sealing,
    pub(super) time_format: TimeFormat,
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = SqlFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        references(url, reporter);
        no_inline_password(url, "DATABASE_URL", reporter);
        check_scheme(url, reporter);
    }
    let row_cap = at_least_one(file.row_cap.as_ref(), "`row_cap`", "leave it out: the default is 1000", reporter);
    Some(Arc::new(SqlSettings {
        url: file.url?.value,
        statement_timeout: file.statement_timeout?.value,
        row_cap: row_cap?,
        sealed_cohorts: file.sealed_cohorts?.value,
        time_format: file.time_format?.value,
    }))
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
        _ => "write the address as `${DATABASE_URL}` or as `sqlite:app.db`",
    };
    reporter.push(
        Problem::error("config.invalid_url", url.span, "this is not the address of a supported database")
            .valid(list(SCHEMES))
            .help(help),
    );
}

//! The keys of a `clickhouse` source in `outcome.yaml`.

use std::sync::Arc;

use outcome_core::config::vendor::{
    Asked, Decode as _, Keymap, Node, Reporter, SignalVendor, at_least_one, references, secret, service_address,
};
use outcome_core::domain::Period;
use outcome_core::ports::{Opening, ReadError, Sealing, SignalSource, SourceSettings};
use outcome_core::yaml_map;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::address::checked_address;
use super::super::engine::Limits;
use super::super::settings::TimeOfWarehouse;
use super::super::{Opened, SqlSource};
use super::engine::{ClickHouse, Login};

/// A `ClickHouse` server or service.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "clickhouse",
    example: "url: ${CLICKHOUSE_URL}",
    asked: Asked::WithSql,
    keys: Keymap::new(ClickHouseFile::FIELDS, |generator| generator.subschema_for::<ClickHouseFile>()),
    read,
};

yaml_map! {
    /// Settings of a `clickhouse` source.
    ClickHouseFile("the config of a `clickhouse` source") {
        /// Address of the HTTP interface, such as `https://example.clickhouse.cloud:8443`.
        required(signed) url: String,
        /// Database of tables that are named without one.
        optional(signed) database: String = "default",
        /// User. Use one that only reads.
        optional(signed) user: String = "default",
        /// Its password, such as `${CLICKHOUSE_PASSWORD}`.
        optional(signed) password: String,
        /// Maximum time for one statement.
        optional(signed) statement_timeout: Period = "30s",
        /// Maximum number of rows in an answer.
        optional(signed) row_cap: u32 = "1000",
        /// When a metric is read day by day and what is final is kept: `auto` once a reading of every unit takes longer than 5 s, `always`,
        /// or `never`.
        optional(signed) sealed_cohorts: Sealing = "auto",
        /// Maximum that one statement may read, in gigabytes before compression.
        optional(signed) max_gigabytes: u32 = "100",
        /// How the database stores instants, and so how `:from` and `:to` are bound.
        optional(signed) time_format: TimeOfWarehouse = "native",
        /// Rows of tables that replace or collapse rows (`ReplacingMergeTree` and others) are read as they are after merging (`FINAL`).
        optional(signed) merge_rows: bool = "true",
    }
}

#[derive(Debug, Clone)]
struct ClickHouseSettings {
    url: String,
    database: String,
    user: String,
    password: Option<String>,
    statement_timeout: Period,
    row_cap: u32,
    sealed_cohorts: Sealing,
    max_gigabytes: u32,
    time_format: TimeOfWarehouse,
    merge_rows: bool,
}

impl SourceSettings for ClickHouseSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "url": self.url, "database": self.database, "user": self.user, "password": self.password,
            "statement_timeout": self.statement_timeout, "row_cap": self.row_cap, "sealed_cohorts": self.sealed_cohorts, "max_gigabytes": self.max_gigabytes,
            "time_format": self.time_format, "merge_rows": self.merge_rows,
        })
    }

    fn references(&self) -> Vec<&str> {
        [&self.url, &self.user].into_iter().chain(&self.password).map(String::as_str).collect()
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let resolve = |text: &str| opening.resolve.resolve(text).map_err(|error| ReadError::secret(name, &error));
        let url = checked_address(name, &resolve(&self.url)?, "https://example.clickhouse.cloud:8443")?;
        let password = self.password.as_deref().map(resolve).transpose()?;
        let login = Login {
            url,
            database: self.database.clone(),
            user: resolve(&self.user)?.expose_secret().to_owned(),
            password: password.clone(),
            max_gigabytes: self.max_gigabytes,
            merge_rows: self.merge_rows,
        };
        let engine = ClickHouse::new(login).map_err(|problem| ReadError::Config {
            source_name: name.to_owned(),
            problem,
            hint: "check the certificates of this machine".to_owned(),
        })?;
        Ok(Box::new(SqlSource::of(Opened {
            name,
            engine: Box::new(engine),
            limits: Limits::new(self.statement_timeout, self.row_cap),
            sealing: self.sealed_cohorts,
            time_format: self.time_format.format(),
            secrets: password.into_iter().collect(),
        })))
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = ClickHouseFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "CLICKHOUSE_URL", "https://example.clickhouse.cloud:8443", reporter);
    }
    if let Some(user) = &file.user {
        references(user, reporter);
    }
    if let Some(password) = &file.password {
        secret("password", "CLICKHOUSE_PASSWORD", password, reporter);
    }
    let row_cap = at_least_one(file.row_cap.as_ref(), "`row_cap`", "leave it out: the default is 1000", reporter);
    let bytes =
        at_least_one(file.max_gigabytes.as_ref(), "`max_gigabytes`", "leave it out: the default is 100", reporter);
    Some(Arc::new(ClickHouseSettings {
        url: file.url?.value,
        database: file.database?.value,
        user: file.user?.value,
        password: file.password.map(|password| password.value),
        statement_timeout: file.statement_timeout?.value,
        row_cap: row_cap?,
        sealed_cohorts: file.sealed_cohorts?.value,
        max_gigabytes: bytes?,
        time_format: file.time_format?.value,
        merge_rows: file.merge_rows?.value,
    }))
}

//! The keys of a `bigquery` source in `outcome.yaml`.

use std::sync::Arc;

use outcome_core::config::vendor::{
    Asked, Choice, Decode as _, Keymap, Node, Reporter, SignalVendor, at_least_one, references, secret, service_address,
};
use outcome_core::domain::Period;
use outcome_core::ports::{Opening, ReadError, Sealing, SignalSource, SourceSettings};
use outcome_core::yaml_map;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::json;

use super::super::address::checked_address;
use super::super::engine::Limits;
use super::super::{Opened, SqlSource, TimeFormat};
use super::engine::{BigQuery, Place};
use super::token::Account;

/// Google `BigQuery`.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "bigquery",
    example: "project: my-project\n      dataset: shop\n      credentials: ${BIGQUERY_CREDENTIALS}",
    asked: Asked::WithSql,
    keys: Keymap::new(BigQueryFile::FIELDS, |generator| generator.subschema_for::<BigQueryFile>()),
    read,
};

const ADDRESS: &str = "https://bigquery.googleapis.com";

yaml_map! {
    /// Settings of a `bigquery` source.
    BigQueryFile("the config of a `bigquery` source") {
        /// Project that runs the queries and pays for them.
        required(signed) project: String,
        /// Dataset of tables that are named without one.
        required(signed) dataset: String,
        /// Key of a service account, as its JSON, such as `${file:secrets/bigquery.json}`.
        required(signed) credentials: String,
        /// Where the dataset is, such as `EU`. Needed where it is not in the United States.
        optional(signed) location: String,
        /// Maximum time for one statement.
        optional(signed) statement_timeout: Period = "60s",
        /// Maximum number of rows in an answer.
        optional(signed) row_cap: u32 = "1000",
        /// When a metric is read day by day and what is final is kept: `auto` once a reading of every unit takes longer than 5 s, `always`,
        /// or `never`.
        optional(signed) sealed_cohorts: Sealing = "auto",
        /// Maximum that one statement may read and be billed for, in gigabytes.
        optional(signed) max_gigabytes: u32 = "10",
        /// How the database stores instants, and so how `:from` and `:to` are bound.
        optional(signed) time_format: TimeOfBigQuery = "native",
        /// Address of the interface, for a proxy or an emulator.
        optional(signed) url: String = "https://bigquery.googleapis.com",
    }
}

/// How the database stores instants. `native` is a `TIMESTAMP`; `datetime` is a `DATETIME` in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum TimeOfBigQuery {
    Native,
    Datetime,
    UnixSeconds,
    UnixMillis,
}

impl Choice for TimeOfBigQuery {
    const CHOICE: &'static str = "a format of instants";
    fn choices() -> Vec<(&'static str, Self)> {
        vec![
            ("native", Self::Native),
            ("datetime", Self::Datetime),
            ("unix_seconds", Self::UnixSeconds),
            ("unix_millis", Self::UnixMillis),
        ]
    }
}

impl TimeOfBigQuery {
    fn format(self) -> TimeFormat {
        match self {
            Self::Native => TimeFormat::Native,
            Self::Datetime => TimeFormat::Datetime,
            Self::UnixSeconds => TimeFormat::UnixSeconds,
            Self::UnixMillis => TimeFormat::UnixMillis,
        }
    }
}

#[derive(Debug, Clone)]
struct BigQuerySettings {
    project: String,
    dataset: String,
    credentials: String,
    location: Option<String>,
    statement_timeout: Period,
    row_cap: u32,
    sealed_cohorts: Sealing,
    max_gigabytes: u32,
    time_format: TimeOfBigQuery,
    url: String,
}

impl SourceSettings for BigQuerySettings {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "project": self.project, "dataset": self.dataset, "credentials": self.credentials, "location": self.location,
            "statement_timeout": self.statement_timeout, "row_cap": self.row_cap, "sealed_cohorts": self.sealed_cohorts, "max_gigabytes": self.max_gigabytes,
            "time_format": self.time_format, "url": self.url,
        })
    }

    fn references(&self) -> Vec<&str> {
        vec![&self.project, &self.credentials, &self.url]
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let resolve = |text: &str| opening.resolve.resolve(text).map_err(|error| ReadError::secret(name, &error));
        let config = |problem: String, hint: &str| ReadError::Config {
            source_name: name.to_owned(),
            problem,
            hint: hint.to_owned(),
        };
        let key = resolve(&self.credentials)?;
        let account = Account::from_key(&key).map_err(|problem| {
            config(
                format!("its `credentials`: {problem}"),
                "write the whole JSON file that Google gave you for the service account's key into the variable or file that is named",
            )
        })?;
        let place = Place {
            url: checked_address(name, &resolve(&self.url)?, ADDRESS)?,
            project: resolve(&self.project)?.expose_secret().to_owned(),
            dataset: self.dataset.clone(),
            location: self.location.clone(),
            max_gigabytes: self.max_gigabytes,
        };
        let secrets = account.secrets().into_iter().chain([key]).collect();
        let engine = BigQuery::new(place, account)
            .map_err(|problem| config(problem, "check the certificates of this machine"))?;
        Ok(Box::new(SqlSource::of(Opened {
            name,
            engine: Box::new(engine),
            limits: Limits::new(self.statement_timeout, self.row_cap),
            sealing: self.sealed_cohorts,
            time_format: self.time_format.format(),
            secrets,
        })))
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = BigQueryFile::decode(node, reporter)?;
    if let Some(credentials) = &file.credentials {
        secret("credentials", "BIGQUERY_CREDENTIALS", credentials, reporter);
    }
    if let Some(project) = &file.project {
        references(project, reporter);
    }
    if let Some(url) = &file.url {
        service_address(url, "BIGQUERY_URL", ADDRESS, reporter);
    }
    let row_cap = at_least_one(file.row_cap.as_ref(), "`row_cap`", "leave it out: the default is 1000", reporter);
    let bytes =
        at_least_one(file.max_gigabytes.as_ref(), "`max_gigabytes`", "leave it out: the default is 10", reporter);
    Some(Arc::new(BigQuerySettings {
        project: file.project?.value,
        dataset: file.dataset?.value,
        credentials: file.credentials?.value,
        location: file.location.map(|location| location.value),
        statement_timeout: file.statement_timeout?.value,
        row_cap: row_cap?,
        sealed_cohorts: file.sealed_cohorts?.value,
        max_gigabytes: bytes?,
        time_format: file.time_format?.value,
        url: file.url?.value,
    }))
}

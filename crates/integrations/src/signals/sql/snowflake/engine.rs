//! How Snowflake is asked: a statement, its status until it is done, and each partition of its rows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use outcome_core::ports::{QueryPlan, Risk, size};
use reqwest::header::ACCEPT;
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::super::bind::Bind;
use super::super::dialect::Dialect;
use super::super::engine::{Ask, Class, Engine, EngineError, GRACE, Limits, Reader, Said, query};
use super::super::jwt::random_uuid;
use super::super::table::{Cell, Table};
use super::super::wire::{Answer, Wire};
use super::answer::{Partition, ResultSet, cut};
use super::credentials::Credentials;
use super::{errors, grants};

/// How long the service itself waits for a statement before it answers that it goes on.
const SYNCHRONOUS: Duration = Duration::from_secs(45);
/// How long a question about a statement may take.
const ASKING: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Most rights of a role that are looked at.
const MOST_GRANTS: u32 = 10_000;

/// Where and as whom statements run.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) url: Url,
    /// Empty where a token says it.
    pub(super) user: String,
    pub(super) role: String,
    pub(super) warehouse: String,
    pub(super) database: String,
    pub(super) schema: String,
}

#[derive(Debug)]
pub(super) struct Snowflake {
    place: Place,
    credentials: Credentials,
    wire: Wire,
}

/// What is said of a statement that goes on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GoesOn {
    statement_handle: String,
}

/// The totals of `EXPLAIN USING JSON`.
#[derive(Debug, Deserialize)]
struct Explained {
    #[serde(rename = "GlobalStats")]
    totals: Totals,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    partitions_total: Option<u64>,
    partitions_assigned: Option<u64>,
    bytes_assigned: Option<u64>,
}

impl Snowflake {
    pub(super) fn new(place: Place, credentials: Credentials) -> Result<Self, String> {
        Ok(Self { place, credentials, wire: Wire::new()? })
    }

    fn address(&self, parts: &[&str]) -> Result<Url, EngineError> {
        let mut url = self.place.url.clone();
        match url.path_segments_mut() {
            Ok(mut path) => path.pop_if_empty().extend(["api", "v2", "statements"].iter().chain(parts)),
            Err(()) => return Err(Said::new(Class::Config, "its `url` has no path").into()),
        };
        Ok(url)
    }

    async fn call(
        &self,
        limit: Duration,
        request: impl Fn(&Client) -> RequestBuilder + Sync,
    ) -> Result<Answer, EngineError> {
        let (token, kind) = self.credentials.bearer().map_err(|problem| Said::new(Class::Config, problem))?;
        let request = |client: &Client| {
            request(client)
                .bearer_auth(token.expose_secret())
                .header("X-Snowflake-Authorization-Token-Type", kind)
                .header(ACCEPT, "application/json")
        };
        self.wire.send(request, limit).await
    }

    /// Times are those of UTC, an answer is never one of before, and one statement is one.
    fn body(&self, ask: Ask<'_>) -> Value {
        let bound = |(number, bind): (usize, &Bind)| {
            let (kind, value) = match bind {
                Bind::Text(text) | Bind::At(text) => ("TEXT", text.clone()),
                Bind::Int(whole) => ("FIXED", whole.to_string()),
            };
            (number.to_string(), json!({ "type": kind, "value": value }))
        };
        let binds: Map<String, Value> = (1..).zip(ask.binds).map(bound).collect();
        json!({
            "statement": ask.sql, "timeout": ask.limits.statement.as_secs().max(1), "bindings": binds,
            "database": self.place.database, "schema": self.place.schema, "warehouse": self.place.warehouse, "role": self.place.role,
            "parameters": {
                "timezone": "UTC", "use_cached_result": "false", "multi_statement_count": 1, "query_tag": "outcome-runtime",
            },
        })
    }

    async fn run(&self, ask: Ask<'_>) -> Result<Table, EngineError> {
        let deadline = Instant::now() + ask.limits.patience();
        let id = random_uuid().map_err(|problem| Said::new(Class::Config, problem))?;
        let (url, body, is_again) = (self.address(&[])?, self.body(ask), AtomicBool::new(false));
        let limit = ask.limits.patience().min(SYNCHRONOUS + GRACE);
        let request = |client: &Client| {
            let request = client.post(url.clone()).query(&[("requestId", id.as_str())]).json(&body);
            // The service runs a request that it knows once.
            if is_again.swap(true, Ordering::Relaxed) { request.query(&[("retry", "true")]) } else { request }
        };
        let mut answer = self.call(limit, request).await?;
        let mut pause = FIRST_PAUSE;
        while answer.status == 202 {
            let GoesOn { statement_handle } = answer.json()?;
            if Instant::now() > deadline {
                self.cancel(&statement_handle).await;
                return Err(EngineError::Timeout);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let url = self.address(&[&statement_handle])?;
            answer = self.call(ASKING, |client| client.get(url.clone())).await?;
        }
        if answer.status != 200 {
            return Err(errors::of_answer(&answer, ask.sql));
        }
        let ResultSet { statement_handle, meta, data } = answer.json()?;
        let n_partitions = meta.n_partitions(ask)?;
        let mut partitions = vec![data];
        for number in 1..n_partitions {
            let Some(handle) = &statement_handle else { return Err(cut("it has further partitions and no handle")) };
            let url = self.address(&[handle])?;
            let answer = self.call(ASKING, |client| client.get(url.clone()).query(&[("partition", number)])).await?;
            if answer.status != 200 {
                return Err(errors::of_answer(&answer, ask.sql));
            }
            partitions.push(answer.json::<Partition>()?.data);
        }
        meta.table(&partitions, ask)
    }

    /// Stops a statement for which nobody waits any more; whether it was heard changes nothing here.
    async fn cancel(&self, handle: &str) {
        let Ok(url) = self.address(&[handle, "cancel"]) else { return };
        let heard = self.call(GRACE, |client| client.post(url.clone())).await;
        tracing::debug!(is_heard = heard.is_ok(), "Asked Snowflake to stop a query");
    }

    async fn granted(&self, limits: Limits) -> Result<Vec<Risk>, EngineError> {
        let sql = format!("SHOW GRANTS TO ROLE \"{}\"", self.place.role.replace('"', "\"\""));
        let limits = Limits { rows: MOST_GRANTS, ..limits };
        let table = query(self, Ask { sql: &sql, binds: &[], limits, keep: |_| true }).await?;
        Ok(grants::risks(&self.place.role, &table))
    }
}

#[async_trait]
impl Engine for Snowflake {
    fn dialect(&self) -> Dialect {
        Dialect::Snowflake
    }

    fn host(&self) -> String {
        let port = self.place.url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.place.url.host_str().unwrap_or_default())
    }

    fn place(&self) -> String {
        let Place { user, role, warehouse, database, schema, .. } = &self.place;
        let user = if user.is_empty() { "the token's user" } else { user };
        format!(
            "snowflake://{}/{database}.{schema}, as {user} with the role {role} on the warehouse {warehouse}",
            self.host()
        )
    }

    fn reader(&self) -> Reader {
        let Place { user, warehouse, .. } = &self.place;
        Reader { account: user.clone(), computes: warehouse.clone(), home: String::new() }
    }

    async fn server(&self, limits: Limits) -> Result<String, EngineError> {
        let table = query(self, Ask { sql: "SELECT CURRENT_VERSION()", binds: &[], limits, keep: |_| true }).await?;
        let version = match table.rows.first().and_then(|row| row.first()) {
            Some(Cell::Text(version)) => version.as_str(),
            _ => "of an unknown version",
        };
        Ok(format!("Snowflake {version}"))
    }

    async fn queries(&self, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError> {
        let mut tables = Vec::with_capacity(asks.len());
        for ask in asks {
            tables.push(self.run(*ask).await?);
        }
        Ok(tables)
    }

    /// There is no mode in which a write is refused, and a write that is not refused cannot be taken back: so the rights of the role are looked
    /// at, and nothing is tried.
    async fn refuses_writes(&self, limits: Limits) -> Result<bool, EngineError> {
        Ok(self.granted(limits).await?.is_empty())
    }

    async fn risks(&self, limits: Limits) -> Result<Vec<Risk>, EngineError> {
        let mut found = self.granted(limits).await?;
        let ask = Ask { sql: "SELECT CURRENT_SECONDARY_ROLES()", binds: &[], limits, keep: |_| true };
        found.extend(grants::secondary(&query(self, ask).await?));
        Ok(found)
    }

    async fn estimate(&self, ask: Ask<'_>) -> Result<Option<QueryPlan>, EngineError> {
        let sql = format!("EXPLAIN USING JSON {}", ask.sql);
        let table = query(self, Ask { sql: &sql, ..ask }).await?;
        let Some(Cell::Text(text)) = table.rows.first().and_then(|row| row.first()) else { return Ok(None) };
        let Ok(Explained { totals }) = serde_json::from_str(text) else { return Ok(None) };
        let Totals { partitions_total, partitions_assigned, bytes_assigned } = totals;
        let mut lines = Vec::new();
        if let (Some(read), Some(all)) = (partitions_assigned, partitions_total) {
            lines.push(format!("reads at most {read} of {all} partitions"));
        }
        lines.extend(bytes_assigned.map(|bytes| format!("reads at most {}", size(bytes))));
        Ok(Some(QueryPlan { lines, bytes: bytes_assigned, ..QueryPlan::default() }))
    }

    fn notes(&self) -> Vec<String> {
        vec![
            "Snowflake has no read-only mode and no limit on bytes: a role that only reads, and a resource monitor on the warehouse, are what \
             protects the account"
                .to_owned(),
        ]
    }
}

//! How `BigQuery` is asked: a dry run, then the query, then its further pages.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use outcome_core::ports::{Budget, QueryPlan, Risk, SourceLimits, size};
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use url::Url;

use super::super::dialect::Dialect;
use super::super::engine::{Ask, Class, Engine, EngineError, GRACE, Limits, Reader, Said};
use super::super::jwt::random_uuid;
use super::super::rights::warned;
use super::super::table::Table;
use super::super::wire::{Answer, Wire};
use super::answer::{Collected, cut};
use super::errors;
use super::token::Account;
use super::wire_types::{
    Configuration, Dataset, Dry, DryJob, Format, Job, Located, Page, Query, Statement, parameters,
};

/// How long one call may wait for the job before it is asked again.
const WAIT: Duration = Duration::from_secs(10);
/// How long a job of our own may be unknown right after it was started.
const UNKNOWN: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(500);
/// Most pages of an answer.
const MAX_PAGES: usize = 200;
/// What a query that is tried dry must be.
const SELECT: &str = "SELECT";

/// Where and for whom queries run.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) url: Url,
    pub(super) project: String,
    /// With a project before it, where the data is of another one.
    pub(super) dataset: String,
    pub(super) location: Option<String>,
    pub(super) max_gigabytes: u32,
}

#[derive(Debug)]
pub(super) struct BigQuery {
    place: Place,
    account: Account,
    wire: Wire,
}

/// What a dry run says.
struct Found {
    kind: String,
    bytes: u64,
    columns: Vec<String>,
}

impl BigQuery {
    pub(super) fn new(place: Place, account: Account) -> Result<Self, String> {
        Ok(Self { place, account, wire: Wire::new()? })
    }

    /// Project and dataset of tables that are named without them.
    fn dataset(&self) -> (&str, &str) {
        self.place.dataset.split_once('.').unwrap_or((&self.place.project, &self.place.dataset))
    }

    fn statement<'a>(&self, ask: Ask<'a>) -> Statement<'a> {
        let (project_id, dataset_id) = self.dataset();
        Statement {
            query: ask.sql,
            use_legacy_sql: false,
            // What was streamed into a table since may be missing from a cached answer.
            use_query_cache: false,
            parameter_mode: "NAMED",
            query_parameters: parameters(ask.binds),
            default_dataset: Dataset { project_id: project_id.to_owned(), dataset_id: dataset_id.to_owned() },
            maximum_bytes_billed: (u64::from(self.place.max_gigabytes) * 1_000_000_000).to_string(),
        }
    }

    /// The address below the project, each part escaped.
    fn address(&self, parts: &[&str]) -> Result<Url, EngineError> {
        let mut url = self.place.url.clone();
        let below = ["bigquery", "v2", "projects", &self.place.project];
        match url.path_segments_mut() {
            Ok(mut path) => path.pop_if_empty().extend(below.iter().chain(parts)),
            Err(()) => return Err(Said::new(Class::Config, "its `url` has no path").into()),
        };
        Ok(url)
    }

    async fn call(
        &self,
        limit: Duration,
        request: impl Fn(&Client) -> RequestBuilder + Sync,
    ) -> Result<Answer, EngineError> {
        let token = self.account.token(&self.wire).await?;
        let answer = self.wire.send(|client| request(client).bearer_auth(token.expose_secret()), limit).await?;
        if answer.status == 401 {
            self.account.forget().await;
        }
        Ok(answer)
    }

    async fn post(&self, url: &Url, body: &(impl Serialize + Sync), limit: Duration) -> Result<Answer, EngineError> {
        self.call(limit, |client| client.post(url.clone()).json(body)).await
    }

    /// What kind of statement it is and how much it would read.
    async fn dry(&self, ask: Ask<'_>) -> Result<Found, EngineError> {
        let located = self.place.location.as_deref();
        let job = DryJob {
            configuration: Configuration { dry_run: true, query: self.statement(ask) },
            job_reference: located.map(|location| Located { project_id: &self.place.project, location }),
        };
        let answer = self.post(&self.address(&["jobs"])?, &job, ask.limits.patience()).await?;
        if !answer.is_success() {
            return Err(errors::of_answer(&answer, ask.sql, true));
        }
        let Dry { statistics, status } = answer.json()?;
        if let Some(problem) = status.error_result {
            return Err(errors::error(&problem, ask.sql, true));
        }
        let bytes = statistics.total_bytes_processed.or(statistics.query.total_bytes_processed);
        Ok(Found {
            kind: statistics.query.statement_type.unwrap_or_else(|| "statement of an unknown kind".to_owned()),
            bytes: bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0),
            columns: statistics.query.schema.fields.into_iter().map(|field| field.name).collect(),
        })
    }

    /// Refuses what is no `SELECT`, and what reads more than it may, before it runs.
    async fn checked(&self, ask: Ask<'_>) -> Result<Found, EngineError> {
        let found = self.dry(ask).await?;
        if found.kind != SELECT {
            let kind: String =
                found.kind.chars().filter(|c| c.is_ascii_alphabetic() || "_ ".contains(*c)).take(40).collect();
            let said =
                Said::new(Class::Query, format!("the dry run says that it is a {kind}, and only a SELECT is run"));
            return Err(said.hint("write one SELECT without scripts, procedures and changes").into());
        }
        if found.bytes > u64::from(self.place.max_gigabytes) * 1_000_000_000 {
            let detail = format!(
                "it would read {}, and at most {} GB may be billed",
                size(found.bytes),
                self.place.max_gigabytes
            );
            let said = Said::new(Class::Query, detail);
            return Err(said.hint("read a partition, or raise `max_gigabytes` in the connector's `config`").into());
        }
        Ok(found)
    }

    async fn run(&self, ask: Ask<'_>) -> Result<Table, EngineError> {
        self.checked(ask).await?;
        let deadline = Instant::now() + ask.limits.statement;
        let mut is_again = false;
        let (mut page, mut job) = loop {
            let page = self.first_page(ask).await?;
            let job = page.job_reference.clone().filter(|job| job.job_id.is_some());
            match job {
                Some(job) => break (page, job),
                // Without a job there are no further pages to ask for.
                None if page.job_complete && page.next.is_none() => break (page, Job::default()),
                None if is_again => return Err(cut("it has further pages and no job to ask for them")),
                None => is_again = true,
            }
        };
        while !page.job_complete {
            if Instant::now() > deadline {
                self.cancel(&job).await;
                return Err(EngineError::Timeout);
            }
            page = self.page(ask, &job, None).await?;
            job.location = job.location.or_else(|| page.job_reference.clone().and_then(|job| job.location));
        }
        let mut rows = Collected::begin(&page, ask)?;
        let mut seen: Vec<String> = Vec::new();
        loop {
            rows.add(std::mem::take(&mut page.rows));
            let Some(token) = page.next.take().filter(|token| !token.is_empty()) else { break };
            if seen.contains(&token) || seen.len() > MAX_PAGES {
                return Err(cut("its pages lead to each other"));
            }
            page = self.page(ask, &job, Some(&token)).await?;
            seen.push(token);
        }
        rows.table(ask)
    }

    async fn first_page(&self, ask: Ask<'_>) -> Result<Page, EngineError> {
        let query = Query {
            statement: self.statement(ask),
            location: self.place.location.as_deref(),
            request_id: random_uuid().map_err(|problem| Said::new(Class::Config, problem))?,
            max_results: ask.limits.rows.saturating_add(1),
            timeout_ms: millis(WAIT.min(ask.limits.statement)),
            job_timeout_ms: millis(ask.limits.statement).to_string(),
            job_creation_mode: "JOB_CREATION_REQUIRED",
            format_options: Format { use_int64_timestamp: true },
        };
        let answer = self.post(&self.address(&["queries"])?, &query, WAIT + GRACE + GRACE).await?;
        page_of(&answer, ask)
    }

    /// Where a job is, or one of its pages. A job of our own that is unknown has not begun yet; it is never done.
    async fn page(&self, ask: Ask<'_>, job: &Job, token: Option<&str>) -> Result<Page, EngineError> {
        let Some(id) = job.job_id.as_deref() else {
            return Err(cut("it has further pages and no job to ask for them"));
        };
        let mut query = vec![
            ("maxResults", ask.limits.rows.saturating_add(1).to_string()),
            ("timeoutMs", millis(WAIT.min(ask.limits.statement)).to_string()),
            ("formatOptions.useInt64Timestamp", "true".to_owned()),
        ];
        query.extend(
            job.location.clone().or_else(|| self.place.location.clone()).map(|location| ("location", location)),
        );
        query.extend(token.map(|token| ("pageToken", token.to_owned())));
        let url = self.address(&["queries", id])?;
        let began = Instant::now();
        loop {
            let answer = self.call(WAIT + GRACE + GRACE, |client| client.get(url.clone()).query(&query)).await?;
            if answer.status != 404 || began.elapsed() > UNKNOWN {
                return page_of(&answer, ask);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Stops a job for which nobody waits any more; whether it was heard changes nothing here.
    async fn cancel(&self, job: &Job) {
        let Some(id) = job.job_id.as_deref() else { return };
        let Ok(url) = self.address(&["jobs", id, "cancel"]) else { return };
        let location = job.location.clone().or_else(|| self.place.location.clone());
        let query: Vec<_> = location.map(|location| ("location", location)).into_iter().collect();
        let heard = self.call(GRACE, |client| client.post(url.clone()).query(&query)).await;
        tracing::debug!(is_heard = heard.is_ok(), "Asked BigQuery to stop a query");
    }
}

fn page_of(answer: &Answer, ask: Ask<'_>) -> Result<Page, EngineError> {
    if !answer.is_success() {
        return Err(errors::of_answer(answer, ask.sql, false));
    }
    let page: Page = answer.json()?;
    // Also warnings are here; an answer with one may be partial.
    match page.errors.first() {
        Some(problem) => Err(errors::error(problem, ask.sql, false)),
        None => Ok(page),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[async_trait]
impl Engine for BigQuery {
    fn dialect(&self) -> Dialect {
        Dialect::BigQuery
    }

    fn host(&self) -> String {
        let port = self.place.url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.place.url.host_str().unwrap_or_default())
    }

    fn place(&self) -> String {
        let (project, dataset) = self.dataset();
        format!(
            "bigquery://{}@{}/{project}.{dataset}, paid by {}",
            self.account.email(),
            self.host(),
            self.place.project
        )
    }

    async fn server(&self, limits: Limits) -> Result<String, EngineError> {
        self.dry(Ask { sql: "SELECT 1", binds: &[], limits, keep: |_| true }).await?;
        let location = self.place.location.as_deref().unwrap_or("the location of the dataset");
        Ok(format!("BigQuery, project {}, {location}", self.place.project))
    }

    async fn queries(&self, asks: &[Ask<'_>]) -> Result<Vec<Table>, EngineError> {
        let mut tables = Vec::with_capacity(asks.len());
        for ask in asks {
            tables.push(self.run(*ask).await?);
        }
        Ok(tables)
    }

    /// A statement that would write is tried dry and refused here; the service may refuse it as well.
    async fn refuses_writes(&self, limits: Limits) -> Result<bool, EngineError> {
        let sql = self.making_a_table();
        match self.checked(Ask { sql: &sql, binds: &[], limits, keep: |_| true }).await {
            Ok(_) => Ok(false),
            Err(EngineError::Said(Said { class: Class::Query | Class::Unauthorized, .. })) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn reader(&self) -> Reader {
        Reader { account: self.account.email().to_owned(), computes: self.place.project.clone(), home: self.home() }
    }

    fn columns(&self) -> Option<String> {
        let name = self.home();
        Some(format!(
            "SELECT CONCAT(table_schema, '.', table_name) AS t, CONCAT(column_name, ' ', data_type) AS c
             FROM `{name}`.INFORMATION_SCHEMA.COLUMNS ORDER BY table_name, ordinal_position LIMIT 12000"
        ))
    }

    /// A dry run says them and costs nothing, while a `LIMIT` reads the whole table.
    async fn columns_of(&self, ask: Ask<'_>) -> Result<Vec<String>, EngineError> {
        Ok(self.dry(ask).await?.columns)
    }

    async fn estimate(&self, ask: Ask<'_>) -> Result<Option<QueryPlan>, EngineError> {
        let bytes = self.dry(ask).await?.bytes;
        let line = format!("reads {}; at most {} GB may be billed", size(bytes), self.place.max_gigabytes);
        Ok(Some(QueryPlan { lines: vec![line], bytes: Some(bytes), ..QueryPlan::default() }))
    }

    /// What the account may make is found by a dry run.
    async fn risks(&self, limits: Limits) -> Result<Vec<Risk>, EngineError> {
        let sql = self.making_a_table();
        match self.dry(Ask { sql: &sql, binds: &[], limits, keep: |_| true }).await {
            Ok(_) => Ok(vec![warned(format!(
                "it may make tables in `{}`: only the check that a query is a SELECT stands before that",
                self.place.dataset
            ))]),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn notes(&self) -> Vec<String> {
        vec![format!(
            "at most {} GB are billed for one statement, which is tried dry before it runs",
            self.place.max_gigabytes
        )]
    }

    /// <https://cloud.google.com/bigquery/quotas#api_request_quotas>: 100 requests in a second for each method and user.
    fn bears(&self) -> SourceLimits {
        SourceLimits { at_once: 4, budget: Some(Budget { n: 100, per: Duration::from_secs(1) }) }
    }
}

impl BigQuery {
    /// The dataset with its project, to stand in quotes.
    fn home(&self) -> String {
        let (project, dataset) = self.dataset();
        format!("{project}.{dataset}").replace('`', "")
    }

    fn making_a_table(&self) -> String {
        let name = self.home();
        format!("CREATE TABLE `{name}`.outcome_runtime_write_check (a INT64)")
    }
}

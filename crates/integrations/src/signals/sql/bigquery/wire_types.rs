//! What is sent and what comes back, as far as it is used.
//! <https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query>

use serde::{Deserialize, Serialize};

use super::super::bind::Bind;

/// A statement with its parameters, as a dry job and as a query have it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statement<'a> {
    pub(super) query: &'a str,
    pub(super) use_legacy_sql: bool,
    pub(super) use_query_cache: bool,
    pub(super) parameter_mode: &'static str,
    pub(super) query_parameters: Vec<Parameter>,
    pub(super) default_dataset: Dataset,
    /// Whole numbers of 64 bits are texts.
    pub(super) maximum_bytes_billed: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dataset {
    pub(super) project_id: String,
    pub(super) dataset_id: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Parameter {
    name: String,
    #[serde(rename = "parameterType")]
    kind: Kind,
    #[serde(rename = "parameterValue")]
    bound: Value,
}

#[derive(Debug, Clone, Serialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Value {
    value: String,
}

/// The parameters `@p1`, `@p2` and so on.
pub(super) fn parameters(binds: &[Bind]) -> Vec<Parameter> {
    let one = |(number, bind): (usize, &Bind)| {
        let (kind, value) = match bind {
            Bind::Text(text) => ("STRING", text.clone()),
            Bind::Int(whole) => ("INT64", whole.to_string()),
            Bind::At(text) => ("TIMESTAMP", text.clone()),
        };
        Parameter { name: format!("p{number}"), kind: Kind { kind }, bound: Value { value } }
    };
    (1..).zip(binds).map(one).collect()
}

/// `jobs.query`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Query<'a> {
    #[serde(flatten)]
    pub(super) statement: Statement<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<&'a str>,
    pub(super) request_id: String,
    pub(super) max_results: u32,
    pub(super) timeout_ms: u64,
    pub(super) job_timeout_ms: String,
    /// So that there is a job whose further pages can be asked for.
    pub(super) job_creation_mode: &'static str,
    pub(super) format_options: Format,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Format {
    pub(super) use_int64_timestamp: bool,
}

/// `jobs.insert` of a dry run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DryJob<'a> {
    pub(super) configuration: Configuration<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) job_reference: Option<Located<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configuration<'a> {
    pub(super) dry_run: bool,
    pub(super) query: Statement<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Located<'a> {
    pub(super) project_id: &'a str,
    pub(super) location: &'a str,
}

/// What a dry run found.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Dry {
    pub(super) statistics: Statistics,
    pub(super) status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) error_result: Option<Problem>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Statistics {
    pub(super) total_bytes_processed: Option<String>,
    pub(super) query: OfQuery,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OfQuery {
    pub(super) statement_type: Option<String>,
    pub(super) schema: Schema,
    pub(super) total_bytes_processed: Option<String>,
}

/// A page of an answer, of `jobs.query` and of `jobs.getQueryResults`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) job_complete: bool,
    pub(super) job_reference: Option<Job>,
    pub(super) schema: Option<Schema>,
    pub(super) rows: Vec<Row>,
    pub(super) total_rows: Option<String>,
    #[serde(rename = "pageToken")]
    pub(super) next: Option<String>,
    pub(super) errors: Vec<Problem>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Job {
    pub(super) job_id: Option<String>,
    pub(super) location: Option<String>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(super) struct Schema {
    pub(super) fields: Vec<Field>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Field {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) mode: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Row {
    pub(super) f: Vec<Value1>,
}

/// A value: a text, NULL, or something nested.
#[derive(Debug, Deserialize)]
pub(super) struct Value1 {
    #[serde(default)]
    pub(super) v: serde_json::Value,
}

/// Why something was refused.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    pub(super) reason: String,
    pub(super) message: String,
}

/// A refusal: `{"error": {"code": 400, "message": "...", "errors": [..], "status": "INVALID_ARGUMENT"}}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    pub(super) error: Refused,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refused {
    pub(super) message: String,
    pub(super) status: String,
    pub(super) errors: Vec<Problem>,
}

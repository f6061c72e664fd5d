//! The tools, one file each: what the model is told, the arguments, the call, the answer.

mod get_active_outcomes;
mod get_experiment_brief;
mod get_gate;
mod get_work_order;
mod hypothesis;
mod query_learnings;
mod report_experiment_built;
mod request_human_gate;
mod submit_hypotheses;

use std::sync::Arc;

use outcome_core::Code;
use outcome_core::principal::Principal;
use outcome_core::usecases::Runtime;
use rmcp::model::{JsonObject, MetaObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

use crate::answer::{Answer, Failure, set};
use crate::card;

pub(crate) use get_active_outcomes::{NAME as GET_ACTIVE_OUTCOMES, outcomes};
pub(crate) use get_experiment_brief::brief;
pub(crate) use get_gate::gate;
pub(crate) use query_learnings::learning;
pub(crate) use request_human_gate::NAME as REQUEST_HUMAN_GATE;

/// What a client and a model are told about a tool.
pub(crate) struct ToolSpec {
    /// Stable name.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    /// For the model.
    pub(crate) description: &'static str,
    /// Changes nothing.
    pub(crate) is_read_only: bool,
    /// Words by which a client that defers tools finds this one; `None` for the one that is always loaded.
    pub(crate) search_hint: Option<&'static str>,
    /// Flat schema of the arguments.
    pub(crate) input: fn() -> Value,
    /// Schema of the answer.
    pub(crate) output: fn() -> Value,
    /// Other names of arguments, in snake_case; an empty target drops the argument.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
    /// Arguments of a call that works.
    pub(crate) example: fn() -> Value,
}

/// Every tool, in the order in which they are used.
pub(crate) const ALL: [&ToolSpec; 8] = [
    &get_active_outcomes::SPEC,
    &get_work_order::SPEC,
    &submit_hypotheses::SPEC,
    &get_experiment_brief::SPEC,
    &report_experiment_built::SPEC,
    &request_human_gate::SPEC,
    &get_gate::SPEC,
    &query_learnings::SPEC,
];

/// A call: the workspace and who asks.
pub(crate) struct Call<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) by: &'a Principal,
}

impl ToolSpec {
    /// The tool as it is listed. All four hints are written out: a client that misses one assumes the worst.
    pub(crate) fn tool(&self) -> Tool {
        let object = |value: Value| match value {
            Value::Object(map) => Arc::new(map),
            _ => Arc::new(JsonObject::new()),
        };
        let annotations =
            ToolAnnotations::from_raw(None, Some(self.is_read_only), Some(false), Some(true), Some(false));
        let mut meta = match self.search_hint {
            None => json!({ "anthropic/alwaysLoad": true }),
            Some(words) => json!({ "anthropic/searchHint": words }),
        };
        if matches!(self.name, request_human_gate::NAME | get_gate::NAME) {
            set(&mut meta, "ui", card::of_tool());
        }
        let mut tool = Tool::new(self.name, self.description, object((self.input)()));
        tool.title = Some(self.title.to_owned());
        tool.output_schema = Some(object((self.output)()));
        tool.annotations = Some(annotations);
        tool.meta = meta.as_object().cloned().map(MetaObject);
        tool
    }
}

/// The tool with this name.
pub(crate) fn find(name: &str) -> Option<&'static ToolSpec> {
    ALL.into_iter().find(|spec| spec.name == name)
}

/// Carries a call out.
///
/// # Errors
/// What the model should know.
pub(crate) async fn call(spec: &ToolSpec, call: &Call<'_>, arguments: Option<JsonObject>) -> Result<Answer, Failure> {
    match spec.name {
        get_active_outcomes::NAME => get_active_outcomes::call(call, arguments).await,
        get_work_order::NAME => get_work_order::call(call, arguments).await,
        submit_hypotheses::NAME => submit_hypotheses::call(call, arguments).await,
        get_experiment_brief::NAME => get_experiment_brief::call(call, arguments).await,
        report_experiment_built::NAME => report_experiment_built::call(call, arguments).await,
        request_human_gate::NAME => request_human_gate::call(call, arguments).await,
        get_gate::NAME => get_gate::call(call, arguments).await,
        query_learnings::NAME => query_learnings::call(call, arguments).await,
        other => Err(Failure::new(Code::Internal, format!("the tool `{other}` has no implementation"))),
    }
}

/// How much of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Detail {
    #[default]
    Concise,
    Full,
}

impl Detail {
    /// Bytes that the answer may have.
    pub(crate) fn budget(self) -> usize {
        match self {
            Self::Concise => crate::budget::CONCISE,
            Self::Full => crate::budget::HARD,
        }
    }
}

/// An object schema with these properties.
fn object(properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        set(&mut schema, "required", json!(required));
    }
    schema
}

/// The schema of an answer: its main fields, since every byte of it is paid for in each session. Nothing is required,
/// because a failure has `error` instead, and more fields may follow.
fn answer(fields: &[(&str, &str)]) -> Value {
    let properties: JsonObject =
        fields.iter().map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind }))).collect();
    json!({ "type": "object", "properties": properties })
}

fn detail_property() -> Value {
    json!({ "type": "string", "enum": ["concise", "full"] })
}

/// Makes "there is no such thing" useful: which ones there are, and where to look.
async fn with_known(call: &Call<'_>, kind: &str, failure: Failure) -> Failure {
    if failure.code() != Code::NotFound {
        return failure;
    }
    let Ok(status) = call.runtime.workspaces().status(false).await else { return failure };
    let known: Vec<String> = match kind {
        "outcome" => status.outcomes.iter().map(|line| line.outcome.clone()).take(20).collect(),
        "gate" => status.gates.iter().map(|line| line.gate.clone()).take(20).collect(),
        _ => {
            let lines = status.outcomes.iter().flat_map(|outcome| &outcome.experiments);
            lines.map(|line| line.experiment.clone()).take(20).collect()
        }
    };
    let hint = if known.is_empty() {
        format!("there is no {kind} yet")
    } else {
        format!("pass one of the names in `valid`, or an id; {GET_ACTIVE_OUTCOMES} shows them in context")
    };
    failure.hint(hint).with("valid", known).next(GET_ACTIVE_OUTCOMES, json!({}))
}

/// A number with six significant digits: readings carry no more, and tokens are paid for.
fn short(number: f64) -> Value {
    format!("{number:.5e}").parse::<f64>().map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests;

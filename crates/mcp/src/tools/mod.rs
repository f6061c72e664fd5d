//! The tools, one file each: what the model is told, the arguments, the call, the answer.

mod get_active_outcomes;
mod get_experiment_brief;
mod get_gate;
mod get_work_order;
mod hypothesis;
mod input;
pub(crate) mod names;
mod query_learnings;
mod report_experiment_built;
mod request_human_gate;
mod spec;
mod submit_hypotheses;

use std::sync::Arc;

use outcome_core::Code;
use rmcp::model::{JsonObject, MetaObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

use crate::answer::{Answer, Failure, set};
use crate::card;

pub(crate) use get_active_outcomes::outcomes;
pub(crate) use get_experiment_brief::brief;
pub(crate) use get_gate::gate;
use input::schema_of;
pub(crate) use names::{GET_ACTIVE_OUTCOMES, REQUEST_HUMAN_GATE};
pub(crate) use query_learnings::learning;
pub(crate) use spec::{Call, Detail, ToolSpec};
use spec::{short, with_known};

/// Every tool, in the order in which they are used.
pub(crate) static ALL: [&ToolSpec; 8] = [
    &get_active_outcomes::SPEC,
    &get_work_order::SPEC,
    &submit_hypotheses::SPEC,
    &get_experiment_brief::SPEC,
    &report_experiment_built::SPEC,
    &request_human_gate::SPEC,
    &get_gate::SPEC,
    &query_learnings::SPEC,
];

/// The tool as it is listed. What an answer looks like is seen in the answer: a schema of it would be paid for in each session. All four hints are written out: a client that misses one assumes the worst.
pub(crate) fn listed(spec: &ToolSpec) -> Tool {
    let object = |value: Value| match value {
        Value::Object(map) => Arc::new(map),
        _ => Arc::new(JsonObject::new()),
    };
    let annotations = ToolAnnotations::from_raw(None, Some(spec.is_read_only), Some(false), Some(true), Some(false));
    let mut meta = match spec.search_hint {
        None => json!({ "anthropic/alwaysLoad": true }),
        Some(words) => json!({ "anthropic/searchHint": words }),
    };
    if matches!(spec.name, request_human_gate::NAME | get_gate::NAME) {
        set(&mut meta, "ui", card::of_tool());
    }
    let mut tool = Tool::new(spec.name, spec.description, object(spec.input.clone()));
    tool.title = Some(spec.title.to_owned());
    tool.annotations = Some(annotations);
    tool.meta = meta.as_object().cloned().map(MetaObject);
    tool
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

#[cfg(test)]
mod tests;

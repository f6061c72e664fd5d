//! The work order for an author of hypotheses: the context package, and the form of the answer.

use std::sync::LazyLock;

use outcome_core::Code;
use outcome_core::domain::OutcomeStatus;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Call, Detail, GET_ACTIVE_OUTCOMES, ToolSpec, hypothesis, schema_of, with_known};
use crate::answer::{Answer, Failure, set};
use crate::args;

pub(super) const NAME: &str = super::names::GET_WORK_ORDER;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: NAME,
    title: "Work order for hypotheses",
    description: "What to know before proposing experiments: goal, scope, constraints, learnings, open experiments, \
                  detectable effect.",
    is_read_only: true,
    search_hint: Some("propose experiments"),
    input: LazyLock::new(schema_of::<Args>),
    aliases: &[("id", "outcome_id"), ("outcome", "outcome_id"), ("slug", "outcome_id"), ("workspace_id", "")],
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    /// Default: the only one
    outcome_id: Option<String>,
    #[serde(default)]
    detail: Detail,
}

pub(super) async fn call(call: &Call<'_>, arguments: Option<JsonObject>) -> Result<Answer, Failure> {
    let args: Args = args::parse(&SPEC, arguments)?;
    let outcome = match args.outcome_id {
        Some(outcome) => outcome,
        None => only_active(call).await?,
    };
    let order = match call.runtime.hypotheses().work_order(&outcome).await {
        Ok(order) => order,
        Err(error) if error.code() == Code::NotFound => return Err(with_known(call, "outcome", error.into()).await),
        Err(error) => return Err(Failure::from(error).next(GET_ACTIVE_OUTCOMES, json!({}))),
    };
    let example = hypothesis::example_for(&order);
    let mut body = serde_json::to_value(&order).unwrap_or_default();
    if args.detail == Detail::Full {
        set(&mut body, "hypothesis_example", example.clone());
    }
    Ok(Answer::new(body)
        .within(args.detail.budget())
        .next("submit_hypotheses", json!({ "outcome_id": order.outcome, "hypotheses": [example] })))
}

async fn only_active(call: &Call<'_>) -> Result<String, Failure> {
    let status = call.runtime.workspaces().status(true).await?;
    match status.outcomes.as_slice() {
        [only] => Ok(only.outcome.clone()),
        [] => Err(Failure::new(Code::Conflict, "no outcome is active")
            .hint("a human must run `outcome-runtime apply` and `outcome-runtime activate` first")
            .next(GET_ACTIVE_OUTCOMES, json!({}))),
        several => {
            let valid: Vec<&str> = several
                .iter()
                .filter(|line| line.status == OutcomeStatus::Active)
                .map(|line| line.outcome.as_str())
                .take(20)
                .collect();
            let first = json!({ "outcome_id": valid.first() });
            Err(Failure::invalid("several outcomes are active: set `outcome_id` to one of them")
                .with("valid", valid)
                .next(NAME, first))
        }
    }
}

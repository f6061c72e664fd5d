//! Where a gate stands: the way to learn of a human's decision by asking.

use std::sync::LazyLock;

use outcome_core::domain::{GateStatus, GateType};
use outcome_core::usecases::GateView;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Detail, GET_ACTIVE_OUTCOMES, ToolSpec, schema_of, with_known};
use crate::answer::{Answer, Failure, set};
use crate::args;

pub(super) const NAME: &str = super::names::GET_GATE;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: NAME,
    title: "Gate status",
    description: "Whether a human has decided a gate, and how. Gates take hours: do other work meanwhile; ask at most \
                  once a minute.",
    is_read_only: true,
    search_hint: Some("has the human decided"),
    input: LazyLock::new(schema_of::<Args>),
    aliases: &[("id", "gate_id"), ("gate", "gate_id"), ("slug", "gate_id"), ("name", "gate_id"), ("workspace_id", "")],
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    gate_id: String,
    #[serde(default)]
    detail: Detail,
}

pub(super) async fn call(call: &Call<'_>, arguments: Option<JsonObject>) -> Result<Answer, Failure> {
    let args: Args = args::parse(&SPEC, arguments)?;
    gate(call, &args.gate_id, args.detail).await
}

/// A gate and what was decided.
///
/// # Errors
/// For an unknown gate.
pub(crate) async fn gate(call: &Call<'_>, reference: &str, detail: Detail) -> Result<Answer, Failure> {
    let view = match call.runtime.gates().show(reference).await {
        Ok(view) => view,
        Err(error) => return Err(with_known(call, "gate", error.into()).await),
    };
    let mut body = summary(&view);
    set(
        &mut body,
        "decisions",
        view.decisions
            .iter()
            .map(|decision| {
                json!({
                    "verdict": decision.verdict,
                    "conditions_say": (!decision.conditions.is_empty()).then_some(&decision.conditions),
                    "note_says": decision.note,
                    "assurance": decision.assurance,
                    "decided_at": decision.decided_at,
                })
            })
            .collect::<Vec<_>>(),
    );
    set(&mut body, "human_sees", human_sees(&view, detail));
    let experiment = view.context.experiment.as_ref().map(ToString::to_string);
    let answer = Answer::new(body).within(detail.budget());
    Ok(match (view.gate_type, view.status, experiment) {
        (GateType::PortfolioReview, GateStatus::Approved | GateStatus::ApprovedWithConditions, Some(experiment)) => {
            answer.next("get_experiment_brief", json!({ "experiment_id": experiment }))
        }
        (_, GateStatus::Pending | GateStatus::TimedOut, _) => answer,
        _ => answer.next(GET_ACTIVE_OUTCOMES, json!({})),
    })
}

/// The facts of a gate that every answer about it carries.
pub(super) fn summary(view: &GateView) -> Value {
    let is_pending = matches!(view.status, GateStatus::Pending | GateStatus::TimedOut);
    json!({
        "gate": view.gate,
        "gate_type": view.gate_type,
        "status": view.status,
        "is_pending": is_pending,
        "experiment": view.context.experiment,
        "outcome": view.context.outcome,
        "review_url": view.review_url,
        "holder": view.holder,
        "due_at": view.due_at,
    })
}

/// What is on the human's page; all of it where `full` is asked for.
pub(super) fn human_sees(view: &GateView, detail: Detail) -> Value {
    let context = &view.context;
    json!({
        "question": context.question,
        "result": view.answer.as_ref().map(|answer| &answer.says),
        "agent_says": context.agent_says,
        "verdicts": context.verdicts,
        "recommendation": context.recommendation,
        "facts": (detail == Detail::Full).then_some(&context.facts),
        "checklist_says": (detail == Detail::Full && !context.checklist.is_empty()).then_some(&context.checklist),
        "conditions_say": (!context.open_conditions.is_empty()).then_some(&context.open_conditions),
    })
}

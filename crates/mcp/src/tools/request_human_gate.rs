//! Asking a human. Whatever a client answers on the way, only the human's signed decision ends a gate.

use std::sync::LazyLock;

use outcome_core::Code;
use outcome_core::domain::GateType;
use outcome_core::usecases::{GateOpenRequest, GateView};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::input::undescribed;
use super::{Call, Detail, ToolSpec, get_gate, schema_of, with_known};
use crate::answer::{Answer, Failure, set};
use crate::args;

pub(super) const NAME: &str = super::names::REQUEST_HUMAN_GATE;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: NAME,
    title: "Request a human gate",
    description: "Asks a human to decide. escalation asks your question; other types return the gate that the \
                  lifecycle opened. Returns at once: pending, with a review_url for the user, where a human decides.",
    is_read_only: false,
    search_hint: Some("ask a human to decide"),
    input: LazyLock::new(schema_of::<Args>),
    aliases: &[
        ("id", "experiment_id"),
        ("experiment", "experiment_id"),
        ("slug", "experiment_id"),
        ("type", "gate_type"),
        ("gate", "gate_type"),
        ("context", "details"),
        ("message", "question"),
        ("workspace_id", ""),
    ],
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    experiment_id: String,
    #[schemars(transform = undescribed)]
    gate_type: GateOfExperiment,
    /// One sentence
    question: String,
    details: Option<String>,
}

/// The gates that an experiment can have; a change of the outcome file has another.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum GateOfExperiment {
    PortfolioReview,
    LaunchApproval,
    AnalysisReview,
    ScaleApproval,
    ShipApproval,
    Escalation,
}

impl From<GateOfExperiment> for GateType {
    fn from(gate: GateOfExperiment) -> Self {
        match gate {
            GateOfExperiment::PortfolioReview => Self::PortfolioReview,
            GateOfExperiment::LaunchApproval => Self::LaunchApproval,
            GateOfExperiment::AnalysisReview => Self::AnalysisReview,
            GateOfExperiment::ScaleApproval => Self::ScaleApproval,
            GateOfExperiment::ShipApproval => Self::ShipApproval,
            GateOfExperiment::Escalation => Self::Escalation,
        }
    }
}

pub(super) async fn call(call: &Call<'_>, arguments: Option<JsonObject>) -> Result<Answer, Failure> {
    let args: Args = args::parse(&SPEC, arguments)?;
    let wanted = GateType::from(args.gate_type);
    let view = if wanted == GateType::Escalation {
        let request = GateOpenRequest {
            experiment: args.experiment_id.clone(),
            question: args.question,
            details: args.details.filter(|details| !details.trim().is_empty()),
        };
        match call.runtime.gates().open(request, call.by).await {
            Ok(view) => view,
            Err(error) => return Err(with_known(call, "experiment", error.into()).await),
        }
    } else {
        lifecycle_gate(call, &args.experiment_id, wanted).await?
    };
    let mut body = get_gate::summary(&view);
    set(&mut body, "human_sees", get_gate::human_sees(&view, Detail::Concise));
    set(
        &mut body,
        "how_to_check",
        format!(
            "Show review_url to the user. A human decides there or with `outcome-runtime gate decide {}`; after that get_gate \
             returns the verdict. Until then do nothing that depends on it.",
            view.gate
        ),
    );
    Ok(Answer::new(body).next("get_gate", json!({ "gate_id": view.gate })))
}

/// The gate of this type that the lifecycle has opened for the experiment.
async fn lifecycle_gate(call: &Call<'_>, experiment: &str, wanted: GateType) -> Result<GateView, Failure> {
    let shown = match call.runtime.experiments().show(experiment).await {
        Ok(shown) => shown,
        Err(error) => return Err(with_known(call, "experiment", error.into()).await),
    };
    let slug = &shown.experiment.slug;
    let gates = call.runtime.gates().list().await?;
    let mut own = gates.into_iter().filter(|gate| gate.context.experiment.as_ref() == Some(slug));
    if let Some(found) = own.find(|gate| gate.gate_type == wanted) {
        return Ok(found);
    }
    let status = shown.experiment.state.status;
    let failure = Failure::new(Code::Conflict, format!("experiment `{slug}` is {status}: no {wanted} gate is open"))
        .hint(format!("{}; for your own question, use gate_type escalation", opened_by(wanted)))
        .with("open_gates", shown.gates.clone());
    Err(match wanted {
        GateType::LaunchApproval => failure.next("get_experiment_brief", json!({ "experiment_id": slug })),
        _ => failure.next(super::GET_ACTIVE_OUTCOMES, json!({})),
    })
}

/// The step that opens a gate of this type.
fn opened_by(gate_type: GateType) -> &'static str {
    match gate_type {
        GateType::PortfolioReview => "it opens when submit_hypotheses selects a candidate",
        GateType::LaunchApproval => {
            "it opens when report_experiment_built has checked that the change is within its scope"
        }
        GateType::AnalysisReview => {
            "the runtime opens it when the measurement is decisive, the plan ends, or a limit is crossed"
        }
        GateType::ScaleApproval => "the runtime opens it when a rollout step has been measured",
        GateType::ShipApproval => {
            "it opens when a human decides to ship at the analysis gate, or when the last step has been measured"
        }
        GateType::ChangeApproval => {
            "it opens when somebody applies a change of the outcome file that needs a signature"
        }
        GateType::Escalation => "it opens when you request it",
    }
}

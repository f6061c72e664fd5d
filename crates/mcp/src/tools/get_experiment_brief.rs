//! What a builder needs to know, once a human has approved that the experiment is built.

use outcome_core::Code;
use outcome_core::domain::{ExperimentStatus, ScopeSpec};
use outcome_core::usecases::{Brief, BriefHypothesis, BriefLearning, Limits};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Call, Detail, ToolSpec, answer, schema_of, with_known};
use crate::answer::{Answer, Failure};
use crate::args;

pub(super) const NAME: &str = super::names::GET_EXPERIMENT_BRIEF;

pub(super) const SPEC: ToolSpec = ToolSpec {
    name: NAME,
    title: "Experiment brief",
    description: "What to build: hypothesis, scope, flag key, exposure event, constraints, definition of done, base \
                  commit. Refused until a human has approved the portfolio gate.",
    is_read_only: true,
    search_hint: Some("build an approved experiment"),
    input: schema_of::<Args>,
    output: || {
        answer(&[("experiment", "string"), ("base_commit", "string"), ("flag_key", "string"), ("scope", "object")])
    },
    aliases: super::hypothesis::EXPERIMENT_ALIASES,
    example: || json!({ "experiment_id": "checkout-short-form" }),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    experiment_id: String,
    #[serde(default)]
    detail: Detail,
}

/// A brief as an agent gets it. What the approver wrote is theirs, and is named so like every text by somebody else.
#[derive(Serialize)]
struct Shown {
    experiment: String,
    outcome: String,
    status: ExperimentStatus,
    base_commit: Option<String>,
    hypothesis: BriefHypothesis,
    scope: ScopeSpec,
    flag_key: String,
    exposure_event: Option<String>,
    randomisation_unit: String,
    constraints: Limits,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions_say: Vec<String>,
    definition_of_done: Vec<String>,
    learnings: Vec<BriefLearning>,
}

impl From<Brief> for Shown {
    fn from(brief: Brief) -> Self {
        // A new field without a place here does not compile.
        let Brief {
            experiment,
            outcome,
            status,
            base_commit,
            hypothesis,
            scope,
            flag_key,
            exposure_event,
            randomisation_unit,
            constraints,
            conditions,
            definition_of_done,
            learnings,
        } = brief;
        Self {
            experiment,
            outcome,
            status,
            base_commit,
            hypothesis,
            scope,
            flag_key,
            exposure_event,
            randomisation_unit,
            constraints,
            conditions_say: conditions,
            definition_of_done,
            learnings,
        }
    }
}

pub(super) async fn call(call: &Call<'_>, arguments: Option<JsonObject>) -> Result<Answer, Failure> {
    let args: Args = args::parse(&SPEC, arguments)?;
    brief(call, &args.experiment_id, args.detail).await
}

/// The brief of an experiment.
///
/// # Errors
/// Before the approval, with the gate that waits.
pub(crate) async fn brief(call: &Call<'_>, reference: &str, detail: Detail) -> Result<Answer, Failure> {
    let brief = match call.runtime.builds().brief(reference).await {
        Ok(brief) => brief,
        Err(error) if error.code() == Code::NotFound => {
            return Err(with_known(call, "experiment", error.into()).await);
        }
        Err(error) => return Err(refused(call, reference, error.into()).await),
    };
    let (experiment, status) = (brief.experiment.clone(), brief.status);
    let body = serde_json::to_value(Shown::from(brief)).unwrap_or_default();
    let answer = Answer::new(body).within(detail.budget());
    Ok(match status {
        ExperimentStatus::Building => answer.next(
            "report_experiment_built",
            json!({
                "experiment_id": experiment,
                "implementation_summary": "<what you changed, in two sentences>",
                "files_changed": ["<path>"],
                "head": "<commit or branch>",
            }),
        ),
        _ => answer,
    })
}

async fn refused(call: &Call<'_>, reference: &str, failure: Failure) -> Failure {
    let Ok(view) = call.runtime.experiments().show(reference).await else { return failure };
    let Some(gate) = view.gates.first() else {
        return match failure.code() {
            Code::Conflict => failure
                .hint("no gate of this experiment is pending either; get_active_outcomes shows what can be built")
                .next(super::GET_ACTIVE_OUTCOMES, json!({})),
            _ => failure,
        };
    };
    let review_url = call.runtime.gates().url(gate).await.ok();
    failure
        .with("status", Value::from(view.experiment.state.status.as_str()))
        .with("gate", gate.as_str())
        .with("review_url", review_url)
        .next("get_gate", json!({ "gate_id": gate }))
}

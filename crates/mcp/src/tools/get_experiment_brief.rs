//! What a builder needs to know, once a human has approved that the experiment is built.

use std::sync::LazyLock;

use outcome_core::Code;
use outcome_core::domain::{ExperimentStatus, ScopeSpec};
use outcome_core::usecases::{
    Brief, BriefCode, BriefExposure, BriefHypothesis, BriefLearning, FlagAnswers, Limits, PastStep,
};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Call, Detail, ToolSpec, schema_of, with_known};
use crate::answer::{Answer, Failure};
use crate::args;

pub(super) const NAME: &str = super::names::GET_EXPERIMENT_BRIEF;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: NAME,
    title: "Experiment brief",
    description: "What to build: hypothesis, scope, how the flag answers, which exposure to record, conditions and notes of \
                  humans, definition of done, base commit. `full` adds the history. Refused until a human has approved it.",
    is_read_only: true,
    search_hint: Some("build an approved experiment"),
    input: LazyLock::new(schema_of::<Args>),
    aliases: super::hypothesis::EXPERIMENT_ALIASES,
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
    flag: Option<FlagAnswers>,
    exposure: Option<BriefExposure>,
    code: Option<BriefCode>,
    randomisation_unit: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions_say: Vec<String>,
    last_failure_says: Option<String>,
    rework_says: Option<String>,
    definition_of_done: Vec<String>,
    constraints: Limits,
    learnings: Vec<BriefLearning>,
    /// Only where everything is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<PastStep>,
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
            flag,
            // Named in `exposure`.
            exposure_event: _,
            exposure,
            code,
            randomisation_unit,
            constraints,
            conditions,
            last_failure_says,
            rework_says,
            definition_of_done,
            learnings,
            history,
        } = brief;
        Self {
            experiment,
            outcome,
            status,
            base_commit,
            hypothesis,
            scope,
            flag_key,
            flag,
            exposure,
            code,
            randomisation_unit,
            conditions_say: conditions,
            last_failure_says,
            rework_says,
            definition_of_done,
            constraints,
            learnings,
            history,
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
    let mut brief = match call.runtime.builds().brief(reference).await {
        Ok(brief) => brief,
        Err(error) if error.code() == Code::NotFound => {
            return Err(with_known(call, "experiment", error.into()).await);
        }
        Err(error) => return Err(refused(call, reference, error.into()).await),
    };
    if detail == Detail::Concise {
        brief.history.clear();
    }
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

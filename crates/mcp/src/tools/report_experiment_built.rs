//! A build is reported. What the agent claims is recomputed from git before a human is asked.

use std::sync::LazyLock;

use outcome_core::Code;
use outcome_core::domain::ExperimentStatus;
use outcome_core::usecases::BuildReport;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Call, Detail, ToolSpec, schema_of, with_known};
use crate::answer::{Answer, Failure, action, set};
use crate::args;

pub(super) const NAME: &str = super::names::REPORT_EXPERIMENT_BUILT;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: NAME,
    title: "Report a build",
    description: "Reports a committed build, or that it failed. The server recomputes the diff, checks the \
                  scope and opens the launch gate for a human.",
    is_read_only: false,
    search_hint: Some("build finished or failed"),
    input: LazyLock::new(schema_of::<Args>),
    aliases: &[
        ("id", "experiment_id"),
        ("experiment", "experiment_id"),
        ("slug", "experiment_id"),
        ("summary", "implementation_summary"),
        ("reason", "implementation_summary"),
        ("files", "files_changed"),
        ("commit", "head"),
        ("commit_sha", "head"),
        ("branch", "head"),
        ("flag_key", "feature_flag_key"),
        ("notes", "agent_notes"),
        ("status", "outcome"),
        ("result", "outcome"),
        ("workspace_id", ""),
    ],
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    experiment_id: String,
    /// What changed, or why it failed
    implementation_summary: String,
    #[serde(default)]
    outcome: Outcome,
    files_changed: Option<Vec<String>>,
    /// Commit, branch or tag; default HEAD
    head: Option<String>,
    feature_flag_key: Option<String>,
    agent_notes: Option<String>,
}

#[derive(Deserialize, JsonSchema, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    #[default]
    Built,
    Failed,
}

pub(super) async fn call(call: &Call<'_>, arguments: Option<JsonObject>) -> Result<Answer, Failure> {
    let args: Args = args::parse(&SPEC, arguments)?;
    if args.outcome == Outcome::Failed {
        return failed(call, &args).await;
    }
    let report = BuildReport {
        experiment: args.experiment_id.clone(),
        summary: args.implementation_summary,
        files_changed: args.files_changed,
        head: args.head.filter(|head| !head.trim().is_empty()),
        flag_key: args.feature_flag_key.filter(|key| !key.is_empty()),
        notes: args.agent_notes.filter(|notes| !notes.trim().is_empty()),
    };
    let done = match call.runtime.builds().report(report, call.by).await {
        Ok(done) => done,
        Err(error) if error.code() == Code::NotFound => {
            return Err(with_known(call, "experiment", error.into()).await);
        }
        Err(error) => return Err(refused(&args.experiment_id, error.into())),
    };
    let next = done.gate.as_ref().map(|gate| action("get_gate", json!({ "gate_id": gate })));
    let mut body = serde_json::to_value(&done).unwrap_or_default();
    if done.gate.is_some() {
        set(
            &mut body,
            "what_follows",
            "a human decides on exactly this commit; a new commit on the branch voids the gate. Show the review_url to the \
             user.",
        );
    }
    Ok(Answer::new(body).within(Detail::Full.budget()).next_all(next))
}

async fn failed(call: &Call<'_>, args: &Args) -> Result<Answer, Failure> {
    let id = &args.experiment_id;
    let status = match call.runtime.builds().failed(id, &args.implementation_summary, call.by).await {
        Ok(status) => status,
        Err(error) if error.code() == Code::NotFound => {
            return Err(with_known(call, "experiment", error.into()).await);
        }
        // The same report again.
        Err(error) => match call.runtime.experiments().show(id).await {
            Ok(view) if view.experiment.state.status == ExperimentStatus::FailedBuild => ExperimentStatus::FailedBuild,
            _ => return Err(refused(id, error.into())),
        },
    };
    let view = call.runtime.experiments().show(id).await?;
    let gate = view.gates.last();
    let review_url = match gate {
        Some(gate) => Some(call.runtime.gates().url(gate).await?),
        None => None,
    };
    let next = gate.map(|gate| action("get_gate", json!({ "gate_id": gate })));
    let body = json!({
        "experiment": id,
        "status": status,
        "gate": gate,
        "review_url": review_url,
        "what_follows": "a human is asked whether it is tried again: a yes sends it back to building, and the next brief says why this \
                         one failed. Show the review_url to the user.",
    });
    Ok(Answer::new(body).next_all(next))
}

fn refused(experiment: &str, failure: Failure) -> Failure {
    let question = match failure.code() {
        Code::ScopeViolation => "<may the change touch PATH, which is outside of its scope?>",
        Code::BaseNotAncestor | Code::RepoEmpty => {
            "<how should the build start, if not from the base commit of the brief?>"
        }
        Code::Conflict => return failure.next(super::GET_ACTIVE_OUTCOMES, json!({})),
        Code::InvalidInput => return failure.next("get_experiment_brief", json!({ "experiment_id": experiment })),
        _ => return failure,
    };
    failure.next("get_experiment_brief", json!({ "experiment_id": experiment })).next(
        "request_human_gate",
        json!({ "experiment_id": experiment, "gate_type": "escalation", "question": question }),
    )
}

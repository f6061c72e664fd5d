//! What a human is shown at a gate. Texts by agents and authors stand in fields named `*_says`: quoted, never trusted.

use serde_json::{Map, Value, json};

use super::budget::budget_part;
use super::digest::digest;
use super::dry_run::dry_run_facts;
use super::step_context::StepContext;
use crate::domain::{ContextPackage, Experiment, GateType, Outcome, Plan, Verdict};
use crate::error::Result;
use crate::hypotheses::conflict_between;
use crate::ids::GateId;
use crate::store::{LearningQuery, StoredLearning, Tx};
use crate::usecases::Runtime;

/// The context package of a gate: frozen and hashed when the gate opens.
pub(super) async fn context_package(
    runtime: &Runtime,
    tx: &mut Tx,
    gate: GateId,
    outcome: &Outcome,
    experiment: Option<&Experiment>,
    gate_type: GateType,
    context: &StepContext,
) -> Result<ContextPackage> {
    let spec = &outcome.spec;
    let mut facts = Map::new();
    let mut fact = |name: &str, value: Value| facts.insert(name.to_owned(), value);
    fact(
        "outcome",
        json!({
            "title_says": spec.title,
            "signal": spec.signal.metric,
            "direction": spec.target.direction,
            "from": spec.target.from,
            "to": spec.target.to,
            "measured_baseline": outcome.state.baseline,
            "deadline": outcome.state.deadline,
        }),
    );
    let mut verdicts = gate_type.verdicts().to_vec();
    let mut open_conditions = Vec::new();
    if let Some(experiment) = experiment {
        fact("hypothesis", hypothesis_facts(experiment));
        let budget_part = match (experiment.state.budget_part, experiment.plan.is_some()) {
            (None, false) => Some(budget_part(tx, experiment).await?),
            (part, _) => part,
        };
        fact("plan", plan_facts(outcome, experiment, budget_part)?);
        open_conditions = conditions(tx, experiment).await?;
        match gate_type {
            GateType::PortfolioReview => {
                fact("score", json!(experiment.score));
                fact("similar_learnings", similar_learnings(tx, experiment).await?);
                fact("conflicts", json!(conflicts(tx, experiment).await?));
            }
            GateType::LaunchApproval => {
                fact("build", experiment.build.clone().unwrap_or(Value::Null));
                fact("dry_run", dry_run_facts(tx, outcome, experiment).await?);
                fact("conflicts", json!(conflicts(tx, experiment).await?));
            }
            GateType::AnalysisReview | GateType::ScaleApproval | GateType::ShipApproval => {
                fact("result", json!(experiment.current_result));
                fact("rollout_step", json!(experiment.state.step));
                fact("pause", json!(experiment.state.pause));
            }
            GateType::Escalation => {
                fact("status", json!(experiment.state.status));
            }
        }
        if gate_type == GateType::AnalysisReview && experiment.state.step + 1 >= experiment.state.n_steps {
            verdicts.retain(|verdict| *verdict != Verdict::Scale);
        }
    }
    let checklist = match gate_type {
        GateType::LaunchApproval => spec.rules().map(ToOwned::to_owned).collect(),
        _ => Vec::new(),
    };
    Ok(ContextPackage {
        version: 1,
        gate,
        gate_type,
        question: gate_type.question().to_owned(),
        agent_says: context.says.clone(),
        outcome: spec.slug.clone(),
        experiment: experiment.map(|experiment| experiment.slug.clone()),
        verdicts,
        recommendation: context.recommendation.clone(),
        facts: Value::Object(facts),
        checklist,
        open_conditions,
        created_at: runtime.now(),
    })
}

/// Conditions under which earlier gates of the experiment were approved.
pub(in crate::usecases) async fn conditions(tx: &mut Tx, experiment: &Experiment) -> Result<Vec<String>> {
    let mut conditions = Vec::new();
    for gate in tx.gate_list(Some(experiment.id), 100).await? {
        for signed in tx.decision_list(gate.id.0).await? {
            conditions.extend(signed.decision.conditions);
        }
    }
    Ok(conditions)
}

/// Why the experiment gets in the way of others that are under way.
pub(in crate::usecases) async fn conflicts(tx: &mut Tx, experiment: &Experiment) -> Result<Vec<String>> {
    let others = tx.experiment_list_under_way(None).await?;
    Ok(others
        .iter()
        .filter(|other| other.id != experiment.id && other.state.status.occupies_slot())
        .filter_map(|other| conflict_between(&experiment.hypothesis, &other.hypothesis))
        .collect())
}

async fn similar_learnings(tx: &mut Tx, experiment: &Experiment) -> Result<Value> {
    let hypothesis = &experiment.hypothesis;
    let words = format!("{} {} {}", hypothesis.title, hypothesis.statement, hypothesis.tags.join(" "));
    let found = tx.learning_search(&LearningQuery { words, limit: 3, ..LearningQuery::default() }).await?;
    Ok(found
        .iter()
        .map(|StoredLearning { learning, .. }| {
            json!({
                "id": learning.id,
                "finding": learning.finding,
                "finding_type": learning.finding_type,
                "grade": learning.grade,
                "hypothesis_says": learning.hypothesis_says,
            })
        })
        .collect())
}

fn hypothesis_facts(experiment: &Experiment) -> Value {
    let hypothesis = &experiment.hypothesis;
    json!({
        "author": experiment.author,
        "submitted_by": experiment.submitted_by,
        "title_says": hypothesis.title,
        "statement_says": hypothesis.statement,
        "mechanism_says": hypothesis.mechanism,
        "intervention": hypothesis.intervention,
        "intervention_says": hypothesis.intervention_description,
        "touched_paths": hypothesis.touched_paths,
        "flag_key": hypothesis.flag_key,
        "expected_improvement": hypothesis.expected_improvement,
        "confidence": hypothesis.confidence,
        "effort_hours": hypothesis.effort_hours,
        "risk": hypothesis.risk,
        "is_reversible": hypothesis.is_reversible,
    })
}

fn plan_facts(outcome: &Outcome, experiment: &Experiment, budget_part: Option<u32>) -> Result<Value> {
    let plan = Plan::of(&outcome.spec, &experiment.hypothesis, budget_part);
    let hash = digest(&plan)?;
    Ok(json!({
        "hash": hash,
        "design": plan.design,
        "alpha": plan.alpha,
        "error_budget": plan.error_budget,
        "tau": plan.tau,
        "randomisation_unit": plan.randomisation_unit,
        "measurement": plan.hypothesis.measurement,
        "rollout": plan.hypothesis.rollout,
        "guardrails": plan.guardrails.iter().map(|guardrail| json!({
            "signal": guardrail.signal.name, "bound": guardrail.bound, "on_violation": guardrail.on_violation,
        })).collect::<Vec<_>>(),
    }))
}
